//! The connection keeps the rules of all connections.

use super::{Login, PLAIN, Source, logical, transaction};
use pgbk::format::lsn::Lsn;
use pgbk::postgres::connect::settings::ConnectionSettings;
use support::cluster::{PATIENCE, USER};
use support::process::until;

/// How the server sees the connection: whether with TLS, and from where.
fn seen(settings: &ConnectionSettings) -> (String, String) {
    let mut connection = settings.open_for_replication("pgbk test").unwrap_or_else(|error| panic!("{error:#}"));
    let query = "SELECT ssl, backend_type, application_name FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                 WHERE pid = pg_backend_pid()";
    let row = connection.query(query).unwrap().remove(0);
    assert_eq!((row[1].as_deref(), row[2].as_deref()), (Some("walsender"), Some("pgbk test")));
    let identity = connection.identify().unwrap();
    assert_eq!(
        identity.system_identifier,
        logical().psql("postgres", "SELECT system_identifier FROM pg_control_system()")
    );
    assert_eq!(connection.query("SHOW search_path").unwrap()[0][0].as_deref(), Some(""));
    (row[0].clone().unwrap(), identity.database)
}

#[test]
fn it_is_made_with_and_without_tls_and_by_socket() {
    let (root, socket, database) = (logical().tls("ca.crt"), logical().socket(), logical().database("by_all_ways"));
    let verified = [("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", &*root), ("PGCHANNELBINDING", "require")];
    let lists = [("PGSSLMODE", "allow"), ("PGTARGETSESSIONATTRS", "primary")];
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let ways: [(&str, Variables<'_>, &str); 5] = [
        ("127.0.0.1", PLAIN, "f"),
        ("127.0.0.1", &verified, "t"),
        ("localhost", &verified, "t"),
        (&socket, PLAIN, "f"),
        // Hosts are tried one after the other.
        ("/nowhere,127.0.0.1", &lists, "f"),
    ];
    for (host, variables, tls) in ways {
        let settings = Login { host, port: logical().port, user: USER, variables }.to(&database);
        assert_eq!(seen(&settings), (tls.to_owned(), database.clone()), "{host} {variables:?}");
    }
}

#[test]
fn a_server_that_cannot_be_trusted_is_refused() {
    let other = logical().tls("other.crt");
    let refused = |variables: &[(&str, &str)]| {
        let settings = Login { host: "127.0.0.1", port: logical().port, user: USER, variables }.to("postgres");
        format!("{:#}", settings.open_for_replication("pgbk test").err().expect("a refusal"))
    };
    let error = refused(&[("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", &other)]);
    assert!(error.contains("no TLS with"), "{error}");
    let error = refused(&[("PGSSLMODE", "disable"), ("PGCHANNELBINDING", "require")]);
    assert!(error.contains("channel binding"), "{error}");
}

#[test]
fn a_client_certificate_opens_the_door() {
    let (certificate, key) = (logical().tls("client.crt"), logical().tls("client.key"));
    logical().psql("postgres", "CREATE ROLE only_certificate LOGIN REPLICATION");
    let own = [("PGSSLMODE", "require"), ("PGSSLCERT", &*certificate), ("PGSSLKEY", &*key)];
    let login = Login { host: "127.0.0.1", port: logical().port, user: "only_certificate", variables: &own };
    let mut connection = login.to("postgres").open_for_replication("pgbk test").unwrap_or_else(|e| panic!("{e:#}"));
    assert_eq!(connection.identify().unwrap().timeline, 1);
    let without = Login { variables: &own[..1], ..login };
    assert!(without.to("postgres").open_for_replication("pgbk test").is_err());
}

#[test]
fn changes_come_through_tls_as_they_are() {
    let source = Source::new("by_tls");
    let require = [("PGSSLMODE", "require")];
    let settings = Login { host: "127.0.0.1", port: logical().port, user: USER, variables: &require }.to(&source.name);
    let connection = settings.open_for_replication("pgbk test").unwrap();
    let mut stream = connection.stream(&source.slot, Lsn(0), &source.publications).unwrap();
    source.sql("INSERT INTO t SELECT i, repeat('x', 5000) FROM generate_series(1, 2000) i");
    source.sql(&format!("INSERT INTO t VALUES (0, repeat('y', {}))", 40 << 20));
    let seen = transaction(&mut stream);
    assert_eq!(seen.messages.len(), 2003);
    let seen = transaction(&mut stream);
    assert!(seen.messages.iter().any(|message| message.len() > 40 << 20));
    stream.confirm(seen.end, seen.end).unwrap();
    assert!(until(PATIENCE, || source.state().confirmed == Some(seen.end)));
}
