//! The target of a restore: the database that is restored into, whether it exists and is empty, and how to create, empty and drop
//! it.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::worker::{self, Worker};
use crate::format::manifest::properties::Properties;
use crate::format::sql::requirements::Requirements;
use crate::postgres::connect::errors;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::properties;
use crate::postgres::properties::own_properties::OwnProperties;
use crate::postgres::restore::load::requirements_check::{MissingRequirements, UnavailableObjects, missing};
use crate::postgres::restore::wipe;
use crate::postgres::session::query::{column, names};
use crate::postgres::session::quote::{identifier, literal};
use crate::postgres::shape::{Shape, ShapeGaps};
use ::postgres::Client;
use std::collections::BTreeSet;

/// Databases that every server has, to connect to if the target does not exist.
pub(crate) const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// State of the target before the restore.
#[derive(Debug, Clone)]
pub struct RestoreTarget {
    pub database: String,
    pub server_major: u32,
    pub system_identifier: Option<String>,
    pub state: TargetState,
    /// Role that the restore has on the server.
    pub role: String,
    /// Properties of the database itself; `None`: it is missing, or they could not be read.
    pub properties: Option<Properties>,
    /// Whether the database sets another role than the login for everybody.
    pub other_role: bool,
    /// Extensions that were there already and that a failure must not drop.
    pub extensions: BTreeSet<String>,
    /// Holds what a restore does without; nothing before the dump's needs were compared with the server.
    pub unavailable: UnavailableObjects,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    Missing,
    Empty,
    /// It holds this many tables, views, functions and other objects.
    Holds(u64),
}

/// The `application_name` of restores.
pub const APPLICATION: &str = "pgbk restore";

/// Statement that drops `public`, for a source without it. If it is another role's, or holds what a provider has put there, it
/// stays.
pub const DROP_PUBLIC: &str = "DO $pgbk$
BEGIN
    DROP SCHEMA IF EXISTS public;
EXCEPTION WHEN insufficient_privilege OR dependent_objects_still_exist THEN
    NULL;
END
$pgbk$";

impl RestoreTarget {
    pub fn look(settings: &ConnectionSettings, database: &str) -> Result<RestoreTarget> {
        let (settings, database) = (settings.clone(), database.to_owned());
        worker::ask(move || RestoreTarget::find(&settings, &database))?
    }

    fn find(settings: &ConnectionSettings, database: &str) -> Result<RestoreTarget> {
        let (mut client, missing, other_role) = match settings.for_database(database).open(APPLICATION) {
            Ok(opened) => (opened.client, false, opened.before.other_role),
            Err(error) if kind(&error) == Kind::NotFound => (maintenance(settings)?, true, false),
            Err(error) => return Err(error),
        };
        let number: u32 = one(&mut client, "SHOW server_version_num")?.unwrap_or_default().parse()?;
        // Managed servers may refuse it; then the name alone decides.
        let system_identifier =
            one(&mut client, "SELECT system_identifier FROM pg_catalog.pg_control_system()").unwrap_or(None);
        let role = one(&mut client, "SELECT current_user")?.unwrap_or_default();
        let properties = if missing { None } else { properties::read(&mut client, number).ok() };
        let state = match missing {
            true => TargetState::Missing,
            false => match one(&mut client, &wipe::count())?.unwrap_or_default().parse()? {
                0 => TargetState::Empty,
                count => TargetState::Holds(count),
            },
        };
        let extensions = match missing {
            true => BTreeSet::new(),
            false => names(&mut client, "SELECT extname FROM pg_catalog.pg_extension")?,
        };
        let (database, server_major) = (database.to_owned(), number / 10_000);
        let unavailable = UnavailableObjects::default();
        Ok(RestoreTarget {
            database,
            server_major,
            system_identifier,
            state,
            role,
            properties,
            other_role,
            extensions,
            unavailable,
        })
    }

    /// Fails if this role may not create the database, or may not give it its properties.
    pub fn may_be_made(&self, settings: &ConnectionSettings, own: Option<&OwnProperties>) -> Result<()> {
        let (settings, own, name, role) = (settings.clone(), own.cloned(), self.database.clone(), self.role.clone());
        worker::ask(move || {
            let mut client = maintenance(&settings)?;
            let query = "SELECT rolsuper OR rolcreatedb FROM pg_catalog.pg_roles WHERE rolname = current_user";
            if one(&mut client, query)?.as_deref() != Some("t") {
                let message = format!("database \"{name}\" does not exist, and role \"{role}\" may not create it");
                let hint =
                    "create it yourself, connect as a role that may (DB_USER), or let this one: ALTER ROLE … CREATEDB";
                return Err(Fault::failed(message).hint(hint).into());
            }
            let Some(own) = own else { return Ok(()) };
            let mut transaction = client.transaction()?;
            let forbidden = own.forbidden(&mut transaction)?;
            transaction.rollback()?;
            own.must_not_be_refused(&forbidden)
        })?
    }

    /// Returns what a dump needs and the server lacks, and what the server does not let the role do.
    pub fn lacks(&self, settings: &ConnectionSettings, requires: &Requirements) -> Result<MissingRequirements> {
        let settings = settings.for_database(&self.database);
        let (is_there, requires) = (self.state != TargetState::Missing, requires.clone());
        let database = self.database.clone();
        worker::ask(move || {
            let mut client = if is_there { settings.connect(APPLICATION)? } else { maintenance(&settings)? };
            missing(&mut client, &requires, &database)
        })?
    }

    /// Makes the database. With `is_closed` only its owner and superusers may connect to it, until [`open_to_all`] is run: who owns
    /// something in a half restored database could have the restore run code.
    pub fn create(&self, settings: &ConnectionSettings, shape: &Shape, is_closed: bool) -> Result<()> {
        let (settings, name, shape) = (settings.clone(), self.database.clone(), shape.clone());
        // A signal cannot stop it, and what comes of it must be known.
        let creating = Worker::begin(move || {
            let mut client = maintenance(&settings)?;
            let what = format!("create database \"{name}\"");
            let was_there = is_there(&mut client, &name)?;
            shape.create(&mut client, &name).map_err(|error| {
                let why = uncreated(&what, &error);
                // A session that is lost takes the answer with it, and the server may have done what it was told.
                let is_lost = client.simple_query("").is_err();
                if is_lost && !was_there { without_new(&settings, &name, why.into()) } else { why.into() }
            })?;
            let close = format!("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", identifier(&name));
            let closed = if is_closed { client.batch_execute(&close) } else { Ok(()) };
            closed.map_err(|error| {
                let why = refused(&format!("keep others out of database \"{name}\""), &error);
                // Nobody has used it yet.
                without_new(&settings, &name, why.into())
            })
        });
        creating.see_through()?
    }

    /// Returns the statements that remove everything in the database, except extensions that the role may not drop. Run them in a
    /// transaction.
    pub fn wipe(&self) -> String {
        wipe::wipe(self.server_major, &BTreeSet::new())
    }

    /// Removes what a failed restore has left in the database, which was empty before except for extensions. Ends the sessions of
    /// restores, which pg_restore may have left running. Also works after a signal.
    pub fn empty(&self, settings: &ConnectionSettings) -> Result<()> {
        let (settings, wipe) = (settings.for_database(&self.database), wipe::wipe(self.server_major, &self.extensions));
        let others = format!("{} AND application_name = {}", end_sessions(&self.database), literal(APPLICATION));
        let what = format!("empty database \"{}\"", self.database);
        let emptying = Worker::begin(move || {
            let mut client = settings.connect_to_clear_up(APPLICATION)?;
            client.simple_query(&others).map_err(|error| refused(&what, &error))?;
            client.batch_execute(&wipe).map_err(|error| refused(&what, &error).into())
        });
        emptying.see_through()?
    }

    /// Drops the database that [`create`](RestoreTarget::create) made, after a failure. Also works after a signal.
    pub fn drop_created(&self, settings: &ConnectionSettings) -> Result<()> {
        let (settings, name) = (settings.clone(), self.database.clone());
        let dropping = Worker::begin(move || {
            let mut client = maintenance_to_clear_up(&settings)?;
            drop_database(&mut client, &name)
                .map_err(|error| refused(&format!("drop database \"{name}\""), &error).into())
        });
        dropping.see_through()?
    }
}

/// Removes a database that was being created when the error came, and returns the error; it says so if the database may be left.
fn without_new(settings: &ConnectionSettings, name: &str, error: anyhow::Error) -> anyhow::Error {
    let dropped = maintenance_to_clear_up(settings)
        .and_then(|mut client| drop_database(&mut client, name).map_err(|error| refused("drop it", &error).into()));
    match dropped {
        Ok(()) => error,
        Err(left) => error.context(format!("database \"{name}\" may be left behind, empty: {left:#}")),
    }
}

fn is_there(client: &mut Client, name: &str) -> Result<bool> {
    let query = format!("SELECT 1 FROM pg_catalog.pg_database WHERE datname = {}", literal(name));
    Ok(one(client, &query)?.is_some())
}

/// Returns the statements that let everybody connect to a database again.
pub fn open_to_all(database: &str) -> String {
    format!("RESET SESSION AUTHORIZATION; RESET ROLE; GRANT CONNECT ON DATABASE {} TO PUBLIC", identifier(database))
}

/// Drops a database and ends the sessions that are connected to it.
fn drop_database(client: &mut Client, name: &str) -> std::result::Result<(), ::postgres::Error> {
    // As DROP DATABASE … WITH (FORCE), which servers before version 13 do not know, and which is stopped by what it may not end.
    client.simple_query(&end_sessions(name))?;
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {}", identifier(name)))
}

/// Returns the query that ends this role's other sessions in a database.
fn end_sessions(database: &str) -> String {
    format!(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
         WHERE datname = {} AND usename = current_user AND pid <> pg_catalog.pg_backend_pid()",
        literal(database)
    )
}

fn maintenance_to_clear_up(settings: &ConnectionSettings) -> Result<Client> {
    let [first, second] = MAINTENANCE;
    match settings.for_database(first).connect_to_clear_up(APPLICATION) {
        Err(error) if kind(&error) == Kind::NotFound => settings.for_database(second).connect_to_clear_up(APPLICATION),
        connected => connected,
    }
}

/// Returns the part of the shape that the server has, and what it lacks.
pub fn fitted(settings: &ConnectionSettings, shape: Shape) -> Result<(Shape, ShapeGaps)> {
    let settings = settings.clone();
    worker::ask(move || Ok(shape.fitted(&mut maintenance(&settings)?)?))?
}

/// Connects to a database that every server has.
pub(crate) fn maintenance(settings: &ConnectionSettings) -> Result<Client> {
    let mut last = None;
    for database in MAINTENANCE {
        match settings.for_database(database).connect(APPLICATION) {
            Ok(client) => return Ok(client),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Fault::failed("no database to connect to").into()))
}

fn one(client: &mut Client, query: &str) -> Result<Option<String>> {
    Ok(column(client, query)?.into_iter().next())
}

fn refused(what: &str, error: &::postgres::Error) -> Fault {
    Fault::failed(format!("cannot {what}: {}", errors::said(error)))
}

/// Returns the error of a database that was not created, with what to do where the server itself refused it.
fn uncreated(what: &str, error: &::postgres::Error) -> Fault {
    let why = refused(what, error);
    // A server that stops, or ends the session, refuses nobody.
    match error.code().is_some_and(|code| !code.code().starts_with("57")) {
        true => why.hint("create it yourself, empty, and restore into that"),
        false => why,
    }
}
