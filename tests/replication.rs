//! Changes streamed out of real servers by the protocol of replication.

mod conditions;
mod excess;
mod memory;
mod refusals;
mod transport;

use pgbk::base::secret::Secret;
use pgbk::format::changes::replication_names::{PublicationName, SlotName};
use pgbk::format::lsn::Lsn;
use pgbk::postgres::connect::settings::{ConnectionOverrides, ConnectionSettings};
use pgbk::postgres::replication::change_stream::ChangeStream;
use pgbk::postgres::replication::replication_connection::{ReplicationConnection, SlotOptions};
use pgbk::postgres::replication::slot::SlotState;
use pgbk::postgres::replication::stream_message::StreamMessage;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use support::cluster::{Cluster, PASSWORD, PATIENCE, USER};
use support::process::until;

const SECOND: Duration = Duration::from_secs(1);

/// The server of this test process whose log holds changes.
fn logical() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        Cluster::start_set(&[
            "wal_level=logical",
            "max_replication_slots=60",
            "max_wal_senders=60",
            "max_connections=120",
        ])
    })
}

/// Where to connect, and as whom.
struct Login<'a> {
    host: &'a str,
    port: u16,
    user: &'a str,
    variables: &'a [(&'a str, &'a str)],
}

impl Login<'_> {
    fn to(&self, database: &str) -> ConnectionSettings {
        let given = ConnectionOverrides {
            host: Some(self.host.to_owned()),
            port: Some(self.port),
            user: Some(self.user.to_owned()),
            password: Some(Secret::new(PASSWORD.to_owned())),
            named: None,
        };
        let found =
            |name: &str| self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        ConnectionSettings::resolve(given, &found).unwrap().for_database(database)
    }
}

const PLAIN: &[(&str, &str)] = &[("PGSSLMODE", "disable")];

fn settings_as(cluster: &Cluster, database: &str, user: &str) -> ConnectionSettings {
    Login { host: "127.0.0.1", port: cluster.port, user, variables: PLAIN }.to(database)
}

fn settings(cluster: &Cluster, database: &str) -> ConnectionSettings {
    settings_as(cluster, database, USER)
}

fn at_port(port: u16, database: &str) -> ConnectionSettings {
    Login { host: "127.0.0.1", port, user: USER, variables: PLAIN }.to(database)
}

fn connect(cluster: &Cluster, database: &str) -> ReplicationConnection {
    settings(cluster, database).open_for_replication("pgbk test").unwrap_or_else(|error| panic!("{error:#}"))
}

/// A database with a table, a publication of it and a slot, all of the same name.
struct Source {
    cluster: &'static Cluster,
    name: String,
    slot: SlotName,
    publications: Vec<PublicationName>,
}

impl Source {
    fn new(hint: &str) -> Source {
        Source::on(logical(), hint, "")
    }

    /// The same on this server, with more behind `CREATE DATABASE`.
    fn on(cluster: &'static Cluster, hint: &str, options: &str) -> Source {
        let name = cluster.database(hint);
        if !options.is_empty() {
            cluster.psql("postgres", &format!("DROP DATABASE \"{name}\""));
            cluster.psql("postgres", &format!("CREATE DATABASE \"{name}\" {options}"));
        }
        cluster.psql(&name, "CREATE TABLE t (id bigint PRIMARY KEY, v text)");
        cluster.psql(&name, "CREATE PUBLICATION changes FOR TABLE t");
        let slot: SlotName = name.parse().unwrap();
        connect(cluster, &name).create_slot(&slot, SlotOptions::default(), PATIENCE).unwrap();
        Source { cluster, name, slot, publications: vec!["changes".parse().unwrap()] }
    }

    fn sql(&self, sql: &str) -> String {
        self.cluster.psql(&self.name, sql)
    }

    fn insert(&self, id: u32) {
        self.sql(&format!("INSERT INTO t VALUES ({id}, 'value {id}')"));
    }

    fn open(&self, from: Lsn) -> anyhow::Result<ChangeStream> {
        connect(self.cluster, &self.name).stream(&self.slot, from, &self.publications)
    }

    fn stream(&self, from: Lsn) -> ChangeStream {
        self.open(from).unwrap_or_else(|error| panic!("{error:#}"))
    }

    fn state(&self) -> SlotState {
        let mut client = settings(self.cluster, &self.name).connect("pgbk test").unwrap();
        SlotState::find(&mut client, &self.slot).unwrap().expect("the slot")
    }

    fn is_idle(&self) -> bool {
        self.state().active_pid.is_none()
    }
}

/// What one transaction was: the plugin's messages, of which the first byte tells the kind, and its end.
struct Transaction {
    messages: Vec<Vec<u8>>,
    end: Lsn,
}

impl Transaction {
    fn kinds(&self) -> String {
        self.messages.iter().map(|message| char::from(message[0])).collect()
    }

    fn has(&self, bytes: &[u8]) -> bool {
        self.messages.iter().any(|message| message.windows(bytes.len()).any(|part| part == bytes))
    }
}

/// Reads to the end of the next transaction.
fn transaction(stream: &mut ChangeStream) -> Transaction {
    let (begun, mut messages) = (Instant::now(), Vec::new());
    while begun.elapsed() < PATIENCE {
        if let StreamMessage::Data { bytes, .. } = stream.next(SECOND).unwrap_or_else(|error| panic!("{error:#}")) {
            messages.push(bytes.to_vec());
            if bytes[0] == b'C' {
                let end = Lsn(u64::from_be_bytes(bytes[10..18].try_into().unwrap()));
                return Transaction { messages, end };
            }
        }
    }
    panic!("no transaction came");
}

/// Reads until the stream fails.
fn failure(stream: &mut ChangeStream) -> anyhow::Error {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Err(error) = stream.next(SECOND) {
            return error;
        }
    }
    panic!("the stream did not fail");
}

/// Asks where the stream stands until it is there.
fn passes(stream: &mut ChangeStream, position: Lsn) {
    let begun = Instant::now();
    stream.ask().unwrap();
    while begun.elapsed() < PATIENCE {
        match stream.next(SECOND).unwrap_or_else(|error| panic!("{error:#}")) {
            StreamMessage::Keepalive { wal_end, .. } if wal_end >= position => return,
            StreamMessage::Data { bytes, .. } => panic!("data came: {bytes:?}"),
            _ => stream.ask().unwrap(),
        }
    }
    panic!("the stream did not tell that it passed {position}");
}

#[test]
fn changes_come_again_until_they_are_confirmed_and_only_that_moves_the_slot() {
    let source = Source::new("confirmed");
    let before = source.state().confirmed.unwrap();
    source.insert(1);
    let mut first = source.stream(before);
    let seen = transaction(&mut first);
    assert_eq!((seen.kinds().as_str(), seen.has(b"value 1")), ("BRIC", true));
    // The server heard of the client, and of nothing that is kept.
    first.confirm(seen.end, Lsn(0)).unwrap();
    passes(&mut first, seen.end);
    drop(first);
    assert!(until(PATIENCE, || source.is_idle()));
    assert_eq!(source.state().confirmed, Some(before));

    let mut again = source.stream(before);
    assert_eq!(transaction(&mut again).end, seen.end);
    again.confirm(seen.end, seen.end).unwrap();
    assert!(until(PATIENCE, || source.state().confirmed == Some(seen.end)));
    source.insert(2);
    // Nothing that was confirmed is taken back.
    again.confirm(Lsn(1), before).unwrap();
    assert_eq!(again.confirmed(), seen.end);
    drop(again);
    assert!(until(PATIENCE, || source.is_idle()));
    assert_eq!(source.state().confirmed, Some(seen.end));

    // An older position is none to go back to.
    let next = transaction(&mut source.stream(before));
    assert!(next.has(b"value 2") && !next.has(b"value 1"));
}

#[test]
fn a_quiet_stream_tells_its_position_when_asked_and_ends_when_told() {
    let source = Source::new("quiet");
    let mut stream = source.stream(Lsn(0));
    // What no publication lists moves the server's log all the same.
    source.sql("CREATE TABLE other AS SELECT generate_series(1, 1000)");
    let position: Lsn = source.sql("SELECT pg_current_wal_flush_lsn()").parse().unwrap();
    passes(&mut stream, position);
    assert!(stream.silence() < PATIENCE);
    stream.end().unwrap_or_else(|error| panic!("{error:#}"));
    assert!(until(PATIENCE, || source.is_idle()));
}

#[test]
fn messages_of_applications_come_with_the_changes() {
    let source = Source::new("messages");
    let mut stream = source.stream(Lsn(0));
    source
        .sql("BEGIN; INSERT INTO t VALUES (1, 'x'); SELECT pg_logical_emit_message(true, 'pgbk.ddl', 'hello'); COMMIT");
    let seen = transaction(&mut stream);
    assert_eq!((seen.kinds().as_str(), seen.has(b"pgbk.ddl\0")), ("BRIMC", true));
}

#[test]
fn text_comes_as_the_database_holds_it() {
    let source = Source::on(logical(), "latin", "ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'");
    assert_eq!(connect(source.cluster, &source.name).encoding(), "LATIN1");
    let mut stream = source.stream(Lsn(0));
    source.sql("INSERT INTO t VALUES (1, E'Z\\u00fcrich')");
    assert!(transaction(&mut stream).has(b"Z\xfcrich"));
    let foreign = connect(source.cluster, &source.name).stream(&source.slot, Lsn(0), &["ä".parse().unwrap()]);
    assert!(foreign.err().unwrap().to_string().contains("encoding LATIN1"));
}

#[test]
fn values_are_written_the_same_whatever_the_database_and_the_role_set() {
    let source = Source::new("written");
    let name = &source.name;
    for setting in [
        "datestyle = 'german'",
        "timezone = 'Asia/Kolkata'",
        "intervalstyle = 'iso_8601'",
        "extra_float_digits = -5",
        "bytea_output = 'escape'",
        "statement_timeout = '1ms'",
    ] {
        source.cluster.psql("postgres", &format!("ALTER DATABASE {name} SET {setting}"));
    }
    let mut stream = source.stream(Lsn(0));
    source.cluster.psql(
        name,
        "SET statement_timeout = 0; CREATE TABLE w (id int PRIMARY KEY, t timestamptz, i interval, f float8, b bytea);
         ALTER PUBLICATION changes ADD TABLE w",
    );
    source.cluster.psql(
        name,
        "SET statement_timeout = 0; INSERT INTO w VALUES (1, '2026-02-03 04:05:06+00', '1 day', 0.1::float8 + 0.2, '\\x00ff')",
    );
    let seen = transaction(&mut stream);
    for text in ["2026-02-03 04:05:06+00", "1 day", "0.30000000000000004", "\\x00ff"] {
        assert!(seen.has(text.as_bytes()), "{text}");
    }
}

#[test]
fn a_publication_may_have_any_name() {
    let source = Source::new("named");
    let mut stream = None;
    for name in ["Odd, \"name\"", "it's \\ ä; DROP", " "] {
        let quoted = name.replace('"', "\"\"");
        source.sql(&format!("CREATE PUBLICATION \"{quoted}\" FOR TABLE t"));
        let names: Vec<PublicationName> = vec![name.parse().unwrap()];
        drop(stream.take());
        assert!(until(PATIENCE, || source.is_idle()));
        // What is older than a publication cannot be read by it.
        let now = source.sql("SELECT pg_current_wal_flush_lsn()").parse().unwrap();
        let mut opened = connect(source.cluster, &source.name).stream(&source.slot, now, &names).unwrap();
        source.sql("INSERT INTO t SELECT coalesce(max(id), 0) + 1, 'value' FROM t");
        assert_eq!(transaction(&mut opened).kinds(), "BRIC", "{name}");
        stream = Some(opened);
    }
}

#[test]
fn a_client_that_reads_lives_and_one_that_stops_is_left_and_goes_on_later() {
    let source = Source::new("stopped");
    source.cluster.psql("postgres", &format!("ALTER DATABASE {} SET wal_sender_timeout = '1s'", source.name));
    let mut stream = source.stream(Lsn(0));
    let begun = Instant::now();
    while begun.elapsed() < 3 * SECOND {
        assert!(!matches!(stream.next(SECOND).unwrap(), StreamMessage::Data { .. }));
    }
    source.insert(1);
    assert!(transaction(&mut stream).has(b"value 1"));
    source.insert(2);
    assert!(until(PATIENCE, || source.is_idle()), "the server did not leave a client that says nothing");
    let error = failure(&mut stream);
    // What the kernel says depends on what was still on its way.
    let words = ["the server closed the connection and gave no reason", "Connection reset by peer"];
    assert!(words.iter().any(|words| format!("{error:#}").contains(words)), "{error:#}");
    let mut stream = source.stream(Lsn(0));
    assert!(transaction(&mut stream).has(b"value 1"));
    assert!(transaction(&mut stream).has(b"value 2"));
}

#[test]
fn a_promoted_standby_tells_where_its_timeline_began() {
    // One that lets copies be made of it.
    let cluster = Cluster::start_from_set(&logical().bin, &logical().clients, &["wal_level=logical"]);
    let standby = cluster.standby();
    let mut connection = connect(&cluster, "postgres");
    let primary = connection.identify().unwrap();
    assert_eq!((primary.timeline, connection.timeline_history(1).unwrap().len()), (1, 0));
    standby.psql("postgres", "SELECT pg_promote()");
    let mut connection = connect(&standby, "postgres");
    let promoted = connection.identify().unwrap();
    assert_eq!((promoted.timeline, &promoted.system_identifier), (2, &primary.system_identifier));
    let history = connection.timeline_history(2).unwrap();
    assert_eq!((history.len(), history[0].timeline), (1, 1));
    assert!(history[0].end > Lsn(0) && history[0].end <= promoted.flushed);
}
