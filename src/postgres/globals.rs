//! Reads the output of `pg_dumpall --globals-only` and restores it without `psql`. A restore of globals never removes anything.

pub(crate) mod attributes;
pub(crate) mod statement;

use crate::base::error::{Fault, Result};
use crate::base::worker::{self, Worker};
use crate::format::sql::splitter::{Cut, ScriptEvent, Splitter, StatementLimit};
use crate::postgres::connect::errors;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::target::maintenance;
use crate::postgres::session::command;
use crate::postgres::session::query::names;
use attributes::without_grantor;
use postgres::error::SqlState;
use postgres::{Client, Transaction};
use serde::Serialize;
use statement::{Statement, StatementKind, foreign, what};
use std::collections::BTreeSet;
use std::str;

/// Largest script, in bytes; a server's globals are far smaller. It is held in memory, so that nothing is sent before all of it is
/// known.
pub const LARGEST: u64 = 64 << 20;

/// Returns the arguments that decide what is in the script.
pub(crate) fn choice(passwords: bool) -> Vec<String> {
    let mut chosen = vec!["--globals-only".to_owned()];
    if !passwords {
        chosen.push("--no-role-passwords".to_owned());
    }
    chosen
}

/// Returns the arguments of `pg_dumpall`. `database` is the one to connect to, which it would otherwise search for.
pub(crate) fn arguments(chosen: &[String], database: &str) -> Vec<String> {
    let own = ["--no-password".to_owned(), "--encoding=UTF8".to_owned(), format!("--database={database}")];
    own.into_iter().chain(chosen.iter().cloned()).collect()
}

/// The statements of a script, in its order.
#[derive(Debug, Default, PartialEq)]
pub struct Globals {
    statements: Vec<Statement>,
}

/// Names what was restored, and what was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct GlobalsReport {
    pub statements: u64,
    pub roles_created: Vec<String>,
    /// Roles that existed already, and now are as the backup has them.
    pub roles_kept: Vec<String>,
    pub tablespaces_created: Vec<String>,
    pub tablespaces_kept: Vec<String>,
    pub skipped: Vec<String>,
}

/// Roles and tablespaces that are on the server already.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExistingGlobals {
    pub roles: BTreeSet<String>,
    pub tablespaces: BTreeSet<String>,
}

impl Globals {
    /// Reads a script. It is an error if it holds anything but globals.
    pub fn parse(script: &[u8]) -> Result<Globals> {
        let mut globals = Globals::default();
        let mut splitter = Splitter::new(StatementLimit::Whole { limit: LARGEST as usize });
        let mut rest = script;
        while !rest.is_empty() {
            let taken = splitter.feed(rest, &mut |event| globals.take(event))?;
            rest = &rest[taken..];
        }
        let ending = splitter.finish(&mut |event| globals.take(event))?;
        match ending.cut {
            Some(Cut::Statement { line } | Cut::Rows { line } | Cut::Comment { line }) => {
                Err(Fault::failed(format!("the script ends inside what begins at line {line}")).into())
            }
            None => Ok(globals),
        }
    }

    /// Returns the roles that the script creates if they are missing.
    pub fn roles(&self) -> BTreeSet<String> {
        let role = |statement: &Statement| match &statement.what {
            StatementKind::CreateRole(name) => Some(name.clone()),
            _ => None,
        };
        self.statements.iter().filter_map(role).collect()
    }

    pub fn tablespaces(&self) -> BTreeSet<String> {
        let tablespace = |statement: &Statement| match &statement.what {
            StatementKind::CreateTablespace(name) => Some(name.clone()),
            _ => None,
        };
        self.statements.iter().filter_map(tablespace).collect()
    }

    /// Removes the statements that set this role's attributes and password: the role that has just logged in must be able to do so
    /// again.
    pub fn sparing(&mut self, role: &str) {
        self.statements.retain(
            |statement| !matches!(&statement.what, StatementKind::Attributes(attributes) if attributes.role() == role),
        );
    }

    /// Removes the statements about tablespaces, and about who may use them.
    pub fn without_tablespaces(&mut self) {
        self.statements.retain(|statement| !statement.about_tablespace());
    }

    fn take(&mut self, event: ScriptEvent<'_>) -> Result<()> {
        match event {
            ScriptEvent::Statement { line, text, .. } => {
                let what = what(text).ok_or_else(|| foreign(line, text))?;
                let text = str::from_utf8(text)
                    .map_err(|_| Fault::failed(format!("the statement at line {line} is not UTF-8 text")))?;
                self.statements.push(Statement { line, text: text.to_owned(), what });
                Ok(())
            }
            ScriptEvent::Meta { line, text } => check_meta(line, text),
            ScriptEvent::CopyStart { line, header, .. } => Err(foreign(line, header).into()),
            ScriptEvent::CopyData(_) | ScriptEvent::CopyEnd { .. } => Ok(()),
        }
    }

    /// Restores the globals: roles in one transaction, all or none; then tablespaces one by one, because a server makes none in a
    /// transaction.
    pub fn apply(self, settings: &ConnectionSettings) -> Result<GlobalsReport> {
        let settings = settings.clone();
        Worker::begin(move || self.send(&settings)).end()?
    }

    fn send(&self, settings: &ConnectionSettings) -> Result<GlobalsReport> {
        let mut client = maintenance(settings)?;
        let there = ExistingGlobals::look(&mut client)?;
        let known = settings_of(&mut client)?;
        let superuser = is_superuser(&mut client)?;
        let mut applied = GlobalsReport::default();
        let mut transaction = client.transaction().map_err(|error| fault("begin a transaction", &error))?;
        for statement in self.statements.iter().filter(|statement| !statement.about_tablespace()) {
            match &statement.what {
                StatementKind::CreateRole(name) if there.roles.contains(name) => applied.roles_kept.push(name.clone()),
                StatementKind::Setting(name) if !known.contains(name) => {
                    applied.skipped.push(format!("setting \"{name}\""))
                }
                what => {
                    match superuser {
                        true => statement.send_as_superuser(&mut transaction, &mut applied.skipped)?,
                        false => statement.send_as_admin(&mut transaction, &mut applied.skipped)?,
                    }
                    applied.statements += 1;
                    if let StatementKind::CreateRole(name) = what {
                        applied.roles_created.push(name.clone());
                    }
                }
            }
        }
        transaction.commit().map_err(|error| fault("commit the roles", &error))?;
        self.make_tablespaces(&mut client, &there, &mut applied)?;
        Ok(applied)
    }

    fn make_tablespaces(
        &self,
        client: &mut Client,
        there: &ExistingGlobals,
        applied: &mut GlobalsReport,
    ) -> Result<()> {
        for statement in self.statements.iter().filter(|statement| statement.about_tablespace()) {
            if let StatementKind::CreateTablespace(name) = &statement.what
                && there.tablespaces.contains(name)
            {
                applied.tablespaces_kept.push(name.clone());
                continue;
            }
            command::run(client, &statement.text).map_err(|error| {
                let kept = "all roles are restored, the tablespaces from here on are not";
                anyhow::Error::from(fault(&statement.describe(), &error).hint(for_a_folder(&error))).context(kept)
            })?;
            applied.statements += 1;
            if let StatementKind::CreateTablespace(name) = &statement.what {
                applied.tablespaces_created.push(name.clone());
            }
        }
        Ok(())
    }
}

impl ExistingGlobals {
    pub fn of(settings: &ConnectionSettings) -> Result<ExistingGlobals> {
        let settings = settings.clone();
        worker::ask(move || ExistingGlobals::look(&mut maintenance(&settings)?))?
    }

    fn look(client: &mut Client) -> Result<ExistingGlobals> {
        Ok(ExistingGlobals {
            roles: names(client, "SELECT rolname::pg_catalog.text FROM pg_catalog.pg_roles")?,
            tablespaces: names(client, "SELECT spcname::pg_catalog.text FROM pg_catalog.pg_tablespace")?,
        })
    }
}

impl Statement {
    fn send(&self, transaction: &mut Transaction<'_>) -> Result<()> {
        command::run(transaction, &self.text).map_err(|error| self.refused(&error).into())
    }

    /// Sends the statement as a superuser. If the server refuses a membership for its grantor, sends it without: servers before
    /// version 16 name grantors that a newer one does not let grant it, or not yet.
    fn send_as_superuser(&self, transaction: &mut Transaction<'_>, skipped: &mut Vec<String>) -> Result<()> {
        let Some(text) = without_grantor(&self.text) else { return self.send(transaction) };
        let mut trial = transaction.transaction().map_err(|error| self.refused(&error))?;
        match command::run(&mut trial, &self.text) {
            Ok(()) => return Ok(trial.commit().map_err(|error| self.refused(&error))?),
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                trial.rollback().map_err(|error| self.refused(&error))?;
            }
            Err(error) => return Err(self.refused(&error).into()),
        }
        command::run(transaction, text).map_err(|error| self.refused(&error))?;
        note_once(skipped, "who granted memberships, where this server does not let that role grant them");
        Ok(())
    }

    /// Sends the statement as a role that is no superuser: of a role's attributes only those that differ, and memberships without
    /// their grantor.
    fn send_as_admin(&self, transaction: &mut Transaction<'_>, skipped: &mut Vec<String>) -> Result<()> {
        if let StatementKind::Attributes(attributes) = &self.what {
            return attributes.set(transaction).map_err(|(attribute, error)| {
                let what = format!("line {}, role \"{}\": {attribute} cannot be set", self.line, attributes.role());
                hinted(fault(&what, &error), &error).into()
            });
        }
        let Some(text) = without_grantor(&self.text) else { return self.send(transaction) };
        command::run(transaction, text).map_err(|error| self.refused(&error))?;
        note_once(skipped, "who granted memberships, which only a superuser may say");
        Ok(())
    }

    fn refused(&self, error: &postgres::Error) -> Fault {
        hinted(fault(&self.describe(), error), error)
    }
}

fn note_once(skipped: &mut Vec<String>, note: &str) {
    if !skipped.iter().any(|known| known == note) {
        skipped.push(note.to_owned());
    }
}

/// Accepts three meta-commands, and refuses all others. `\connect` only says where `psql` would send what belongs to the whole
/// server; `\restrict` and `\unrestrict` concern `psql` alone.
fn check_meta(line: u64, text: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(text);
    let command = text.split_ascii_whitespace().next().unwrap_or_default();
    if ["\\connect", "\\restrict", "\\unrestrict"].contains(&command) {
        return Ok(());
    }
    Err(Fault::failed(format!(
        "the script holds the psql meta-command \"{command}\" at line {line}, which pgbk never runs"
    ))
    .hint("no script that pg_dumpall wrote holds it: find out who changed it")
    .into())
}

/// Returns the settings that the server knows. `role`, which a script may set, is not in its view.
fn settings_of(client: &mut Client) -> Result<BTreeSet<String>> {
    let mut known = names(client, "SELECT pg_catalog.lower(name) FROM pg_catalog.pg_settings")?;
    known.insert("role".to_owned());
    Ok(known)
}

fn is_superuser(client: &mut Client) -> Result<bool> {
    let query = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let is = client.query_one(query, &[]).and_then(|row| row.try_get(0));
    Ok(is.map_err(|error| fault("read the server's catalog", &error))?)
}

fn fault(what: &str, error: &postgres::Error) -> Fault {
    let Some(answer) = error.as_db_error() else { return Fault::failed(format!("{what}: {}", errors::said(error))) };
    let detail = answer.detail().map(|detail| format!("; {detail}")).unwrap_or_default();
    Fault::failed(format!("{what}: {} (SQLSTATE {}){detail}", answer.message(), answer.code().code()))
}

/// Returns what to do about a tablespace that the server does not make.
fn for_a_folder(error: &postgres::Error) -> &'static str {
    match error.code() {
        // Another server on this host has one there, or had.
        Some(&SqlState::OBJECT_IN_USE) => {
            "that folder holds a tablespace of another server: make the tablespace yourself in an empty folder (CREATE TABLESPACE name LOCATION 'folder'), and restore again, which keeps it there"
        }
        _ => "make its folder on the server's host, owned by the server's user, and restore again",
    }
}

/// Adds a hint if the role lacks a right.
fn hinted(fault: Fault, error: &postgres::Error) -> Fault {
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => fault.hint(
            "connect as a role that may (DB_USER); or take the script (pgbk download), leave out what this server gives to nobody, and run it with psql",
        ),
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::attributes::Attributes;
    use super::*;
    use crate::base::error::{Kind, hints, kind};

    const SCRIPT: &str = "--\n-- PostgreSQL database cluster dump\n--\n\n\\restrict abc\n\nSET default_transaction_read_only = off;\n\
        CREATE ROLE \"a b\";\nALTER ROLE \"a b\" WITH LOGIN PASSWORD 'x;y';\nGRANT a TO \"a b\" GRANTED BY postgres;\n\
        CREATE TABLESPACE fast OWNER a LOCATION '/fast';\nGRANT ALL ON TABLESPACE fast TO a;\n\\connect template1\n\
        \\unrestrict abc\n\n--\n-- PostgreSQL database cluster dump complete\n--\n";

    #[test]
    fn a_script_of_globals_is_taken_apart() {
        let globals = Globals::parse(SCRIPT.as_bytes()).unwrap();
        let login = Attributes::of(b"ALTER ROLE \"a b\" WITH LOGIN PASSWORD 'x;y'").unwrap();
        let roles = [StatementKind::CreateRole("a b".into()), StatementKind::Attributes(login), StatementKind::Other];
        let tablespaces = [StatementKind::CreateTablespace("fast".into()), StatementKind::Tablespace];
        let expected = [StatementKind::Setting("default_transaction_read_only".into())]
            .into_iter()
            .chain(roles)
            .chain(tablespaces);
        assert!(globals.statements.iter().map(|statement| &statement.what).eq(&expected.collect::<Vec<_>>()));
        assert_eq!(globals.statements[2].describe(), "line 9, ALTER ROLE a b");
    }

    #[test]
    fn who_connects_is_left_as_he_is_and_tablespaces_are_left_out() {
        let script = b"CREATE ROLE me;\nALTER ROLE me WITH LOGIN PASSWORD 'x';\nALTER ROLE me SET work_mem TO '1MB';\n\
            ALTER ROLE \"ME\" WITH LOGIN;\nGRANT a TO me;\nCREATE TABLESPACE t LOCATION '/t';\nGRANT ALL ON TABLESPACE t TO me;\n";
        let mut globals = Globals::parse(script).unwrap();
        let left = |globals: &Globals| globals.statements.iter().map(|one| one.line).collect::<Vec<_>>();
        globals.sparing("me");
        assert_eq!(left(&globals), [1, 3, 4, 5, 6, 7]);
        globals.without_tablespaces();
        assert_eq!(left(&globals), [1, 3, 4, 5]);
    }

    #[test]
    fn whatever_is_no_global_is_refused() {
        let written = "a backup of globals is what \"pg_dumpall --globals-only\" writes";
        let changed = "no script that pg_dumpall wrote holds it: find out who changed it";
        for (wrong, said, hint) in [
            (&b"DROP ROLE a;"[..], "line 1, DROP ROLE a: this is about no role and no tablespace", Some(written)),
            (b"CREATE DATABASE x;", "line 1, CREATE DATABASE x: this is", Some(written)),
            (b"\nALTER DATABASE x SET work_mem = 1;", "line 2, ALTER DATABASE x: this is", Some(written)),
            (b"DO 'x';", "line 1, DO: this is", Some(written)),
            (b"CREATE USER MAPPING FOR a SERVER s;", "line 1, CREATE USER MAPPING: this is", Some(written)),
            (b"create user mapping if not exists for a server s;", "line 1, create user mapping", Some(written)),
            (b"ALTER USER MAPPING FOR a SERVER s OPTIONS (x '');", "line 1, ALTER USER MAPPING", Some(written)),
            (b"INSERT INTO t VALUES (1);", "line 1, INSERT INTO t: this is", Some(written)),
            (b"SELECT pg_catalog.pg_reload_conf();", "line 1, SELECT pg_catalog", Some(written)),
            (b"COPY t (a) FROM stdin;\n1\n\\.\n", "line 1, COPY t", Some(written)),
            (
                b"\\! touch /tmp/x\n",
                "holds the psql meta-command \"\\!\" at line 1, which pgbk never runs",
                Some(changed),
            ),
            (b"\\i x\n", "holds the psql meta-command \"\\i\" at line 1", Some(changed)),
            (b"BEGIN;", "line 1, BEGIN: this is", Some(written)),
            (b"COMMIT;", "line 1, COMMIT: this is", Some(written)),
            (b"CREATE ROLE a", "the script ends inside what begins at line 1", None),
            (b"CREATE ROLE a;\nCOMMENT ON ROLE a IS '\xff';", "the statement at line 2 is not UTF-8 text", None),
        ] {
            let error = Globals::parse(wrong).unwrap_err();
            assert!(error.to_string().contains(said), "{error:#}");
            assert_eq!((kind(&error), hints(&error)), (Kind::Failed, Vec::from_iter(hint)), "{error:#}");
        }
    }
}
