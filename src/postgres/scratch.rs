//! A database for one proof: made under a name of its own, and gone afterwards, however that went.
//!
//! A thread keeps the connection that made it. It drops the database, with whoever is connected to it, when it is told to, when
//! the value goes, and as soon as a signal or a time limit stops the run: a statement that would take hours ends with it.
//! That connection holds a lock for as long as it lives, so that a scratch database whose pgbk was killed is known by its
//! lock being free, and the next proof removes it.

mod cluster;

use super::apart::Apart;
use super::settings::Settings;
use super::shape::{Lacking, Shape};
use super::target::{self, MAINTENANCE};
use crate::error::{Fault, Kind, Result, kind};
use crate::interrupt;
use crate::manifest::ServerNote;
use crate::monitor::Monitor;
use ::postgres::{Client, SimpleQueryMessage};
use cluster::Cluster;
use postgres::error::SqlState;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

/// Eight hexadecimal digits follow.
pub const PREFIX: &str = "pgbk_scratch_";
/// The first half of the lock's key: "pgbk" in ASCII. The second is the number in the name.
const LOCK: u32 = 0x7067_626b;
const APPLICATION: &str = "pgbk verify";

/// Where scratch databases are made.
#[derive(Clone)]
pub enum Place {
    /// On this server.
    Server(Settings),
    /// On a server that is started for it; `settings` know nothing of any other.
    Own { settings: Settings, bin_dir: Option<PathBuf> },
}

pub struct Scratch {
    /// That lead to the database.
    settings: Settings,
    own_server: bool,
    order: Option<Sender<()>>,
    keeper: Option<Apart<Result<()>>>,
    lacking: Lacking,
    /// Stopped once the database is gone.
    _cluster: Option<Cluster>,
}

impl Scratch {
    /// An empty database, in the encoding and locale of the one that the backup is from, as far as the server has them.
    pub fn make(place: &Place, source: Option<&ServerNote>, shape: Shape, monitor: &dyn Monitor) -> Result<Scratch> {
        let (settings, cluster) = match place {
            Place::Server(settings) => (settings.clone(), None),
            Place::Own { settings, bin_dir } => {
                let cluster = Cluster::start(settings, bin_dir.as_deref(), source, monitor)?;
                (cluster.settings().clone(), Some(cluster))
            }
        };
        let (mut client, settings) = open(&settings)?;
        sweep(&mut client, monitor)?;
        let name = name(&mut client)?;
        let (shape, lacking) = shape.fitted(&mut client).map_err(|error| not_made(&settings, &error))?;
        shape.create(&mut client, &name).map_err(|error| not_made(&settings, &error))?;
        let settings = settings.for_database(&name);
        let (order, orders) = channel();
        let keeper = Apart::begin({
            let settings = settings.clone();
            move || keep(client, &settings, &orders)
        });
        let own_server = cluster.is_some();
        Ok(Scratch { settings, own_server, order: Some(order), keeper: Some(keeper), lacking, _cluster: cluster })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn name(&self) -> &str {
        self.settings.database()
    }

    /// What the source has and the server lacks.
    pub fn lacking(&self) -> &Lacking {
        &self.lacking
    }

    /// Whether nobody else uses the server that it is on.
    pub fn is_alone(&self) -> bool {
        self.own_server
    }

    /// For people.
    pub fn describe(&self) -> String {
        match self.own_server {
            true => format!("\"{}\" on a server of its own", self.name()),
            false => format!("\"{}\" on {}", self.name(), self.settings.describe()),
        }
    }

    /// Takes subscriptions away, which would keep the database from being dropped. They were never connected to their publisher,
    /// whose slot is another's.
    pub fn loosen(&self) -> Result<()> {
        let subscriptions = "DO $$
            DECLARE name text;
            BEGIN
                FOR name IN SELECT subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
                        WHERE d.datname = pg_catalog.current_database() LOOP
                    EXECUTE pg_catalog.format('ALTER SUBSCRIPTION %I DISABLE', name);
                    EXECUTE pg_catalog.format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', name);
                    EXECUTE pg_catalog.format('DROP SUBSCRIPTION %I', name);
                END LOOP;
            END $$";
        self.settings.connect(APPLICATION)?.batch_execute(subscriptions)?;
        Ok(())
    }

    /// Drops the database. Where this fails it is left for the next proof to remove.
    pub fn remove(mut self) -> Result<()> {
        let name = self.name().to_owned();
        self.end().map_err(|error| error.context(format!("the scratch database \"{name}\" is left behind")))
    }

    fn end(&mut self) -> Result<()> {
        self.order.take();
        let Some(keeper) = self.keeper.take() else { return Ok(()) };
        keeper.see_through()?
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever wants to know calls `remove`.
        let _ = self.end();
    }
}

/// Until the other side is gone, or the run is to stop.
fn keep(mut client: Client, settings: &Settings, orders: &Receiver<()>) -> Result<()> {
    while orders.recv_timeout(interrupt::TICK) == Err(RecvTimeoutError::Timeout) && interrupt::check().is_ok() {}
    if drop_database(&mut client, settings.database()).is_ok() {
        return Ok(());
    }
    // The connection may be lost; or the first try said why not, and so does this one.
    let (mut client, _) = open(settings)?;
    drop_database(&mut client, settings.database())
}

fn drop_database(client: &mut Client, name: &str) -> Result<()> {
    target::drop_database(client, name).map_err(refused)
}

fn refused(error: ::postgres::Error) -> anyhow::Error {
    let why = error.as_db_error().map_or_else(|| error.to_string(), |answer| answer.message().to_owned());
    Fault::failed(format!("the server says: {why}")).into()
}

/// A connection to a database that every server has, and the settings that lead to this very server.
fn open(settings: &Settings) -> Result<(Client, Settings)> {
    let mut found = Err(Fault::failed("no database to connect to").into());
    for database in MAINTENANCE {
        found = settings.for_database(database).connect_pinned(APPLICATION);
        if !matches!(&found, Err(error) if kind(error) == Kind::NotFound) {
            break;
        }
    }
    found
}

/// A name that nobody has, with its lock.
fn name(client: &mut Client) -> Result<String> {
    loop {
        let mut random = [0; 4];
        openssl::rand::rand_bytes(&mut random)?;
        let name = format!("{PREFIX}{}", hex::encode(random));
        if claim(client, &name)? {
            return Ok(name);
        }
    }
}

/// Whether nobody else holds this name's lock, which from now on this connection does.
fn claim(client: &mut Client, name: &str) -> Result<bool> {
    let number = name.strip_prefix(PREFIX).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default();
    let held = format!("SELECT pg_catalog.pg_try_advisory_lock({LOCK}, {})", number as i32);
    Ok(column(client, &held)? == ["t"])
}

/// Removes what killed runs have left.
fn sweep(client: &mut Client, monitor: &dyn Monitor) -> Result<()> {
    let ours = format!("SELECT datname FROM pg_catalog.pg_database WHERE datname ~ '^{PREFIX}[0-9a-f]{{8}}$'");
    for name in column(client, &ours)? {
        if !claim(client, &name)? {
            continue;
        }
        match drop_database(client, &name) {
            Ok(()) => monitor.info(&format!("dropped \"{name}\", which a run that was killed had left")),
            Err(error) => monitor.warn(&format!("\"{name}\", which a run that was killed has left: {error:#}")),
        }
    }
    Ok(())
}

fn column(client: &mut Client, query: &str) -> Result<Vec<String>> {
    let answer = client.simple_query(query).map_err(refused)?;
    let values = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(values.collect())
}

fn not_made(settings: &Settings, error: &::postgres::Error) -> anyhow::Error {
    let why = error.as_db_error().map_or_else(|| error.to_string(), |answer| answer.message().to_owned());
    let user = settings.user();
    let hint = match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => format!(
            "let the role make databases: ALTER ROLE {} CREATEDB; or prove elsewhere: VERIFY_DB_HOST, VERIFY_SCRATCH=cluster",
            target::identifier(user)
        ),
        _ => "prove on another server (VERIFY_DB_HOST), or on one that pgbk starts itself (VERIFY_SCRATCH=cluster)"
            .into(),
    };
    let message = format!("cannot make a scratch database on {}: {why}", settings.describe());
    Fault::failed(message).hint(hint).into()
}
