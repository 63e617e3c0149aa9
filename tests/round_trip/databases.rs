//! Databases of every name, size and encoding, one or several, and what a dump needs of the server.

use super::sealed_text;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use support::cluster::cluster;
use support::database::{assert_same, create, dump, exists, script, small, sql, stdout_of};
use support::pgbk::{Outcome, Pgbk, Running, connected, quoted};
use tempfile::TempDir;

pub fn directory() -> (TempDir, Pgbk) {
    super::warm_up();
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path());
    (folder, pgbk)
}

/// Makes a backup of a script that nobody's `pg_dump` wrote.
pub fn upload(pgbk: &Pgbk, database: &str, body: &str) -> String {
    let upload = pgbk.args(["upload", "-", "--database", database]).input(script(body).as_bytes());
    upload.json()["id"].as_str().unwrap().to_owned()
}

pub fn restore(pgbk: &Pgbk, id: &str, to: &str, more: &[&str]) -> Pgbk {
    pgbk.args(["restore", id, "--yes", "--to", to].iter().chain(more).copied())
}

#[test]
fn an_empty_database_comes_back_empty() {
    let (_folder, pgbk) = directory();
    create("nothing", "");
    for (format, copy) in [("plain", "nothing_plain"), ("custom", "nothing_custom")] {
        let id = pgbk.backup("nothing", &["--format", format]);
        pgbk.args(["verify", &id]).expect(0);
        restore(&pgbk, &id, copy, &[]).expect(0);
        assert_same(&dump("nothing"), &dump(copy));
    }
}

#[test]
fn missing_roles_are_listed_before_anything_starts() {
    let (_folder, pgbk) = directory();
    small("owned", &["x"]);
    sql("postgres", "CREATE ROLE \"Gone, soon\"; CREATE ROLE gone_too");
    sql("owned", "ALTER TABLE t OWNER TO \"Gone, soon\"; GRANT SELECT ON t TO gone_too");
    let ids = ["plain", "custom"].map(|format| pgbk.backup("owned", &["--format", format]));
    sql("postgres", "ALTER ROLE \"Gone, soon\" RENAME TO other; ALTER ROLE gone_too RENAME TO another");
    for (at, id) in ids.iter().enumerate() {
        let copy = format!("owned_copy_{at}");
        restore(&pgbk, id, &copy, &[]).expect(1).says("Gone, soon").says("gone_too").says("--no-owner");
        assert!(!exists(&copy));
        restore(&pgbk, id, &copy, &["--no-owner", "--no-privileges"]).expect(0);
        assert_eq!(sql(&copy, "SELECT v FROM t"), "x");
        assert_eq!(sql(&copy, "SELECT tableowner FROM pg_tables WHERE tablename = 't'"), "postgres");
    }
}

#[test]
fn roles_that_no_flag_leaves_out_are_listed_although_ownership_is_left_out() {
    let (_folder, pgbk) = directory();
    small("bound", &["x"]);
    sql("postgres", "CREATE ROLE owns; CREATE ROLE \"reads, too\"");
    sql("bound", "ALTER TABLE t OWNER TO owns; CREATE POLICY p ON t TO \"reads, too\"");
    let ids = ["plain", "custom"].map(|format| pgbk.backup("bound", &["--format", format]));
    sql("postgres", "ALTER ROLE owns RENAME TO owned; ALTER ROLE \"reads, too\" RENAME TO read");
    let without = ["--no-owner", "--no-privileges"];
    for (at, id) in ids.iter().enumerate() {
        let copy = format!("bound_copy_{at}");
        let refused = restore(&pgbk, id, &copy, &without).expect(1).says("roles reads, too").says("policies");
        assert!(!refused.err.contains("owns") && !exists(&copy), "{refused:#?}");
    }
    sql("postgres", "ALTER ROLE read RENAME TO \"reads, too\"");
    restore(&pgbk, &ids[0], "bound_copy", &without).expect(0);
}

#[test]
fn a_missing_extension_is_listed_before_anything_starts() {
    let (_folder, pgbk) = directory();
    let id = upload(&pgbk, "extended", "CREATE EXTENSION IF NOT EXISTS no_such_thing WITH SCHEMA public;");
    restore(&pgbk, &id, "extended_copy", &[]).expect(1).says("extensions no_such_thing");
    assert!(!exists("extended_copy"));
}

#[test]
fn a_setting_of_a_newer_server_is_left_out_and_reported() {
    let (_folder, pgbk) = directory();
    let id = upload(&pgbk, "newer", "SET transaction_timeout = 0;\nSET from_the_future = 1;\nCREATE TABLE t (v text);");
    let document = restore(&pgbk, &id, "newer_copy", &["--json"]).expect(0).says("from_the_future").json();
    assert!(document["skipped"].as_array().unwrap().contains(&"setting \"from_the_future\"".into()), "{document}");
    assert_eq!(sql("newer_copy", "SELECT count(*) FROM t"), "0");
}

#[test]
fn an_id_means_that_backup_and_latest_the_newest() {
    let (_folder, pgbk) = directory();
    small("twice", &["old"]);
    let first = pgbk.backup("twice", &[]);
    sql("twice", "UPDATE t SET v = 'new'");
    let second = pgbk.args(["backup", "twice"]).json();
    assert_eq!(second["previous"], first.as_str());
    restore(&pgbk, &first, "twice_first", &[]).expect(0);
    restore(&pgbk, "latest", "twice_latest", &[]).expect(0);
    assert_eq!(
        (sql("twice_first", "SELECT v FROM t"), sql("twice_latest", "SELECT v FROM t")),
        ("old".into(), "new".into())
    );
    pgbk.args(["restore", "twice-20200101T000000Z", "--yes"]).expect(4);
    pgbk.args(["restore", "twice", "--yes"]).expect(2).says("is not a backup id");
}

#[test]
fn a_database_is_never_taken_for_one_whose_name_begins_like_it() {
    let (_folder, pgbk) = directory();
    small("app", &["app"]);
    small("app_staging", &["staging"]);
    small("app-staging", &["dashed"]);
    let id = pgbk.backup("app", &[]);
    pgbk.backup("app_staging", &[]);
    pgbk.backup("app-staging", &[]);
    let restored = pgbk.args(["restore", "latest", "--database", "app", "--yes", "--to", "app_copy"]).json();
    assert_eq!(restored["id"], id.as_str());
    assert_eq!(sql("app_copy", "SELECT v FROM t"), "app");
    let listed = pgbk.args(["list", "--database", "app"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    restore(&pgbk, "latest", "nowhere", &[]).expect(2).says("app, app-staging, app_staging");
    pgbk.args(["restore", "latest", "--database", "ap", "--yes"]).expect(4);
}

#[test]
fn any_database_name_can_be_backed_up_and_restored() {
    let (_folder, pgbk) = directory();
    let names = [
        "q\"uo\"te",
        "it's",
        "sp ace ",
        "new\nline",
        "žluť🐘",
        "back\\slash",
        "per%41cent",
        "a=b",
        "-dash",
        "a.b/c",
        "..",
        "postgre://x/y",
        "UPPER",
        "$(x)`y`",
        "com,ma",
        "*",
    ];
    for name in names {
        eprintln!("--- {name:?}");
        // What begins as a URL would be taken for one behind --to.
        let copy = format!("copy of {name}");
        small(name, &["here"]);
        // A variable holds no control character, but an argument may.
        let id = match name.contains(char::is_control) {
            true => pgbk.args(["backup", &quoted(name)]).json()["id"].as_str().unwrap().to_owned(),
            false => pgbk.backup(name, &["--compress", "zstd"]),
        };
        assert!(!id.contains('/') && id.is_ascii(), "{id}");
        let latest = pgbk
            .args(["restore", "latest", "--yes", &format!("--database={}", quoted(name)), &format!("--to={copy}")])
            .json();
        assert_eq!(latest["id"], id.as_str());
        assert_same(&dump(name), &dump(&copy));
    }
    let all = pgbk.args(["verify", "--all"]).json();
    assert_eq!(all["checked"], names.len());
}

#[test]
fn rows_keep_their_bytes_in_any_encoding() {
    let (_folder, pgbk) = directory();
    create("latin", "TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
    sql(
        "latin",
        "SET client_encoding = 'UTF8'; CREATE TABLE \"tâble\" (\"cölumn\" text); INSERT INTO \"tâble\" VALUES ('ÿ é £')",
    );
    create("raw_bytes", "TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'");
    sql("raw_bytes", "CREATE TABLE t (v text); INSERT INTO t VALUES (E'\\xff\\xfe\\xc3'), ('plain')");
    for (name, encoding) in [("latin", "LATIN1"), ("raw_bytes", "SQL_ASCII")] {
        for format in ["plain", "custom"] {
            let id = pgbk.backup(name, &["--format", format]);
            let copy = format!("{name}_{format}");
            restore(&pgbk, &id, &copy, &[]).expect(0);
            assert_same(&dump(name), &dump(&copy));
            assert_eq!(sql(&copy, "SHOW server_encoding"), encoding);
        }
    }
}

#[test]
fn a_backup_that_was_not_read_back_says_so() {
    let (folder, pgbk) = directory();
    small("unchecked", &["x"]);
    let unchecked = pgbk.set("DB_BACKUP_VERIFY", "0").args(["backup", "unchecked", "--json"]);
    let document = unchecked.expect(0).says("DB_BACKUP_VERIFY=0").json();
    assert_eq!(document["verified"], "no");
    let id = document["id"].as_str().unwrap();
    assert!(sealed_text(folder.path(), id).contains("\n  \"verified\": \"no\",\n"));
    assert!(sealed_text(folder.path(), &pgbk.backup("unchecked", &[])).contains("\n  \"verified\": \"synced\",\n"));
}

#[test]
fn a_second_that_is_taken_gives_way_to_the_next_free_one() {
    let (folder, pgbk) = directory();
    // What cannot be read counts as encrypted.
    let pgbk = pgbk.set("NO_ENCRYPT", 1);
    small("hasty", &["x"]);
    let inside = folder.path().join("hasty");
    fs::create_dir(&inside).unwrap();
    // Every second of the next minute has a backup already.
    let now = jiff::Timestamp::now();
    let taken: Vec<String> = (-5..60)
        .map(|offset| (now + jiff::SignedDuration::from_secs(offset)).strftime("hasty-%Y%m%dT%H%M%SZ").to_string())
        .collect();
    for id in &taken {
        fs::write(inside.join(format!("{id}.meta")), "{}").unwrap();
    }
    let first = pgbk.args(["backup", "hasty"]).json();
    let second = pgbk.backup("hasty", &[]);
    let first_id = first["id"].as_str().unwrap();
    assert!(taken.iter().all(|id| id.as_str() < first_id) && *first_id < *second, "{first_id} {second}");
    // What nobody can read is no backup before it.
    assert!(first["previous"].is_null(), "{first:#}");
}

/// A backup whose `pg_dump` says "here" in one pipe, waits for a word from another, and then is the real one.
struct Held {
    backup: Option<Running>,
    tools: TempDir,
}

impl Held {
    fn start(pgbk: &Pgbk, database: &str) -> Held {
        let tools = tempfile::tempdir().unwrap();
        let path = tools.path().join("pg_dump");
        let script = format!(
            "#!/bin/sh\ncase $*$1 in *--version | *--format=custom*) ;; *) echo here >'{0}/ready'; read -r word <'{0}/go' ;; esac\nexec '{1}' \"$@\"\n",
            tools.path().display(),
            cluster().bin.join("pg_dump").display()
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        stdout_of(Command::new("mkfifo").arg(tools.path().join("ready")).arg(tools.path().join("go")));
        let backup = pgbk.set("PG_BIN_DIR", tools.path().display()).args(["backup", database]).start();
        assert_eq!(fs::read_to_string(tools.path().join("ready")).unwrap(), "here\n");
        Held { backup: Some(backup), tools }
    }

    /// Lets it go on, and waits for its end.
    fn release(&mut self) -> Option<Outcome> {
        // Opened both ways, a pipe can be written to although nobody reads it any more.
        let go = fs::OpenOptions::new().read(true).write(true).open(self.tools.path().join("go"));
        go.and_then(|mut go| go.write_all(b"go\n")).ok();
        self.backup.take().map(Running::end)
    }
}

impl Drop for Held {
    /// A test that fails must not leave it waiting for ever.
    fn drop(&mut self) {
        self.release();
    }
}

#[test]
fn a_second_backup_while_one_runs_is_told_who_is_first() {
    let (_folder, pgbk) = directory();
    small("busy", &["x"]);
    small("free", &["x"]);
    let mut first = Held::start(&pgbk, "busy");

    pgbk.args(["backup", "busy"]).expect(5).says("is being backed up by server process");
    pgbk.args(["backup", "free"]).expect(0);

    assert_eq!(first.release().unwrap().code, Some(0));
    let listed = pgbk.args(["list", "--database", "busy"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    pgbk.args(["backup", "busy"]).expect(0);
}

#[test]
fn several_databases_are_backed_up_in_one_run() {
    let (_folder, pgbk) = directory();
    small("several_a", &["a"]);
    small("several_b", &["b"]);
    let documents = pgbk.args(["backup", "several_a", "several_b"]).json();
    let names: Vec<_> = documents.as_array().unwrap().iter().map(|one| one["database"].as_str().unwrap()).collect();
    assert_eq!(names, ["several_a", "several_b"]);
}

#[test]
fn a_server_without_the_database_makes_no_backup() {
    let (folder, pgbk) = directory();
    pgbk.args(["backup", "not_there"]).expect(4).says("not_there");
    assert_eq!(fs::read_dir(folder.path()).map(Iterator::count).unwrap_or(0), 0);
}

#[test]
fn however_often_a_run_connects_it_reads_the_systems_authorities_once() {
    let (folder, pgbk) = directory();
    small("connected", &["x"]);
    let log = folder.path().join("calls");
    let tracer = ["strace", "-f", "-b", "execve", "-qq", "-e", "trace=openat,connect", "-o", log.to_str().unwrap()];
    let output = pgbk.args(["backup", "connected"]).command_by(&tracer).output().expect("strace");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calls = fs::read_to_string(&log).unwrap();
    let count = |sign: &str| calls.lines().filter(|line| line.contains(sign)).count();
    assert!(count("connect(") > 1, "{calls}");
    assert_eq!(count("/authority.pem\""), 1, "{calls}");
}
