//! Creates databases with an encoding, a locale and a tablespace, as far as a server has them.

use crate::format::manifest::ServerNote;
use crate::format::manifest::properties::{Locale, LocaleName, Name, Properties, Provider};
use crate::postgres::session::cell::first_values;
use crate::postgres::session::quote::{identifier, literal};
use ::postgres::error::SqlState;
use ::postgres::{Client, Error};

/// The encoding, locale and tablespace that a database is created with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    pub encoding: Option<String>,
    /// `None`: the locale that the server gives databases of this encoding.
    pub locale: Option<Locale>,
    /// `None`: the server's default.
    pub tablespace: Option<Name>,
}

/// The parts of a shape that a server lacks, in words; `None` for what it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShapeGaps {
    pub locale: Option<String>,
    pub tablespace: Option<String>,
}

/// The tablespace that every server has.
const DEFAULT_TABLESPACE: &str = "pg_default";
/// The first major version whose `pg_database` names the provider.
const PROVIDERS: u32 = 15;

impl Shape {
    pub fn of(server: Option<&ServerNote>, properties: Option<&Properties>) -> Shape {
        let tablespace = properties.map(|properties| properties.tablespace.clone());
        Shape {
            encoding: server.map(|server| server.encoding.as_str().to_owned()),
            locale: properties.map(|properties| properties.locale.clone()),
            tablespace: tablespace.filter(|name| name.as_str() != DEFAULT_TABLESPACE),
        }
    }

    /// Returns the part of the shape that this server has, and what it lacks. Changes nothing on the server.
    pub fn fitted(mut self, client: &mut Client) -> Result<(Shape, ShapeGaps), Error> {
        let mut lacking = ShapeGaps::default();
        if let Some(locale) = &self.locale {
            lacking.locale = lacks_locale(client, locale)?;
        }
        if let Some(tablespace) = &self.tablespace {
            let name = literal(tablespace.as_str());
            let usable = format!(
                "SELECT 1 FROM pg_catalog.pg_tablespace
                 WHERE spcname = {name} AND pg_catalog.has_tablespace_privilege(oid, 'CREATE')"
            );
            let lacks = column(client, &usable)?.is_none();
            lacking.tablespace = lacks.then(|| tablespace.as_str().to_owned());
        }
        self.locale = self.locale.filter(|_| lacking.locale.is_none());
        self.tablespace = self.tablespace.filter(|_| lacking.tablespace.is_none());
        Ok((self, lacking))
    }

    /// Creates an empty database of this shape.
    pub fn create(&self, client: &mut Client, database: &str) -> Result<(), Error> {
        let own =
            "SELECT pg_catalog.pg_encoding_to_char(encoding) FROM pg_catalog.pg_database WHERE datname = 'template0'";
        let own = column(client, own)?;
        let mut statement = format!("CREATE DATABASE {} TEMPLATE template0", identifier(database));
        let mut add = |option: &str, value: &str| statement.push_str(&format!(" {option} {}", literal(value)));
        if let Some(encoding) = self.encoding.as_ref().filter(|encoding| own.as_ref() != Some(encoding)) {
            add("ENCODING", encoding);
            if self.locale.is_none() {
                // The server's locale may not fit another encoding; "C" fits all.
                add("LC_COLLATE", "C");
                add("LC_CTYPE", "C");
            }
        }
        if let Some(locale) = &self.locale {
            add("LC_COLLATE", locale.collate.as_str());
            add("LC_CTYPE", locale.ctype.as_str());
            let of_provider = match locale.provider {
                Provider::Libc => None,
                Provider::Icu => Some("ICU_LOCALE"),
                Provider::Builtin => Some("BUILTIN_LOCALE"),
            };
            if let (Some(option), Some(name)) = (of_provider, &locale.name) {
                add(option, name.as_str());
            }
            if let Some(rules) = &locale.rules {
                add("ICU_RULES", rules.as_str());
            }
            if major(client)? >= PROVIDERS {
                statement.push_str(" LOCALE_PROVIDER ");
                statement.push_str(match locale.provider {
                    Provider::Libc => "libc",
                    Provider::Icu => "icu",
                    Provider::Builtin => "builtin",
                });
            }
        }
        if let Some(tablespace) = &self.tablespace {
            statement.push_str(&format!(" TABLESPACE {}", identifier(tablespace.as_str())));
        }
        client.batch_execute(&statement)
    }
}

/// Returns what the server lacks of a locale, in words; `None` if it has all of it.
fn lacks_locale(client: &mut Client, locale: &Locale) -> Result<Option<String>, Error> {
    let major = major(client)?;
    let since = match (locale.provider, locale.name.as_ref().map(LocaleName::as_str)) {
        (Provider::Libc, _) => 0,
        (Provider::Icu, _) if locale.rules.is_some() => 16,
        (Provider::Icu, _) => PROVIDERS,
        (Provider::Builtin, Some("PG_UNICODE_FAST")) => 18,
        (Provider::Builtin, _) => 17,
    };
    if major < since {
        return Ok(Some(format!("{}, which is known since PostgreSQL {since}", locale.describe())));
    }
    // One is there from the beginning, whatever the server was built with.
    let icu = "SELECT 1 FROM pg_catalog.pg_collation WHERE collprovider = 'i' AND collname <> 'unicode' LIMIT 1";
    if locale.provider == Provider::Icu && column(client, icu)?.is_none() {
        return Ok(Some(format!("{}, for which it was built without ICU", locale.describe())));
    }
    for name in [&locale.collate, &locale.ctype] {
        if !has_libc(client, name.as_str())? {
            return Ok(Some(name.as_str().to_owned()));
        }
    }
    Ok(None)
}

/// Asks the server whether its C library has a locale: otherwise it refuses any setting with that locale.
fn has_libc(client: &mut Client, name: &str) -> Result<bool, Error> {
    let before = column(client, "SHOW lc_monetary")?.unwrap_or_default();
    let set = |name: &str| format!("SELECT pg_catalog.set_config('lc_monetary', {}, false)", literal(name));
    match client.simple_query(&set(name)) {
        Ok(_) => client.simple_query(&set(&before)).map(|_| true),
        Err(error) if error.code() == Some(&SqlState::INVALID_PARAMETER_VALUE) => Ok(false),
        Err(error) => Err(error),
    }
}

fn major(client: &mut Client) -> Result<u32, Error> {
    Ok(column(client, "SHOW server_version_num")?.and_then(|text| text.parse().ok()).unwrap_or(0) / 10_000)
}

/// Returns the first value of the first row; `None` if there is none.
fn column(client: &mut Client, query: &str) -> Result<Option<String>, Error> {
    Ok(first_values(client.simple_query(query)?).next())
}
