//! Backups that Doubletake wrote, made here by the tools that it calls: they come back, or not a byte of them does.

use std::fs;
use std::path::Path;
use std::process::Command;
use support::database::{assert_same, comparable, create, dump, exists, features, script, small, sql, stdout_of, tool};
use support::pgbk::{IV, KEY, OTHER_KEY, Pgbk, connected, pgbk};
use support::s3::{Server, radosgw, seaweedfs};
use tempfile::TempDir;

const FORMS: [&str; 4] = ["sql", "sql.xz", "sql.enc", "sql.xz.enc"];

/// What the `.meta` is about: nobody knows which of these Doubletake has.
#[derive(Debug, Clone, Copy, PartialEq)]
enum About {
    Dump,
    Stored,
    StoredSize,
    Both,
}

/// What `pg_dump` says of a database.
fn dumped(database: &str) -> Vec<u8> {
    stdout_of(&mut tool("pg_dump", database))
}

/// A folder that holds a dump as `backup.<form>`, packed by xz and openssl.
fn packed(plain: &[u8], form: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("backup.sql"), plain).unwrap();
    let mut name = "backup.sql".to_owned();
    for step in form.split('.').skip(1) {
        let how = match step {
            "xz" => format!("xz -4 {name}"),
            _ => format!("openssl enc -aes-256-cbc -K {KEY} -iv {IV} -in {name} -out {name}.enc && rm {name}"),
        };
        stdout_of(Command::new("sh").args(["-ec", &how]).current_dir(folder.path()));
        name = format!("{name}.{step}");
    }
    folder
}

/// Its `.meta`, beside it.
fn describe(folder: &Path, plain: &[u8], form: &str, about: About) {
    fs::write(folder.join("plain"), plain).unwrap();
    let name = if about == About::Dump { "plain".to_owned() } else { format!("backup.{form}") };
    let file = folder.join(name);
    let line = String::from_utf8(stdout_of(Command::new("b2sum").arg(&file))).unwrap();
    let size = fs::metadata(&file).unwrap().len();
    let text = match about {
        About::Dump | About::Stored => line,
        About::StoredSize => format!("{size}\n"),
        About::Both => format!("{} {size} bytes\n", &line[..128]),
    };
    fs::write(folder.join("backup.meta"), text).unwrap();
    fs::remove_file(folder.join("plain")).unwrap();
}

fn old(plain: &[u8], form: &str, about: About) -> TempDir {
    let folder = packed(plain, form);
    describe(folder.path(), plain, form, about);
    folder
}

fn put(server: &Server, bucket: &str, key: &str, body: Vec<u8>) {
    let (client, runtime) = server.client();
    runtime.block_on(client.put_object().bucket(bucket).key(key).body(body.into()).send()).expect("put");
}

/// Puts the two files under these names into a bucket, as s3cmd would.
fn sent(server: &Server, bucket: &str, folder: &Path) {
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        put(server, bucket, &format!("prod/{name}"), fs::read(path).unwrap());
    }
}

/// The settings that Doubletake had.
fn as_before(pgbk: &Pgbk) -> Pgbk {
    pgbk.key().set("DB_BACKUP_ENCRYPT_IV", IV)
}

fn at(folder: &Path) -> Pgbk {
    as_before(&connected().directory(folder))
}

fn restore<'a>(object: &'a str, to: &'a str) -> [&'a str; 6] {
    ["restore", "--object", object, "--to", to, "--yes"]
}

#[test]
fn every_form_comes_back_from_buckets_with_and_without_versions_and_from_a_directory() {
    features("old_all");
    let (plain, original) = (dumped("old_all"), dump("old_all"));
    let abouts = [About::Dump, About::Stored, About::StoredSize, About::Both];
    for (form, about) in FORMS.into_iter().zip(abouts) {
        let folder = old(&plain, form, about);
        let (weed, ceph) = (seaweedfs().bucket("old"), radosgw().versioned_bucket("old"));
        // The run before.
        sent(radosgw(), &ceph, old(script("SELECT 1;").as_bytes(), form, about).path());
        sent(seaweedfs(), &weed, folder.path());
        sent(radosgw(), &ceph, folder.path());
        let s3 = |server, bucket| as_before(&connected().s3(server, bucket).set("S3_FOLDER", "prod"));
        let places = [("weed", s3(seaweedfs(), &weed)), ("ceph", s3(radosgw(), &ceph)), ("disk", at(folder.path()))];
        for (place, pgbk) in places {
            eprintln!("--- {form} {about:?} {place}");
            let object = format!("backup.{form}");
            let to = format!("old_all_{place}_{}", form.replace('.', "_"));
            let ran = pgbk.args(restore(&object, &to)).expect(0);
            assert!(!ran.err.contains("warn"), "{}", ran.err);
            assert_same(&dump(&to), &original);
            let verified = pgbk.args(["verify", "--object", &object]).json();
            assert_eq!(verified["damaged"], 0);
            let downloaded = pgbk.args(["download", "--object", &object, "-o", "-"]).expect(0);
            assert_same(&comparable(&downloaded.out), &comparable(&plain));
        }
    }
}

#[test]
fn an_archive_comes_back_under_any_of_the_names() {
    small("old_archive", &["kept"]);
    let archive = stdout_of(tool("pg_dump", "old_archive").arg("-Fc"));
    let folder = old(&archive, "sql.xz.enc", About::Dump);
    at(folder.path()).args(restore("backup.sql.xz.enc", "old_archive_back")).expect(0);
    assert_eq!(sql("old_archive_back", "SELECT v FROM t"), "kept");
    let cut = old(&archive[..archive.len() - 40], "sql", About::Dump);
    at(cut.path()).args(restore("backup.sql", "old_archive_cut")).expect(3).says("is cut short");
    assert!(!exists("old_archive_cut"));
}

#[test]
fn another_object_than_its_meta_states_restores_nothing() {
    small("old_other", &["x"]);
    let plain = dumped("old_other");
    // As whole as the one that was meant.
    let other = String::from_utf8(plain.clone()).unwrap().replace("\nx\n", "\nother\n");
    for form in FORMS {
        for about in [About::Dump, About::Stored, About::StoredSize, About::Both] {
            let folder = old(&plain, form, about);
            let payload = packed(other.as_bytes(), form);
            let name = format!("backup.{form}");
            let grown = fs::copy(payload.path().join(&name), folder.path().join(&name)).unwrap();
            if about == About::StoredSize && folder_states(folder.path(), grown) {
                // The padding made up for the difference, and a size is no more than that.
                continue;
            }
            let ran = at(folder.path()).args(restore(&name, "old_other_back")).expect(3);
            assert!(ran.err.contains("is not what its .meta states"), "{form} {about:?}: {}", ran.err);
            assert!(!exists("old_other_back"), "{form} {about:?}");
            at(folder.path()).args(["verify", "--object", &name]).expect(3);
            at(folder.path()).args(["download", "--object", &name, "-o", "-"]).expect(3);
        }
    }
}

fn folder_states(folder: &Path, bytes: u64) -> bool {
    fs::read_to_string(folder.join("backup.meta")).unwrap().trim() == bytes.to_string()
}

#[test]
fn a_truncated_object_restores_nothing_whatever_its_meta_says() {
    small("old_cut", &["x"]);
    let plain = dumped("old_cut");
    for form in FORMS {
        let name = format!("backup.{form}");
        for about in [Some(About::Dump), Some(About::StoredSize), None] {
            let folder = packed(&plain, form);
            if let Some(about) = about {
                describe(folder.path(), &plain, form, about);
            }
            let whole = fs::read(folder.path().join(&name)).unwrap();
            // What comes after a script's last line is nothing, and nothing but a .meta can miss it.
            let end = if form == "sql" && about.is_none() { last_line(&plain) } else { whole.len() };
            // Within the last block of the cipher, at its border, in the middle, and nothing at all.
            for length in [end - 1, end / 16 * 16 - 16, end / 2, 0] {
                fs::write(folder.path().join(&name), &whole[..length]).unwrap();
                at(folder.path()).args(["verify", "--object", &name]).expect(3);
                at(folder.path()).args(restore(&name, "old_cut_back")).expect(3);
                assert!(!exists("old_cut_back"), "{form} {about:?} {length}");
            }
        }
    }
}

/// Where the line ends by which `pg_dump` says that all is there.
fn last_line(script: &[u8]) -> usize {
    let line = "-- PostgreSQL database dump complete";
    std::str::from_utf8(script).unwrap().find(line).unwrap() + line.len()
}

#[test]
fn a_dump_that_was_cut_short_before_it_was_stored_restores_nothing() {
    small("old_half", &["x"]);
    let plain = dumped("old_half");
    let half = &plain[..plain.len() / 2];
    let folder = old(half, "sql.xz", About::Dump);
    at(folder.path()).args(restore("backup.sql.xz", "old_half_back")).expect(3).says("is cut short");
    assert!(!exists("old_half_back"));
}

#[test]
fn without_a_meta_or_with_an_empty_one_it_comes_back_with_a_warning() {
    small("old_bare", &["x"]);
    let plain = dumped("old_bare");
    let folder = packed(&plain, "sql.xz");
    let warned = |to: &str| at(folder.path()).args(restore("backup.sql.xz", to)).expect(0);
    warned("old_bare_one").says("has no .meta");
    assert_eq!(sql("old_bare_one", "SELECT v FROM t"), "x");
    fs::write(folder.path().join("backup.meta"), "written on 2024-11-21\n").unwrap();
    warned("old_bare_two").says("no BLAKE2b and no size");
    assert_eq!(sql("old_bare_two", "SELECT v FROM t"), "x");
}

#[test]
fn a_wrong_key_or_iv_is_told_and_restores_nothing() {
    small("old_key", &["x"]);
    let plain = dumped("old_key");
    for form in ["sql.enc", "sql.xz.enc"] {
        let name = format!("backup.{form}");
        // A wrong IV spoils no more than the first block: without a .meta that alone must be seen.
        for folder in [old(&plain, form, About::Stored), packed(&plain, form)] {
            let right = at(folder.path()).args(restore(&name, "old_key_back"));
            let other_key = right.set("DB_BACKUP_ENCRYPT_KEY", OTHER_KEY);
            let other_iv = right.set("DB_BACKUP_ENCRYPT_IV", "00".repeat(16));
            for wrong in [other_key, other_iv] {
                wrong.expect(3).says("DB_BACKUP_ENCRYPT_KEY and DB_BACKUP_ENCRYPT_IV must be those");
            }
            right.unset("DB_BACKUP_ENCRYPT_IV").expect(2).says("DB_BACKUP_ENCRYPT_IV is not set");
            let none = right.unset("DB_BACKUP_ENCRYPT_IV").unset("DB_BACKUP_ENCRYPT_KEY");
            none.expect(2).says("DB_BACKUP_ENCRYPT_KEY is not set");
            none.set("ENC_PASSWORD", "secret words").expect(2).says("DB_BACKUP_ENCRYPT_KEY is needed");
            assert!(!exists("old_key_back"), "{form}");
        }
    }
    let hidden = packed(&plain, "sql.enc");
    fs::rename(hidden.path().join("backup.sql.enc"), hidden.path().join("backup.sql")).unwrap();
    at(hidden.path())
        .args(restore("backup.sql", "old_key_back"))
        .expect(3)
        .says("copy it to a name that ends with .enc");
}

#[test]
fn a_target_is_as_safe_as_from_any_other_backup() {
    small("old_safe", &["new"]);
    small("old_safe_full", &["kept"]);
    let plain = String::from_utf8(dumped("old_safe")).unwrap().replace("\nnew\n", "\nold\n");
    let folder = old(plain.as_bytes(), "sql", About::Dump);
    let pgbk = at(folder.path());
    let object = ["restore", "--object", "backup.sql"];
    let with = |more: &[&'static str]| pgbk.args(object.into_iter().chain(more.iter().copied()));
    with(&["--yes"]).expect(2).says("does not say which database it is of");
    with(&[]).expect(2).says("say --yes");
    let own = with(&["--yes"]).set("DB_NAME", "old_safe");
    own.expect(1).says("is not empty");
    let clean = with(&["--yes", "--clean"]).set("DB_NAME", "old_safe");
    clean.expect(1).says("--over-source");
    // Whose it is, nobody said: it may be the target's.
    with(&["--yes", "--clean", "--to", "old_safe_full"]).expect(1).says("--over-source");
    assert_eq!(sql("old_safe_full", "SELECT v FROM t"), "kept");
    with(&["--yes", "--clean", "--to", "old_safe_full"]).set("DB_NAME", "old_safe").expect(0);
    assert_eq!(sql("old_safe_full", "SELECT v FROM t"), "old");
    with(&["--yes", "--clean", "--over-source"]).set("DB_NAME", "old_safe").expect(0);
    assert_eq!(sql("old_safe", "SELECT v FROM t"), "old");
}

#[test]
fn a_dump_that_fails_in_the_middle_leaves_the_target_as_it_was() {
    create("old_fails", "");
    let folder = old(script("CREATE TABLE a ();\nSELECT 1/0;").as_bytes(), "sql.xz.enc", About::Dump);
    at(folder.path()).args(restore("backup.sql.xz.enc", "old_fails")).expect(1).says("division by zero");
    assert_eq!(sql("old_fails", "SELECT count(*) FROM pg_class WHERE relname = 'a'"), "0");
}

#[test]
fn what_is_not_there_or_no_backup_of_doubletake_is_told() {
    small("old_none", &["x"]);
    let folder = tempfile::tempdir().unwrap();
    let pgbk = at(folder.path()).set("DB_NAME", "old_none");
    let asked = |key: &str| pgbk.args(["restore", "--object", key, "--yes"]);
    asked("backup.sql").expect(4).says("there is no \"backup.sql\"");
    asked("backup.meta").expect(2).says("does not end as a backup");
    asked("../backup.sql").expect(2);
    let made = pgbk.args(["backup"]).json();
    let (id, object) = (made["id"].as_str().unwrap(), made["object"].as_str().unwrap());
    asked(object).expect(2).says(&format!("its .meta is that of pgbk's {id}"));
}

#[test]
fn a_fixed_name_goes_on_where_doubletake_stopped() {
    small("old_goes_on", &["old"]);
    let bucket = seaweedfs().versioned_bucket("goeson");
    sent(seaweedfs(), &bucket, old(&dumped("old_goes_on"), "sql.xz.enc", About::Dump).path());
    let s3 = as_before(&connected().s3(seaweedfs(), &bucket).set("S3_FOLDER", "prod"));
    let pgbk = s3.set("S3_OBJECT_NAME", "backup").set("DB_BACKUP_COMPRESS", "1").set("DB_NAME", "old_goes_on");
    pgbk.args(restore("backup.sql.xz.enc", "old_goes_on_back")).expect(0);
    assert_eq!(sql("old_goes_on_back", "SELECT v FROM t"), "old");
    let id = pgbk.backup("old_goes_on", &[]);
    pgbk.args(restore("backup.sql.xz.enc", "old_goes_on_next")).expect(2).says(&id);
}

#[test]
fn one_object_is_meant_and_no_other_backup() {
    for arguments in [
        ["restore", "latest", "--object", "backup.sql"],
        ["download", "--raw", "--object", "backup.sql"],
        ["verify", "--all", "--object", "backup.sql"],
        ["verify", "--level=meta", "--object", "backup.sql"],
    ] {
        pgbk(arguments).set("STORE_DIR", "/nonexistent").expect(2).says("cannot be used with");
    }
}
