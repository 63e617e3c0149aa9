//! A scratch database: the database of one restore test, made under a name of its own and dropped afterwards, whatever the result.
//!
//! A thread keeps the connection that made it. It drops the database, and ends the sessions in it, when [`ScratchDatabase::remove`]
//! is called, when the value is dropped, and as soon as a signal or a time limit stops the run: a statement that would take hours
//! ends with it. The connection holds a lock for as long as it lives. If pgbk is killed, the lock becomes free; by that the next
//! restore test recognizes the database and removes it. The roles of a scratch database have its name, and are dropped with it.

pub(crate) mod cluster;
pub(crate) mod loader;
pub(crate) mod preload;
pub(crate) mod server;

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::random;
use crate::base::worker::Worker;
use crate::format::manifest::ServerNote;
use crate::postgres::connect::errors;
use crate::postgres::connect::errors::explain;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::scratch::loader::READER;
use crate::postgres::scratch::server::{PREFIX, open};
use crate::postgres::session::query::column;
use crate::postgres::session::quote::{identifier, literal};
use crate::postgres::shape::{Shape, ShapeGaps};
use cluster::Cluster;
use loader::ScratchLoader;
use postgres::Client;
use postgres::error::SqlState;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

/// First half of the lock's key: "pgbk" in ASCII. The second half is the number in the database's name.
const LOCK: u32 = 0x7067_626b;

/// Says where scratch databases are made.
#[derive(Clone)]
pub enum ScratchServer {
    /// On this server.
    Server(ConnectionSettings),
    /// On a server that is started for it; `settings` hold nothing of any other server. It must not be able to read what is
    /// `hidden`.
    Own { settings: ConnectionSettings, bin_dir: Option<PathBuf>, hidden: Vec<PathBuf> },
}

pub struct ScratchDatabase {
    /// How to connect to the scratch database, as the role that made it.
    settings: ConnectionSettings,
    loader: ScratchLoader,
    own_server: bool,
    order: Option<Sender<()>>,
    keeper: Option<Worker<Result<()>>>,
    lacking: ShapeGaps,
    /// Stopped once the database has been dropped; `None` on a server that pgbk did not start.
    _cluster: Option<Cluster>,
}

impl ScratchDatabase {
    /// Makes an empty database with the encoding and locale of the backup's, as far as the server has them. On a server that is
    /// started for it, these extensions can be created. First removes what killed runs have left.
    pub fn make(
        place: &ScratchServer,
        source: Option<&ServerNote>,
        shape: Shape,
        extensions: &BTreeSet<String>,
        monitor: &dyn Monitor,
    ) -> Result<ScratchDatabase> {
        let wanted = random_name()?;
        let (settings, cluster) = match place {
            ScratchServer::Server(settings) => (settings.clone(), None),
            ScratchServer::Own { settings, bin_dir, hidden } => {
                let mut cluster = Cluster::start(settings, bin_dir.as_deref(), hidden, source, monitor)?;
                cluster.preload(extensions, &wanted, monitor)?;
                (cluster.settings().clone(), Some(cluster))
            }
        };
        let (mut client, settings) = open(&settings)?;
        sweep(&mut client, monitor)?;
        let name = name(&mut client, wanted)?;
        let (shape, lacking) = shape.fitted(&mut client).map_err(|error| not_made(&settings, &error))?;
        shape.create(&mut client, &name).map_err(|error| not_made(&settings, &error))?;
        let settings = settings.for_database(&name);
        let loader = match ScratchLoader::make(&mut client, &settings, cluster.is_some()) {
            Ok(loader) => loader,
            Err(error) => {
                if let Err(left) = drop_all(&mut client, &name) {
                    monitor.warn(&format!("the scratch database \"{name}\" is left behind: {left:#}"));
                }
                return Err(error);
            }
        };
        let (order, orders) = channel();
        let keeper = Worker::begin({
            let settings = settings.clone();
            move || keep(client, &settings, &orders)
        });
        let own_server = cluster.is_some();
        Ok(ScratchDatabase {
            settings,
            loader,
            own_server,
            order: Some(order),
            keeper: Some(keeper),
            lacking,
            _cluster: cluster,
        })
    }

    pub fn settings(&self) -> &ConnectionSettings {
        &self.settings
    }

    pub fn name(&self) -> &str {
        self.settings.database()
    }

    /// Returns what the source has and the scratch server lacks.
    pub fn lacking(&self) -> &ShapeGaps {
        &self.lacking
    }

    /// Returns whether only this restore test uses the server.
    pub fn is_alone(&self) -> bool {
        self.own_server
    }

    /// Returns the database and its server, for messages.
    pub fn describe(&self) -> String {
        match self.own_server {
            true => format!("\"{}\" on a server of its own", self.name()),
            false => format!("\"{}\" on {}", self.name(), self.settings.describe()),
        }
    }

    /// Returns the loader, by which a dump is restored.
    pub fn loader(&self) -> &ScratchLoader {
        &self.loader
    }

    /// Drops the database. If this fails, the next restore test on this server removes it.
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

impl Drop for ScratchDatabase {
    fn drop(&mut self) {
        // Whoever wants to know calls `remove`.
        let _ = self.end();
    }
}

/// Waits until the value is dropped or the run must stop, and then drops the database.
fn keep(mut client: Client, settings: &ConnectionSettings, orders: &Receiver<()>) -> Result<()> {
    while orders.recv_timeout(cancel::TICK) == Err(RecvTimeoutError::Timeout) && cancel::check().is_ok() {}
    if drop_all(&mut client, settings.database()).is_ok() {
        return Ok(());
    }
    // The connection may be lost; or the first try said why not, and so does this one.
    let (mut client, _) = open(settings)?;
    drop_all(&mut client, settings.database())
}

/// Ends the sessions in the database, and drops it and its roles.
fn drop_all(client: &mut Client, name: &str) -> Result<()> {
    let reader = format!("{name}{READER}");
    // As DROP DATABASE … WITH (FORCE), which servers before version 13 do not know, and which is stopped by what it may not end.
    column(
        client,
        &format!(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
         WHERE datname = {0} AND usename IN (current_user, {0}, {1}) AND pid <> pg_catalog.pg_backend_pid()",
            literal(name),
            literal(&reader)
        ),
    )?;
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {}", identifier(name))).map_err(|error| explain(&error))?;
    let roles =
        format!("SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ({}, {})", literal(name), literal(&reader));
    for role in column(client, &roles)? {
        client.batch_execute(&format!("DROP ROLE {}", identifier(&role))).map_err(|error| explain(&error))?;
    }
    Ok(())
}

fn random_name() -> Result<String> {
    Ok(format!("{PREFIX}{}", random::hex::<4>()?))
}

/// Returns a free name whose lock this connection now holds: the wanted one, or else another.
fn name(client: &mut Client, wanted: String) -> Result<String> {
    let mut name = wanted;
    while !claim(client, &name)? {
        name = random_name()?;
    }
    Ok(name)
}

/// Takes this name's lock, and returns whether it was free. The connection then holds it to its end.
fn claim(client: &mut Client, name: &str) -> Result<bool> {
    let number = name.strip_prefix(PREFIX).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default();
    let held = format!("SELECT pg_catalog.pg_try_advisory_lock({LOCK}, {})", number as i32);
    Ok(column(client, &held)? == ["t"])
}

/// Removes scratch databases and roles that killed runs have left.
fn sweep(client: &mut Client, monitor: &dyn Monitor) -> Result<()> {
    let digits = "[0-9a-f]{8}";
    let ours = format!(
        "SELECT datname FROM pg_catalog.pg_database WHERE datname ~ '^{PREFIX}{digits}$'
         UNION SELECT pg_catalog.left(rolname, {length}) FROM pg_catalog.pg_roles WHERE rolname ~ '^{PREFIX}{digits}({READER})?$'",
        length = PREFIX.len() + 8
    );
    for name in column(client, &ours)? {
        if !claim(client, &name)? {
            continue;
        }
        match drop_all(client, &name) {
            Ok(()) => monitor.info(&format!("dropped \"{name}\", which a run that was killed had left")),
            Err(error) => monitor.warn(&format!("\"{name}\", which a run that was killed has left: {error:#}")),
        }
    }
    Ok(())
}

fn not_made(settings: &ConnectionSettings, error: &::postgres::Error) -> anyhow::Error {
    let why = errors::said(error);
    let user = settings.user();
    let hint = match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => format!(
            "let the role make databases: ALTER ROLE {} CREATEDB; or prove elsewhere: VERIFY_DB_HOST, VERIFY_SCRATCH=cluster",
            identifier(user)
        ),
        _ => "prove on another server (VERIFY_DB_HOST), or on one that pgbk starts itself (VERIFY_SCRATCH=cluster)"
            .into(),
    };
    let message = format!("cannot make a scratch database on {}: {why}", settings.describe());
    Fault::failed(message).hint(hint).into()
}
