//! The list of what can go wrong with a backup, and which tests show it: every case has its tests, and every test that is named
//! exists.

mod table;

use std::collections::BTreeMap;
use std::path::Path;
use support::proof;
use table::CASES;

/// So many cases there are, numbered from 1.
const COUNT: usize = 58;

/// The names of all functions that are tests, or are called by one for every kind of store, and how many have each name.
fn tests() -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("tests"), root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("cases/table.rs") {
                for name in functions(&std::fs::read_to_string(&path).unwrap()) {
                    *found.entry(name).or_default() += 1;
                }
            }
        }
    }
    found
}

/// Those right behind `#[test]`, and those of the suite that every store passes.
fn functions(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let rest = line.trim_start().trim_start_matches("pub ").strip_prefix("fn ")?;
        Some(rest.split(['(', '<']).next()?.to_owned())
    };
    let lines: Vec<&str> = text.lines().collect();
    let behind = lines.windows(2).filter(|pair| pair[0].trim() == "#[test]").filter_map(|pair| name(pair[1]));
    let suite =
        lines.iter().filter(|line| line.trim_start().starts_with("pub fn ") && line.contains("(store: &dyn Store)"));
    behind.chain(suite.filter_map(|line| name(line))).collect()
}

#[test]
fn every_case_has_tests_that_exist() {
    let tests = tests();
    assert!(tests.len() > 300, "only {} tests were found", tests.len());
    let numbers: Vec<usize> = CASES.iter().map(|case| case.0).collect();
    assert_eq!(numbers, (1..=COUNT).collect::<Vec<_>>(), "the numbers of the cases");
    let mut missing = Vec::new();
    for (number, what, names) in CASES {
        assert!(!names.is_empty(), "case {number} ({what}) names no test");
        missing.extend(names.iter().filter(|name| !tests.contains_key(**name)).map(|name| format!("{number}: {name}")));
    }
    assert!(missing.is_empty(), "there are no such tests:\n{}", missing.join("\n"));
    proof::counted("cases", "cases with tests", CASES.len(), 0);
}
