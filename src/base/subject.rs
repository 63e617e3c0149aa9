//! The subject of a backup: one database, or what belongs to no database. Each subject has a series of backups of its own.
//!
//! A subject is parsed once, where its name comes in, and written once, where it goes out. Only this file knows the names of those that
//! are no databases.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// One thing that is backed up. Sorts by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Subject {
    Database(Database),
    /// Roles, their memberships and tablespaces, which belong to the server as a whole.
    Globals,
    /// Files and folders of this host.
    Files,
}

/// A database as the subject of a backup. Which variant of it was taken would be a second member here: each is a backup of its own, in
/// its own series, so [`Subject::series`] and [`Subject::of_series`] would write and read it with the name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Database {
    /// Never a name that stands for another subject.
    name: String,
}

impl Database {
    /// Returns the name that the server knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }
}

const GLOBALS: &str = "@globals";
const FILES: &str = "@files";

impl Subject {
    /// Returns the name that people read and write. No two subjects share one.
    pub fn name(&self) -> &str {
        match self {
            Subject::Database(database) => database.name(),
            Subject::Globals => GLOBALS,
            Subject::Files => FILES,
        }
    }

    /// Returns the database; `None` if the subject is none.
    pub fn database(&self) -> Option<&Database> {
        match self {
            Subject::Database(database) => Some(database),
            Subject::Globals | Subject::Files => None,
        }
    }

    /// Returns the name of its series in keys, ids, file names and URLs. What those could not hold plainly is percent-encoded, an `@`
    /// among it, so that no database has the series of another subject.
    pub fn series(&self) -> String {
        match self {
            Subject::Database(database) => encode(database.name()),
            Subject::Globals | Subject::Files => self.name().to_owned(),
        }
    }

    /// Returns the subject whose series has this name. `None`: pgbk would not write it so.
    pub fn of_series(series: &str) -> Option<Subject> {
        let subject = Subject::from(decode(series)?);
        // One spelling only: nothing else may name the same series.
        (!series.is_empty() && subject.series() == series).then_some(subject)
    }
}

impl From<String> for Subject {
    fn from(name: String) -> Subject {
        match name.as_str() {
            GLOBALS => Subject::Globals,
            FILES => Subject::Files,
            _ => Subject::Database(Database { name }),
        }
    }
}

impl From<&str> for Subject {
    fn from(name: &str) -> Subject {
        Subject::from(name.to_owned())
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        match subject {
            Subject::Database(database) => database.name,
            Subject::Globals | Subject::Files => subject.name().to_owned(),
        }
    }
}

impl Ord for Subject {
    fn cmp(&self, other: &Subject) -> Ordering {
        self.name().cmp(other.name())
    }
}

impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Subject) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Percent-encodes what a key, a file name or a URL could not hold plainly.
pub(crate) fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for (at, byte) in name.bytes().enumerate() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => encoded.push(char::from(byte)),
            b'.' if at > 0 => encoded.push('.'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn decode(encoded: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digits = tail.get(..2)?;
            bytes.push(*hex::decode(digits).ok()?.first()?);
            rest = tail.get(2..)?;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_database_has_a_series_that_no_database_has() {
        for subject in [Subject::Globals, Subject::Files] {
            assert_eq!(Subject::from(subject.name()), subject);
            assert_eq!(subject.series(), subject.name());
            assert_eq!(Subject::of_series(subject.name()), Some(subject.clone()));
            assert_eq!(Subject::of_series(&encode(subject.name())), None);
            assert_eq!(subject.database(), None);
        }
        assert_eq!(Subject::from("@global").series(), "%40global");
        assert_eq!(Subject::from("x@files").series(), "x%40files");
    }

    #[test]
    fn a_series_has_one_spelling() {
        assert_eq!(Subject::of_series("app"), Some(Subject::from("app")));
        for foreign in ["", "%61pp", "a b", "@other", "%2", "%FF", "a/b"] {
            assert_eq!(Subject::of_series(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn subjects_are_written_and_sorted_as_their_names() {
        let mut subjects = ["shop", "@globals", "Crm", "1", "@files"].map(Subject::from);
        subjects.sort();
        assert_eq!(serde_json::to_string(&subjects).unwrap(), r#"["1","@files","@globals","Crm","shop"]"#);
        let read: Vec<Subject> = serde_json::from_str(r#"["@files","shop"]"#).unwrap();
        assert_eq!(read, [Subject::Files, Subject::from("shop")]);
    }

    proptest! {
        #[test]
        fn every_name_comes_back_from_its_series(name in "\\PC{1,63}|[-.%/@\\\\'\"\n ü]{1,20}") {
            let subject = Subject::from(name.as_str());
            prop_assert_eq!(Subject::of_series(&subject.series()), Some(subject.clone()));
            prop_assert_eq!(subject.name(), name);
        }
    }
}
