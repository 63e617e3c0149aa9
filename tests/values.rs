//! Every setting and every secret means the same whichever way it is said, and what is said wrongly is refused by its name alone.

mod aws;
mod container;
mod pipes;
mod plain_text;
mod refused;

use pgbk::base::error::{Kind, kind};
use pgbk::cli::setting;
use pgbk::config::environment::sources::Sources;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use support::proof::counted;

/// Every name that has a value: settings as clap has them, and secrets.
fn names() -> Vec<String> {
    let names: Vec<String> = setting::all().into_iter().map(|setting| setting.name).collect();
    assert!(names.len() > 80, "{names:?}");
    names
}

#[derive(Debug, PartialEq)]
enum Meant {
    Text(String),
    Unset,
    Refused,
}

/// What a way of saying something means for a setting of this name.
fn meant(name: &str, text: &str) -> Meant {
    let password = name.ends_with("PASSWORD") || name.ends_with("PASSWD");
    let lines = ["WEBHOOK_TEMPLATE", "CRON_SCHEDULE", "VERIFY_SCHEDULE", "PG_DUMP_USER_ARGS"].contains(&name);
    match text {
        "" | "\n" | "\r\n" | "\"\"" | "''\n" | "\u{feff}" => Meant::Unset,
        "a\tb" | "a\nb" | "a\r\nb\n" if lines => Meant::Text(text.trim_end().to_owned()),
        text if text.trim_end_matches(['\r', '\n']).contains(char::is_control) => Meant::Refused,
        " value " if password => Meant::Text(text.to_owned()),
        "\" value \"" if password => Meant::Text(" value ".to_owned()),
        "\"value\"" if name == "DB_NAME" => Meant::Text(text.to_owned()),
        "\"value\"\r\n" if name == "DB_NAME" => Meant::Text("\"value\"".to_owned()),
        "\" value \"" if name == "DB_NAME" => Meant::Text(text.to_owned()),
        _ => Meant::Text("value".to_owned()),
    }
}

const TEXTS: [&str; 26] = [
    "value",
    "value\n",
    "value\r\n",
    "value\n\n",
    "value\r",
    "\u{feff}value\n",
    "\"value\"",
    "'value'",
    "\"value\"\r\n",
    "'value'\n",
    " value ",
    "\" value \"",
    "",
    "\n",
    "\r\n",
    "\"\"",
    "''\n",
    "\u{feff}",
    "a\tb",
    "a\nb",
    "a\r\nb\n",
    "a\u{1b}[2Jb",
    "a\u{7f}b",
    "a\u{85}b",
    "a\u{0}b",
    "a\u{7}b",
];

/// The value by variable, by a file that a variable names, and as a Docker secret.
fn said(name: &str, text: &str, folder: &Path) -> [Meant; 3] {
    let file = folder.join("file");
    fs::write(&file, text).unwrap();
    let secrets = folder.join("secrets");
    fs::create_dir_all(&secrets).unwrap();
    let none = folder.join("none");
    let read =
        |variable: &dyn Fn(&str) -> Option<OsString>, folder: &Path| match (Sources { variable, folder }).value(name) {
            Ok(Some(value)) => Meant::Text(value.reveal().to_owned()),
            Ok(None) => Meant::Unset,
            Err(error) => {
                assert_eq!(kind(&error), Kind::Usage);
                let told = format!("{error:?}");
                // The file may be named as the secret is.
                assert!(told.contains(name) || told.contains(&name.to_ascii_lowercase()), "{told}");
                assert!(!told.contains("a\tb") && !told.contains(text) || text.trim().is_empty(), "{told}");
                Meant::Refused
            }
        };
    let by_variable = read(&|asked| (asked == name).then(|| text.into()), &none);
    let by_file = read(&|asked| (asked == format!("{name}_FILE")).then(|| file.clone().into()), &none);
    let secret = secrets.join(name.to_ascii_lowercase());
    fs::write(&secret, text).unwrap();
    let as_secret = read(&|_| None, &secrets);
    fs::remove_file(secret).unwrap();
    [by_variable, by_file, as_secret]
}

#[test]
fn every_setting_means_the_same_by_variable_by_file_and_as_a_docker_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (mut taken, mut refused) = (0, 0);
    for name in names() {
        for text in TEXTS {
            let expected = meant(&name, text);
            let [by_variable, by_file, as_secret] = said(&name, text, folder.path());
            assert_eq!(by_file, as_secret, "{name}: {text:?}");
            // No variable is an empty one; a file that was written empty is a secret that is not filled in yet.
            match expected {
                Meant::Unset => {
                    assert_eq!((&by_variable, &by_file), (&Meant::Unset, &Meant::Refused), "{name}: {text:?}")
                }
                _ => assert_eq!((&by_variable, &by_file), (&expected, &expected), "{name}: {text:?}"),
            }
            for way in [by_variable, by_file, as_secret] {
                if way == Meant::Refused { refused += 1 } else { taken += 1 }
            }
        }
    }
    counted("values", "every setting and secret, by variable, file and Docker secret", taken, refused);
}

#[test]
fn every_secret_that_is_read_is_in_the_list() {
    let mut read = BTreeSet::new();
    for file in [
        "config.rs",
        "config/anonymise.rs",
        "config/outputs.rs",
        "config/alerts.rs",
        "config/s3.rs",
        "config/restore_test.rs",
        "config/server.rs",
    ] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)).unwrap();
        for call in ["secret(\"", "address(\"", "either(\"", "KeyNames {"] {
            let names =
                text.split(call).skip(1).flat_map(|rest| rest.split(')').next()).flat_map(|inner| inner.split('"'));
            read.extend(
                names
                    .filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
                    .map(str::to_owned),
            );
        }
    }
    read.remove("");
    // By the reader itself.
    read.insert("DATABASE_URL".to_owned());
    let listed: BTreeSet<String> = setting::secrets().into_iter().map(str::to_owned).collect();
    assert_eq!(read, listed);
}

#[test]
fn what_becomes_a_header_is_checked_before_any_network() {
    let wrong = ["AK\u{1}", "A K", "AK\u{e9}", "AK\tB"];
    let mut refused = 0;
    for name in [
        "S3_ACCESS_KEY_ID",
        "S3_SESSION_TOKEN",
        "S3_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
    ] {
        for text in wrong {
            for command in ["list", "doctor"] {
                let mut run =
                    support::pgbk::pgbk([command]).set("S3_BUCKET", "b").set("S3_HOST_BASE", "http://127.0.0.1:9");
                if !name.starts_with("AWS_") {
                    run = run.set("S3_ACCESS_KEY_ID", "AK").set("S3_SECRET_ACCESS_KEY", "SK");
                }
                let outcome = run.set("KEEP_LAST", "3").set(name, text).end();
                let expected = if command == "doctor" { 1..=2 } else { 2..=2 };
                assert!(outcome.code.is_some_and(|code| expected.contains(&code)), "{outcome:#?}");
                assert!(outcome.text().contains(name) || outcome.err.contains(name), "{outcome:#?}");
                refused += 1;
            }
        }
    }
    counted("values", "what becomes a header, in every command", 0, refused);
}

#[test]
fn a_series_that_was_encrypted_is_never_continued_in_plain_text_by_a_slip() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    fs::write(folder.join("dump.sql"), "SELECT 1;\n-- PostgreSQL database dump complete\n").unwrap();
    let plain =
        support::pgbk::pgbk([]).directory(&folder.join("store")).set("STATE_DIR", folder.join("state").display());
    let plain = plain.set("BACKUP_FILES", folder.join("dump.sql").display());
    let dump = folder.join("dump.sql").display().to_string();
    let files = || walk(&folder.join("store"));
    let mut tried = 0;
    for command in [vec!["backup", "@files"], vec!["upload", dump.as_str(), "--database", "shop"]] {
        let plain = plain.args(command.iter().copied());
        let first = plain.key().expect(0);
        assert!(first.text().contains("encrypted") && !first.text().contains("not encrypted"), "{first:#?}");
        let before = files();
        // Every slip: unset, empty, misspelt.
        for slip in [
            plain.clone(),
            plain.set("DB_BACKUP_ENCRYPT_KEY", "\"\""),
            plain.set("DB_BACKUP_ENCRYPTION_KEY", support::pgbk::KEY),
        ] {
            slip.expect(2).says("no key is set: nothing is stored").says("NO_ENCRYPT=1");
            assert_eq!(files(), before);
            tried += 1;
        }
        assert!(plain.set("NO_ENCRYPT", "1").expect(0).text().contains("not encrypted"));
        plain.expect(0);
    }
    counted("values", "plain backups of an encrypted series", 0, tried);
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        if entry.path().is_dir() { found.extend(walk(&entry.path())) } else { found.push(entry.path()) }
    }
    found.sort();
    found
}

#[test]
fn which_key_is_told_by_its_check_id_and_another_one_is_no_damage() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    fs::write(folder.join("file"), "content").unwrap();
    let run = support::pgbk::pgbk(["backup", "@files"])
        .directory(&folder.join("store"))
        .set("STATE_DIR", folder.join("state").display());
    let run = run.set("BACKUP_FILES", folder.join("file").display());
    run.key().expect(0);
    let listed = run.args(["list"]).json();
    let check = listed[0]["key"].as_str().unwrap().to_owned();
    assert_eq!(check.len(), 16);
    assert!(run.args(["list"]).expect(0).text().contains(&check[..8]));
    let other = run.set("DB_BACKUP_ENCRYPT_KEY", support::pgbk::OTHER_KEY);
    let verified = other.args(["verify", "--all"]).expect(3);
    assert!(verified.text().contains("OTHER KEY") && !verified.text().contains("DAMAGED"), "{verified:#?}");
    assert!(verified.text().contains(&check), "{verified:#?}");
    let doctor = other.args(["doctor"]).end();
    assert!(doctor.text().contains(&format!("was made with key {}", &check[..8])), "{doctor:#?}");
    // Loud, and the backup is made: a key may be changed.
    other.expect(0).says(&format!("was made with key {}", &check[..8]));
    assert!(!other.expect(0).err.contains("was made with key"));
}

#[test]
fn the_form_of_the_log_is_known_whatever_is_wrong_with_another_value_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let (form, empty) = (folder.path().join("form"), folder.path().join("empty"));
    fs::write(&form, "json\n").unwrap();
    fs::write(&empty, "").unwrap();
    for name in ["TZ", "S3_OBJECT_LOCK_MODE", "DB_PASSWORD", "DB_BACKUP_ENCRYPT_KEY"] {
        let run = support::pgbk::pgbk(["list"])
            .set("LOG_FORMAT_FILE", form.display())
            .set(&format!("{name}_FILE"), empty.display());
        let outcome = run.expect(2);
        let told: serde_json::Value = serde_json::from_str(outcome.err.lines().next().unwrap()).expect("JSON");
        assert!(told["message"].as_str().unwrap().ends_with("it is empty"), "{name}: {told}");
    }
}
