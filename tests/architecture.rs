//! Who may import whom, who may print, exit, and read the environment, and how long a file and a function may be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Every module of the library, top to bottom, and what it may import: only rows below its own.
const TABLE: &[(&str, &str)] = &[
    (
        "commands",
        "config console cli environment run upkeep jobs level cron missed history vault postgres alert leftovers \
         stream store lookout status roster files process record retention manifest databases keys series \
         monitor threads interrupt shown error",
    ),
    (
        "config",
        "cli environment upkeep proof jobs cron history vault postgres stream store alert plain retention manifest \
         databases keys secret series shown error",
    ),
    ("lookout", "web status shelf missed vault record monitor error"),
    ("web", "error"),
    ("status", "console roster missed history shelf record document databases monitor error"),
    ("console", "cli monitor interrupt shown error"),
    ("cli", "manifest level error"),
    ("privileges", "environment error"),
    ("environment", "postgres plain secret error"),
    (
        "run",
        "upkeep proof jobs missed history vault postgres alert record manifest databases series monitor interrupt \
         error",
    ),
    ("proof", "jobs vault postgres stream manifest script series level monitor interrupt error"),
    ("upkeep", "jobs vault retention manifest monitor error"),
    (
        "jobs",
        "cron missed history vault postgres alert leftovers stream store process record retention lifecycle manifest \
         databases files newfile script level series monitor interrupt error",
    ),
    ("roster", "cron document record databases error"),
    ("cron", "databases error"),
    ("missed", "history vault document plain record retention manifest error"),
    ("history", "store document plain record manifest monitor error"),
    ("shelf", "vault document manifest error"),
    ("vault", "stream store manifest keys series monitor threads interrupt error"),
    ("postgres", "process plain manifest script secret monitor threads interrupt error"),
    ("alert", "certificates plain record manifest newfile series secret shown monitor interrupt error"),
    ("leftovers", "store manifest monitor error"),
    ("stream", "store manifest keys script monitor threads interrupt error"),
    ("store", "certificates plain secret interrupt error"),
    ("process", "monitor threads interrupt error"),
    ("document", "plain"),
    ("record", "manifest error"),
    ("retention", "manifest error"),
    ("lifecycle", ""),
    ("certificates", "plain error"),
    ("manifest", "keys script series error"),
    ("databases", "series error"),
    ("keys", "plain secret threads interrupt error"),
    ("files", "monitor interrupt error"),
    ("newfile", "error"),
    ("script", "error"),
    ("secret", ""),
    ("level", ""),
    ("series", ""),
    ("shown", ""),
    ("monitor", ""),
    ("plain", ""),
    ("threads", "error"),
    ("interrupt", "error"),
    ("cores", "error"),
    ("error", ""),
];

/// What only these files may hold. A name that ends with a slash is a folder.
const RESERVED: &[(&str, &[&str], &[&str])] = &[
    ("talks to the AWS SDK", &["aws_config::", "aws_sdk_s3::", "aws_smithy"], &["store/s3.rs", "store/s3/"]),
    (
        "talks to tokio",
        &["tokio::"],
        &[
            "postgres/transport.rs",
            "postgres/transport/",
            "store/s3.rs",
            "store/s3/",
            "web.rs",
            "alert/smtp.rs",
            "alert/smtp/",
        ],
    ),
    ("serves HTTP", &["hyper::", "hyper_util::", "http_body_util::Full"], &["web.rs"]),
    ("fences a child in", &["landlock::"], &["process/fence.rs"]),
    ("listens for clients", &["TcpListener", "UnixListener"], &["web.rs", "postgres/transport/socket.rs"]),
    (
        "writes to or looks at stdout or stderr",
        &["println!", "print!(", "io::stdout", "io::stderr"],
        &["console.rs", "console/"],
    ),
    ("asks on the terminal", &["dialoguer::", "indicatif::"], &["console.rs", "console/"]),
    ("ends the process", &["process::exit", "process::abort", ".exit()"], &["main.rs"]),
    (
        "reads the environment, of which tools looks along PATH",
        &["env::var", "env::set_var", "env::remove_var", "env::args"],
        &["environment.rs", "postgres/tools.rs"],
    ),
    ("allows unsafe code", &["unsafe"], &["environment.rs", "process/child.rs", "threads.rs"]),
    (
        "parses a command line",
        &["clap::Arg", "clap::Pars", "clap::{", "clap_complete"],
        &["main.rs", "cli.rs", "cli/", "commands.rs", "commands/completions.rs"],
    ),
    ("speaks HTTP or SMTP", &["ureq::", "lettre::"], &["alert.rs", "alert/"]),
    ("reads the clock", &["Timestamp::now", "SystemTime::now", "Zoned::now"], &["commands/", "console.rs", "store/"]),
];

const FILE_WALL: usize = 400;
const FILE_TARGET: usize = 200;
const FUNCTION_WALL: usize = 70;
const FUNCTION_TARGET: usize = 40;

#[test]
fn the_table_points_downwards_only() {
    for (row, (module, allowed)) in TABLE.iter().enumerate() {
        for import in allowed.split_whitespace() {
            let below = TABLE.iter().skip(row + 1).any(|(other, _)| *other == import);
            assert!(below, "{module} may import {import}, which is not below it");
        }
    }
}

#[test]
fn every_module_imports_what_the_table_allows_and_nothing_else() {
    let mut seen: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for file in sources() {
        let found = seen.entry(file.module.clone()).or_default();
        for path in file.paths() {
            if path[0] != file.module {
                found.entry(path[0].clone()).or_insert_with(|| file.name.clone());
            }
        }
    }
    seen.retain(|module, _| module != "main" && module != "lib");
    let mut faults = Vec::new();
    for (module, imports) in &seen {
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| name == module) else {
            faults.push(format!("{module} has no row in the table"));
            continue;
        };
        for (import, file) in imports {
            if !allowed.split_whitespace().any(|name| name == import) {
                faults.push(format!("{file}: {module} may not import {import}"));
            }
        }
        for import in allowed.split_whitespace() {
            if !imports.contains_key(import) {
                faults.push(format!("{module} may import {import}, but does not: take it out of the table"));
            }
        }
    }
    for (module, _) in TABLE {
        if !seen.contains_key(*module) {
            faults.push(format!("{module} is in the table and is no module"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn jobs_do_not_know_each_other() {
    for file in sources().iter().filter(|file| file.name.starts_with("jobs/")) {
        let own = file.name["jobs/".len()..].split(['/', '.']).next().unwrap();
        for path in file.paths().iter().filter(|path| path[0] == "jobs") {
            assert_eq!(path.get(1).map(String::as_str), Some(own), "{} imports another job", file.name);
        }
        let up = if file.name.matches('/').count() == 1 { "super::" } else { "super::super::" };
        assert!(!file.code.contains(up), "{} reaches another job by {up}", file.name);
    }
}

#[test]
fn of_the_store_the_stages_know_only_the_object_that_they_read() {
    for file in sources().iter().filter(|file| file.module == "stream") {
        for path in file.paths().iter().filter(|path| path[0] == "store") {
            assert_eq!(path.get(1).map(String::as_str), Some("Object"), "{}", file.name);
        }
    }
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
    for file in sources() {
        let lines = file.code.lines().count();
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
    module: String,
    /// Without tests, comments and doc comments.
    code: String,
}

impl Source {
    /// Every `crate::a::b`, also inside braces one level deep; in `main.rs` the crate is `pgbk`.
    fn paths(&self) -> BTreeSet<Vec<String>> {
        let mut found = BTreeSet::new();
        for rest in self.code.split("crate::").skip(1) {
            if let Some(group) = rest.strip_prefix('{') {
                let group = group.split("};").next().unwrap_or_default();
                found.extend(group.split(',').map(|path| names(path.trim())));
            } else {
                found.insert(names(rest));
            }
        }
        found.retain(|path| !path.is_empty());
        found
    }
}

/// The names of a path; of a group at its end the first one stands for all, which is enough for modules.
fn names(text: &str) -> Vec<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    text[..end].split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for (name, text) in rust_files("src") {
        if !name.ends_with("tests.rs") {
            let module = name.split(['/', '.']).next().unwrap().to_owned();
            found.push(Source { name, module, code: without_tests(&text) });
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
