//! The container: root reads the secrets, and somebody else does the work.

use super::*;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Output};

/// The container's entrypoint, with the program of this build.
fn entrypoint(folder: &Path) -> std::path::PathBuf {
    let text = include_str!("../../entrypoint.sh").replace("/usr/lib/pgbk/pgbk", env!("CARGO_BIN_EXE_pgbk"));
    let path = folder.join("entrypoint");
    fs::write(&path, text).unwrap();
    path
}

const ACCOUNT: u32 = 21_234;

/// A folder that anybody may go through, and the entrypoint as root would call it, with nothing else in its environment.
fn container(folder: &Path, wrapper: &[&str], arguments: &[&str]) -> Command {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let script = entrypoint(folder);
    let words: Vec<&str> = wrapper.iter().copied().chain(["sh", script.to_str().unwrap()]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|path| ("LLVM_PROFILE_FILE", path)));
    command.env("HOME", "/nonexistent").env("PUID", ACCOUNT.to_string()).env("STATE_DIR", folder.join("state"));
    fs::create_dir_all(folder.join("state")).unwrap();
    command.env("STORE_DIR", folder.join("store"));
    fs::create_dir_all(folder.join("store")).unwrap();
    fs::set_permissions(folder.join("store"), Permissions::from_mode(0o777)).unwrap();
    command
}

/// A file that only root may read.
fn roots_own(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap();
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

#[test]
fn in_a_container_root_reads_every_secret_and_somebody_else_does_the_work() {
    // Each as it may be, and none that needs another.
    let fit = |name: &str| match name {
        "WEBHOOK_URL" | "PING_URL" => "http://127.0.0.1:9/",
        "DATABASE_URL" => "postgresql://u:p@127.0.0.1/shop",
        "WEBHOOK_TEMPLATE" => "{\"text\":\"{text}\"}",
        "DB_BACKUP_ENCRYPT_KEY" => support::pgbk::KEY,
        "DB_BACKUP_ENCRYPT_IV" => support::pgbk::IV,
        _ => "word",
    };
    let mut ways = 0;
    for end in ["", "\n", "\r\n"] {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        fs::write(folder.join("dump.sql"), "SELECT 1;\n-- PostgreSQL database dump complete\n").unwrap();
        let mut command =
            container(folder, &[], &["upload", folder.join("dump.sql").to_str().unwrap(), "--database", "shop"]);
        for name in setting::secrets().into_iter().filter(|name| *name != "ENC_PASSWORD") {
            let path = folder.join(name);
            roots_own(&path, &format!("{}{end}", fit(name)));
            command.env(format!("{name}_FILE"), path);
            ways += 1;
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        let stored = fs::read_dir(folder.join("store/shop")).unwrap().map(|entry| entry.unwrap());
        let owners: Vec<(String, u32, u32)> = stored
            .map(|entry| {
                let made = entry.metadata().unwrap();
                (entry.file_name().into_string().unwrap(), made.uid(), made.gid())
            })
            .collect();
        assert_eq!(owners.len(), 2, "{owners:?}");
        assert!(owners.iter().all(|(_, user, group)| (*user, *group) == (ACCOUNT, ACCOUNT)), "{owners:?}");
        assert!(owners.iter().any(|(name, ..)| name.ends_with(".enc")), "{owners:?}");
        assert_eq!(fs::metadata(folder.join("state")).unwrap().uid(), ACCOUNT);
    }
    counted("values", "every secret through the container's entrypoint", ways, 0);
}

#[test]
fn in_a_container_an_empty_secret_is_refused_and_nothing_is_stored() {
    let mut ways = 0;
    for name in setting::secrets() {
        for text in ["", "\n", "\r\n", "\"\""] {
            let temporary = tempfile::tempdir().unwrap();
            let folder = temporary.path();
            fs::write(folder.join("dump.sql"), "SELECT 1;\n").unwrap();
            let arguments =
                ["upload", "--allow-incomplete", "--database", "shop", folder.join("dump.sql").to_str().unwrap()]
                    .map(str::to_owned);
            let mut command = container(folder, &[], &arguments.each_ref().map(String::as_str));
            roots_own(&folder.join("secret"), text);
            let output = command.env(format!("{name}_FILE"), folder.join("secret")).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{name} {text:?}: {}", told(&output));
            assert!(told(&output).contains(&format!("{name}_FILE: it is empty")), "{}", told(&output));
            assert!(fs::read_dir(folder.join("store")).unwrap().next().is_none());
            ways += 1;
        }
    }
    counted("values", "empty secrets through the container's entrypoint", 0, ways);
}

#[test]
fn the_first_process_of_a_container_hands_root_s_secrets_on_and_is_no_root() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    roots_own(&folder.join("password"), "\"it's a secret\"\r\n");
    fs::write(folder.join("file"), "content").unwrap();
    let wrapper = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let mut command = container(folder, &wrapper, &["schedule", "--once"]);
    command.env("CRON_SCHEDULE", "* * * * * *").env("DB_NAME", "@files").env("BACKUP_FILES", folder.join("file"));
    // Not a secret to be read again: with its quotes taken off, it would be another password.
    let output = command.env("ENC_PASSWORD_FILE", folder.join("password")).env("DB_USER", "nobody").output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let list = |password: &str| {
        let mut verify = container(folder, &[], &["verify", "--all"]);
        let output = verify.env("ENC_PASSWORD", password).output().unwrap();
        (output.status.code(), told(&output))
    };
    assert_eq!(list("it's a secret").0, Some(0), "{:?}", list("it's a secret"));
    assert_eq!(list("its a secret").0, Some(3));
}

#[test]
fn whom_to_become_is_a_number() {
    for (name, text) in [("PUID", "pgbk"), ("PUID", "-1"), ("PUID", "4294967295"), ("PGID", "staff")] {
        let temporary = tempfile::tempdir().unwrap();
        let output = container(temporary.path(), &[], &["list"]).env(name, text).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains(&format!("{name} is not the number of a user or group")), "{}", told(&output));
    }
}

#[test]
fn without_a_command_the_container_is_the_scheduler_and_without_a_user_it_is_the_image_s() {
    let temporary = tempfile::tempdir().unwrap();
    let (script, program) = (temporary.path().join("entrypoint"), temporary.path().join("pgbk"));
    fs::write(&program, "#!/bin/sh\necho \"$PUID:$#:$*\"\n").unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let text = include_str!("../../entrypoint.sh");
    fs::write(&script, text.replace("/usr/lib/pgbk/pgbk", program.to_str().unwrap())).unwrap();
    for (user, arguments, expected) in [
        (None, &[][..], "10001:1:schedule"),
        (Some(""), &["list"], "10001:1:list"),
        (Some("4711"), &["backup", "a b"], "4711:2:backup a b"),
    ] {
        let mut command = Command::new("sh");
        command.arg(&script).args(arguments).env_remove("PUID").envs(user.map(|user| ("PUID", user)));
        assert_eq!(told(&command.output().unwrap()).trim_end(), expected);
    }
    assert!(text.lines().filter(|line| !line.starts_with('#')).count() == 1, "{text}");
}
