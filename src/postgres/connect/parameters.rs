//! libpq's connection parameters: their names, their variables, and the order in which values are found.

use crate::base::error::{Fault, Result};
use crate::postgres::connect::service_file;
use crate::postgres::connect::variables::Variables;
use std::collections::BTreeMap;

/// Keyword and variable of every parameter. One without a variable can only come from a service file.
const KNOWN: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("dbname", "PGDATABASE"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslpassword", ""),
    ("sslcrl", "PGSSLCRL"),
    ("sslcrldir", "PGSSLCRLDIR"),
    ("sslsni", "PGSSLSNI"),
    ("sslcertmode", "PGSSLCERTMODE"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("sslcompression", "PGSSLCOMPRESSION"),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("require_auth", "PGREQUIREAUTH"),
    ("requirepeer", "PGREQUIREPEER"),
    ("gssencmode", "PGGSSENCMODE"),
    ("gsslib", "PGGSSLIB"),
    ("gssdelegation", "PGGSSDELEGATION"),
    ("krbsrvname", "PGKRBSRVNAME"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("options", "PGOPTIONS"),
    ("application_name", "PGAPPNAME"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    ("min_protocol_version", "PGMINPROTOCOLVERSION"),
    ("max_protocol_version", "PGMAXPROTOCOLVERSION"),
    // A dump is made in the database's own encoding: the one way that neither loses nor refuses a character.
    ("client_encoding", ""),
    ("fallback_application_name", ""),
    ("keepalives", ""),
    ("keepalives_idle", ""),
    ("keepalives_interval", ""),
    ("keepalives_count", ""),
    ("tcp_user_timeout", ""),
    ("replication", ""),
];

/// The parameters in force, by keyword.
#[derive(Clone, Default)]
pub struct Parameters(BTreeMap<&'static str, String>);

impl Parameters {
    /// Adds the missing values in libpq's order: those that are set already stay, then the service's, then the variables'.
    pub fn complete(mut self, environment: Variables) -> Result<Parameters> {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        for (keyword, value) in service_file::read(&variable)? {
            let known = KNOWN.iter().find(|(name, _)| *name == keyword);
            let Some((keyword, _)) = known else {
                return Err(
                    Fault::usage(format!("the service file sets \"{keyword}\", which is no setting of libpq")).into()
                );
            };
            self.0.entry(keyword).or_insert(value);
        }
        for (keyword, name) in KNOWN.iter().filter(|(_, name)| !name.is_empty()) {
            if let Some(value) = variable(name) {
                self.0.entry(keyword).or_insert(value);
            }
        }
        Ok(self)
    }

    /// Returns a value; `None` if it is unset or empty.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.0.get(keyword).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn set(&mut self, keyword: &'static str, value: impl Into<String>) {
        self.0.insert(keyword, value.into());
    }

    pub fn take(&mut self, keyword: &str) -> Option<String> {
        self.0.remove(keyword)
    }

    /// Returns the parameters that can be handed to a child by a variable.
    pub fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KNOWN.iter().filter(|(_, variable)| !variable.is_empty()).filter_map(|(keyword, variable)| {
            let value = self.get(keyword)?;
            Some((*variable, value))
        })
    }

    /// Returns the parameters that only a service file can hand to a child. A service must not set who connects, nor in which
    /// encoding.
    pub fn without_variable(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let ours = ["client_encoding", "fallback_application_name", "replication"];
        let rest = KNOWN.iter().filter(move |(keyword, variable)| variable.is_empty() && !ours.contains(keyword));
        rest.filter_map(|(keyword, _)| Some((*keyword, self.get(keyword)?)))
    }

    /// Returns one of a few words; the first if nothing is set. Any other value is an error.
    pub fn word(&self, keyword: &str, words: &[&'static str]) -> Result<&'static str> {
        let Some(value) = self.get(keyword) else { return Ok(words.first().copied().unwrap_or_default()) };
        words.iter().find(|word| **word == value).copied().ok_or_else(|| {
            let name = variable(keyword);
            Fault::usage(format!("{name} is \"{value}\"; it must be one of {}", words.join(", "))).into()
        })
    }

    pub fn number(&self, keyword: &str) -> Result<Option<u32>> {
        let Some(value) = self.get(keyword) else { return Ok(None) };
        match value.trim().parse() {
            Ok(number) => Ok(Some(number)),
            // libpq takes a negative time limit for none.
            Err(_) if value.trim().starts_with('-') && value.trim().parse::<i32>().is_ok() => Ok(Some(0)),
            Err(_) => Err(Fault::usage(format!("{} is \"{value}\", which is no number", variable(keyword))).into()),
        }
    }
}

/// Returns the variable of a parameter, empty if it has none; `None` if libpq knows no such parameter.
pub fn variable_of(keyword: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(name, _)| *name == keyword).map(|(_, variable)| *variable)
}

/// Returns the name of a parameter in messages: its variable, else its keyword.
pub fn variable(keyword: &str) -> &str {
    let known = KNOWN.iter().find(|(name, _)| *name == keyword).map(|(_, variable)| *variable);
    known.filter(|variable| !variable.is_empty()).unwrap_or(keyword)
}
