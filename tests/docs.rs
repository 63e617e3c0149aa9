//! README, the pages of `docs/` and the changelog: every link leads somewhere, every page is in the book, every command block is run by a
//! test or says that it is not.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output};
use support::process::tool;

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const DRILL: (&str, &str) = ("tests/drill.rs", "fn the_runbook_brings_a_server_back_from_the_bucket_alone");
const FIRST_STEPS: (&str, &str) = ("tests/first_steps.rs", "fn a_lost_table_comes_back_and_a_copy_fills_a_new_server");
const RECIPES: (&str, &str) = ("tests/interop.rs", "fn the_recipes_of_the_format_page_restore_a_backup");

/// The command blocks that are run: the page, the first line, and the file that runs it, with words of that file that show so. All others
/// are marked as not run.
const RUN: [(&str, &str, (&str, &str)); 13] = [
    ("README.md", "scripts/quickstart.sh", ("tests/docs.rs", "fn the_quick_start_runs")),
    ("README.md", "scripts/test.sh", (".ci/run", "scripts/test.sh")),
    (
        "docs/continuous.md",
        "base=$(grep -l '^    \"generation\": ' shop/shop-*.meta | tail -n 1)",
        (
            "tests/capture/without_pgbk.rs",
            "fn the_block_of_the_page_restores_a_base_and_its_changes_where_there_is_no_pgbk",
        ),
    ),
    ("docs/format.md", "scripts/decode.sh shop-20260822T031500Z.meta > shop.sql", RECIPES),
    ("docs/format.md", "b2sum shop-20260822T031500Z.sql.xz.enc", RECIPES),
    (
        "docs/format.md",
        "# The piece from byte $at on, of $length bytes, with a raw key. Both are rounded to whole blocks, and one more is read for the IV.",
        ("tests/tables.rs", "fn the_recipe_of_the_format_reads_one_piece_with_other_programs"),
    ),
    ("docs/getting-started.md", "psql -d shop_copy -c 'DROP TABLE order_lines CASCADE'", FIRST_STEPS),
    ("docs/getting-started.md", "cat > rules.toml <<'END'", FIRST_STEPS),
    ("docs/runbook.md", "pgbk list", DRILL),
    ("docs/runbook.md", "pgbk restore --all --yes", DRILL),
    ("docs/runbook.md", "pgbk restore --files latest --into restored --yes", DRILL),
    ("docs/runbook.md", "set -o pipefail", DRILL),
    ("docs/runbook.md", "BACKUP_GLOBALS=1 pgbk backup '*' --adopt", DRILL),
];
/// The languages of command blocks.
const SHELLS: [&str; 4] = ["sh", "bash", "console", "shell"];
/// Stands behind the language of a command block that is not run. GitHub and mdBook take the first word for the language.
const NOT_RUN: &str = "norun";

/// A page, taken apart.
struct Page {
    /// Its path below the project's folder.
    name: String,
    /// Its lines outside of blocks.
    prose: String,
    /// What stands behind the fence of each block, and the block.
    blocks: Vec<(String, String)>,
}

impl Page {
    fn read(name: &str) -> Page {
        let text = fs::read_to_string(Path::new(HERE).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (mut prose, mut blocks, mut within) = (String::new(), Vec::new(), None);
        for line in text.lines() {
            assert!(line.starts_with("```") || !line.contains("```"), "{name}: a fence that does not begin its line");
            match (within.take(), line.strip_prefix("```")) {
                (Some(block), Some("")) => blocks.push(block),
                (Some((info, block)), _) => within = Some((info, format!("{block}{line}\n"))),
                (None, Some(info)) => within = Some((info.to_owned(), String::new())),
                (None, None) => prose.extend([line, "\n"]),
            }
        }
        assert!(within.is_none(), "{name}: a block without an end");
        Page { name: name.to_owned(), prose, blocks }
    }

    /// The names by which links lead to its headings.
    fn anchors(&self) -> Vec<String> {
        let headings = self.prose.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }

    /// Where its links and pictures lead. What stands in backticks is no link.
    fn links(&self) -> Vec<String> {
        let text: String = self.prose.split('`').step_by(2).collect();
        text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
    }

    fn folder(&self) -> &Path {
        Path::new(&self.name).parent().unwrap()
    }
}

/// As GitHub and mdBook make it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The pages of the book, by their names within it.
fn book() -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(HERE).join("docs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".md")).collect()
}

fn pages() -> Vec<Page> {
    let docs = book().into_iter().map(|name| format!("docs/{name}"));
    ["README.md".to_owned()].into_iter().chain(docs).map(|name| Page::read(&name)).collect()
}

/// `..` and `.` taken out, so that it can be seen whether a path leaves a folder.
fn straight(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            Component::ParentDir => assert!(whole.pop(), "{} leaves the project", path.display()),
            Component::CurDir => {}
            part => whole.push(part),
        }
        whole
    })
}

/// Why a link of a page leads nowhere; None where it leads somewhere.
fn broken(page: &Page, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (path, wanted) = link.split_once('#').map_or((link, None), |(path, wanted)| (path, Some(wanted)));
    let target = match path {
        "" => PathBuf::from(&page.name),
        path => straight(&page.folder().join(path)),
    };
    let shown = target.display();
    if !Path::new(HERE).join(&target).exists() {
        return Some(format!("there is no {shown}"));
    }
    if page.name.starts_with("docs/") && !target.starts_with("docs") {
        return Some(format!("{shown} is not in the book"));
    }
    let anchors = wanted.map(|_| Page::read(target.to_str().unwrap()).anchors())?;
    (!anchors.iter().any(|anchor| Some(anchor.as_str()) == wanted)).then(|| format!("{shown} has no such heading"))
}

#[test]
fn the_readme_is_short() {
    let lines = include_str!("../README.md").lines().count();
    assert!(lines <= 220, "{lines} lines");
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut pages = pages();
    pages.push(Page::read("CHANGELOG.md"));
    let links = pages.iter().flat_map(|page| page.links().into_iter().map(move |link| (page, link)));
    let links: Vec<(&Page, String)> = links.collect();
    assert!(links.len() > 150, "only {} links are seen", links.len());
    let lost = links.iter().filter_map(|(page, link)| Some(format!("{}: {link}: {}", page.name, broken(page, link)?)));
    let lost: Vec<String> = lost.collect();
    assert!(lost.is_empty(), "{}", lost.join("\n"));
    // It would have been seen.
    let docs = pages.iter().find(|page| page.name == "docs/README.md").unwrap();
    for wrong in ["nothing.md", "restore.md#nothing", "#nothing", "../LICENSE"] {
        assert!(broken(docs, wrong).is_some(), "{wrong}");
    }
}

#[test]
fn no_two_headings_of_a_page_have_one_name() {
    for page in pages() {
        let anchors = page.anchors();
        let different: BTreeSet<&String> = anchors.iter().collect();
        assert_eq!(different.len(), anchors.len(), "{}: {anchors:?}", page.name);
    }
}

#[test]
fn every_page_is_in_the_summary_once() {
    let mut listed = Page::read("docs/SUMMARY.md").links();
    listed.push("SUMMARY.md".to_owned());
    listed.sort();
    assert_eq!(listed, book().into_iter().collect::<Vec<_>>());
}

#[test]
fn every_command_block_is_run_or_says_that_it_is_not() {
    let pages = pages();
    let mut found = Vec::new();
    for page in &pages {
        for (info, block) in &page.blocks {
            let words: Vec<&str> = info.split_whitespace().collect();
            let language = words.first().unwrap_or_else(|| panic!("{}: a block of no language\n{block}", page.name));
            assert!(!language.contains(','), "{}: {info}", page.name);
            if !SHELLS.contains(language) {
                continue;
            }
            match words[1..] {
                [] => found.push((page.name.as_str(), block)),
                [NOT_RUN] => {}
                _ => panic!("{}: {info}", page.name),
            }
        }
    }
    // A comment behind a command is none of it.
    let first = |block: &str| block.lines().next().unwrap_or_default().split(" # ").next().unwrap().trim().to_owned();
    let seen: BTreeSet<(String, String)> =
        found.iter().map(|(page, block)| ((*page).to_owned(), first(block))).collect();
    let due: BTreeSet<(String, String)> =
        RUN.iter().map(|(page, block, _)| ((*page).to_owned(), (*block).to_owned())).collect();
    assert_eq!(seen, due, "a block that is not run is marked: ```sh {NOT_RUN}");
    assert_eq!(found.len(), RUN.len(), "two blocks begin alike");
    for (page, block, (by, words)) in RUN {
        let text = fs::read_to_string(Path::new(HERE).join(by)).unwrap_or_else(|error| panic!("{by}: {error}"));
        assert!(text.contains(words), "{page}: {block}: {by} has no \"{words}\"");
    }
}

/// Also the paths below `src` that the glossary names without it.
#[test]
fn every_file_of_the_project_that_a_page_names_is_there() {
    let folders = ["src/", "tests/", "scripts/", "benches/"];
    let mut count = 0;
    for page in pages() {
        let spans = page.prose.split('`').skip(1).step_by(2).filter_map(|span| span.split_whitespace().next());
        let is_path = |path: &&str| path.ends_with(".rs") || folders.iter().any(|folder| path.starts_with(folder));
        for path in spans.filter(is_path) {
            let there = [path.to_owned(), format!("src/{path}")].iter().any(|path| Path::new(HERE).join(path).exists());
            assert!(there, "{}: there is no {path}", page.name);
            count += 1;
        }
    }
    assert!(count > 100, "only {count} paths are seen");
}

/// What is built already is not built again; all else is what a clone has.
#[test]
fn the_quick_start_runs() {
    let page = Page::read("README.md");
    let (_, block) = page.blocks.iter().find(|(_, block)| block.starts_with("scripts/quickstart.sh")).unwrap();
    let clone = tempfile::tempdir().unwrap();
    let at = |name: &str| clone.path().join(name);
    let copied = Command::new("cp").args(["-r", "scripts"]).arg(clone.path()).current_dir(HERE).status().unwrap();
    assert!(copied.success());
    for folder in ["bin", "target/debug"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    fs::write(at("bin/cargo"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(at("bin/cargo"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink(env!("CARGO_BIN_EXE_pgbk"), at("target/debug/pgbk")).unwrap();
    let path = format!("{}:{}", at("bin").display(), std::env::var("PATH").unwrap());
    for _ in 0..2 {
        let mut bash = Command::new("bash");
        bash.args(["-euc", block]).current_dir(clone.path()).env("PATH", &path).env("CARGO_TARGET_DIR", at("target"));
        let output = bash.env("STATE_DIR", at("state")).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.contains("quickstart: OK"), "{said}");
    }
    assert!(at("backups/shop").is_dir());
}

/// Builds the book that is in this folder.
fn mdbook(folder: &Path, into: &Path) -> Output {
    let mut command = Command::new(tool("mdbook"));
    command.arg("build").arg(folder).arg("--dest-dir").arg(into).env_remove("RUST_LOG");
    command.output().unwrap()
}

fn complaints(output: &Output) -> Vec<String> {
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    let wrong = |line: &&str| ["WARN", "ERROR"].iter().any(|word| line.contains(word));
    said.lines().filter(wrong).map(str::to_owned).collect()
}

#[test]
fn the_book_is_built_without_a_warning() {
    let place = tempfile::tempdir().unwrap();
    let (docs, made) = (place.path().join("docs"), place.path().join("made"));
    let copied = Command::new("cp").arg("-r").arg(Path::new(HERE).join("docs")).arg(&docs).status().unwrap();
    assert!(copied.success());
    let output = mdbook(&docs, &made);
    assert!(output.status.success() && complaints(&output).is_empty(), "{output:?}");
    for page in book().iter().filter(|name| !["SUMMARY.md", "README.md"].contains(&name.as_str())) {
        assert!(made.join(page.replace(".md", ".html")).is_file(), "{page}");
    }
    let page = fs::read_to_string(made.join("speed.html")).unwrap();
    assert!(page.contains("src=\"growth.svg\"") && made.join("growth.svg").is_file());
    // The mark of a block that is not run leaves its language as it is.
    let page = fs::read_to_string(made.join("getting-started.html")).unwrap();
    assert!(page.contains("class=\"language-sh"), "{page}");

    // It would have said so.
    fs::remove_file(docs.join("restore.md")).unwrap();
    assert!(!mdbook(&docs, &made).status.success());
}
