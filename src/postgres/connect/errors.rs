//! Explains why a connection was not made, and what to change.

use crate::base::error::{self, Fault};
use crate::postgres::connect::transport::gauge::MessageExcess;
use crate::postgres::connect::transport::last_word::LastWord;
use postgres::error::{DbError, SqlState};
use std::error::Error;
use std::io;
use std::time::Duration;

/// The server, database and user of a connection that failed.
pub struct ConnectionTarget<'a> {
    pub at: String,
    pub database: &'a str,
    pub user: &'a str,
    /// Prefix of pgbk's own variables for this server, such as `DB`.
    pub named: &'a str,
}

impl ConnectionTarget<'_> {
    fn password(&self) -> String {
        let name = self.named;
        format!("set {name}_PASSWORD, or {name}_PASSWORD_FILE, or a line in the password file (PGPASSFILE, ~/.pgpass)")
    }

    fn is_running(&self) -> String {
        format!("is the server running there, and do {0}_HOST and {0}_PORT name it?", self.named)
    }

    fn is_stranger(&self) -> String {
        format!("is this a PostgreSQL server, and is it the one that {0}_HOST and {0}_PORT should name?", self.named)
    }
}

const TLS: &str = "PGSSLMODE says how much TLS is asked for, PGSSLROOTCERT which authority is trusted";

pub fn fault(place: &ConnectionTarget, error: &postgres::Error, ignored: Option<String>) -> Fault {
    if let Some(answer) = error.as_db_error() {
        return refused(place, answer);
    }
    let at = &place.at;
    if let Some(excess) = MessageExcess::of(error) {
        return Fault::failed(excess.to_string()).hint(place.is_stranger());
    }
    let cause = error.source().map_or_else(|| error.to_string(), chain);
    if cause.contains("password missing") {
        let why = ignored.map(|why| format!(" ({why})")).unwrap_or_default();
        let message = format!("{at} asks for the password of user \"{}\", and none is set{why}", place.user);
        return Fault::failed(message).hint(place.password());
    }
    if is_tls(error) {
        return Fault::failed(format!("no TLS with {at}: {cause}")).hint(TLS);
    }
    let io = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    match io.map(io::Error::kind) {
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            Fault::failed(format!("{at} closed the connection: {cause}"))
                .hint(place.is_stranger() + " Its log may say more")
        }
        _ if is_no_protocol(error, io) => {
            Fault::failed(format!("what answers at {at} is no PostgreSQL server: {cause}")).hint(place.is_stranger())
        }
        Some(_) => Fault::failed(format!("cannot connect to {at}: {cause}")).hint(place.is_running()),
        None => Fault::failed(format!("cannot connect to {at} as \"{}\": {cause}", place.user)),
    }
}

/// Returns whether the driver could not understand what it received. The driver names the kind of its errors in their text alone.
fn is_no_protocol(error: &postgres::Error, io: Option<&io::Error>) -> bool {
    let broken = matches!(
        io.map(io::Error::kind),
        Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other)
    );
    let text = error.to_string();
    text.contains("unexpected message") || broken && !text.contains("authentication")
}

pub fn silent(place: &ConnectionTarget, limit: Duration) -> Fault {
    Fault::failed(format!("{} did not answer within {} s", place.at, limit.as_secs()))
        .hint("a firewall may drop the packets; PGCONNECT_TIMEOUT sets how long to wait")
}

/// Returns the fault of a host that accepted the connection, but did not answer as a PostgreSQL server.
pub fn mute(place: &ConnectionTarget, limit: Duration) -> Fault {
    Fault::failed(format!(
        "{} took the connection, but did not answer within {} s as a PostgreSQL server would",
        place.at,
        limit.as_secs()
    ))
    .hint(place.is_stranger() + " PGCONNECT_TIMEOUT sets how long to wait")
}

pub fn unknown_host(host: &str, error: &io::Error) -> Fault {
    let fault = Fault::failed(format!("cannot find host \"{host}\": {error}"));
    match host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)) {
        Some((name, port)) => {
            let name = name.trim_start_matches('[').trim_end_matches(']');
            fault.hint(format!("put the port into DB_PORT: DB_HOST={name} DB_PORT={port}"))
        }
        None => fault.hint("DB_HOST names the server"),
    }
}

/// Returns the decisive fault, with the messages of the attempts before it.
pub fn after(before: Vec<String>, last: Fault) -> Fault {
    if before.is_empty() {
        return last;
    }
    let fault = Fault::new(last.kind(), format!("{last} (before that: {})", before.join("; ")));
    match error::hints(&last.into()).first() {
        Some(hint) => fault.hint(*hint),
        None => fault,
    }
}

/// Returns whether a connection failed on TLS. The driver does not make the kind of its errors public, so their text is compared.
pub fn is_tls(error: &postgres::Error) -> bool {
    if MessageExcess::of(error).is_some() {
        return false;
    }
    let Some(cause) = error.source() else { return error.to_string().contains("TLS") };
    // A line that breaks while the server is asked for TLS says nothing about it.
    cause.to_string().contains("TLS") || (error.to_string().contains("TLS") && !cause.is::<io::Error>())
}

/// Returns the server's message, which may be its last word before it ended the session; if there is none, the driver's with its
/// causes.
pub fn said(error: &postgres::Error) -> String {
    error.as_db_error().map_or_else(|| chain(error), |answer| answer.message().to_owned())
}

/// Returns the server's SQLSTATE, which may be that of its last word before it ended the session. `None`: no server has refused anything.
pub(crate) fn code(error: &postgres::Error) -> Option<&str> {
    error.code().map(SqlState::code).or_else(|| Some(&*LastWord::of(error)?.sqlstate))
}

/// Turns a driver's error into one with the server's message. The driver's own text is only "db error".
pub fn explain(error: &postgres::Error) -> anyhow::Error {
    let said = said(error);
    match code(error) {
        Some(code) => Fault::failed(format!("the server says: {said}")).with_sqlstate(code).into(),
        None => Fault::failed(said).into(),
    }
}

fn refused(place: &ConnectionTarget, answer: &DbError) -> Fault {
    let ConnectionTarget { at, database, user, named } = place;
    let said = answer.message();
    if let Some(fault) = pooler(place, said) {
        return fault;
    }
    match *answer.code() {
        SqlState::INVALID_CATALOG_NAME => Fault::not_found(format!("database \"{database}\" does not exist on {at}"))
            .hint("DB_NAME names the database; psql -l lists them"),
        SqlState::INVALID_PASSWORD => {
            Fault::failed(format!("{at} refused the password of user \"{user}\"")).hint(place.password())
        }
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            Fault::failed(format!("{at} refused user \"{user}\" for database \"{database}\": {said}"))
                .hint(format!("{named}_USER names the role; the server's pg_hba.conf says who may come from where, and whether with TLS (PGSSLMODE)"))
        }
        SqlState::INSUFFICIENT_PRIVILEGE if is_about_replication(said) => {
            Fault::failed(format!("{at} refused user \"{user}\" for replication: {said}")).hint(format!(
                "ALTER ROLE \"{user}\" REPLICATION; managed servers grant a role for it, such as rds_replication"
            ))
        }
        SqlState::TOO_MANY_CONNECTIONS if said.contains("max_wal_senders") => {
            Fault::failed(format!("{at} has no free connection for replication: {said}"))
                .hint("raise max_wal_senders and restart the server")
        }
        SqlState::TOO_MANY_CONNECTIONS => Fault::failed(format!("{at} has no free connection: {said}"))
            .hint("a backup needs two or three; raise max_connections or the role's connection limit"),
        _ => Fault::failed(format!("{at} refused user \"{user}\" for database \"{database}\": {said}")),
    }
}

/// Returns whether a server refused a role that may connect, but not for replication. The words are those of 12 to 15, and of 16 on.
fn is_about_replication(said: &str) -> bool {
    said.contains("walsender") || said.contains("WAL sender")
}

/// Returns the fault for an answer of PgBouncer's, which answers before any server does and in its own words. `None` if it is not
/// one.
fn pooler(place: &ConnectionTarget, said: &str) -> Option<Fault> {
    let ConnectionTarget { at, database, user, .. } = place;
    let direct = "connect to the server itself in DB_HOST and DB_PORT";
    if said.starts_with("no such database") {
        let message = format!("the connection pool at {at} knows no database \"{database}\"");
        return Some(Fault::not_found(message).hint(format!("add it to the pool's [databases], or {direct}")));
    }
    if said.starts_with("no such user") || said.starts_with("SASL authentication failed") {
        let message = format!("the connection pool at {at} refused the password of user \"{user}\": {said}");
        return Some(Fault::failed(message).hint(place.password()));
    }
    if said.contains("unsupported startup parameter: replication") {
        let message = format!("the connection pool at {at} does not pass replication on: {said}");
        return Some(Fault::usage(message).hint(direct));
    }
    if said.contains("unsupported startup parameter") {
        let message = format!("the connection pool at {at} refused a setting: {said}");
        return Some(Fault::usage(message).hint(format!("unset PGOPTIONS, or {direct}")));
    }
    let own = ["bouncer config error", "server_login_retry", "server login has been failing", "query_wait_timeout"];
    own.iter().any(|text| said.contains(text)).then(|| {
        Fault::failed(format!("the connection pool at {at} has no server for database \"{database}\": {said}"))
            .hint(format!("look at the pool's log, or {direct}"))
    })
}

/// Returns an error's text with those of its causes, or what the server said last if that ended the session.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    if let Some(word) = LastWord::of(error) {
        return word.to_string();
    }
    if error.downcast_ref().is_some_and(postgres::Error::is_closed) {
        return "the server closed the connection and gave no reason; its log may give one".to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
