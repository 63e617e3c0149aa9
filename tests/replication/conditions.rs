//! What the server needs, which tables can be captured, and the publications.

use super::{Source, connect, logical, settings, settings_as, transaction};
use pgbk::base::error::{Kind, hints, kind, sqlstate};
use pgbk::format::changes::replication_names::SlotName;
use pgbk::format::lsn::Lsn;
use pgbk::postgres::replication::capture_candidate::CaptureCandidate;
use pgbk::postgres::replication::conditions::ReplicationConditions;
use pgbk::postgres::replication::publication::{self, Publications, PublishedTables};
use pgbk::postgres::replication::replication_connection::SlotOptions;
use pgbk::postgres::replication::slot::SlotState;
use support::cluster::{PASSWORD, PATIENCE, cluster};

fn names() -> Publications {
    Publications { changes: "pgbk changes".parse().unwrap(), inserts: "pgbk inserts".parse().unwrap() }
}

/// Brings the publications of a database to what its tables need, and gives how many statements that took.
fn in_step(client: &mut postgres::Client) -> usize {
    let tables = CaptureCandidate::list(client).unwrap();
    let published = PublishedTables::ask(client, &names()).unwrap();
    let statements = publication::statements(&names(), &tables, &published);
    publication::run(client, &statements).unwrap_or_else(|error| panic!("{error:#}"));
    statements.len()
}

#[test]
fn what_a_server_lacks_is_told_before_anything_is_tried() {
    let good = ReplicationConditions::ask(&mut settings(logical(), "postgres").connect("pgbk test").unwrap()).unwrap();
    assert_eq!((good.unmet(false).len(), good.wal_level.as_str(), good.superuser), (0, "logical", true));
    assert_eq!((good.max_slots, good.encoding.as_str(), good.in_recovery), (60, "UTF8", false));
    assert_eq!(good.risks().len(), 1);
    let bad = ReplicationConditions::ask(&mut settings(cluster(), "postgres").connect("pgbk test").unwrap()).unwrap();
    assert!(bad.require(false).unwrap_err().to_string().contains("wal_level is replica"));
    logical().psql("postgres", &format!("CREATE ROLE bystander LOGIN PASSWORD '{PASSWORD}'"));
    let mut client = settings_as(logical(), "postgres", "bystander").connect("pgbk test").unwrap();
    let other = ReplicationConditions::ask(&mut client).unwrap();
    assert!(other.require(true).unwrap_err().to_string().contains("\"bystander\" may not connect for replication"));
    assert!(!other.may_create && !other.superuser);
}

#[test]
fn a_slot_is_found_with_what_it_keeps() {
    let source = Source::new("looked_at");
    let mut client = settings(logical(), &source.name).connect("pgbk test").unwrap();
    assert_eq!(SlotState::find(&mut client, &"no_such".parse::<SlotName>().unwrap()).unwrap(), None);
    let slot = source.state();
    assert_eq!((slot.plugin.as_deref(), slot.database.as_deref()), (Some("pgoutput"), Some(source.name.as_str())));
    assert_eq!((slot.active_pid, slot.temporary, slot.is_lost()), (None, false, false));
    assert_eq!(slot.wal_status.as_deref(), Some("reserved"));
    assert!(slot.restart.unwrap() <= slot.confirmed.unwrap() && slot.retained_bytes.unwrap() >= 0);
    let stream = source.stream(Lsn(0));
    assert!(source.state().active_pid.is_some());
    drop(stream);
    assert!(support::process::until(PATIENCE, || source.is_idle()));
    publication::run(&mut client, &[SlotState::drop_statement(&source.slot)]).unwrap();
    assert_eq!(SlotState::find(&mut client, &source.slot).unwrap(), None);
}

const TABLES: &str = r#"
    CREATE SCHEMA "S x";
    CREATE TABLE "S x"."we""ird" (id int PRIMARY KEY, v text);
    CREATE TABLE by_index (id int NOT NULL, v text); CREATE UNIQUE INDEX by_index_id ON by_index (id);
    ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_id;
    CREATE TABLE whole (v text); ALTER TABLE whole REPLICA IDENTITY FULL;
    CREATE TABLE keyless (v text);
    CREATE TABLE nothing (id int PRIMARY KEY); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
    CREATE TABLE late (id int PRIMARY KEY DEFERRABLE);
    CREATE TABLE parts (id int, day int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
    CREATE TABLE parts_2_1 PARTITION OF parts_2 DEFAULT;
    CREATE TABLE mother (id int PRIMARY KEY); CREATE TABLE daughter (x text) INHERITS (mother);
    CREATE UNLOGGED TABLE fast (id int PRIMARY KEY);
    CREATE MATERIALIZED VIEW seen AS SELECT 1 AS one;
    CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
    CREATE FOREIGN TABLE away (i int) SERVER far;
    CREATE VIEW v AS SELECT 1 AS one;
"#;

#[test]
fn each_table_is_captured_as_far_as_the_server_can() {
    let database = logical().database("tables");
    logical().psql(&database, TABLES);
    let mut client = settings(logical(), &database).connect("pgbk test").unwrap();
    let tables = CaptureCandidate::list(&mut client).unwrap();
    let told: Vec<String> = tables.iter().map(|table| format!("{} {:?}", table.name, table.capture)).collect();
    let expected = [
        "we\"ird Keyed",
        "away Uncaptured(Foreign)",
        "by_index Keyed",
        "daughter InsertsOnly",
        "fast Uncaptured(Unlogged)",
        "keyless InsertsOnly",
        "late InsertsOnly",
        "mother Keyed",
        "nothing InsertsOnly",
        "parts_1 Keyed",
        "parts_2_1 Keyed",
        "seen Uncaptured(MaterialisedView)",
        "whole WholeRow",
    ];
    assert_eq!(told, expected);
    assert!(tables.iter().all(|table| table.owned && table.oid > 0));
    assert_eq!(in_step(&mut client), 4);
    assert_eq!(in_step(&mut client), 0);

    let slot: SlotName = database.parse().unwrap();
    connect(logical(), &database).create_slot(&slot, SlotOptions::default(), PATIENCE).unwrap();
    let both = [names().changes, names().inserts];
    let mut stream = connect(logical(), &database).stream(&slot, Lsn(0), &both).unwrap();
    for (sql, kinds) in [
        // An application goes on as before where there is no key.
        (
            "INSERT INTO keyless VALUES ('a'); UPDATE keyless SET v = 'b'; DELETE FROM keyless; TRUNCATE keyless",
            "BRIRTC",
        ),
        ("INSERT INTO nothing VALUES (1); UPDATE nothing SET id = 2", "BRIC"),
        ("INSERT INTO late VALUES (1); DELETE FROM late", "BRIC"),
        ("INSERT INTO whole VALUES ('a'); UPDATE whole SET v = 'b'; DELETE FROM whole", "BRIUDC"),
        ("INSERT INTO by_index VALUES (1, 'a'); UPDATE by_index SET v = 'b'", "BRIUC"),
        // From one partition into another.
        ("INSERT INTO parts VALUES (1, 1); UPDATE parts SET day = 11", "BRIDRIC"),
        (
            "INSERT INTO daughter VALUES (1, 'x'); INSERT INTO mother VALUES (2); UPDATE mother SET id = id + 10",
            "BRIRIUC",
        ),
    ] {
        logical().psql(&database, &format!("BEGIN; {sql}; COMMIT"));
        assert_eq!(transaction(&mut stream).kinds(), kinds, "{sql}");
    }
    // A key that comes is used from then on, and so is a table; what has gone is listed no more.
    logical().psql(&database, "ALTER TABLE keyless ADD PRIMARY KEY (v); CREATE TABLE young (id int PRIMARY KEY); DROP TABLE whole; ALTER TABLE fast SET LOGGED");
    assert_eq!(in_step(&mut client), 2);
    let published = PublishedTables::ask(&mut client, &names()).unwrap();
    let listed = |name: &str| published.changes.as_ref().unwrap().contains(&("public".to_owned(), name.to_owned()));
    assert_eq!(["keyless", "young", "fast", "whole", "parts"].map(listed), [true, true, true, false, false]);
    publication::run(&mut client, &publication::removal(&names())).unwrap();
    assert_eq!(PublishedTables::ask(&mut client, &names()).unwrap(), PublishedTables::default());
}

#[test]
fn who_owns_the_tables_publishes_them_and_another_is_told_whose_they_are() {
    let database = logical().database("owned");
    for role in ["holder", "stranger"] {
        logical().psql("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
        logical().psql("postgres", &format!("GRANT CREATE ON DATABASE {database} TO {role}"));
    }
    logical().psql(&database, "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO holder");
    let mut stranger = settings_as(logical(), &database, "stranger").connect("pgbk test").unwrap();
    let tables = CaptureCandidate::list(&mut stranger).unwrap();
    let error = publication::require_owned(&tables).unwrap_err();
    assert_eq!((kind(&error), hints(&error)[0].contains("GRANT \"holder\"")), (Kind::Denied, true));
    let statements = publication::statements(&names(), &tables, &PublishedTables::default());
    let error = publication::run(&mut stranger, &statements).unwrap_err();
    assert_eq!((kind(&error), sqlstate(&error)), (Kind::Denied, Some("42501")), "{error:#}");
    // All of it or nothing.
    assert_eq!(PublishedTables::ask(&mut stranger, &names()).unwrap(), PublishedTables::default());
    let mut holder = settings_as(logical(), &database, "holder").connect("pgbk test").unwrap();
    assert!(publication::require_owned(&CaptureCandidate::list(&mut holder).unwrap()).is_ok());
    assert_eq!(in_step(&mut holder), 3);
}
