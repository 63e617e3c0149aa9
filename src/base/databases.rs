//! Which databases of a server to back up: some by name, or all of them.

use crate::base::error::Fault;
use crate::base::subject::{Subject, encode};
use crate::base::variant::Variant;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A list of databases, written `shop, crm` or `*`. A name with a comma, a quote or a space at its end is put in double quotes, as
/// in SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Databases {
    /// Every database that accepts connections and is no template. A run looks them up when it begins.
    All,
    /// Names, each once, in the order in which they were given.
    Named(Vec<Subject>),
}

/// The text that means every database.
const EVERY: &str = "*";

impl Databases {
    /// Parses several lists into one. `None`: nothing is named.
    pub fn of(texts: &[String]) -> Result<Option<Databases>, Fault> {
        let mut names: Vec<Subject> = Vec::new();
        let mut all = false;
        for name in texts.iter().map(|text| split(text)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            match name {
                DatabasePattern::Star => all = true,
                DatabasePattern::Of(name) => {
                    let subject = Subject::from(name);
                    if !names.contains(&subject) {
                        names.push(subject);
                    }
                }
            }
        }
        match (all, names.is_empty()) {
            (true, true) => Ok(Some(Databases::All)),
            (true, false) => Err(Fault::usage(format!("\"{EVERY}\" is every database, and \"{}\" one more", names[0]))
                .hint(format!("name either \"{EVERY}\" alone, or each database"))),
            (false, true) => Ok(None),
            (false, false) => Ok(Some(Databases::Named(names))),
        }
    }

    /// Returns the only subject, or the only one that is a database if others are named too. `None`: there is no single one.
    pub fn only(&self) -> Option<&Subject> {
        let Databases::Named(subjects) = self else { return None };
        let real: Vec<&Subject> = subjects.iter().filter(|subject| subject.database().is_some()).collect();
        match (subjects.as_slice(), real.as_slice()) {
            ([only], _) => Some(only),
            (_, [only]) => Some(only),
            _ => None,
        }
    }

    /// Adds these subjects to the databases, unless the list already names one that is no database. Does nothing for every database,
    /// which the run looks up later.
    pub fn with(self, extras: &[Subject]) -> Databases {
        match self {
            Databases::Named(mut subjects) if subjects.iter().all(|subject| subject.database().is_some()) => {
                subjects.extend(extras.iter().cloned());
                Databases::Named(subjects)
            }
            other => other,
        }
    }

    /// Returns what a run, a record or a line of the status is about: each named subject, or every database as one.
    pub fn selections(&self) -> Vec<Selection> {
        match self {
            Databases::Named(subjects) => subjects.iter().cloned().map(Selection::One).collect(),
            Databases::All => vec![Selection::Every],
        }
    }
}

/// Names the subject of a run, a record or an alert: one, or every database of the server where they were not told apart, as when they
/// cannot be listed. Sorts by its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    Every,
    One(Subject),
}

impl Selection {
    /// Returns the text that people read, and that files and documents hold.
    pub fn name(&self) -> &str {
        match self {
            Selection::Every => EVERY,
            Selection::One(subject) => subject.name(),
        }
    }

    /// Returns the only subject; `None` if every database is meant.
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Selection::Every => None,
            Selection::One(subject) => Some(subject),
        }
    }

    /// Returns the variant of its subject; every database together is in the plain one.
    pub fn variant(&self) -> Variant {
        self.subject().map_or(Variant::Plain, Subject::variant)
    }

    /// Returns the same database in these variants. Empty if it is no database that has any.
    pub(crate) fn in_variants(&self, variants: &[Variant]) -> Vec<Selection> {
        let database = self.subject().filter(|subject| subject.database().is_some());
        let of =
            |subject: &Subject| variants.iter().map(|variant| subject.clone().in_variant(*variant).into()).collect();
        database.map(of).unwrap_or_default()
    }

    /// Returns its name in file names and URLs.
    pub fn series(&self) -> String {
        match self {
            Selection::Every => encode(EVERY),
            Selection::One(subject) => subject.series(),
        }
    }
}

impl PartialEq<Subject> for Selection {
    fn eq(&self, other: &Subject) -> bool {
        matches!(self, Selection::One(subject) if subject == other)
    }
}

impl From<Subject> for Selection {
    fn from(subject: Subject) -> Selection {
        Selection::One(subject)
    }
}

impl From<String> for Selection {
    fn from(text: String) -> Selection {
        if text == EVERY { Selection::Every } else { Selection::One(text.into()) }
    }
}

impl From<&str> for Selection {
    fn from(text: &str) -> Selection {
        text.to_owned().into()
    }
}

impl Serialize for Selection {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Selection::Every => to.serialize_str(EVERY),
            Selection::One(subject) => subject.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Selection, D::Error> {
        let text = String::deserialize(from)?;
        Ok(if text == EVERY { Selection::Every } else { Selection::One(Subject::of_text(&text)) })
    }
}

impl Ord for Selection {
    fn cmp(&self, other: &Selection) -> Ordering {
        (self.name(), self.subject()).cmp(&(other.name(), other.subject()))
    }
}

impl PartialOrd for Selection {
    fn partial_cmp(&self, other: &Selection) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selection::Every => f.write_str(EVERY),
            Selection::One(subject) => subject.fmt(f),
        }
    }
}

impl FromStr for Databases {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Databases, Fault> {
        Self::of(&[text.to_owned()])?.ok_or_else(|| Fault::usage(format!("\"{text}\" names no database")))
    }
}

impl fmt::Display for Databases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Databases::All => f.write_str(EVERY),
            Databases::Named(subjects) => {
                f.write_str(&subjects.iter().map(Subject::to_string).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

enum DatabasePattern {
    Star,
    Of(String),
}

fn split(text: &str) -> Result<Vec<DatabasePattern>, Fault> {
    let mut names = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (name, after) = unquote(quoted).ok_or_else(|| unclosed(text))?;
            rest = match after.trim_start().strip_prefix(',') {
                Some(after) => after,
                None if after.trim().is_empty() => "",
                None => return Err(unclosed(text)),
            };
            names.push(DatabasePattern::Of(name));
        } else {
            let (name, after) = rest.split_once(',').unwrap_or((rest, ""));
            rest = after;
            match name.trim() {
                "" => {}
                EVERY => names.push(DatabasePattern::Star),
                name => names.push(DatabasePattern::Of(name.to_owned())),
            }
        }
        rest = rest.trim_start();
    }
    Ok(names)
}

/// Splits a text at its closing quote into the name and the rest. A doubled quote is one quote of the name. `None`: no closing
/// quote, or an empty name.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(after) => {
                name.push('"');
                rest = after;
            }
            None => return (!name.is_empty()).then_some((name, after)),
        }
    }
}

fn unclosed(text: &str) -> Fault {
    let text = text.trim();
    Fault::usage(format!("{text} is no list of databases: a quoted name does not end as it should"))
        .hint("write shop, crm or \"a,b\", crm")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        match text.parse() {
            Ok(Databases::Named(subjects)) => subjects.iter().map(ToString::to_string).collect(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn lists_are_split_at_commas_and_name_each_once() {
        assert_eq!(names("shop"), ["shop"]);
        assert_eq!(names(" shop, My shop ,shop,, crm,"), ["shop", "My shop", "crm"]);
        assert_eq!(names(r#""a,b", "say ""so""", it"s"#), ["a,b", "say \"so\"", "it\"s"]);
        assert_eq!("*".parse::<Databases>().unwrap(), Databases::All);
        assert_eq!(names("\"*\""), ["*"]);
        assert_eq!(Databases::of(&[]).unwrap(), None);
        assert_eq!(Databases::of(&["a,b".into(), "c".into()]).unwrap().unwrap().to_string(), "a, b, c");
    }

    #[test]
    fn what_is_backed_up_beside_comes_last_and_is_no_database() {
        let with = |text: &str| text.parse::<Databases>().unwrap().with(&[Subject::Globals, Subject::Files]);
        let only = |text: &str| with(text).only().map(ToString::to_string);
        assert_eq!(with("shop").to_string(), "shop, @globals, @files");
        assert_eq!(only("shop").as_deref(), Some("shop"));
        assert_eq!(only("shop, crm"), None);
        assert_eq!(with("@files"), Databases::Named(vec![Subject::Files]));
        assert_eq!(only("@files").as_deref(), Some("@files"));
        assert_eq!(with("shop, @globals").to_string(), "shop, @globals");
        assert_eq!(with("*"), Databases::All);
    }

    #[test]
    fn every_database_is_no_name_of_one_and_is_written_as_before() {
        let all = "*".parse::<Databases>().unwrap();
        assert_eq!(all.selections(), [Selection::Every]);
        assert_eq!((Selection::Every.to_string(), Selection::Every.series()), ("*".to_owned(), "%2A".to_owned()));
        assert_eq!(serde_json::to_string(&[Selection::Every, "shop".into()]).unwrap(), r#"["*","shop"]"#);
        assert_eq!(serde_json::from_str::<Selection>("\"*\"").unwrap(), Selection::Every);
        assert!(Selection::Every != Subject::from("*") && Selection::from("shop") == Subject::from("shop"));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for wrong in ["*,shop", "\"open", "\"a\"b", "\"\"", " , ", ""] {
            assert!(wrong.parse::<Databases>().is_err(), "{wrong:?}");
        }
    }
}
