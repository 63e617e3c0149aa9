//! Bad input and bad luck: each ends with its exit code and a message, and leaves nothing behind.

pub mod disk;
mod heard;
mod host;
mod ignored;
mod interrupt;
mod memory;
mod pipes;
mod program;
mod secrets;
mod server;
mod share;

use pgbk::store::Store;
use pgbk::store::s3::S3;
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use support::cluster::{Cluster, PASSWORD, cluster};
use support::database::exists;
use support::fake::Fake;
use support::faulty::{Fault, Faulty, Request};
use support::pgbk::{ENC_PASSWORD, KEY, OTHER_KEY, Outcome, Pgbk, connected, pgbk};
use support::process::until;
use support::s3::{WRITER, seaweedfs};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Some 25 MB that do not compress much, so that a dump is long enough to be stopped in the middle.
const LARGE: &str = "CREATE TABLE big AS SELECT n AS id, md5(n::text) || md5((-n)::text) || md5((2*n)::text) AS noise
    FROM generate_series(1, 250000) n;";

const SMALL: &str = "CREATE TABLE client AS SELECT n AS id, md5(n::text) AS name FROM generate_series(1, 300) n";

/// A database for one test alone, since two backups of one database do not run at the same time.
fn like(template: &OnceLock<String>, hint: &str, sql: &str) -> String {
    let template = template.get_or_init(|| {
        let name = cluster().database("template");
        cluster().psql(&name, sql);
        name
    });
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let name = format!("{hint}{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    cluster().psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"));
    name
}

fn large() -> String {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    like(&TEMPLATE, "large", LARGE)
}

fn small() -> String {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    like(&TEMPLATE, "small", SMALL)
}

fn backup(database: &str) -> Pgbk {
    pgbk(["backup", database]).server(cluster()).key()
}

/// Every file below a folder, those of unfinished uploads included.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push(path),
        }
    }
    found
}

/// Without files, and without folders that one was meant to be in.
fn assert_empty(folder: &Path) {
    assert_eq!(files(folder), Vec::<PathBuf>::new());
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "an empty folder is left behind");
}

fn assert_nothing_stored(store: &S3) {
    assert_eq!((store.list("").unwrap(), store.unfinished("").unwrap()), (vec![], vec![]));
}

/// Runs a backup of this database into a folder and a bucket of its own; it must fail so and leave nothing in either.
fn fails(run: &Pgbk, code: i32, text: &str) -> Outcome {
    let place = folder();
    let bucket = seaweedfs().bucket("failure");
    let store = S3::open(seaweedfs().settings(&bucket)).unwrap();
    run.s3(seaweedfs(), &bucket).set("S3_PART_SIZE", "5M").expect(code).says(text);
    assert_nothing_stored(&store);
    let outcome = run.directory(place.path()).expect(code).says(text);
    assert_empty(place.path());
    outcome
}

fn with(run: Pgbk, fake: &Fake) -> Pgbk {
    run.set("PG_BIN_DIR", fake.bin().display())
}

#[test]
fn an_unknown_database_is_not_found() {
    fails(&backup("no_such_database"), 4, "no_such_database");
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let wrong = "hunter2-and-a-half";
    let outcome = fails(&backup(&small()).set("DB_PASSWORD", wrong), 1, "password");
    assert!(!outcome.err.contains(wrong));
}

#[test]
fn a_server_that_cannot_be_reached_is_named_with_what_to_check() {
    let port = support::cluster::free_port();
    let outcome = fails(&backup(&small()).set("DB_PORT", port), 1, &format!("127.0.0.1:{port}"));
    assert!(outcome.err.contains("hint:"), "{outcome:#?}");
}

#[test]
fn a_server_that_goes_away_in_mid_dump_leaves_no_backup() {
    let server = Cluster::start();
    server.psql("postgres", LARGE);
    let fake = Fake::gated(&server);
    let place = folder();
    let run = with(pgbk(["backup", "postgres"]).server(&server).key(), &fake).directory(place.path());
    let running = run.start();
    fake.await_half();
    server.stop_immediately();
    fake.open_gate();
    let outcome = running.end();
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    // Whichever of the two connections is heard of first.
    let told = ["pg_dump failed with exit status", "the transaction that held the dump's snapshot is gone"];
    assert!(told.iter().any(|told| outcome.err.contains(told)), "{outcome:#?}");
    assert_empty(place.path());
}

/// Ends the sessions of this name in the middle of a dump into S3.
fn without_session(name: &str, text: &str) {
    let fake = Fake::gated(cluster());
    let database = large();
    let bucket = seaweedfs().bucket("gone");
    let store = S3::open(seaweedfs().settings(&bucket)).unwrap();
    let running = with(backup(&database), &fake).s3(seaweedfs(), &bucket).set("S3_PART_SIZE", "5M").start();
    fake.await_half();
    let ended = cluster().psql(
        "postgres",
        &format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}' AND application_name = '{name}'"),
    );
    assert_eq!(ended, "1");
    fake.open_gate();
    let outcome = running.end();
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(outcome.err.contains(text), "no {text:?} in {outcome:#?}");
    assert_nothing_stored(&store);
}

#[test]
fn a_dump_whose_session_is_ended_by_the_server_leaves_no_backup() {
    without_session("pg_dump", "pg_dump failed with exit status 1: pg_dump: error: Dumping the contents");
}

#[test]
fn a_dump_whose_snapshot_is_lost_leaves_no_backup() {
    without_session("pgbk", "the transaction that held the dump's snapshot is gone");
}

#[test]
fn a_backup_needs_no_temporary_folder_and_an_archives_restore_says_that_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).set("TMPDIR", "/proc");
    let name = small();
    let id = pgbk.backup(&name, &["--format", "custom"]);
    let outcome = pgbk.args(["restore", &id, "--yes", "--to", "read_only_copy"]).expect(1);
    outcome.says("cannot make a temporary file for the archive").says("hint: TMPDIR names a folder");
    assert!(!exists("read_only_copy"));
}

#[test]
fn keys_that_are_none_are_refused_before_anything_else() {
    let key = |value: &str| backup(&small()).set("DB_BACKUP_ENCRYPT_KEY", value);
    fails(&key(&KEY[1..]), 2, "has 63 characters");
    fails(&key(&KEY.replace('a', "g")), 2, "not hexadecimal");
    fails(&key(KEY).set("DB_BACKUP_ENCRYPT_IV", "00ff"), 2, "DB_BACKUP_ENCRYPT_IV must be 32");
    fails(&key(KEY).set("ENC_PASSWORD", ENC_PASSWORD), 2, "both DB_BACKUP_ENCRYPT_KEY and ENC_PASSWORD");
    let iv = backup(&small()).unset("DB_BACKUP_ENCRYPT_KEY").set("DB_BACKUP_ENCRYPT_IV", &OTHER_KEY[..32]);
    fails(&iv, 2, "DB_BACKUP_ENCRYPT_IV is set without");
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    for (name, value, text) in [
        ("DB_BACKUP_COMPRESS", "lzma", "\"lzma\" is not known"),
        ("DB_BACKUP_COMPRESS_LEVEL", "99", "DB_BACKUP_COMPRESS"),
        ("PG_DUMP_USER_ARGS", "--file=/tmp/x", "PG_DUMP_USER_ARGS must not hold"),
        ("PG_DUMP_USER_ARGS", "'open", "a quote that is not closed"),
        ("PG_BIN_DIR", "/nonexistent", "no pg_dump that runs was found"),
        ("DUMP_STALL_TIMEOUT", "soon", "15m"),
        ("DB_PORT", "99999", "99999"),
        ("DUMP_FORMAT", "tar", "tar"),
    ] {
        let run = backup(&small()).set("DB_BACKUP_COMPRESS", "xz").set(name, value);
        let place = folder();
        run.directory(place.path()).expect(2).says(text);
        assert_empty(place.path());
    }
}

#[test]
fn a_store_that_is_none_is_told_with_what_to_set() {
    backup(&small()).expect(2).says("no store is set");
    backup(&small()).set("S3_HOST_BASE", "http://127.0.0.1:1").expect(2).says("S3_BUCKET");
    backup(&small()).set("S3_BUCKET", "b").set("S3_ACCESS_KEY_ID", "x").expect(2).says("only one of");
    let place = folder();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    backup(&small()).directory(&file).expect(2).says("is not a directory");
}

#[test]
fn a_host_or_bucket_that_is_not_there_is_told_apart() {
    let port = support::cluster::free_port();
    let run = backup(&small()).at(&format!("http://127.0.0.1:{port}"), "b", "key", "a secret of the store");
    let outcome = run.expect(1).says("cannot reach");
    assert!(outcome.err.contains("hint:"), "{outcome:#?}");
    backup(&small()).s3(seaweedfs(), "no-such-bucket").expect(4).says("\"no-such-bucket\" does not exist");
}

#[test]
fn denied_rights_are_told_with_the_right_that_is_missing() {
    let listing = |request: &Request| request.method == "GET" && request.path.trim_end_matches('/') == "/bucket";
    let host = Faulty::start(move |request, _| match request.call() {
        "put" | "begin" => Some(Fault::Answer(403, "AccessDenied")),
        _ if listing(request) => Some(Fault::Answer(403, "AccessDenied")),
        _ => None,
    });
    for database in [small(), large()] {
        let outcome = backup(&database).at(&host.endpoint, "bucket", "key", "topsecret-of-the-store").expect(1);
        assert!(outcome.err.contains("403 AccessDenied") && outcome.err.contains("needs the right to"), "{outcome:#?}");
        assert_eq!((host.objects().len(), host.open_uploads()), (0, 0));
    }
    let bucket = seaweedfs().bucket("denied");
    let writer =
        |arguments: &[&str]| pgbk(arguments.iter().copied()).at(&seaweedfs().endpoint, &bucket, WRITER.0, WRITER.1);
    writer(&["list"]).expect(1).says("needs the right to list the objects");
    let stranger = backup(&small()).at(&seaweedfs().endpoint, &bucket, "stranger", "not a key of this host");
    stranger.expect(1).says("S3_ACCESS_KEY_ID");
    assert_nothing_stored(&S3::open(seaweedfs().settings(&bucket)).unwrap());
}

#[test]
fn an_existing_output_file_is_kept_unless_it_is_said_otherwise() {
    let place = folder();
    backup(&small()).directory(place.path()).expect(0);
    let file = place.path().join("mine.sql");
    fs::write(&file, "mine").unwrap();
    let path = file.display().to_string();
    pgbk(["download", "-o", &path]).key().directory(place.path()).expect(1).says("exists already");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    // A link is not followed to what it names.
    let link = place.path().join("link.sql");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let through = link.display().to_string();
    pgbk(["download", "-o", &through]).key().directory(place.path()).expect(1).says("exists already");
    pgbk(["download", "-o", &through, "--force"]).key().directory(place.path()).expect(0);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    pgbk(["download", "-o", &path, "--force"]).key().directory(place.path()).expect(0);
    assert!(fs::read_to_string(&file).unwrap().contains("PostgreSQL database dump complete"));
    pgbk(["download", "-o", "/nonexistent/x.sql"])
        .key()
        .directory(place.path())
        .expect(4)
        .says("there is no folder \"/nonexistent\"");
}

#[test]
fn an_id_that_does_not_exist_is_not_found_by_any_command() {
    let place = folder();
    backup(&small()).directory(place.path()).expect(0);
    let id = "shop-20200101T000000Z";
    for arguments in [
        vec!["download", id, "-o", "-"],
        vec!["download", id, "--raw"],
        vec!["verify", id],
        vec!["restore", id, "--yes", "--to", "nothing"],
        vec!["restore", "latest", "--yes", "--database", "shop"],
    ] {
        pgbk(arguments).server(cluster()).key().directory(place.path()).expect(4).says("there is no backup");
    }
    pgbk(["upload", "/nonexistent/x.sql", "--database", "x"]).directory(place.path()).expect(4).says("cannot read");
    pgbk(["verify", "not-an-id"]).directory(place.path()).expect(2);
    assert_eq!(cluster().psql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'nothing'"), "0");
}

#[test]
fn the_error_is_a_document_with_json_and_shows_the_exit_code() {
    let place = folder();
    let outcome = pgbk(["verify", "shop-20200101T000000Z", "--json"]).directory(place.path()).expect(4);
    assert_eq!(outcome.json()["error"]["exit_code"], 4);
}

/// A list of hosts may lead a second connection to another server, which does not know the snapshot.
#[test]
fn pg_dump_is_sent_to_the_very_server_that_exported_the_snapshot() {
    let fake = Fake::new("echo \"$PGHOST:$PGPORT\" > $NOTES/where; exec \"$REAL\" \"$@\"");
    let (dead, alive) = (support::cluster::free_port(), cluster().port);
    let place = folder();
    let run = with(backup(&small()), &fake).unset("DB_HOST").unset("DB_PORT").directory(place.path());
    run.set("PGHOST", "127.0.0.1,127.0.0.1").set("PGPORT", format!("{dead},{alive}")).expect(0);
    assert_eq!(fs::read_to_string(fake.note("where")).unwrap().trim(), format!("127.0.0.1:{alive}"));
}

#[test]
fn a_field_of_many_megabytes_is_carried_whole() {
    let times = support::proof::size(3_750_000, 16_250_000);
    let (name, place) = (cluster().database("field"), folder());
    let field = format!("repeat('0123456789abcd' || chr(9) || chr(92), {times})");
    cluster().psql(&name, &format!("CREATE TABLE huge AS SELECT {field} AS text"));
    backup(&name).directory(place.path()).set("DB_BACKUP_COMPRESS", "zstd").expect(0);
    pgbk(["restore", "--yes", "--to", "field_back"]).server(cluster()).key().directory(place.path()).expect(0);
    let sum = |name: &str| cluster().psql(name, "SELECT length(text), md5(text) FROM huge");
    assert_eq!(sum("field_back"), sum(&name));
    assert!(sum(&name).starts_with(&format!("{}|", 16 * times)));
}

#[test]
fn a_field_too_large_for_its_text_form_is_refused_and_not_cut() {
    let name = cluster().database("toolarge");
    // 520 MB of bytes are more than 1 GB of hexadecimal digits, which no server can send.
    cluster().psql(
        &name,
        "CREATE TABLE huge (bytes bytea); ALTER TABLE huge ALTER bytes SET STORAGE EXTERNAL;
        INSERT INTO huge SELECT convert_to(repeat('x', 540000000), 'UTF8')",
    );
    let place = folder();
    backup(&name).directory(place.path()).expect(1).says("invalid memory alloc request size");
    assert_empty(place.path());
    cluster().psql("postgres", &format!("DROP DATABASE {name}"));
}
