//! Keeps the variables and the secrets as pgbk reads them. The environment of the process itself is never changed.

use crate::base::secret::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

/// Every variable, and the secrets apart from them. Both are normalized once they are read.
#[derive(Clone, Default)]
pub struct Values {
    variables: BTreeMap<OsString, OsString>,
    secrets: BTreeMap<String, Secret>,
    /// Names of the secrets that came from files, which can be read again.
    in_files: BTreeSet<String>,
}

impl Values {
    /// Holds these variables. Of two with one name the first counts, as it does for the C library.
    pub fn of(variables: impl Iterator<Item = (OsString, OsString)>) -> Values {
        let mut values = Values::default();
        for (name, value) in variables {
            values.variables.entry(name).or_insert(value);
        }
        values
    }

    /// Returns a variable. None: it is unset.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Returns a variable. None: it is unset, empty or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str().filter(|value| !value.is_empty())
    }

    /// Sets a variable, or unsets it.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.variables.insert(name.into(), value.into()),
            None => self.variables.remove(OsStr::new(name)),
        };
    }

    /// Returns every variable that is set. No secret that was read is among them.
    pub fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// Returns a secret. None: it is unset.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name)
    }

    /// Returns every secret that is set.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.secrets.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Keeps a secret, and takes its variable away.
    pub fn keep_secret(&mut self, name: &str, value: Secret, from_file: bool) {
        self.set(name, None);
        self.in_files.remove(name);
        if from_file {
            self.in_files.insert(name.to_owned());
        }
        self.secrets.insert(name.to_owned(), value);
    }

    /// Takes a secret out. None: it is unset.
    pub fn take_secret(&mut self, name: &str) -> Option<Secret> {
        self.in_files.remove(name);
        self.secrets.remove(name)
    }

    /// Returns the names of the secrets that came from files.
    pub fn in_files(&self) -> &BTreeSet<String> {
        &self.in_files
    }
}
