//! The subject of a backup: one database, or what belongs to no database. Each subject has a series of backups of its own.
//!
//! A subject is parsed once, where its name comes in, and written once, where it goes out. Only this file knows the names of those that
//! are no databases.

use crate::base::variant::Variant;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;

/// One thing that is backed up. Sorts by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    Database(Database),
    /// Roles, their memberships and tablespaces, which belong to the server as a whole.
    Globals,
    /// Files and folders of this host.
    Files,
}

/// A database as the subject of a backup, in one of its variants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Database {
    /// Never a name that stands for another subject.
    name: String,
    variant: Variant,
}

impl Database {
    /// Returns the name that the server knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }
}

const GLOBALS: &str = "@globals";
const FILES: &str = "@files";
/// Stands between a database and its variant. In a series it stands for nothing else: in names it is percent-encoded there.
const OF: char = '@';

impl Subject {
    /// Returns the name that people read and write, without the variant.
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

    /// Returns its variant; what is no database has only the plain one.
    pub fn variant(&self) -> Variant {
        self.database().map_or(Variant::Plain, |database| database.variant)
    }

    /// Returns the same database in this variant. What is no database stays as it is.
    pub fn in_variant(self, variant: Variant) -> Subject {
        match self {
            Subject::Database(database) => Subject::Database(Database { variant, ..database }),
            other => other,
        }
    }

    /// Returns the name of its series in keys, ids, file names and URLs. What those could not hold plainly is percent-encoded, an `@`
    /// among it, so that no database has the series of another subject, and none that of another's variant.
    pub fn series(&self) -> String {
        match self {
            Subject::Database(Database { name, variant: Variant::Plain }) => encode(name),
            Subject::Database(Database { name, variant }) => format!("{}{OF}{}", encode(name), variant.name()),
            Subject::Globals | Subject::Files => self.name().to_owned(),
        }
    }

    /// Returns the subject whose series has this name. `None`: pgbk would not write it so.
    pub fn of_series(series: &str) -> Option<Subject> {
        let (name, variant) = match series.rsplit_once(OF) {
            Some((name, variant)) if !name.is_empty() => (name, Variant::named(variant)?),
            _ => (series, Variant::Plain),
        };
        let subject = Subject::from(decode(name)?).in_variant(variant);
        // One spelling only: nothing else may name the same series.
        (!series.is_empty() && subject.series() == series).then_some(subject)
    }

    /// Returns its text in documents: the name, and behind it the variant unless that is the plain one. A name that ends as a variant
    /// does has its own said, too.
    pub(crate) fn text(&self) -> String {
        let (name, variant) = (self.name(), self.variant());
        match variant == Variant::Plain && split(name).is_none() {
            true => name.to_owned(),
            false => format!("{name}{OF}{}", variant.name()),
        }
    }

    /// Returns the subject of a text in a document.
    pub(crate) fn of_text(text: &str) -> Subject {
        match split(text) {
            Some((name, variant)) => Subject::from(name).in_variant(variant),
            None => Subject::from(text),
        }
    }
}

/// Splits a text into a name and the variant behind it. `None`: none is there.
fn split(text: &str) -> Option<(&str, Variant)> {
    let (name, variant) = text.rsplit_once(OF)?;
    Variant::named(variant).filter(|_| !name.is_empty()).map(|variant| (name, variant))
}

impl From<String> for Subject {
    /// Makes a subject of its name. A database is in its plain variant.
    fn from(name: String) -> Subject {
        match name.as_str() {
            GLOBALS => Subject::Globals,
            FILES => Subject::Files,
            _ => Subject::Database(Database { name, variant: Variant::Plain }),
        }
    }
}

impl From<&str> for Subject {
    fn from(name: &str) -> Subject {
        Subject::from(name.to_owned())
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Subject, D::Error> {
        String::deserialize(from).map(|text| Subject::of_text(&text))
    }
}

impl Ord for Subject {
    fn cmp(&self, other: &Subject) -> Ordering {
        (self.name(), self.variant()).cmp(&(other.name(), other.variant()))
    }
}

impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Subject) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variant() {
            Variant::Plain => f.write_str(self.name()),
            variant => write!(f, "{}{OF}{}", self.name(), variant.name()),
        }
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

    #[test]
    fn each_variant_of_a_database_has_a_series_and_a_text_that_no_other_subject_has() {
        let names = ["shop", "shop@custom", "shop@plain", "shop@anonymised@custom", "@custom", "@", "a@b"];
        let all: Vec<Subject> = names
            .iter()
            .flat_map(|name| Variant::ALL.map(|variant| Subject::from(*name).in_variant(variant)))
            .chain([Subject::Globals, Subject::Files])
            .collect();
        let mut spellings = std::collections::BTreeSet::new();
        for subject in &all {
            assert_eq!(Subject::of_series(&subject.series()).as_ref(), Some(subject));
            let text = serde_json::to_string(subject).unwrap();
            assert_eq!(&serde_json::from_str::<Subject>(&text).unwrap(), subject);
            assert!(spellings.insert(subject.series()) && spellings.insert(text), "{subject:?}");
        }
        let copy = Subject::from("shop").in_variant(Variant::Anonymised);
        assert_eq!((copy.series().as_str(), copy.name()), ("shop@anonymised", "shop"));
        for foreign in ["shop@plain", "shop@other", "@custom@custom", "@anonymised", "@globals@custom", "a@b@custom"] {
            assert_eq!(Subject::of_series(foreign), None, "{foreign}");
        }
    }

    /// Reads the name of a series as all versions before variants did.
    fn of_series_before(series: &str) -> Option<String> {
        decode(series).filter(|name| !series.is_empty() && encode(name) == series)
    }

    #[test]
    fn older_versions_take_the_series_of_a_variant_for_no_database_at_all() {
        assert_eq!(of_series_before("shop").as_deref(), Some("shop"));
        for variant in [Variant::Custom, Variant::Anonymised] {
            assert_eq!(of_series_before(&Subject::from("shop").in_variant(variant).series()), None);
        }
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
