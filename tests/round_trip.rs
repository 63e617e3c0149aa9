//! The binary, a real server and real stores: what goes in comes out.

mod archives;
mod databases;
mod files;
mod targets;

use std::path::Path;
use std::sync::Once;
use support::database::{assert_same, dump, exists, features, small, sql};
use support::pgbk::{ENC_PASSWORD, IV, Pgbk, connected};
use support::proof;
use support::s3::{radosgw, seaweedfs};

/// Starts the stores while tests run that need none: Ceph takes its time.
fn warm_up() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::thread::spawn(radosgw);
        std::thread::spawn(seaweedfs);
    });
}

const FORMS: [(&str, &str, &str); 6] = [
    ("plain", "0", "sql"),
    ("plain", "xz", "sql.xz"),
    ("plain", "zstd", "sql.zst"),
    ("plain", "gzip", "sql.gz"),
    ("custom", "none", "dump"),
    ("custom", "1", "dump.xz"),
];

/// What a key can do to a dump depends on its bytes, not on its objects; two of the keys get all of these, the others this.
fn awkward(name: &str) {
    small(name, &["\\.", "it''s", "žluť 🐘", "COPY t (v) FROM stdin;"]);
    sql(name, "INSERT INTO t VALUES (NULL), (''), (E'\\n\\t\\r\\\\'), (repeat('long ', 300000))");
}

/// Every form through this key, each time into the next kind of store, and back into a new database.
fn every_form_comes_back(name: &str, make: fn(&str), key: &dyn Fn(&Pgbk) -> Pgbk, encrypted: bool) {
    make(name);
    let original = dump(name);
    let folder = tempfile::tempdir().unwrap();
    let stores = [
        connected().s3(seaweedfs(), &seaweedfs().bucket("matrix")).set("S3_FOLDER", "deep/er"),
        connected().s3(radosgw(), &radosgw().bucket("matrix")),
        connected().directory(folder.path()),
    ];
    // Another start for each key, so that over the five tests every form meets every kind of store; in a sample, one key at least has a form.
    let forms = FORMS.iter().zip(stores.iter().cycle().skip(name.len() % 3));
    for ((format, compress, extension), store) in proof::sample(forms, 3, name.len()) {
        eprintln!("--- {name}: {format} {compress}");
        let pgbk = key(store);
        let backup = pgbk.args(["backup", name, "--format", format, "--compress", compress]).json();
        let id = backup["id"].as_str().unwrap();
        let extension = if encrypted { format!("{extension}.enc") } else { (*extension).to_owned() };
        assert_eq!(backup["object"], format!("{name}/{id}.{extension}"));
        assert_eq!(backup["encryption"].is_null(), !encrypted);

        let verified = pgbk.args(["verify", id, "--level", "content"]).json();
        assert_eq!((&verified["checked"], &verified["damaged"]), (&1.into(), &0.into()));

        let copy = format!("{name}_{format}_{compress}");
        let restored = pgbk.args(["restore", id, "--yes", "--to", &copy]).json();
        assert_eq!((&restored["created"], &restored["database"]), (&true.into(), &copy.as_str().into()));
        assert_same(&original, &dump(&copy));
    }
}

#[test]
fn every_form_comes_back_through_a_raw_key() {
    every_form_comes_back("key_raw", features, &Pgbk::key, true);
}

#[test]
fn every_form_comes_back_through_a_raw_key_with_a_fixed_iv() {
    let key = |pgbk: &Pgbk| pgbk.key().set("DB_BACKUP_ENCRYPT_IV", IV);
    every_form_comes_back("key_fixed", awkward, &key, true);
}

#[test]
fn every_form_comes_back_through_a_password() {
    every_form_comes_back("key_passwd", features, &|pgbk| pgbk.set("ENC_PASSWORD", ENC_PASSWORD), true);
}

#[test]
fn every_form_comes_back_without_a_key() {
    every_form_comes_back("key_none", awkward, &Pgbk::clone, false);
}

#[test]
fn every_form_comes_back_signed_but_not_encrypted() {
    let key = |pgbk: &Pgbk| pgbk.key().set("NO_ENCRYPT", "1");
    every_form_comes_back("key_signed", awkward, &key, false);
}

#[test]
fn a_key_reads_backups_from_before_encryption_was_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    small("switched", &["kept"]);
    let keyed = connected().directory(folder.path()).key();
    let old = keyed.backup("switched", &[]);
    let off = keyed.set("NO_ENCRYPT", "1");
    let new = off.backup("switched", &[]);
    assert!(!sealed_text(folder.path(), &new).contains("kept"));
    for (at, id) in [old, new].iter().enumerate() {
        let copy = format!("switched_copy_{at}");
        off.args(["restore", id, "--yes", "--to", &copy]).expect(0);
        assert_eq!(sql(&copy, "SELECT v FROM t"), "kept");
    }
    let blind = connected().directory(folder.path()).args(["verify", "--all"]).expect(2);
    assert!(blind.text().contains("none is set"), "{}", blind.text());
}

#[test]
fn a_backup_without_a_seal_is_refused_where_a_key_is_set() {
    let folder = tempfile::tempdir().unwrap();
    small("unsealed", &["x"]);
    let id = connected().directory(folder.path()).backup("unsealed", &[]);
    let keyed = connected().directory(folder.path()).key();
    keyed.args(["restore", &id, "--yes", "--to", "unsealed_copy"]).expect(3).says("--allow-unauthenticated");
    assert!(!exists("unsealed_copy"));
    keyed.args(["restore", &id, "--yes", "--to", "unsealed_copy", "--allow-unauthenticated"]).expect(0);
    assert_same(&dump("unsealed"), &dump("unsealed_copy"));
}

/// The `.meta` in a directory store.
fn sealed_text(store: &Path, id: &str) -> String {
    let database = id.rsplit_once('-').unwrap().0;
    std::fs::read_to_string(store.join(database).join(format!("{id}.meta"))).unwrap()
}
