//! Holds the layers: which room may import which, that no files import each other in a circle, who may print, exit and read the
//! environment, how long a file and a function may be, how a doc comment begins, and that a type's name stands for one thing.

mod state_dir;
mod type_names;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use syn::visit::Visit;

/// The rooms of `src`, one floor below the other. A room imports only from the floors below its own.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["commands"],
    &["config", "monitoring"],
    &["runs"],
    &["jobs"],
    &["repository"],
    &["cli", "alerts", "postgres", "pipeline"],
    &["format", "store", "files"],
    &["base"],
];

/// What only these files may hold. A name that ends with a slash is a folder.
const RESERVED: &[(&str, &[&str], &[&str])] = &[
    ("talks to the AWS SDK", &["aws_config::", "aws_sdk_s3::", "aws_smithy"], &["store/s3.rs", "store/s3/"]),
    (
        "talks to tokio",
        &["tokio::"],
        &[
            "postgres/connect/transport.rs",
            "postgres/connect/transport/",
            "store/network/",
            "store/s3.rs",
            "store/s3/",
            "monitoring/server.rs",
            "alerts/smtp.rs",
            "alerts/smtp/",
        ],
    ),
    ("serves HTTP", &["hyper::", "hyper_util::rt", "http_body_util::Full"], &["monitoring/server.rs"]),
    ("fences a child in", &["landlock::"], &["base/process/fence.rs"]),
    (
        "listens for clients",
        &["TcpListener", "UnixListener"],
        &["monitoring/server.rs", "postgres/connect/transport/socket.rs"],
    ),
    (
        "writes to or looks at stdout or stderr",
        &["println!", "print!(", "io::stdout", "io::stderr"],
        &["cli/console.rs", "cli/console/"],
    ),
    ("asks on the terminal", &["dialoguer::", "indicatif::"], &["cli/console.rs", "cli/console/"]),
    ("ends the process", &["process::exit", "process::abort", ".exit()"], &["main.rs"]),
    (
        "reads the environment, of which tools looks along PATH",
        &["env::var", "env::args"],
        &["config/environment.rs", "postgres/tools.rs"],
    ),
    ("changes the environment of the process", &["set_var", "remove_var", "setenv", "putenv"], &[]),
    ("allows unsafe code", &["unsafe"], &["base/process/child.rs", "base/threads.rs"]),
    (
        "parses a command line",
        &["clap::Arg", "clap::Pars", "clap::{", "clap_complete"],
        &["main.rs", "cli.rs", "cli/", "config/arguments.rs", "commands/completions.rs"],
    ),
    ("speaks HTTP or SMTP", &["ureq::", "lettre::"], &["alerts.rs", "alerts/"]),
    (
        "reads the clock",
        &["Timestamp::now", "SystemTime::now", "Zoned::now"],
        &["commands/", "cli/console.rs", "store/"],
    ),
];

const FILE_WALL: usize = 400;
const FILE_TARGET: usize = 200;
const FUNCTION_WALL: usize = 70;
const FUNCTION_TARGET: usize = 40;

/// Words that begin a doc comment without saying who does what.
const BAD_BEGINNINGS: &[&str] = &["What", "Who", "Whoever", "Whatever", "Of", "That", "As", "By", "With"];

#[test]
fn rooms_import_from_the_floors_below_only() {
    let floor = |room: &str| FLOORS.iter().position(|rooms| rooms.contains(&room));
    let mut faults = Vec::new();
    for (file, imports) in graph() {
        let room = file.split("::").next().unwrap();
        let own = floor(room).unwrap_or_else(|| panic!("{room} is on no floor"));
        for import in imports.iter().filter(|import| import.split("::").next() != Some(room)) {
            let other = import.split("::").next().unwrap();
            if floor(other).unwrap_or_else(|| panic!("{other} is on no floor")) <= own {
                faults.push(format!("{file} imports {import}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut graph = graph();
    // What imports nothing that is left is in no circle.
    loop {
        let left: BTreeSet<String> = graph.keys().cloned().collect();
        let before = graph.len();
        graph.retain(|_, imports| imports.iter().any(|import| left.contains(import)));
        if graph.len() == before {
            break;
        }
    }
    // Nor is what nothing that is left imports.
    loop {
        let imported: BTreeSet<String> = graph.values().flatten().cloned().collect();
        let before = graph.len();
        graph.retain(|file, _| imported.contains(file));
        if graph.len() == before {
            break;
        }
    }
    assert!(graph.is_empty(), "these import each other: {graph:#?}");
}

#[test]
fn jobs_do_not_know_each_other() {
    for (file, imports) in graph().iter().filter(|(file, _)| file.starts_with("jobs::")) {
        // A restore test is made of the others.
        let own = file.split("::").nth(1).filter(|own| *own != "restore_test");
        let others: Vec<_> = imports.iter().filter(|import| import.starts_with("jobs::")).collect();
        assert!(
            own.is_none_or(|own| others.iter().all(|job| job.split("::").nth(1) == Some(own))),
            "{file}: {others:?}"
        );
    }
}

#[test]
fn doc_comments_begin_with_a_subject_or_a_verb() {
    let mut faults = Vec::new();
    for (name, text) in rust_files("src") {
        let mut before = "";
        for (number, line) in (1..).zip(text.lines()) {
            let comment = |line: &str| line.trim_start().starts_with("///") || line.trim_start().starts_with("//!");
            let first =
                line.trim_start().trim_start_matches(['/', '!']).split([' ', ',']).find(|word| !word.is_empty());
            if comment(line) && !comment(before) && first.is_some_and(|word| BAD_BEGINNINGS.contains(&word)) {
                faults.push(format!("src/{name}:{number}: {}", line.trim_start()));
            }
            before = line;
        }
    }
    assert!(faults.is_empty(), "{} comments begin so:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn of_the_store_the_stages_know_only_the_object_that_they_read() {
    let mut known = 0;
    for file in sources().iter().filter(|file| file.name.starts_with("pipeline")) {
        for named in file.code.split("store::").skip(1) {
            let name = named.split(|c: char| !c.is_alphanumeric() && c != '_').next();
            assert_eq!(name, Some("Object"), "{}", file.name);
            known += 1;
        }
    }
    assert!(known > 0, "no stage reads an object");
}

#[test]
fn some_things_are_done_in_one_place_only() {
    let mut faults = Vec::new();
    for file in sources() {
        for (what, signs, places) in RESERVED {
            let here =
                places.iter().any(|place| file.name == *place || place.ends_with('/') && file.name.starts_with(place));
            if let (Some(sign), false) = (signs.iter().find(|sign| file.code.contains(**sign)), here) {
                faults.push(format!("{} {what} ({sign})", file.name));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_and_functions_stay_short() {
    let mut faults = Vec::new();
    for (name, text) in rust_files("src").into_iter().filter(|(name, _)| !name.ends_with("tests.rs")) {
        let file = Source { code: without_tests(&text), name };
        // Comments are read as well.
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        match lines {
            _ if lines > FILE_WALL => faults.push(format!("{}: {lines} lines", file.name)),
            _ if lines > FILE_TARGET => eprintln!("long file: {} has {lines} lines", file.name),
            _ => {}
        }
        for (name, lines) in functions(&file.code) {
            match lines {
                _ if lines > FUNCTION_WALL => faults.push(format!("{}: {name} has {lines} lines", file.name)),
                _ if lines > FUNCTION_TARGET => eprintln!("long function: {name} in {} has {lines} lines", file.name),
                _ => {}
            }
        }
    }
    assert!(faults.is_empty(), "over {FILE_WALL} lines of file or {FUNCTION_WALL} of function:\n{}", faults.join("\n"));
}

#[test]
fn files_of_tests_have_the_same_wall() {
    let lines = rust_files("tests").into_iter().map(|(name, text)| (text.lines().count(), name));
    let (long, short): (Vec<_>, Vec<_>) = lines.partition(|(lines, _)| *lines > FILE_WALL);
    assert!(long.is_empty(), "over {FILE_WALL} lines: {long:?}");
    assert!(short.len() > 50, "only {} files of tests", short.len());
}

struct Source {
    /// Below `src`.
    name: String,
    /// Without tests, comments and doc comments.
    code: String,
}

/// Returns which files each file imports, all as modules (`store::s3::host`), without `lib.rs` and without tests.
fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let sources: BTreeMap<String, Source> = sources().into_iter().map(|file| (module(&file.name), file)).collect();
    let files: BTreeSet<String> = sources.keys().cloned().collect();
    let mut graph = BTreeMap::new();
    for (module, source) in sources.iter().filter(|(module, _)| *module != "lib") {
        let syntax = syn::parse_file(&source.code).unwrap_or_else(|error| panic!("{}: {error}", source.name));
        let mut paths = Paths { module, files: &files, found: BTreeSet::new() };
        paths.visit_file(&syntax);
        graph.insert(module.clone(), paths.found);
    }
    assert!(graph.values().flatten().count() > 500, "the imports were not found");
    graph
}

fn module(name: &str) -> String {
    name.trim_end_matches(".rs").replace('/', "::")
}

/// Collects the files that a file's paths lead to.
struct Paths<'a> {
    module: &'a str,
    files: &'a BTreeSet<String>,
    found: BTreeSet<String>,
}

impl Paths<'_> {
    /// Takes a path as it is written. One that leads out of the crate is none of ours.
    fn take(&mut self, written: &[String]) {
        let own: Vec<&str> = self.module.split("::").collect();
        let ups = written.iter().take_while(|name| *name == "super").count();
        let rest = written.iter().map(String::as_str);
        let whole: Vec<&str> = match written.first().map(String::as_str) {
            Some("crate" | "pgbk") => rest.skip(1).collect(),
            Some("self") => own.iter().copied().chain(rest.skip(1)).collect(),
            Some("super") => own[..own.len() - ups].iter().copied().chain(rest.skip(ups)).collect(),
            Some(child) if self.files.contains(&format!("{}::{child}", self.module)) => {
                own.into_iter().chain(rest).collect()
            }
            _ => return,
        };
        let named = (1..=whole.len()).rev().map(|length| whole[..length].join("::"));
        if let Some(file) = named.into_iter().find(|name| self.files.contains(name)).filter(|file| file != self.module)
        {
            self.found.insert(file);
        }
    }

    fn tree(&mut self, before: &mut Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(before, &path.tree);
                before.pop();
            }
            syn::UseTree::Name(syn::UseName { ident }) | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                let whole: Vec<String> = before.iter().cloned().chain([ident.to_string()]).collect();
                self.take(&whole);
            }
            syn::UseTree::Glob(_) => self.take(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&mut Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.take(&names);
        }
        syn::visit::visit_path(self, path);
    }

    /// What a macro is given is no syntax yet.
    fn visit_macro(&mut self, given: &'ast syn::Macro) {
        for rest in given.tokens.to_string().split("crate ::").skip(1) {
            let names = rest.split("::").map(|name| name.trim().split([' ', '(', '{', '<']).next().unwrap_or_default());
            self.take(&["crate"].into_iter().chain(names).map(str::to_owned).collect::<Vec<_>>());
        }
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for (name, text) in rust_files("src") {
        if !name.ends_with("tests.rs") {
            found.push(Source { code: without_tests(&text), name });
        }
    }
    assert!(found.len() > 50, "only {} files below src", found.len());
    found
}

/// Names, below this folder, and texts.
fn rust_files(top: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(top);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Without `#[cfg(test)]` items and comments.
fn without_tests(text: &str) -> String {
    let mut kept = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indent = line.len() - line.trim_start().len();
            let end = format!("{}}}", " ".repeat(indent));
            let first = lines.next().unwrap_or_default();
            if !first.ends_with(';') {
                lines.by_ref().find(|line| *line == end);
            }
        } else if !line.trim_start().starts_with("//") {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// Names and lengths, from the line with `fn` to the brace at its indentation; rustfmt sees to it that there is one.
fn functions(code: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let text = line.trim_start();
        let start = [
            "fn ",
            "pub fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "async fn ",
            "pub async fn ",
            "pub(super) async fn ",
        ];
        let Some(rest) = start.iter().find_map(|start| text.strip_prefix(start)) else { continue };
        let end = format!("{}}}", " ".repeat(line.len() - text.len()));
        if line.ends_with('}') || line.ends_with(';') {
            continue;
        }
        let Some(length) = lines[at..].iter().position(|line| **line == end) else { continue };
        found.push((rest.split(['(', '<']).next().unwrap_or_default().to_owned(), length + 1));
    }
    found
}
