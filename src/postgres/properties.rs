//! Reads the properties of a database itself in the dump's snapshot; a restore gives them to its target.

pub(crate) mod changes;
pub(crate) mod forbidden_properties;
pub(crate) mod own_properties;

use crate::base::error::{Fault, Result};
use crate::format::manifest::properties::{
    DatabaseSetting, Grant, Label, Locale, Name, Party, Privilege, Properties, Provider, RoleSetting, SettingName, Text,
};
use crate::postgres::connect::errors::explain;
use crate::postgres::session::query::rows;
use postgres::{Client, GenericClient, SimpleQueryRow};

/// A setting of TimescaleDB's, which its own functions turn on for a restore. It is no property that a database keeps.
pub const RESTORING: &str = "timescaledb.restoring";

/// Condition for the database that the connection is in.
const THIS: &str = "d.datname = pg_catalog.current_database()";
/// Query for the parties of a privilege, each as two columns: a word, and the name of a role.
const PRIVILEGES: &str = "
    SELECT CASE x.grantee WHEN 0 THEN 'public' WHEN d.datdba THEN 'owner' ELSE 'role' END, grantee.rolname,
        CASE x.grantor WHEN d.datdba THEN 'owner' ELSE 'role' END, grantor.rolname, x.privilege, x.grantable
    FROM pg_catalog.pg_database d
    CROSS JOIN LATERAL pg_catalog.aclexplode(COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba)))
        WITH ORDINALITY AS x(grantor, grantee, privilege, grantable, place)
    LEFT JOIN pg_catalog.pg_roles grantee ON grantee.oid = x.grantee
    LEFT JOIN pg_catalog.pg_roles grantor ON grantor.oid = x.grantor";
const SETTINGS: &str = "
    SELECT s.setrole, r.rolname, c.setting
    FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
    LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
    CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS c(setting, place)";
const LABELS: &str = "
    SELECT l.provider, l.label FROM pg_catalog.pg_shseclabel l JOIN pg_catalog.pg_database d
    ON d.oid = l.objoid AND l.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass";

/// Returns the query for owner, limit, template, tablespace, comment, locale and whether `public` is missing. The columns of the
/// locale came one by one.
fn facts(version_num: u32) -> String {
    let provider = if version_num >= 150_000 { "d.datlocprovider" } else { "'c'" };
    let name = match version_num {
        170_000.. => "d.datlocale",
        150_000.. => "d.daticulocale",
        _ => "NULL",
    };
    let rules = if version_num >= 160_000 { "d.daticurules" } else { "NULL" };
    let version = if version_num >= 150_000 { "d.datcollversion" } else { "NULL" };
    format!(
        "SELECT r.rolname, d.datconnlimit, d.datistemplate, t.spcname, s.description,
             {provider}, d.datcollate, d.datctype, {name}, {rules}, {version},
             NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'public')
         FROM pg_catalog.pg_database d
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = d.datdba
         LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
         LEFT JOIN pg_catalog.pg_shdescription s
             ON s.objoid = d.oid AND s.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass
         WHERE {THIS}"
    )
}

/// Reads the properties of the database that the connection is in. An error ends a transaction that is open: see [`read_within`].
pub fn read(client: &mut impl GenericClient, version_num: u32) -> Result<Properties> {
    let facts = rows(client, &facts(version_num))?.into_iter().next();
    let facts = TextRow(facts.ok_or_else(|| Fault::failed("the server does not list the database"))?);
    let ordered = |query: &str, order: &str| format!("{query} WHERE {THIS} ORDER BY {order}");
    let privileges = rows(client, &ordered(PRIVILEGES, "x.place"))?.into_iter().map(|row| grant(&TextRow(row)));
    let privileges = privileges.collect::<Result<Vec<_>>>()?;
    let labels = rows(client, &ordered(LABELS, "1"))?.into_iter().map(|row| {
        let row = TextRow(row);
        Ok(Label { provider: row.checked(0)?, label: row.checked(1)? })
    });
    let labels = labels.collect::<Result<_>>()?;
    let (settings, role_settings) = settings(client)?;
    let properties = Properties {
        owner: facts.checked(0)?,
        privileges,
        settings,
        role_settings,
        comment: facts.optional(4)?,
        labels,
        connection_limit: facts.text(1)?.parse()?,
        is_template: facts.text(2)? == "t",
        tablespace: facts.checked(3)?,
        locale: locale(&facts)?,
        lacks_public: facts.text(11)? == "t",
    };
    match properties.is_bounded() {
        true => Ok(properties),
        false => Err(Fault::failed("the settings, privileges and labels of the database are too large").into()),
    }
}

/// Returns the properties that a new database of this shape has if this role makes it.
pub fn of_new(role: Name, shaped: &Properties) -> Properties {
    let all = [Privilege::Create, Privilege::Connect, Privilege::Temporary].map(|one| (Party::Owner, one));
    let public = [Privilege::Connect, Privilege::Temporary].map(|one| (Party::Public, one));
    let grants = public.into_iter().chain(all);
    Properties {
        owner: role,
        privileges: grants.map(|(to, privilege)| Grant { to, by: Party::Owner, privilege, grantable: false }).collect(),
        settings: Vec::new(),
        role_settings: Vec::new(),
        comment: None,
        labels: Vec::new(),
        connection_limit: -1,
        is_template: false,
        ..shaped.clone()
    }
}

/// Reads the properties within a transaction. An error does not end the transaction.
pub fn read_within(client: &mut Client, version_num: u32) -> Result<Properties> {
    client.batch_execute("SAVEPOINT properties").map_err(|error| explain(&error))?;
    let found = read(client, version_num);
    let back = if found.is_ok() { "RELEASE SAVEPOINT properties" } else { "ROLLBACK TO SAVEPOINT properties" };
    client.batch_execute(back).map_err(|error| explain(&error))?;
    found
}

fn locale(facts: &TextRow) -> Result<Locale> {
    let provider = match facts.text(5)? {
        "c" => Provider::Libc,
        "i" => Provider::Icu,
        "b" => Provider::Builtin,
        other => return Err(Fault::failed(format!("the locale provider \"{other}\" is not known")).into()),
    };
    Ok(Locale {
        provider,
        collate: facts.checked(6)?,
        ctype: facts.checked(7)?,
        name: facts.optional(8)?,
        rules: facts.optional(9)?,
        version: facts.optional(10)?,
    })
}

fn grant(row: &TextRow) -> Result<Grant> {
    let party = |word: usize, name: usize| match row.text(word)? {
        "public" => Ok(Party::Public),
        "owner" => Ok(Party::Owner),
        _ => Ok::<_, anyhow::Error>(Party::Role(row.checked(name)?)),
    };
    let word = row.text(4)?;
    let privilege = Privilege::named(word)
        .ok_or_else(|| Fault::failed(format!("the privilege {word} on a database is not known")))?;
    Ok(Grant { to: party(0, 1)?, by: party(2, 3)?, privilege, grantable: row.text(5)? == "t" })
}

fn settings(client: &mut impl GenericClient) -> Result<(Vec<DatabaseSetting>, Vec<RoleSetting>)> {
    let (mut settings, mut role_settings) = (Vec::new(), Vec::new());
    for row in rows(client, &format!("{SETTINGS} WHERE {THIS} ORDER BY r.rolname, c.place"))? {
        let row = TextRow(row);
        // No name holds this sign, and any value may.
        let (name, value) = row.text(2)?.split_once('=').unwrap_or_default();
        let (name, value): (SettingName, Text) = (checked(name)?, checked(value)?);
        if name.is(RESTORING) {
            continue;
        }
        match row.text(0)? {
            "0" => settings.push(DatabaseSetting { name, value }),
            _ => role_settings.push(RoleSetting { role: row.checked(1)?, name, value }),
        }
    }
    Ok((settings, role_settings))
}

/// A row of an answer. Text that is not UTF-8, which a database without an encoding may hold, is an error and not a panic.
struct TextRow(SimpleQueryRow);

impl TextRow {
    fn text(&self, index: usize) -> Result<&str> {
        let text = self.0.try_get(index)?;
        text.ok_or_else(|| Fault::failed("the server's catalog has a gap where the database is described").into())
    }

    fn checked<T: TryFrom<String, Error = &'static str>>(&self, index: usize) -> Result<T> {
        checked(self.text(index)?)
    }

    fn optional<T: TryFrom<String, Error = &'static str>>(&self, index: usize) -> Result<Option<T>> {
        self.0.try_get(index)?.map(checked).transpose()
    }
}

fn checked<T: TryFrom<String, Error = &'static str>>(text: &str) -> Result<T> {
    T::try_from(text.to_owned()).map_err(|why| Fault::failed(format!("{text:?}: {why}")).into())
}
