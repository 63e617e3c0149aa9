//! Holds that one file of the source names the files of the state directory, and that one chooses where it is.

use super::sources;

/// Pieces of code by which a file would name one of them.
const NAMES: &[&str] = &[
    "\"runs\"",
    "\"runs/",
    "\"past\"",
    "past.json\"",
    ".forgetting\"",
    "removed.jsonl\"",
    "removed.lock\"",
    "schedule.json\"",
    "schedule.lock\"",
    "\"captures\"",
    "-capture.json\"",
    "store.json\"",
    "owners.json\"",
    "\"owners-",
    "\"series\"",
    "\"series/",
    ".looking\"",
    "\"documents\"",
    "\"documents/",
    "\"keyring\"",
    "(\"alerts\")",
    "\"alerts/",
    "\"unsent",
    "/unsent",
    "\"told\"",
    "/told\"",
    "\".try\"",
];

#[test]
fn only_the_state_directory_names_its_files() {
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| file.name != "base/state_dir.rs") {
        let named = NAMES.iter().filter(|name| file.code.contains(**name));
        faults.extend(named.map(|name| format!("src/{}: {name}", file.name)));
    }
    assert!(faults.is_empty(), "src/base/state_dir.rs alone names these:\n{}", faults.join("\n"));
    let owner = sources().into_iter().find(|file| file.name == "base/state_dir.rs").unwrap();
    let found = NAMES.iter().filter(|name| owner.code.contains(**name)).count();
    assert!(found >= 12, "only {found} of the names are found where they are");
}

#[test]
fn only_the_settings_choose_where_the_state_directory_is() {
    let made: Vec<String> =
        sources().into_iter().filter(|file| file.code.contains("StateDir::at(")).map(|file| file.name).collect();
    assert_eq!(made, ["config/state.rs"]);
}
