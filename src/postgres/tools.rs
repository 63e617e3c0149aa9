//! Finds the server's own programs, and the newest version of each that fits.

pub(crate) mod contents;
pub mod dump;
pub(crate) mod environment;
pub(crate) mod large_objects;
pub(crate) mod lock_limit;
pub(crate) mod script;

use crate::base::error::{Fault, Result};
use crate::base::process::environment::ChildEnvironment;
use crate::base::{cancel, process};
use std::cmp::Reverse;
use std::path::{Path, PathBuf};

/// One of PostgreSQL's programs, with the version that it reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    pub path: PathBuf,
    pub version: String,
    pub major: u32,
}

/// Directories with one subdirectory per version: the parent, how the subdirectory's name begins, and the directory within it.
const VERSIONED: &[(&str, &str, &str)] = &[
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

const PLAIN: &[&str] =
    &["/usr/local/pgsql/bin", "/opt/homebrew/opt/libpq/bin", "/usr/local/opt/libpq/bin", "/usr/local/bin", "/usr/bin"];

/// Returns the newest tool of this name that is not older than the server. With `bin_dir` no other directory is searched.
pub fn find(name: &str, server_major: u32, bin_dir: Option<&Path>) -> Result<Tool> {
    newest(name, server_major, &format!("the server has version {server_major}"), bin_dir)
}

/// Returns the newest `pg_restore` that is older neither than the server nor than the `pg_dump` that made the archive. `made_by` is
/// that version; `None` if it is not known.
pub(crate) fn for_archive(made_by: Option<&str>, server_major: u32, bin_dir: Option<&Path>) -> Result<Tool> {
    match made_by.and_then(|version| Some((version, *number(version).first()?))) {
        Some((version, major)) if major > server_major => {
            newest("pg_restore", major, &format!("the archive was made by pg_dump {version}"), bin_dir)
        }
        _ => find("pg_restore", server_major, bin_dir),
    }
}

fn newest(name: &str, least: u32, why: &str, bin_dir: Option<&Path>) -> Result<Tool> {
    let found = all(name, bin_dir);
    if let Some(tool) = found.iter().find(|tool| tool.major >= least) {
        return Ok(tool.clone());
    }
    // A tool that a signal kept from answering is not missing.
    cancel::check()?;
    let place = bin_dir.map(|directory| format!(" in \"{}\"", directory.display())).unwrap_or_default();
    let message = if found.is_empty() {
        format!("no {name} that runs was found{place}; {why}, and {name} must not be older")
    } else {
        let list: Vec<_> =
            found.iter().map(|tool| format!("{} at \"{}\"", tool.version, tool.path.display())).collect();
        format!("{why}, and {name} must not be older; found: {}", list.join(", "))
    };
    let hint = format!(
        "install the package postgresql-client-{least}, or let PG_BIN_DIR name the directory of a newer {name}"
    );
    Err(Fault::usage(message).hint(hint).into())
}

/// Returns every tool of this name that runs, newest first.
pub(crate) fn all(name: &str, bin_dir: Option<&Path>) -> Vec<Tool> {
    let directories = bin_dir.map_or_else(directories, |directory| vec![directory.to_owned()]);
    let mut seen = Vec::new();
    let mut tools = Vec::new();
    for path in directories.into_iter().map(|directory| directory.join(name)) {
        let Ok(real) = path.canonicalize() else { continue };
        // Debian's wrapper is one script for all tools; it picks a version that may not be the newest. The tools that it
        // picks from stand in their versioned directories.
        if seen.contains(&real) || real.ends_with("pg_wrapper") {
            continue;
        }
        tools.extend(ask(&path));
        seen.push(real);
    }
    // A stable order: of two with the same version the one that was found first.
    tools.sort_by_key(|tool: &Tool| Reverse(number(&tool.version)));
    tools
}

fn directories() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    for (parent, prefix, inside) in VERSIONED {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                found.push(if inside.is_empty() { entry.path() } else { entry.path().join(inside) });
            }
        }
    }
    found.extend(PLAIN.iter().map(PathBuf::from));
    found
}

/// Runs the tool with `--version`. `None` if it does not run or prints anything else: then it is no candidate.
fn ask(path: &Path) -> Option<Tool> {
    let inherited = ["PATH", "HOME", "LD_LIBRARY_PATH"];
    let found = inherited.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var_os(name)?)));
    let environment = ChildEnvironment::of(found.collect());
    let output = process::run(path, &["--version".to_owned()], &environment).ok()?;
    let version = version(&output)?;
    let major = number(&version).first().copied()?;
    Some(Tool { path: path.to_owned(), version, major })
}

/// Reads a version from a tool's output: `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` → `15.18`.
fn version(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("(PostgreSQL) ")?;
    let version = rest.split_whitespace().next()?;
    version.starts_with(|letter: char| letter.is_ascii_digit()).then(|| version.to_owned())
}

/// Splits a version into numbers: `15.18` → `[15, 18]`; `19beta1` → `[19]`.
fn number(version: &str) -> Vec<u32> {
    let digits =
        |part: &str| part.split(|letter: char| !letter.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    version.split('.').map_while(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_and_without_the_packagers_additions() {
        assert_eq!(version("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n").as_deref(), Some("15.18"));
        assert_eq!(version("pg_dump (PostgreSQL) 19beta1\n").as_deref(), Some("19beta1"));
        assert_eq!(version("command not found"), None);
        assert_eq!((number("15.18"), number("19beta1"), number("9.6.1")), (vec![15, 18], vec![19], vec![9, 6, 1]));
        assert!(number("15.18") > number("15.9"));
    }
}
