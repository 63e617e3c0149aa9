//! What is said where a server does not take a change, or answers otherwise than it must.

use super::*;
use pgbk::base::error::{hints, kind};
use pgbk::format::changes::delta_record::{ChangeKind, DeltaRecord, TransactionHead};
use pgbk::format::manifest::encoding::EncodingName;
use pgbk::format::sql::object_name::{ObjectName, TableName};
use pgbk::postgres::restore::replay::Replayer;
use postgres::{Client, NoTls};
use std::collections::BTreeSet;
use support::cluster::{PASSWORD, USER};

/// What is replayed: statements with how many rows each must change, or a block of rows.
enum Sent<'a> {
    Statements(&'a [(&'a [u8], u64)]),
    Rows(&'a str, Vec<u8>, u64),
}

use Sent::{Rows, Statements};

fn connect(database: &str) -> Client {
    let mut config = postgres::Config::new();
    config.host("127.0.0.1").port(cluster().port).user(USER).password(PASSWORD).dbname(database);
    config.connect(NoTls).unwrap()
}

/// Replays records in a transaction that is rolled back. The first of them is on line 8. Returns what is said: the exit code, the message and
/// the hints.
fn refusal(database: &str, encoding: &str, sent: &Sent<'_>) -> (u8, String, String) {
    let mut client = connect(database);
    let mut transaction = client.transaction().unwrap();
    let encoding = EncodingName::named(encoding).unwrap();
    let mut replayer = Replayer::within(&mut transaction, encoding, &BTreeSet::new()).unwrap();
    let [schema, name] = ["public", "t"].map(|name| ObjectName::new(name.as_bytes()).unwrap());
    let table = &TableName { schema, name };
    let head = TransactionHead { xid: 7, commit: Lsn(0x200), commit_time: jiff::Timestamp::UNIX_EPOCH };
    let mut records = vec![DeltaRecord::Begin(head)];
    match sent {
        Statements(statements) => records.extend(statements.iter().map(|(statement, rows)| DeltaRecord::Change {
            kind: ChangeKind::Insert,
            table,
            statement,
            rows: *rows,
        })),
        Rows(statement, bytes, rows) => records.extend([
            DeltaRecord::CopyBegin { table, statement: statement.as_bytes() },
            DeltaRecord::CopyRows(bytes),
            DeltaRecord::CopyEnd { table, rows: *rows },
        ]),
    }
    let taken = (7..).zip(&records).try_for_each(|(line, record)| replayer.take(record, line));
    let error = taken.and_then(|()| replayer.finish().map(drop)).expect_err("a refusal");
    (kind(&error).exit_code(), format!("{error:#}"), hints(&error).join("; "))
}

#[test]
fn a_change_that_the_server_does_not_take_is_named_by_its_line_and_transaction_with_what_to_do() {
    let database = cluster().database("answers");
    cluster().psql(
        &database,
        "CREATE TABLE t (id int PRIMARY KEY);
         CREATE FUNCTION filter() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.id = 666 THEN PERFORM pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid()); END IF;
            IF NEW.id = 13 THEN RETURN NULL; END IF; RETURN NEW; END $$;
         CREATE TRIGGER filtered BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION filter()",
    );
    let insert = |id: &str| format!("INSERT INTO \"public\".\"t\" (\"id\") VALUES ('{id}');").into_bytes();
    let (one, thirteen, last) = (insert("1"), insert("13"), insert("666"));
    let copy = "COPY \"public\".\"t\" (\"id\") FROM stdin;";
    let latin = [&b"INSERT INTO \"public\".\"t\" (\"id\") VALUES ('"[..], b"\xff", b"');"].concat();
    let named = [&b"INSERT INTO \"public\".\"t"[..], b"\xff", b"\" (\"id\") VALUES ('1');"].concat();
    let misfit = "the base and the changes do not fit together";
    let at_line = |line: u64| format!("the change at line {line} of the transaction that commits at 0/200: ");
    let of_transaction = "the transaction that commits at 0/200: line ";
    let many = [b"666\n".to_vec(), b"7\n".repeat(16 << 20)].concat();
    for (encoding, sent, told, more, hint) in [
        // The first runs again, so that the second is found.
        ("UTF8", Statements(&[(&one, 1), (&one, 1)]), format!("{of_transaction}9, INSERT"), "duplicate key", misfit),
        ("UTF8", Rows(copy, b"1\n1\n".to_vec(), 2), format!("{of_transaction}8, COPY"), "duplicate key", misfit),
        ("UTF8", Statements(&[(&one, 1), (&thirteen, 1)]), at_line(9), "it changes 0 and must change 1 row", misfit),
        ("UTF8", Rows(copy, b"1\n13\n".to_vec(), 2), at_line(8), "the server took 1 of 2 rows", "a trigger of the"),
        (
            "UTF8",
            Statements(&[(b"SELECT 1; SELECT 2;", 1), (&one, 1)]),
            at_line(8),
            "from here on 2 statements went to the server, and it answers to 3",
            "connect to the server itself",
        ),
        (
            "SQL_ASCII",
            Statements(&[(&named, 1)]),
            "the changes of a database with encoding SQL_ASCII".to_owned(),
            "hold a name that is not UTF-8",
            "psql replays the changes as they are: the script restore.sh",
        ),
        (
            "EUC_JP",
            Statements(&[(&latin, 1)]),
            "cannot convert the text of changes: ".to_owned(),
            "invalid byte sequence for encoding \"EUC_JP\"",
            "",
        ),
        ("UTF8", Statements(&[(&last, 1)]), "cannot replay changes: ".to_owned(), "", ""),
        // More than a connection holds on its way, so that it is lost while rows are sent.
        ("UTF8", Rows(copy, many, 1), format!("{of_transaction}8, COPY"), "", ""),
    ] {
        let (code, said, hinted) = refusal(&database, encoding, &sent);
        assert_eq!(code, 1, "{said}");
        assert!(said.starts_with(&told) && said.contains(more), "{told} … {more}: {said}");
        assert!(hinted.starts_with(hint) && hinted.is_empty() == hint.is_empty(), "{hint}: {hinted}, of {said}");
    }
    assert_eq!(cluster().psql(&database, "SELECT count(*) FROM t"), "0");
}
