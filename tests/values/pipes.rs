//! Something else in the place of a file that a setting names: it is refused, and nobody is waited for.

use super::*;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::Command;
use support::obstacle::put;

pub const KINDS: [&str; 8] =
    ["pipe", "socket", "folder", "link to a pipe", "link to a folder", "link to a device", "dangling link", "device"];

#[test]
fn whatever_stands_in_the_place_of_the_file_of_a_setting_is_refused_and_nobody_is_waited_for() {
    let mut refused = 0;
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        let at = folder.path().join("secrets");
        fs::create_dir(&at).unwrap();
        if !put(kind, &at.join("thing")) {
            continue;
        }
        let thing = at.join("thing");
        for name in names() {
            let named = |asked: &str| (asked == format!("{name}_FILE")).then(|| thing.clone().into());
            let error = Sources { variable: &named, folder: &none }.value(&name).expect_err(kind);
            assert_eq!(super::kind(&error), Kind::Usage, "{name}, {kind}");
            assert!(format!("{error:#}").contains(&format!("{name}_FILE")), "{error:#}");
            refused += 1;
            let secret = at.join(name.to_ascii_lowercase());
            fs::rename(&thing, &secret).unwrap();
            let error = Sources { variable: &|_| None, folder: &at }.value(&name).expect_err(kind);
            assert_eq!(super::kind(&error), Kind::Usage, "{name}, {kind}");
            fs::rename(&secret, &thing).unwrap();
            refused += 1;
        }
    }
    counted("values", "pipes, sockets, folders, devices and links for the file of each setting", 0, refused);
}

#[test]
fn a_pipe_that_a_shell_made_is_read_to_its_end_for_each_setting() {
    let none = PathBuf::from("/nowhere");
    let names = names();
    for name in &names {
        let (from, mut to) = std::io::pipe().unwrap();
        let path = format!("/dev/fd/{}", from.as_raw_fd());
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut to, b"value\n").unwrap());
        let named = |asked: &str| (asked == format!("{name}_FILE")).then(|| path.clone().into());
        let value = Sources { variable: &named, folder: &none }.value(name).unwrap().unwrap();
        assert_eq!(value.reveal(), "value", "{name}");
        writer.join().unwrap();
    }
    let said = Command::new("bash")
        .args(["-c", "LOG_LEVEL_FILE=<(sleep 0.2; echo out of a pipe) exec \"$PGBK\" list"])
        .env("PGBK", env!("CARGO_BIN_EXE_pgbk"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(text.contains("out of a pipe"), "{text}");
    counted("values", "settings from a shell's pipe", names.len() + 1, 0);
}

#[test]
fn no_file_that_another_setting_names_holds_up_a_command() {
    // Everything that leads to a file by itself, and what makes pgbk read it.
    let cases: [(&str, &[(&str, &str)]); 10] = [
        ("PGSSLROOTCERT", &[("PGSSLMODE", "verify-ca")]),
        ("PGSSLCERT", &[]),
        ("PGSSLKEY", &[("PGSSLCERT", "/etc/ssl/certs/ca-certificates.crt")]),
        ("PGSSLCRL", &[("PGSSLMODE", "verify-ca"), ("PGSSLROOTCERT", "/etc/ssl/certs/ca-certificates.crt")]),
        ("PGSERVICEFILE", &[("PGSERVICE", "shop")]),
        ("PGPASSFILE", &[]),
        ("S3_CA_FILE", &[("STORE_DIR", ""), ("S3_HOST_BASE", "https://127.0.0.1:9"), ("S3_BUCKET", "b")]),
        ("ALERT_CA_FILE", &[("MAIL_TO", "a@example.org"), ("SMTP_HOST", "127.0.0.1"), ("MAIL_FROM", "b@example.org")]),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &[]),
        ("AWS_SHARED_CREDENTIALS_FILE", &[]),
    ];
    std::thread::scope(|scope| {
        for kind in ["pipe", "link to a pipe", "socket", "folder"] {
            let cases = &cases;
            scope.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                put(kind, &folder.path().join("thing"));
                for (name, beside) in cases {
                    let run = support::pgbk::pgbk(["backup", "shop"]).directory(&folder.path().join("store"));
                    let run = run.key().set("STATE_DIR", folder.path().join("state").display());
                    // A port at which nobody is: there is no answer to wait for.
                    let run =
                        run.set("DB_HOST", "127.0.0.1").set("DB_PORT", 9).set("DB_USER", "u").set("S3_ATTEMPTS", 1);
                    let run = beside.iter().fold(run, |run, (name, value)| run.set(name, value));
                    let outcome = run.set(name, folder.path().join("thing").display()).end();
                    // What hangs is killed, and that is no exit code of these.
                    assert!(matches!(outcome.code, Some(1 | 2)), "{name}, {kind}: {outcome:#?}");
                    assert!(!outcome.err.contains("panicked"), "{name}, {kind}: {outcome:#?}");
                }
            });
        }
    });
    counted("values", "pipes, sockets and folders for certificates, keys, services and passwords", 0, 4 * cases.len());
}
