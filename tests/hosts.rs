//! S3 servers of independent makers: what each can do, as the table of docs/s3-hosts.md has it, and a backup and restore on each.
//!
//! Three of them in every run, on which `tests/store.rs` runs the whole suite too; all of them, with the suite, in a proof.

use crate::store::{every, objects};
use objects::{PART, put};
use pgbk::store::capabilities::{ConditionalWrite, Tags, Versions};
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::{LockMode, LockSettings, LockTerm, S3Settings};
use pgbk::store::{LockStatus, ObjectKind, PutOptions, Store};
use std::io::Write;
use support::capture::{capture_work, rows};
use support::cluster::Cluster;
use support::database::{assert_same, dump, features};
use support::pgbk::connected;
use support::proof;
use support::s3::{Server, minio, moto, radosgw, seaweedfs, versitygw};

const SETTING: [(&str, &str); 1] = [("S3_PART_SIZE", "5M")];

fn hosts() -> Vec<(&'static str, &'static Server)> {
    let mut hosts = vec![("SeaweedFS 4.48", seaweedfs()), ("Ceph RGW 16.2", radosgw()), ("moto 5.2", moto())];
    if proof::whole() {
        hosts.extend([("MinIO", minio()), ("Versity S3 Gateway", versitygw())]);
    }
    hosts
}

/// Whether the host refuses bytes that are not those of the MD5 that comes with them.
fn checks_md5(server: &Server) -> bool {
    let (client, runtime) = server.client();
    let request = client.put_object().bucket(server.bucket("md5")).key("x").body(b"x".to_vec().into());
    runtime.block_on(request.content_md5("AAAAAAAAAAAAAAAAAAAAAA==").send()).is_err()
}

fn keeps_tags(store: &S3) -> bool {
    put(store, "tagged", b"x").expect("put");
    let tags = [("lifecycle".to_owned(), "hourly".to_owned())];
    store.tag("tagged", None, &tags).is_ok() && store.tags("tagged", None).is_ok_and(|kept| kept == tags)
}

fn refuses_taken(store: &S3) -> bool {
    put(store, "taken", b"x").expect("put");
    store.refuses_taken("taken").expect("asked")
}

fn keeps_versions(server: &Server) -> bool {
    let store = S3::open(server.settings(&server.versioned_bucket("versions"))).expect("open");
    for byte in [b"1", b"2"] {
        let replacing = PutOptions { taken: pgbk::store::IfExists::Replace, ..PutOptions::default() };
        let mut upload = store.create("x", &replacing).expect("create");
        upload.write_all(byte).expect("write");
        upload.commit().expect("commit");
    }
    store.all("x").is_ok_and(|versions| versions.len() == 2)
}

/// Whether somebody finds an upload that nobody finished: some list those of one key only, which has to be known.
fn lists_unfinished(server: &Server) -> bool {
    let settings = S3Settings { part_size: Some(PART as u64), ..server.settings(&server.bucket("unfinished")) };
    let store = S3::open(settings).expect("open");
    let mut upload = store.create("app/left", &PutOptions::default()).expect("create");
    upload.write_all(&objects::bytes(2 * PART)).expect("write");
    let all = store.unfinished("app/").expect("unfinished");
    let of_the_key = store.unfinished("app/left").expect("unfinished");
    assert_eq!(of_the_key.len(), 1, "{}", server.name);
    all.len() == 1
}

/// After an upload in parts, of which some hosts lose the headers that pgbk then makes good.
fn locks(server: &Server) -> bool {
    let lock = LockSettings { mode: LockMode::Governance, term: LockTerm::Days(1) };
    let settings = S3Settings {
        lock: Some(lock),
        part_size: Some(PART as u64),
        content_md5: true,
        ..server.settings(&server.locking_bucket("lock"))
    };
    let store = S3::open(settings).expect("open");
    let locked = PutOptions { expected: 2 * PART as u64, purpose: ObjectKind::Payload, ..PutOptions::default() };
    let mut upload = store.create("x", &locked).expect("create");
    upload.write_all(&objects::bytes(2 * PART)).expect("write");
    upload.commit().is_ok_and(|receipt| matches!(receipt.held, LockStatus::Locked(how) if how.contains(" until 20")))
}

#[test]
fn each_host_can_do_what_the_docs_say() {
    let page = include_str!("../docs/s3-hosts.md");
    for (name, server) in hosts() {
        let store = S3::open(server.settings(&server.bucket("can"))).expect("open");
        let can = [
            refuses_taken(&store),
            checks_md5(server),
            keeps_tags(&store),
            keeps_versions(server),
            locks(server),
            lists_unfinished(server),
        ];
        let cells = can.map(|can| if can { "yes" } else { "no" }).join(" | ");
        assert!(page.contains(&format!("| {name} | {cells} |")), "docs/s3-hosts.md has not | {name} | {cells} |");
    }
}

#[test]
fn a_database_comes_back_from_each_host() {
    features("hosts_source");
    let original = dump("hosts_source");
    for (name, server) in hosts() {
        let run =
            SETTING.iter().fold(connected().s3(server, &server.bucket("trip")).key(), |run, (k, v)| run.set(k, v));
        let id = run.backup("hosts_source", &["--compress", "zstd"]);
        run.args(["verify", &id, "--level", "content"]).expect(0);
        let copy = format!("hosts_{}", server.name);
        run.args(["restore", &id, "--to", &copy, "--yes"]).expect(0);
        assert_same(&dump(&copy), &original);
        proof::counted("hosts", name, 1, 0);
    }
}

#[test]
fn changes_come_back_from_each_host_and_from_a_folder() {
    let cluster = Cluster::start_set(&["wal_level=logical"]);
    let folder = tempfile::tempdir().expect("a folder");
    let on_hosts = hosts().into_iter().map(|(_, server)| {
        (server.name.to_owned(), connected().s3(server, &server.bucket("changes")).set("S3_PART_SIZE", "5M"))
    });
    let in_folder = ("folder".to_owned(), connected().directory(folder.path()));
    for (name, run) in on_hosts.chain([in_folder]) {
        let database = cluster.database(&format!("changes_{name}"));
        cluster.psql(&database, "CREATE TABLE t (id int PRIMARY KEY, v text)");
        let run = run.server(&cluster).key().set("CAPTURE_INTERVAL", "1s").set("CAPTURE_BASES", "0");
        run.args(["capture", &database, "--setup"]).expect(0);
        run.backup(&database, &[]);
        let work = "INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 99) i; UPDATE t SET v = id";
        capture_work(&run, (&cluster, &database), work, "DELETE FROM t WHERE id > 90");
        let copy = format!("{database}_copy");
        run.args(["restore", "--at", "latest", "--database", &database, "--to", &copy, "--yes"]).expect(0);
        assert_eq!(rows(&cluster, &copy), rows(&cluster, &database), "{name}");
        assert!(rows(&cluster, &copy)[0].contains(" 90|"), "{:?}", rows(&cluster, &copy));
        run.args(["verify", "--changes", "--database", &database]).expect(0);
        run.args(["capture", &database, "--teardown"]).expect(0);
        proof::counted("hosts", &format!("changes from {name}"), 1, 0);
    }
}

macro_rules! list {
    ($($name:ident)*) => { [$((stringify!($name), every::$name as fn(&dyn Store))),*] };
}

#[test]
fn the_hosts_that_only_a_proof_has_pass_the_suite_of_all_stores() {
    for (name, server) in hosts().into_iter().skip(3) {
        let lists = lists_unfinished(server);
        for (test, check) in every::every_name!(list) {
            if !lists && test == "an_unfinished_upload_is_listed_and_can_be_discarded" {
                continue;
            }
            eprintln!("{name}: {test}");
            let settings = S3Settings { part_size: Some(PART as u64), ..server.settings(&server.bucket("suite")) };
            check(&S3::open(settings).expect("open"));
        }
    }
}
