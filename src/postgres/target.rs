//! The database that is restored into: whether it is there, whether it is empty, and how to make it so.

use super::settings::Settings;
use crate::error::{Fault, Kind, Result, kind};
use ::postgres::{Client, SimpleQueryMessage};

/// Databases that every server has, to ask about others.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// What a look at the target told.
#[derive(Debug, Clone)]
pub struct Target {
    pub database: String,
    pub server_major: u32,
    pub system_identifier: Option<String>,
    pub state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Missing,
    Empty,
    /// It holds this many tables, views, functions and other objects.
    Holds(u64),
}

impl Target {
    pub fn look(settings: &Settings, database: &str) -> Result<Target> {
        let (mut client, missing) = match settings.for_database(database).connect("pgbk restore") {
            Ok(client) => (client, false),
            Err(error) if kind(&error) == Kind::NotFound => (maintenance(settings)?, true),
            Err(error) => return Err(error),
        };
        let number: u32 = one(&mut client, "SHOW server_version_num")?.unwrap_or_default().parse()?;
        // Managed servers may refuse it; then the name alone decides.
        let system_identifier =
            one(&mut client, "SELECT system_identifier FROM pg_catalog.pg_control_system()").unwrap_or(None);
        let state = match missing {
            true => State::Missing,
            false => match one(&mut client, OBJECTS)?.unwrap_or_default().parse()? {
                0 => State::Empty,
                count => State::Holds(count),
            },
        };
        Ok(Target { database: database.to_owned(), server_major: number / 10_000, system_identifier, state })
    }

    pub fn create(&self, settings: &Settings, encoding: Option<&str>) -> Result<()> {
        let mut client = maintenance(settings)?;
        let own = one(
            &mut client,
            "SELECT pg_catalog.pg_encoding_to_char(encoding) FROM pg_catalog.pg_database WHERE datname = 'template0'",
        )?;
        let name = identifier(&self.database);
        let statement = match encoding {
            // The server's locale may not fit another encoding; "C" fits all.
            Some(encoding) if own.as_deref() != Some(encoding) => format!(
                "CREATE DATABASE {name} TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C'",
                literal(encoding)
            ),
            _ => format!("CREATE DATABASE {name} TEMPLATE template0"),
        };
        client
            .batch_execute(&statement)
            .map_err(|error| refused(&format!("create database \"{}\"", self.database), &error))
    }

    /// Removes everything in the database.
    pub fn empty(&self, settings: &Settings) -> Result<()> {
        let mut client = settings.for_database(&self.database).connect("pgbk restore")?;
        client
            .batch_execute(&wipe(self.server_major))
            .map_err(|error| refused(&format!("empty database \"{}\"", self.database), &error))
    }

    /// Removes the database that [`create`](Target::create) made, after a failure.
    pub fn drop_created(&self, settings: &Settings) -> Result<()> {
        let statement = format!("DROP DATABASE IF EXISTS {}", identifier(&self.database));
        maintenance(settings)?
            .batch_execute(&statement)
            .map_err(|error| refused(&format!("drop database \"{}\"", self.database), &error))
    }
}

/// A connection to a database that every server has.
pub fn maintenance(settings: &Settings) -> Result<Client> {
    let mut last = None;
    for database in MAINTENANCE {
        match settings.for_database(database).connect("pgbk restore") {
            Ok(client) => return Ok(client),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Fault::failed("no database to connect to").into()))
}

fn column(client: &mut Client, query: &str) -> Result<Vec<String>> {
    let answer = client.simple_query(query)?;
    Ok(answer
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect())
}

fn one(client: &mut Client, query: &str) -> Result<Option<String>> {
    Ok(column(client, query)?.into_iter().next())
}

fn refused(what: &str, error: &::postgres::Error) -> anyhow::Error {
    let why = error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
    Fault::failed(format!("cannot {what}: {why}"))
        .hint("create it yourself, or connect as a role that may (DB_USER)")
        .into()
}

pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Objects that somebody made: none of the system's, none that belongs to an extension.
const OBJECTS: &str = "
WITH own(classid, objid, nsp) AS (
    SELECT 'pg_class'::regclass, oid, relnamespace FROM pg_catalog.pg_class WHERE relkind <> 'i' AND relkind <> 'I' AND relkind <> 't'
    UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_catalog.pg_type WHERE typtype IN ('d', 'e', 'r')
    UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_catalog.pg_operator
    UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace FROM pg_catalog.pg_collation
    UNION ALL SELECT 'pg_namespace'::regclass, oid, oid FROM pg_catalog.pg_namespace WHERE nspname <> 'public'
)
SELECT (SELECT count(*) FROM own JOIN pg_catalog.pg_namespace n ON n.oid = own.nsp
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                          WHERE d.classid = own.classid AND d.objid = own.objid AND d.deptype = 'e'))
     + (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata)
     + (SELECT count(*) FROM pg_catalog.pg_publication)";

/// Empties the database that the connection is in, as statements for the restore's own transaction.
///
/// Whoever uses the target holds locks on it: after a minute it is an error rather than a silent wait.
/// `public` is made anew as `initdb` makes it for this major version.
pub fn wipe(server_major: u32) -> String {
    let (owner, rights) = match server_major {
        15.. => ("pg_database_owner", "USAGE"),
        _ => ("CURRENT_USER", "USAGE, CREATE"),
    };
    format!(
        "SET LOCAL lock_timeout = '60s';
DO $pgbk$
DECLARE
    r record;
    grantee text;
BEGIN
    FOR r IN SELECT pubname AS name FROM pg_catalog.pg_publication LOOP
        EXECUTE pg_catalog.format('DROP PUBLICATION %I', r.name);
    END LOOP;
    FOR r IN SELECT evtname AS name FROM pg_catalog.pg_event_trigger t WHERE NOT EXISTS
            (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'e') LOOP
        EXECUTE pg_catalog.format('DROP EVENT TRIGGER %I', r.name);
    END LOOP;
    FOR r IN SELECT extname AS name FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql' LOOP
        EXECUTE pg_catalog.format('DROP EXTENSION IF EXISTS %I CASCADE', r.name);
    END LOOP;
    FOR r IN SELECT fdwname AS name FROM pg_catalog.pg_foreign_data_wrapper LOOP
        EXECUTE pg_catalog.format('DROP FOREIGN DATA WRAPPER IF EXISTS %I CASCADE', r.name);
    END LOOP;
    FOR r IN SELECT nspname AS name FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
        EXECUTE pg_catalog.format('DROP SCHEMA IF EXISTS %I CASCADE', r.name);
    END LOOP;
    FOR r IN SELECT a.rolname AS role, d.defaclacl AS acl,
            CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES'
                WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END AS kind
            FROM pg_catalog.pg_default_acl d JOIN pg_catalog.pg_roles a ON a.oid = d.defaclrole WHERE d.defaclnamespace = 0 LOOP
        FOR grantee IN SELECT DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END
                FROM pg_catalog.aclexplode(r.acl) x LOOP
            EXECUTE pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE ALL ON %s FROM %s', r.role, r.kind, grantee);
        END LOOP;
        -- Once they are what a server begins with, it forgets them.
        EXECUTE pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON %s TO %I', r.role, r.kind, r.role);
        IF r.kind IN ('FUNCTIONS', 'TYPES') THEN
            EXECUTE pg_catalog.format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT ALL ON %s TO PUBLIC', r.role, r.kind);
        END IF;
    END LOOP;
    PERFORM pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata;
    CREATE SCHEMA public AUTHORIZATION {owner};
    COMMENT ON SCHEMA public IS 'standard public schema';
    GRANT {rights} ON SCHEMA public TO PUBLIC;
END
$pgbk$"
    )
}
