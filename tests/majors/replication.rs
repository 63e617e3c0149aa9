//! Changes are streamed out of every major version in the same way.

use super::captured::comes_back;
use super::servers::servers;
use pgbk::base::error::{hints, sqlstate};
use pgbk::base::secret::Secret;
use pgbk::format::changes::replication_names::SlotName;
use pgbk::format::lsn::Lsn;
use pgbk::postgres::connect::settings::{ConnectionOverrides, ConnectionSettings};
use pgbk::postgres::replication::capture_candidate::CaptureCandidate;
use pgbk::postgres::replication::change_stream::ChangeStream;
use pgbk::postgres::replication::conditions::ReplicationConditions;
use pgbk::postgres::replication::publication::{self, Publications, PublishedTables};
use pgbk::postgres::replication::refusal::{RefusalCause, cause};
use pgbk::postgres::replication::replication_connection::{ReplicationConnection, SlotOptions};
use pgbk::postgres::replication::sequence_list;
use pgbk::postgres::replication::slot::SlotState;
use pgbk::postgres::replication::stream_message::StreamMessage;
use std::time::{Duration, Instant};
use support::cluster::{Cluster, PASSWORD, PATIENCE, USER};
use support::process::until;

fn settings(cluster: &Cluster, user: &str) -> ConnectionSettings {
    let given = ConnectionOverrides {
        host: Some("127.0.0.1".to_owned()),
        port: Some(cluster.port),
        user: Some(user.to_owned()),
        password: Some(Secret::new(PASSWORD.to_owned())),
        named: None,
    };
    ConnectionSettings::resolve(given, &|_| None).unwrap().for_database("postgres")
}

fn open(cluster: &Cluster) -> ReplicationConnection {
    settings(cluster, USER).open_for_replication("pgbk test").unwrap_or_else(|error| panic!("{error:#}"))
}

/// The kinds of the messages of the next transaction, and its end.
fn transaction(stream: &mut ChangeStream) -> (String, Lsn) {
    let (begun, mut kinds) = (Instant::now(), String::new());
    while begun.elapsed() < PATIENCE {
        let message = stream.next(Duration::from_secs(1)).unwrap_or_else(|error| panic!("{error:#}"));
        if let StreamMessage::Data { bytes, .. } = message {
            kinds.push(bytes[0].into());
            if bytes[0] == b'C' {
                return (kinds, Lsn(u64::from_be_bytes(bytes[10..18].try_into().unwrap())));
            }
        }
    }
    panic!("no transaction came");
}

#[test]
fn changes_of_every_major_are_streamed_and_confirmed() {
    for server in servers() {
        eprintln!("--- {}", server.version);
        // Little log, so that a slot is soon lost where the server has a limit; another unit of time than pgbk's.
        let mut own = vec!["wal_level=logical"];
        own.extend((server.major >= 13).then_some("max_slot_wal_keep_size=16MB"));
        let cluster = Cluster::start_from_set(&server.cluster.bin, &server.cluster.clients, &own);
        comes_back(&cluster);
        streams(&cluster, server.major);
        lists_sequences(&cluster);
        if server.major >= 13 {
            loses_a_slot(&cluster);
        }
        refuses_a_role(&cluster);
    }
}

fn streams(cluster: &Cluster, major: u32) {
    let sql = |sql: &str| cluster.psql("postgres", sql);
    sql("CREATE TABLE t (id int PRIMARY KEY, v text)");
    sql("CREATE TABLE log (v text)");
    let names = Publications { changes: "changes".parse().unwrap(), inserts: "inserts".parse().unwrap() };
    let mut client = settings(cluster, USER).connect("pgbk test").unwrap();
    let conditions = ReplicationConditions::ask(&mut client).unwrap();
    assert_eq!((conditions.version_num / 10_000, conditions.unmet(false).len()), (major, 0));
    assert_eq!(conditions.slot_keep_megabytes, (major >= 13).then_some(16));
    let tables = CaptureCandidate::list(&mut client).unwrap();
    let statements = publication::statements(&names, &tables, &PublishedTables::default());
    publication::run(&mut client, &statements).unwrap();

    let slot: SlotName = "streamed".parse().unwrap();
    let failover = SlotOptions { failover: true, export_snapshot: false };
    if major < 17 {
        assert!(open(cluster).create_slot(&slot, failover, PATIENCE).is_err());
        open(cluster).create_slot(&slot, SlotOptions::default(), PATIENCE).unwrap();
    } else {
        open(cluster).create_slot(&slot, failover, PATIENCE).unwrap();
    }
    let mut find = || SlotState::find(&mut client, &slot).unwrap().unwrap();
    assert_eq!(find().failover, (major >= 17).then_some(true));
    let identity = open(cluster).identify().unwrap();
    assert_eq!((identity.timeline, identity.database.as_str()), (1, "postgres"));
    let mut stream = open(cluster).stream(&slot, Lsn(0), &[names.changes, names.inserts]).unwrap();
    let message = "SELECT pg_logical_emit_message(true, 'pgbk', 'x')";
    sql(&format!(
        "BEGIN; INSERT INTO t VALUES (1, 'a'); INSERT INTO log VALUES ('b'); {message}; DELETE FROM log; COMMIT"
    ));
    let (kinds, end) = transaction(&mut stream);
    assert_eq!(kinds, if major >= 14 { "BRIRIMC" } else { "BRIRIC" });
    assert!(find().active_pid.is_some());
    stream.confirm(end, end).unwrap();
    assert!(until(PATIENCE, || find().confirmed == Some(end)));
    stream.end().unwrap();
    assert!(until(PATIENCE, || find().active_pid.is_none()));
    let mut made = open(cluster);
    let exported = SlotOptions { failover: false, export_snapshot: true };
    let other: SlotName = "exported".parse().unwrap();
    let snapshot = made.create_slot(&other, exported, PATIENCE).unwrap().snapshot.expect("a snapshot");
    sql(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT '{snapshot}'; SELECT 1; COMMIT"));
    made.drop_slot(&other, PATIENCE).unwrap();
    assert_eq!(SlotState::find(&mut client, &other).unwrap(), None);
}

/// More sequences than a statement reads, some of which were never called, and one that a transaction holds.
fn lists_sequences(cluster: &Cluster) {
    cluster.psql(
        "postgres",
        "DO $$ BEGIN FOR i IN 1..1100 LOOP EXECUTE 'CREATE SEQUENCE many_' || i; END LOOP; END $$;
         CREATE SEQUENCE \"It's \"\"odd\" INCREMENT -1; SELECT nextval('\"It''s \"\"odd\"') FROM generate_series(1, 3);
         CREATE SEQUENCE first START 7; CREATE SEQUENCE put; SELECT setval('put', 9, false);CREATE SEQUENCE held; CREATE TEMP SEQUENCE gone",
    );
    let [mut client, mut holder] = [0, 1].map(|_| settings(cluster, USER).connect("pgbk test").unwrap());
    holder.batch_execute("BEGIN; ALTER SEQUENCE public.held RESTART WITH 5").unwrap();
    let mut list = || -> Vec<String> {
        let found = sequence_list::list(&mut client).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(found.is_sorted_by_key(|note| note.oid));
        let text = |text: String| text.split_once(' ').unwrap().1.to_owned();
        found.iter().map(|note| text(note.text())).collect()
    };
    let found = list();
    assert_eq!(found.iter().filter(|text| text.contains("many_") && text.ends_with(" 1 uncalled")).count(), 1100);
    let rest = [
        r#""public"."It's ""odd" -3 called"#,
        r#""public"."first" 7 uncalled"#,
        r#""public"."put" 9 uncalled"#,
        r#""public"."held" locked"#,
    ];
    assert_eq!(found[1100..], rest);
    holder.batch_execute("COMMIT; SELECT pg_catalog.nextval('public.many_1100')").unwrap();
    let found = list();
    assert_eq!(found[1103], r#""public"."held" 5 uncalled"#);
    assert_eq!(found[1099], r#""public"."many_1100" 1 called"#);
}

fn loses_a_slot(cluster: &Cluster) {
    for id in 10..16 {
        cluster.psql("postgres", &format!("INSERT INTO t VALUES ({id}, 'x')"));
        cluster.psql("postgres", "SELECT pg_switch_wal()");
    }
    cluster.psql("postgres", "CHECKPOINT");
    let slot: SlotName = "streamed".parse().unwrap();
    let mut client = settings(cluster, USER).connect("pgbk test").unwrap();
    assert!(SlotState::find(&mut client, &slot).unwrap().unwrap().is_lost());
    let error = open(cluster).stream(&slot, Lsn(0), &["changes".parse().unwrap()]).err().expect("a refusal");
    assert_eq!(cause(&error), Some(RefusalCause::SlotLost), "{error:#}");
    assert!(sqlstate(&error).is_some() && !hints(&error).is_empty());
}

fn refuses_a_role(cluster: &Cluster) {
    cluster.psql("postgres", &format!("CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'"));
    let error = settings(cluster, "plain").open_for_replication("pgbk test").err().expect("a refusal");
    assert!(hints(&error).concat().contains("ALTER ROLE \"plain\" REPLICATION"), "{error:#}");
}
