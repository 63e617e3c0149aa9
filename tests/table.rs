//! The tables of `docs/settings.md` are the program's own table of settings. `PGBK_UPDATE=1 cargo test table::` writes their rows; read
//! the difference before you commit it. A new setting gets a row by a line that begins with its name, where it belongs on the page.

use pgbk::cli::setting::{self, Setting, SettingKind};
use std::collections::BTreeSet;
use std::fs;
use support::golden::same;
use support::process::root;

const PAGE: &str = "docs/settings.md";
const HEAD: &str = "| name | value | default | meaning |";

/// Returns the name in a row of a table. None: the line is none.
fn name(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name)
}

/// Returns a help text as the page has it.
fn marked(help: &str, names: &BTreeSet<&str>) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(|sign: char| !sign.is_ascii_alphanumeric());
        match names.contains(bare) {
            true => word.replacen(bare, &format!("`{bare}`"), 1),
            false => word.replace('|', "\\|").replace('*', "\\*"),
        }
    };
    help.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn row(setting: &Setting, names: &BTreeSet<&str>) -> String {
    let value = match &setting.kind {
        SettingKind::Secret => "secret".to_owned(),
        SettingKind::Account => "ID".to_owned(),
        SettingKind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        SettingKind::Value(takes) => takes.replace('|', " or "),
    };
    let default = setting.default.as_ref().map(|default| format!(" `{default}`")).unwrap_or_default();
    format!("| `{}` | {value} |{default} | {} |\n", setting.name, marked(&setting.help, names))
}

/// Returns the page with the rows as they are now.
fn made(page: &str, settings: &[Setting]) -> String {
    let names: BTreeSet<&str> = settings.iter().map(|setting| setting.name.as_str()).collect();
    let line = |line: &str| match name(line) {
        Some(name) => {
            let setting = settings.iter().find(|setting| setting.name == name);
            row(setting.unwrap_or_else(|| panic!("{PAGE}: {name} is no setting")), &names)
        }
        None => format!("{line}\n"),
    };
    page.lines().map(line).collect()
}

#[test]
fn the_tables_of_settings_are_those_of_the_program() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    same(PAGE, made(&page, &setting::all()).as_bytes(), "table::");
}

#[test]
fn every_setting_is_in_one_table() {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    assert!(page.lines().filter(|line| line.starts_with("| name |")).all(|line| line == HEAD));
    let mut listed: Vec<&str> = page.lines().filter_map(name).collect();
    listed.sort_unstable();
    let all = setting::all();
    let mut names: Vec<&str> = all.iter().map(|setting| setting.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(listed, names);
}

#[test]
fn a_row_tells_name_value_default_and_meaning() {
    let all = setting::all();
    let names = all.iter().map(|setting| setting.name.as_str()).collect();
    let shown = |name: &str| row(all.iter().find(|setting| setting.name == name).unwrap(), &names);
    assert_eq!(shown("DB_PORT"), "| `DB_PORT` | PORT | | Port; 5432 when unset |\n");
    assert_eq!(
        shown("S3_MD5_REQUIRED"),
        "| `S3_MD5_REQUIRED` | `0`, `1` | `0` | Send Content-MD5 even where `DB_BACKUP_VERIFY` is 0 |\n"
    );
    assert_eq!(
        shown("S3_HOST_BASE"),
        "| `S3_HOST_BASE` | HOST or URL | | Host of the S3 service (https), or its URL; AWS when unset |\n"
    );
    assert_eq!(shown("SMTP_PASSWORD"), "| `SMTP_PASSWORD` | secret | | Password of `SMTP_USER` |\n");
}
