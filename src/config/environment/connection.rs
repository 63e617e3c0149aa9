//! Replaces a connection URL by the single settings that it stands for, before anything else reads them.

use crate::base::error::{Fault, Result};
use crate::base::secret::Secret;
use crate::config::environment::address;
use crate::config::environment::values::Values;
use crate::postgres;
use std::ffi::OsString;

/// The kind of value at a place of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    /// The name of a database: a URL may stand there.
    Database,
    /// The name of a server: a URL may stand there, too.
    Server,
    /// Anything else: no URL may stand there.
    Elsewhere,
}

/// Returns the kind of value that comes after these arguments.
pub type ArgumentKinds<'a> = &'a dyn Fn(&[&str]) -> ArgumentKind;

/// libpq's parameters that pgbk decides itself. In a URL they are ignored.
const OURS: [&str; 4] = ["client_encoding", "fallback_application_name", "replication", "sslcompression"];

/// Finds a connection URL wherever one is allowed, and sets the settings that it gives. One in the arguments, in
/// DB_NAME or in DB_HOST wins over the single settings, as with psql. DATABASE_URL may be there for another program:
/// single settings win over it, and it is ignored if they name a server.
pub fn resolve(arguments: &mut [OsString], places: ArgumentKinds, values: &mut Values) -> Result<()> {
    let weak = values.take_secret("DATABASE_URL");
    if let Some(parts) = among(arguments, places)? {
        for name in ["DB_NAME", "DB_HOST"] {
            if values.text(name).is_some_and(address::is_one) {
                values.set(name, None);
            }
        }
        return apply(&parts, true, values);
    }
    for name in ["DB_NAME", "DB_HOST"] {
        let Some(text) = values.text(name).filter(|text| address::is_one(text)) else { continue };
        let parts = address::parse(name, text)?;
        values.set(name, None);
        if name == "DB_NAME" {
            values.set(name, Some(&listed(&database(name, &parts)?)));
        }
        return apply(&parts, true, values);
    }
    match weak {
        // Of another kind of server, for another program.
        Some(text)
            if text.reveal().contains("://")
                && !address::is_libpqs(text.reveal())
                && !address::tells_password(text.reveal()) =>
        {
            Ok(())
        }
        Some(text)
            if ["DB_HOST", "PGHOST", "PGHOSTADDR", "PGSERVICE"].iter().all(|name| values.text(name).is_none()) =>
        {
            apply(&address::parse("DATABASE_URL", text.reveal())?, false, values)
        }
        _ => Ok(()),
    }
}

/// Returns the connection URL in the arguments, and replaces it there by the name of its database or host. None:
/// there is none. Two are an error.
fn among(arguments: &mut [OsString], places: ArgumentKinds) -> Result<Option<address::UrlParameters>> {
    let mut found = None;
    for at in 1..arguments.len() {
        let Some(text) = arguments[at].to_str().map(str::to_owned) else { continue };
        let (flag, value) = match text.split_once('=').filter(|(flag, _)| flag.starts_with("--")) {
            Some((flag, value)) => (Some(flag), value),
            None => (None, text.as_str()),
        };
        if !address::is_one(value) && !address::tells_password(value) {
            continue;
        }
        let before: Vec<&str> = arguments[..at].iter().filter_map(|word| word.to_str()).chain(flag).collect();
        let place = places(&before);
        if place == ArgumentKind::Elsewhere && !address::tells_password(value) {
            continue;
        }
        if place == ArgumentKind::Elsewhere || !address::is_one(value) {
            return Err(misplaced("an argument").into());
        }
        let called = "an argument";
        let parts = address::parse(called, value)?;
        let instead = match place {
            ArgumentKind::Server => get(&parts, "host").ok_or_else(|| misplaced(called))?.to_owned(),
            _ if before.last() == Some(&"--to") => database(called, &parts)?,
            _ => listed(&database(called, &parts)?),
        };
        arguments[at] = flag.map_or(instead.clone(), |flag| format!("{flag}={instead}")).into();
        if found.replace(parts).is_some() {
            return Err(Fault::usage("there are two connection URLs, and pgbk goes to one server at a time").into());
        }
    }
    Ok(found)
}

/// Returns the error for a URL where none is allowed. It may hold a password, and so is not shown.
pub fn misplaced(name: &str) -> Fault {
    Fault::usage(format!("{name} holds a connection URL where none is meant"))
        .hint("a connection URL goes into DATABASE_URL, or where the name of a database stands")
}

fn get<'a>(parts: &'a address::UrlParameters, keyword: &str) -> Option<&'a str> {
    parts.iter().rev().find(|(known, _)| known == keyword).map(|(_, value)| value.as_str())
}

fn database(name: &str, parts: &address::UrlParameters) -> Result<String> {
    get(parts, "dbname").or(get(parts, "user")).map(str::to_owned).ok_or_else(|| {
        Fault::usage(format!("the connection URL in {name} names no database"))
            .hint("it stands at its end: postgresql://host/database")
            .into()
    })
}

/// Returns the name as a list of databases has it, in quotes if it needs them.
fn listed(name: &str) -> String {
    let plain = !name.contains([',', '"', '*']) && name.trim() == name;
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn apply(parts: &address::UrlParameters, strong: bool, values: &mut Values) -> Result<()> {
    let theirs = values.text("DB_USER").is_some_and(|user| get(parts, "user").is_some_and(|other| other != user));
    for (keyword, value) in parts {
        match keyword.as_str() {
            // Another user's password is none.
            "password" if strong || (!theirs && values.secret("DB_PASSWORD").is_none()) => {
                values.keep_secret("DB_PASSWORD", Secret::new(value.as_str()), false);
            }
            "password" => {}
            "dbname" if values.text("DB_NAME").is_none() => values.set("DB_NAME", Some(&listed(value))),
            "dbname" => {}
            _ => variable(keyword, value, values)?,
        }
    }
    let own = [("host", "DB_HOST"), ("port", "DB_PORT"), ("user", "DB_USER")];
    for (_, name) in own.iter().filter(|(keyword, _)| strong && get(parts, keyword).is_some()) {
        values.set(name, None);
    }
    if get(parts, "host").is_some() {
        for (keyword, name) in [("hostaddr", "PGHOSTADDR"), ("service", "PGSERVICE")] {
            if get(parts, keyword).is_none() {
                values.set(name, None);
            }
        }
    }
    Ok(())
}

fn variable(keyword: &str, value: &str, values: &mut Values) -> Result<()> {
    match postgres::connect::parameters::variable_of(keyword) {
        _ if keyword == "service" => values.set("PGSERVICE", Some(value)),
        _ if OURS.contains(&keyword) => {}
        Some("") => {
            return Err(Fault::usage(format!(
                "a connection URL sets {keyword}, which pgbk takes from a service file only"
            ))
            .hint("leave it out of the URL, or put it into the file that PGSERVICEFILE names")
            .into());
        }
        Some(name) => values.set(name, Some(value)),
        // Not even the name is shown: it may be a piece of a password.
        None => {
            return Err(Fault::usage("a connection URL has a parameter that libpq does not know")
                .hint("leave out what is meant for another program, such as schema or pool_timeout")
                .into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(set: &[(&str, &str)], secrets: &[(&str, &str)]) -> Values {
        let mut values = Values::of(set.iter().map(|(name, value)| (name.into(), value.into())));
        for (name, value) in secrets {
            values.keep_secret(name, Secret::new(*value), true);
        }
        resolve(&mut [], &|_| ArgumentKind::Elsewhere, &mut values).unwrap();
        values
    }

    #[test]
    fn a_url_stands_for_its_parts_and_is_not_kept() {
        let values = resolved(&[("DB_USER", "other")], &[("DATABASE_URL", "postgresql://u:p@h:7/d?sslmode=require")]);
        let texts = ["DB_NAME", "DB_USER", "PGHOST", "PGPORT", "PGSSLMODE"].map(|name| values.text(name));
        assert_eq!(texts, [Some("d"), Some("other"), Some("h"), Some("7"), Some("require")]);
        // The password of another user is none.
        assert!(values.secret("DB_PASSWORD").is_none() && values.secret("DATABASE_URL").is_none());
        assert!(values.in_files().is_empty());
    }

    #[test]
    fn the_password_of_a_url_that_wins_is_not_read_again_from_the_file_of_another() {
        let values = resolved(&[("DB_NAME", "postgresql://u:by%20url@h/d")], &[("DB_PASSWORD", "by file")]);
        assert_eq!(values.secret("DB_PASSWORD").unwrap().reveal(), "by url");
        assert!(values.in_files().is_empty());
        let values = resolved(&[], &[("DATABASE_URL", "postgresql://u:p@h/d"), ("DB_PASSWORD", "by file")]);
        assert_eq!(values.secret("DB_PASSWORD").unwrap().reveal(), "by file");
        assert_eq!(values.in_files().iter().collect::<Vec<_>>(), ["DB_PASSWORD"]);
    }
}
