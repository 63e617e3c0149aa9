//! The control connection of a backup: it asks about the server, holds the lock, and keeps the snapshot to the end.

use crate::base::cancel;
use crate::base::error::{Fault, Kind, Result, kind};
use crate::format::changes::replication_names::SlotName;
use crate::format::lsn::Lsn;
use crate::format::manifest::properties::Properties;
use crate::postgres::connect::OpenConnection;
use crate::postgres::connect::preamble::{self, InitialSession};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::properties;
use crate::postgres::scratch::server::PREFIX as SCRATCH;
use crate::postgres::session::cell::cell;
use crate::postgres::session::connection::TimedConnection;
use crate::postgres::session::moment::Moment;
use crate::postgres::session::privileges::UnreadableObject;
use crate::postgres::session::query::{first, guarded, permitted, rows, text};
use crate::postgres::session::quote::literal;
use crate::postgres::session::snapshot_tables::{SnapshotTable, snapshot_tables};
use crate::postgres::session::{changes, dump_omissions, pooler_check, privileges};
use anyhow::Context;
use jiff::Timestamp;
use postgres::Client;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

pub struct Control {
    line: TimedConnection,
    settings: ConnectionSettings,
    server: ServerInfo,
    snapshot: Option<Snapshot>,
    /// Whether a setting for all roles makes sessions another role than the login; see [`InitialSession`].
    other_role: bool,
}

#[derive(Debug, Clone)]
pub struct ServerInfo {
    /// Such as `15.18`, without the packager's additions.
    pub version: String,
    pub version_num: u32,
    pub major: u32,
    pub encoding: String,
    /// `None` if the role may not ask.
    pub system_identifier: Option<String>,
    pub in_recovery: bool,
    /// `None` if the role may not ask.
    pub timeline: Option<u32>,
    /// Settings that the text of values depends on.
    pub session: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The name for `pg_dump --snapshot`.
    pub name: String,
    pub pg_snapshot: String,
    pub lsn: Option<String>,
    /// Where the next record of the log began, after the snapshot was taken; `None` on a standby, which writes none.
    pub insert_lsn: Option<Lsn>,
    pub timeline: Option<u32>,
    /// Time of the snapshot by the server's clock.
    pub taken_at: Timestamp,
}

/// The session that holds a lock.
struct Holder {
    /// Its process, application, role, start and host, for messages.
    who: String,
    /// Whether it is a run of pgbk as the same role.
    run: bool,
}

/// First half of the key of pgbk's advisory locks: "pgbk" in ASCII. The second half says what is locked.
const LOCK: u32 = 0x7067_626b;

/// Names what only one run at a time may back up; the number is the second half of the lock's key.
#[derive(Debug, Clone, Copy)]
pub enum AdvisoryLock {
    Database = 1,
    Globals = 2,
}

/// Pause between two attempts to take a lock.
const AGAIN: Duration = Duration::from_millis(200);

pub(crate) const APPLICATION: &str = "pgbk";

impl Control {
    /// Connects. Refuses a connection pool that shares server connections, on which neither lock nor snapshot would hold.
    pub fn open(settings: &ConnectionSettings) -> Result<Control> {
        let OpenConnection { client, endpoint, before } = settings.open(APPLICATION)?;
        let settings = settings.at(&endpoint);
        let (mut line, place, other_role) = (TimedConnection::new(client), settings.clone(), before.other_role);
        let server = line.ask(move |client| {
            pooler_check::refuse(client, &place)?;
            ServerInfo::ask(client, before).with_context(|| format!("ask {} what it is", place.describe()))
        })?;
        Ok(Control { line, settings, server, snapshot: None, other_role })
    }

    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// Returns the settings that lead to this connection's server. A dump must use these: no other server knows the snapshot.
    pub fn settings(&self) -> &ConnectionSettings {
        &self.settings
    }

    /// Returns the settings for `pg_dump`, which lead to this connection's server. Updates [`Control::server`] with the settings by
    /// which the dump's session writes text: a pool may take no settings with a connection, and then the role's and the database's
    /// hold.
    pub fn for_dump(&mut self) -> Result<ConnectionSettings> {
        let mut session = preamble::for_writing(self.server.major);
        session.extend(self.other_role.then(preamble::as_logged_in));
        let wanted = self.settings.with_session(&session);
        let (settings, opened) = match wanted.open(APPLICATION) {
            Err(error) if kind(&error) == Kind::Usage => (self.settings.clone(), self.settings.open(APPLICATION)?),
            opened => (wanted, opened?),
        };
        self.server.session = opened.before.session;
        Ok(settings)
    }

    /// Returns the database's size on the server's disk, in bytes.
    pub fn size(&mut self) -> Result<u64> {
        Ok(self.ask("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())".to_owned())?.parse()?)
    }

    fn ask(&mut self, query: String) -> Result<String> {
        self.line.ask(move |client| text(client, &query))
    }

    /// Takes the lock that keeps a second run from the same backup, until the connection ends. It is an error of kind `Busy` if
    /// another run holds it. Never waits.
    pub fn lock(&mut self, lock: AdvisoryLock) -> Result<()> {
        let (class, object) = (LOCK, lock as u32);
        match self.ask(format!("SELECT pg_catalog.pg_try_advisory_lock({class}, {object})"))?.as_str() {
            "t" => Ok(()),
            _ => {
                let found = self.holder(lock)?;
                if let Some(Holder { who, run: false }) = &found {
                    return Err(self.squatted(lock, who).into());
                }
                let holder = found.map_or_else(|| "another run that has just ended".to_owned(), |holder| holder.who);
                let what = match lock {
                    AdvisoryLock::Database => format!("database \"{}\" is", self.settings.database()),
                    AdvisoryLock::Globals => "the globals are".to_owned(),
                };
                let message = format!("{what} being backed up by {holder}");
                Err(Fault::new(Kind::Busy, message)
                    .hint("wait for it to end, or end it with pg_terminate_backend")
                    .into())
            }
        }
    }

    /// Takes the lock, and waits for a run that holds it for at most `patience`. For locks that are held briefly.
    pub fn lock_within(&mut self, lock: AdvisoryLock, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            cancel::check()?;
            match self.lock(lock) {
                Err(error) if kind(&error) == Kind::Busy && begun.elapsed() < patience => cancel::wait(AGAIN),
                taken => return taken,
            }
        }
    }

    /// Returns the fault for a lock that a stranger holds. Any role that may connect may take any advisory lock, so that this does
    /// not count as another run of pgbk: the backup fails.
    fn squatted(&self, lock: AdvisoryLock, who: &str) -> Fault {
        let what = match lock {
            AdvisoryLock::Database => format!("database \"{}\"", self.settings.database()),
            AdvisoryLock::Globals => "the globals".to_owned(),
        };
        Fault::failed(format!("{what} cannot be backed up: pgbk's lock is held by {who}, which is no run of pgbk as this role"))
            .hint("end it with pg_terminate_backend, and see that only who must may connect: REVOKE CONNECT ON DATABASE … FROM PUBLIC")
    }

    /// Returns the holder of the lock; the server shows less about other roles' sessions. `None` if it is free by now.
    fn holder(&mut self, lock: AdvisoryLock) -> Result<Option<Holder>> {
        let (class, object) = (LOCK, lock as u32);
        let query = format!(
            "SELECT l.pid, a.application_name, pg_catalog.date_trunc('second', a.backend_start),
                 pg_catalog.host(a.client_addr), a.usename,
                 a.usename = session_user AND a.application_name IN ('{APPLICATION}', pg_catalog.current_setting('application_name'))
             FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
             WHERE l.locktype = 'advisory' AND l.classid = {class} AND l.objid = {object} AND l.objsubid = 2 AND l.granted
               AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) LIMIT 1"
        );
        Ok(self.line.ask(move |client| first(client, &query))?.map(|row| {
            let part = |index, before: &str| match cell(&row, index) {
                Some(value) if !value.is_empty() => format!("{before}{value}"),
                _ => String::new(),
            };
            let process = cell(&row, 0).unwrap_or("?");
            let (name, role) = (part(1, ", application "), part(4, ", role "));
            let who = format!("server process {process}{name}{role}{}{}", part(2, ", since "), part(3, ", from "));
            Holder { who, run: cell(&row, 5) == Some("t") }
        }))
    }

    /// Returns the time by the server's clock.
    pub fn now(&mut self) -> Result<Timestamp> {
        Ok(Timestamp::from_microsecond(self.ask(format!("SELECT {MICROSECONDS}"))?.parse()?)?)
    }

    /// Returns whether this role may read the passwords of roles, which managed servers do not show.
    pub fn reads_passwords(&mut self) -> Result<bool> {
        Ok(self.ask("SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')".to_owned())? == "t")
    }

    pub fn has_database(&mut self, name: &str) -> Result<bool> {
        let query = format!("SELECT pg_catalog.count(*) FROM pg_catalog.pg_database WHERE datname = {}", literal(name));
        Ok(self.ask(query)? != "0")
    }

    /// Begins the transaction whose snapshot every part of the dump sees. It stays open until the connection ends or this is called
    /// again, which ends the transaction before.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        let ServerInfo { version_num, in_recovery, timeline, .. } = self.server;
        let lsn = match (in_recovery, version_num >= 100_000) {
            (false, true) => "pg_catalog.pg_current_wal_lsn()",
            (false, false) => "pg_catalog.pg_current_xlog_location()",
            (true, true) => "pg_catalog.pg_last_wal_replay_lsn()",
            (true, false) => "pg_catalog.pg_last_xlog_replay_location()",
        };
        let current = if version_num >= 130_000 { "pg_current_snapshot" } else { "txid_current_snapshot" };
        let insert = insert_position(in_recovery, version_num);
        let query =
            format!("SELECT pg_catalog.pg_export_snapshot(), pg_catalog.{current}(), {lsn}, {MICROSECONDS}, {insert}");
        let again = self.snapshot.take().is_some();
        let row = self.line.ask(move |client| {
            if again {
                client.batch_execute("ROLLBACK").context("end the snapshot before")?;
            }
            client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").context("begin the snapshot")?;
            if version_num >= 110_000 {
                // Queries of the catalog are long, and compiled for longer than they run.
                client.batch_execute("SET LOCAL jit = off").context("begin the snapshot")?;
            }
            first(client, &query).context("export a snapshot")
        })?;
        let value = |index: usize| row.as_ref().and_then(|row| cell(row, index)).map(str::to_owned);
        let wanted = |index| value(index).ok_or_else(|| Fault::failed("the server exported no snapshot"));
        let taken_at = Timestamp::from_microsecond(wanted(3)?.parse()?)?;
        let insert_lsn = value(4).and_then(|text| text.parse().ok());
        let snapshot =
            Snapshot { name: wanted(0)?, pg_snapshot: wanted(1)?, lsn: value(2), insert_lsn, timeline, taken_at };
        self.snapshot = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// Runs a query in the transaction of [`Control::snapshot`]. If the server has ended that transaction, the error says so.
    pub(crate) fn ask_within<T: Send + 'static>(
        &mut self,
        question: impl FnOnce(&mut Client) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.line.ask(move |client| {
            question(client).map_err(|error| match client.is_valid(SAYS_SO) {
                Ok(()) => error,
                Err(_) => error.context(lost()),
            })
        })
    }

    /// Fails unless the transaction of [`Control::snapshot`] is still the one of this connection. A transaction's `now()` is
    /// the time at which it began, so another one would give another time.
    pub fn alive(&mut self) -> Result<()> {
        let begun = self.ask_within(|client| text(client, &format!("SELECT {MICROSECONDS}")))?;
        let held = self.snapshot.as_ref().map(|snapshot| snapshot.taken_at.as_microsecond().to_string());
        if held.as_deref() == Some(begun.as_str()) { Ok(()) } else { Err(lost().into()) }
    }

    /// Returns where the next record of the log begins now; `None` on a standby, which writes none.
    pub fn insert_lsn(&mut self) -> Result<Option<Lsn>> {
        let insert = insert_position(self.server.in_recovery, self.server.version_num);
        let query = format!("SELECT {insert}");
        let row = self.ask_within(move |client| first(client, &query))?;
        Ok(row.as_ref().and_then(|row| cell(row, 0)).and_then(|text| text.parse().ok()))
    }

    /// Returns whether the server has a replication slot of this database with this name.
    pub fn has_slot(&mut self, slot: &SlotName) -> Result<bool> {
        let query = format!(
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots
             WHERE slot_name = {} AND database = pg_catalog.current_database()",
            literal(slot.as_str())
        );
        Ok(self.ask(query)? != "0")
    }

    /// Returns the properties of the database itself, as of [`Control::snapshot`].
    pub fn properties(&mut self) -> Result<Properties> {
        let version_num = self.server.version_num;
        self.ask_within(move |client| properties::read_within(client, version_num))
    }

    /// Returns the tables as of [`Control::snapshot`], by their numbers.
    pub(crate) fn snapshot_tables(&mut self) -> Result<HashMap<u32, SnapshotTable>> {
        self.ask_within(|client| guarded(client, snapshot_tables))
    }

    /// Returns the names of what changed since the snapshot was taken; see [`changed`].
    pub fn changed(&mut self, moment: Moment) -> Result<Vec<String>> {
        self.ask_within(move |client| changes::since_snapshot(client, moment))
    }

    /// Returns what a dump by this role leaves out although it succeeds; with `all`, also what pg_dump reports itself.
    pub fn omitted(&mut self, all: bool) -> Result<Vec<String>> {
        self.line.ask(move |client| dump_omissions::omitted(client, all))
    }

    /// Returns what would make a dump by this role fail.
    pub fn unreadable(&mut self) -> Result<Vec<UnreadableObject>> {
        self.line.ask(privileges::unreadable)
    }
}

/// Opens a control connection for what belongs to no database.
pub(crate) fn of_server(settings: &ConnectionSettings) -> Result<Control> {
    // One of the two is on every server.
    match Control::open(&settings.for_database("postgres")) {
        Err(error) if kind(&error) == Kind::NotFound => Control::open(&settings.for_database("template1")),
        opened => opened,
    }
}

/// Returns the names of a server's databases that accept connections and are no templates. It includes databases that this role may
/// not connect to: to leave them out would hide that they are not backed up.
pub(crate) fn databases(settings: &ConnectionSettings) -> Result<Vec<String>> {
    // A limit of -2 marks what an interrupted DROP DATABASE has left.
    // What is being proven is no database of anybody's.
    let query = format!(
        "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2
             AND datname !~ '^{SCRATCH}[0-9a-f]{{8}}$' ORDER BY datname"
    );
    let rows = of_server(settings)?.line.ask(move |client| rows(client, &query))?;
    Ok(rows.iter().filter_map(|row| cell(row, 0)).map(str::to_owned).collect())
}

/// Longest wait for a sign of life after a refused query: a server answers the next one at once unless it has ended the session.
const SAYS_SO: Duration = Duration::from_secs(5);

fn lost() -> Fault {
    Fault::failed("the transaction that held the dump's snapshot is gone").hint("the server's log says who ended it")
}

/// Returns the expression for where the next record of the log begins.
fn insert_position(in_recovery: bool, version_num: u32) -> &'static str {
    match in_recovery || version_num < 100_000 {
        true => "NULL",
        false => "pg_catalog.pg_current_wal_insert_lsn()",
    }
}

const MICROSECONDS: &str = "(EXTRACT(epoch FROM pg_catalog.now()) * 1000000)::pg_catalog.int8";

impl ServerInfo {
    fn ask(client: &mut Client, InitialSession { version_num, session, .. }: InitialSession) -> Result<ServerInfo> {
        let version = text(client, "SHOW server_version")?;
        let in_recovery = text(client, "SELECT pg_catalog.pg_is_in_recovery()")? == "t";
        let timeline = match (in_recovery, version_num >= 100_000) {
            // A segment's name begins with its timeline.
            (false, true) => permitted(
                client,
                "SELECT pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)",
            )?
            .and_then(|digits| u32::from_str_radix(&digits, 16).ok()),
            _ => permitted(client, "SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()")?
                .and_then(|number| number.parse().ok()),
        };
        Ok(ServerInfo {
            version: version.split_whitespace().next().unwrap_or_default().to_owned(),
            version_num,
            major: version_num / 10_000,
            encoding: text(client, "SHOW server_encoding")?,
            system_identifier: permitted(client, "SELECT system_identifier FROM pg_catalog.pg_control_system()")?,
            in_recovery,
            timeline,
            session,
        })
    }
}
