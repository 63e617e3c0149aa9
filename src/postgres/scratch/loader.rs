//! The roles of a restore test. Everything in a dump runs as a role that owns nothing but what it makes in the scratch database.
//!
//! `SET ROLE` would not do: code that runs may call `RESET ROLE`. So this role logs in itself, with a password that only pgbk
//! knows, and after that can never log in again, nor can anybody for it: code that runs as this role may pass on all that it knows,
//! and may set another password. A second role, as which nothing of the dump ever runs, reads what was restored.

use crate::base::error::{Fault, Result};
use crate::base::random;
use crate::base::secret::Secret;
use crate::base::worker;
use crate::format::sql::extensions::Extension;
use crate::postgres::connect::errors;
use crate::postgres::connect::errors::explain;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::load;
use crate::postgres::restore::load::skipped_statements::{PreparedObjects, UntriedStatements};
use crate::postgres::scratch::server::{APPLICATION, PREFIX, open};
use crate::postgres::session::query::column;
use crate::postgres::session::quote::{identifier, literal};
use ::postgres::Client;
use postgres::error::SqlState;
use std::collections::BTreeSet;

/// End of the name of the second role, which reads; the first role has the database's name.
pub(crate) const READER: &str = "_reader";
/// End of the name of the role that all owners are members of. It exists on a server of the restore test's own.
const OWNERS: &str = "_owners";
const ATTRIBUTES: &str = "LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS";

/// Lets a dump into a scratch database.
#[derive(Clone)]
pub struct ScratchLoader {
    /// How to connect to the scratch database as the role that made it.
    maker: ConnectionSettings,
    settings: ConnectionSettings,
    /// Whether only this restore test uses the server.
    is_alone: bool,
    /// Names what earlier parts of the script could not load.
    aside: UntriedStatements,
}

impl ScratchLoader {
    /// Makes the role. It may fill the database, and no other role may connect to it.
    pub(crate) fn make(client: &mut Client, maker: &ConnectionSettings, is_alone: bool) -> Result<ScratchLoader> {
        let name = maker.database();
        let (role, database) = (identifier(name), identifier(name));
        let password = password()?;
        create(client, maker, name, &password)?;
        if column(client, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")? != ["t"] {
            // To end its sessions, and to make schemas for it.
            run(client, &format!("GRANT {role} TO CURRENT_USER"))?;
        }
        run(client, &format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"))?;
        run(client, &format!("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {database} TO {role}"))?;
        if is_alone {
            let owners = owners(name);
            run(client, &format!("CREATE ROLE {owners}; GRANT CREATE ON DATABASE {database} TO {owners}"))?;
        }
        Ok(ScratchLoader {
            maker: maker.clone(),
            settings: maker.as_role(name, password),
            is_alone,
            aside: UntriedStatements::default(),
        })
    }

    /// Returns whether the role may give what it loads to other owners, and grant privileges. That is so only on a server of the
    /// restore test's own, where nobody gains rights by it.
    pub fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Makes roles that a dump names. They own things and can do nothing else, nor log in; the loading role is a member of each.
    pub fn make_roles(&self, names: &BTreeSet<String>) -> Result<()> {
        let (loader, owners) = (identifier(self.settings.user()), owners(self.settings.user()));
        let made = names
            .iter()
            .map(|name| identifier(name))
            .map(|name| format!("CREATE ROLE {name}; GRANT {owners} TO {name}; GRANT {name} TO {loader}"));
        self.maintain(made.collect())
    }

    /// Makes, before anything of the dump is loaded, the extensions that only a superuser may make, in schemas that belong to the
    /// role.
    pub fn prepare(&self, extensions: &[Extension]) -> Result<PreparedObjects> {
        let (maker, extensions, is_alone) = (self.maker.clone(), extensions.to_vec(), self.is_alone);
        worker::ask(move || prepare(&maker, &extensions, is_alone))?
    }

    /// Connects as the role, and then bars it from logging in. A second call fails.
    pub fn connect(&self, application: &str) -> Result<Client> {
        let client = self.settings.connect(application).map_err(|error| not_let_in(self.settings.user(), error))?;
        let name = identifier(self.settings.user());
        self.maintain(vec![
            format!("ALTER ROLE {name} NOLOGIN"),
            format!("REVOKE CONNECT ON DATABASE {name} FROM {name}"),
        ])?;
        Ok(client)
    }

    /// Returns a loader by which the role may connect once more, to go on with a script of which this was set aside. It has another
    /// password, and its earlier sessions are ended first: nothing that ran in them can log in by it.
    pub fn again(&self, aside: UntriedStatements) -> Result<ScratchLoader> {
        let (role, password) = (self.settings.user(), password()?);
        let name = identifier(role);
        self.maintain(vec![
            format!(
                "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = {}",
                literal(role)
            ),
            format!("ALTER ROLE {name} LOGIN PASSWORD {}", verifier(&password)),
            format!("GRANT CONNECT ON DATABASE {name} TO {name}"),
        ])?;
        Ok(ScratchLoader { settings: self.maker.as_role(role, password), aside, ..self.clone() })
    }

    /// Returns what earlier parts of the script could not load.
    pub fn aside(&self) -> &UntriedStatements {
        &self.aside
    }

    pub fn settings(&self) -> &ConnectionSettings {
        &self.settings
    }

    /// Makes the role that reads what was restored, and returns its settings. A second call fails.
    pub fn reader(&self) -> Result<ConnectionSettings> {
        let (loader, password) = (self.settings.user(), password()?);
        let reader = format!("{loader}{READER}");
        let (name, owner) = (identifier(&reader), identifier(loader));
        let mut statements = vec![
            created(&reader, &password),
            format!("GRANT {owner} TO {name}"),
            format!("GRANT CONNECT ON DATABASE {owner} TO {name}"),
        ];
        if self.is_alone {
            // Owners may have been denied what is theirs, and tables of extensions have policies. Servers before 14 do not have the role.
            statements.push(format!("ALTER ROLE {name} BYPASSRLS"));
            statements.push(format!(
                "DO $pgbk$ BEGIN GRANT pg_read_all_data TO {name}; EXCEPTION WHEN undefined_object THEN NULL; END $pgbk$"
            ));
        }
        self.maintain(statements)?;
        Ok(self.maker.as_role(&reader, password))
    }

    /// Runs statements as the role that made the database, from another database, where nothing of the dump is visible.
    fn maintain(&self, statements: Vec<String>) -> Result<()> {
        let maker = self.maker.clone();
        worker::ask(move || {
            let (mut client, _) = open(&maker)?;
            statements.iter().try_for_each(|statement| run(&mut client, statement))
        })?
    }
}

fn create(client: &mut Client, maker: &ConnectionSettings, name: &str, password: &Secret) -> Result<()> {
    client.batch_execute(&created(name, password)).map_err(|error| {
        let why = errors::said(&error);
        let message = format!("cannot make a role for the proof on {}: {why}", maker.describe());
        let fault = Fault::failed(message);
        match error.code() {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => fault.hint(format!(
                "what a backup holds must not run with the rights of {0}; let it make roles: ALTER ROLE {1} CREATEROLE; or prove elsewhere: VERIFY_DB_HOST, VERIFY_SCRATCH=cluster",
                maker.user(),
                identifier(maker.user())
            )),
            _ => fault.hint("prove on another server (VERIFY_DB_HOST), or on one that pgbk starts itself (VERIFY_SCRATCH=cluster)"),
        }
        .into()
    })
}

/// Returns the statement that makes a role. It holds a verifier instead of the password, so that neither the server nor a reader of
/// its log can log in.
fn created(name: &str, password: &Secret) -> String {
    format!("CREATE ROLE {} {ATTRIBUTES} PASSWORD {}", identifier(name), verifier(password))
}

fn verifier(password: &Secret) -> String {
    literal(&postgres_protocol::password::scram_sha_256(password.reveal().as_bytes()))
}

fn owners(loader: &str) -> String {
    identifier(&format!("{loader}{OWNERS}"))
}

pub(crate) fn password() -> Result<Secret> {
    random::hex::<24>().map(Secret::new)
}

fn run(client: &mut Client, statement: &str) -> Result<()> {
    client.batch_execute(statement).map_err(|error| explain(&error))
}

/// Returns the error of a role that the server does not let in. pgbk never falls back to the role that made the database.
fn not_let_in(role: &str, error: anyhow::Error) -> anyhow::Error {
    let message = format!("the server does not let in \"{role}\", the role that was made for the proof");
    let hint = format!(
        "let roles of that name log in by password from here (pg_hba.conf, before other lines: host /^{0}.* /^{0}.* <address> scram-sha-256, or all for both names before PostgreSQL 16), or prove elsewhere: VERIFY_DB_HOST, VERIFY_SCRATCH=cluster",
        PREFIX
    );
    error.context(Fault::failed(message).hint(hint))
}

fn prepare(maker: &ConnectionSettings, extensions: &[Extension], is_alone: bool) -> Result<PreparedObjects> {
    let mut client = maker.connect(APPLICATION)?;
    let role = identifier(maker.database());
    run(&mut client, &format!("GRANT USAGE, CREATE ON SCHEMA public TO {role}"))?;
    if is_alone {
        open_to_owners(&mut client, &role, &owners(maker.database()))?;
    }
    let mut prepared = PreparedObjects::default();
    for Extension { name, schema } in extensions {
        let own = match schema {
            Some(schema) if is_missing(&mut client, schema)? => Some(schema),
            _ => None,
        };
        let made =
            own.map(|own| format!("CREATE SCHEMA {} AUTHORIZATION {role}; ", identifier(own))).unwrap_or_default();
        let within = schema.as_ref().map(|schema| format!(" WITH SCHEMA {}", identifier(schema))).unwrap_or_default();
        // One transaction: without the extension its schema comes with the script.
        let statement = format!("{made}CREATE EXTENSION IF NOT EXISTS {}{within}", identifier(name));
        match run(&mut client, &statement) {
            Ok(()) => {
                prepared.schemas.extend(own.cloned());
                open_to_parts(&mut client, &role, name);
            }
            Err(error) => drop(prepared.refused.insert(name.clone(), format!("{error:#}"))),
        }
    }
    show_settings_of_extensions(&mut client, &role, &mut prepared)?;
    Ok(prepared)
}

/// Gives the role the schema `public`, to do with it as a dump says, and lets every role own things in every schema. A superuser
/// who restores by hand is not asked for these rights.
fn open_to_owners(client: &mut Client, role: &str, owners: &str) -> Result<()> {
    run(client, &format!("ALTER SCHEMA public OWNER TO {role}"))?;
    run(client, &format!("GRANT CREATE ON SCHEMA public TO {owners}"))?;
    run(client, &format!("ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT CREATE ON SCHEMAS TO {owners}"))
}

/// Lets the role fill the schema in which an extension keeps parts of the application's tables. A refusal is ignored here: the load
/// reports what it lacks.
fn open_to_parts(client: &mut Client, role: &str, extension: &str) {
    if let Some(schema) = load::extension_notice::parts(extension) {
        let _told = load::extension_notice::begin(client, extension);
        let _open = run(client, &format!("GRANT USAGE, CREATE ON SCHEMA {} TO {role}", identifier(schema)));
    }
}

fn is_missing(client: &mut Client, schema: &str) -> Result<bool> {
    let query = format!("SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = {}", literal(schema));
    Ok(column(client, &query)? == ["0"])
}

/// Lets the role read the tables of extensions whose rows `pg_dump` dumps: otherwise it could not lock them.
fn show_settings_of_extensions(client: &mut Client, role: &str, prepared: &mut PreparedObjects) -> Result<()> {
    let tables = "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
        FROM pg_catalog.pg_extension e CROSS JOIN LATERAL pg_catalog.unnest(e.extconfig) AS x(oid)
        JOIN pg_catalog.pg_class c ON c.oid = x.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";
    let schemas = "SELECT DISTINCT pg_catalog.quote_ident(n.nspname)
        FROM pg_catalog.pg_extension e CROSS JOIN LATERAL pg_catalog.unnest(e.extconfig) AS x(oid)
        JOIN pg_catalog.pg_class c ON c.oid = x.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";
    for schema in column(client, schemas)? {
        run(client, &format!("GRANT USAGE ON SCHEMA {schema} TO {role}"))?;
    }
    for table in column(client, tables)? {
        run(client, &format!("GRANT SELECT ON {table} TO {role}"))?;
        prepared.tables.insert(table);
    }
    Ok(())
}
