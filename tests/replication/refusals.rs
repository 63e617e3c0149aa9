//! Each refusal of a server, by its real cause.

use super::{SECOND, Source, connect, failure, logical, settings, settings_as, transaction};
use pgbk::base::error::{Kind, hints, kind, sqlstate};
use pgbk::format::changes::replication_names::SlotName;
use pgbk::format::lsn::Lsn;
use pgbk::postgres::replication::refusal::{RefusalCause, cause};
use pgbk::postgres::replication::replication_connection::SlotOptions;
use pgbk::postgres::replication::slot::SlotState;
use std::sync::OnceLock;
use std::time::Instant;
use support::cluster::{Cluster, PASSWORD, PATIENCE, cluster};
use support::process::until;

/// A server that keeps little: one slot, one connection for replication, and hardly any log.
fn narrow() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let settings =
            ["wal_level=logical", "max_replication_slots=1", "max_wal_senders=1", "max_slot_wal_keep_size=16MB"];
        Cluster::start_set(&settings)
    })
}

fn role(cluster: &Cluster, name: &str, attributes: &str) {
    cluster.psql("postgres", &format!("CREATE ROLE {name} LOGIN {attributes} PASSWORD '{PASSWORD}'"));
}

#[test]
fn a_slot_serves_one_at_a_time_and_no_database_but_its_own() {
    let source = Source::new("second");
    let _first = source.stream(Lsn(0));
    let error = source.open(Lsn(0)).err().expect("a refusal");
    assert_eq!(
        (kind(&error), sqlstate(&error), cause(&error)),
        (Kind::Busy, Some("55006"), Some(RefusalCause::SlotInUse))
    );
    let said = format!("{error:#}");
    assert!(said.contains("is active for PID") && said.contains("(SQLSTATE 55006)"), "{said}");
    assert!(hints(&error)[0].contains("stop the other one"));
    let taken = connect(source.cluster, &source.name).create_slot(&source.slot, SlotOptions::default(), PATIENCE);
    assert_eq!(
        taken.err().map(|error| (kind(&error), cause(&error))),
        Some((Kind::Exists, Some(RefusalCause::SlotExists)))
    );
    let other = connect(source.cluster, "postgres").stream(&source.slot, Lsn(0), &source.publications);
    let said = format!("{:#}", other.err().expect("a refusal"));
    assert!(said.contains(&source.name), "{said}");
}

#[test]
fn a_slot_that_is_dropped_under_its_stream_ends_it_and_is_missing_then() {
    let source = Source::new("dropped");
    let mut stream = source.stream(Lsn(0));
    source.insert(1);
    transaction(&mut stream);
    source
        .sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = current_database()");
    let error = failure(&mut stream);
    assert_eq!(sqlstate(&error), Some("57P01"), "{error:#}");
    assert!(format!("{error:#}").contains("terminating connection due to administrator command"), "{error:#}");
    assert!(until(PATIENCE, || source.is_idle()));
    connect(source.cluster, &source.name).drop_slot(&source.slot, PATIENCE).unwrap();
    let error = source.open(Lsn(0)).err().expect("a refusal");
    let expected = (Kind::NotFound, Some("42704"), Some(RefusalCause::NoSlot));
    assert_eq!((kind(&error), sqlstate(&error), cause(&error)), expected);
    assert!(hints(&error)[0].contains("begin anew with a full backup"));
}

#[test]
fn a_publication_that_is_not_there_is_missed_at_the_first_change() {
    let source = Source::new("unpublished");
    let names = ["no such".parse().unwrap()];
    let mut stream = connect(source.cluster, &source.name).stream(&source.slot, Lsn(0), &names).unwrap();
    source.insert(1);
    let error = failure(&mut stream);
    let expected = (Kind::NotFound, Some("42704"), Some(RefusalCause::NoPublication));
    assert_eq!((kind(&error), sqlstate(&error), cause(&error)), expected, "{error:#}");
    assert!(hints(&error)[0].contains("before the slot"));
}

#[test]
fn a_server_whose_log_holds_no_changes_makes_no_slot() {
    let slot: SlotName = "no_level".parse().unwrap();
    let error = connect(cluster(), "postgres").create_slot(&slot, SlotOptions::default(), PATIENCE).unwrap_err();
    assert_eq!((sqlstate(&error), cause(&error)), (Some("55000"), Some(RefusalCause::WalLevel)), "{error:#}");
    assert!(hints(&error)[0].contains("wal_level = logical"));
}

#[test]
fn who_may_not_replicate_is_told_what_to_grant_and_who_may_not_come_where_that_is_said() {
    role(logical(), "no_right", "");
    let error = settings_as(logical(), "postgres", "no_right").open_for_replication("pgbk test").err().unwrap();
    assert!(hints(&error).concat().contains("ALTER ROLE \"no_right\" REPLICATION"), "{error:#} {:?}", hints(&error));
    // The test servers let this role in by TLS alone.
    role(logical(), "only_tls", "REPLICATION");
    let error = settings_as(logical(), "postgres", "only_tls").open_for_replication("pgbk test").err().unwrap();
    assert!(hints(&error).concat().contains("pg_hba.conf"), "{error:#}");
}

#[test]
fn a_role_with_replication_alone_makes_and_reads_a_slot() {
    let source = Source::new("modest");
    role(logical(), "modest", "REPLICATION");
    let settings = settings_as(logical(), &source.name, "modest");
    let slot: SlotName = "modest_slot".parse().unwrap();
    let mut connection = settings.open_for_replication("pgbk test").unwrap();
    let made = connection.create_slot(&slot, SlotOptions::default(), PATIENCE).unwrap();
    source.insert(1);
    let mut stream = connection.stream(&slot, made.consistent, &source.publications).unwrap();
    assert!(transaction(&mut stream).has(b"value 1"));
}

#[test]
fn what_a_narrow_server_has_no_more_of_is_named_and_a_slot_it_gave_up_is_lost() {
    let source = Source::on(narrow(), "narrow", "");
    let second: SlotName = "second".parse().unwrap();
    let plenty = || connect(narrow(), &source.name);
    assert!(until(PATIENCE, || narrow().psql("postgres", "SELECT count(*) FROM pg_stat_replication") == "0"));
    let error = plenty().create_slot(&second, SlotOptions::default(), PATIENCE).unwrap_err();
    assert_eq!((sqlstate(&error), cause(&error)), (Some("53400"), Some(RefusalCause::AllSlotsUsed)), "{error:#}");
    assert!(until(PATIENCE, || narrow()
        .psql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'")
        == "0"));
    let stream = source.stream(Lsn(0));
    let error = settings(narrow(), &source.name).open_for_replication("pgbk test").err().expect("a refusal");
    assert!(hints(&error).concat().contains("max_wal_senders"), "{error:#} {:?}", hints(&error));
    drop(stream);
    assert!(until(PATIENCE, || source.is_idle()));

    for id in 1..=6 {
        source.insert(id);
        narrow().psql("postgres", "SELECT pg_switch_wal()");
    }
    narrow().psql("postgres", "CHECKPOINT");
    assert!(source.state().is_lost());
    let error = source.open(Lsn(0)).err().expect("a refusal");
    assert_eq!((sqlstate(&error), cause(&error)), (Some("55000"), Some(RefusalCause::SlotLost)), "{error:#}");
    assert!(hints(&error)[0].contains("max_slot_wal_keep_size"));
}

#[test]
fn a_slot_that_is_not_made_in_time_is_not_left_behind() {
    let database = logical().database("hurried");
    let mut holder = settings(logical(), &database).connect("pgbk test").unwrap();
    let mut transaction = holder.transaction().unwrap();
    transaction.batch_execute("CREATE TABLE public.held (i int)").unwrap();
    let slot: SlotName = "hurried".parse().unwrap();
    let begun = Instant::now();
    let error = connect(logical(), &database).create_slot(&slot, SlotOptions::default(), SECOND).unwrap_err();
    assert!(begun.elapsed() < PATIENCE / 4);
    assert!(format!("{error:#}").contains("no answer within 1 second"), "{error:#}");
    assert!(hints(&error)[0].contains("pg_stat_activity"));
    let mut client = settings(logical(), &database).connect("pgbk test").unwrap();
    // The server's process would wait for the transaction, and then might make the slot for nobody.
    let walsenders =
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname = current_database()";
    assert!(until(PATIENCE, || logical().psql(&database, walsenders) == "0"));
    assert_eq!(SlotState::find(&mut client, &slot).unwrap(), None);
    transaction.commit().unwrap();
}

#[test]
fn a_server_that_stops_at_once_in_mid_stream_is_an_error_soon() {
    static STOPPED: OnceLock<Cluster> = OnceLock::new();
    let cluster = STOPPED.get_or_init(|| Cluster::start_set(&["wal_level=logical"]));
    let source = Source::on(cluster, "stopping", "");
    source.sql("INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 200000) i");
    let mut stream = source.stream(Lsn(0));
    // In the middle of a transaction.
    for _ in 0..1000 {
        stream.next(SECOND).unwrap();
    }
    cluster.stop_immediately();
    let begun = Instant::now();
    let error = failure(&mut stream);
    assert!(begun.elapsed() < 20 * SECOND);
    let said = format!("{error:#}");
    // What the kernel says depends on what was still on its way.
    let words = ["the server closed the connection", "the server says", "Connection reset by peer"];
    assert!(words.iter().any(|words| said.contains(words)), "{said}");
}
