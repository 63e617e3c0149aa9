//! Which databases of a server to back up: some by name, or all of them.

use crate::base::error::Fault;
use crate::base::subject::Series;
use serde::{Deserialize, Serialize};
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
    Named(Vec<String>),
}

impl Databases {
    /// Parses several lists into one. `None`: nothing is named.
    pub fn of(texts: &[String]) -> Result<Option<Databases>, Fault> {
        let mut names: Vec<String> = Vec::new();
        let mut all = false;
        for name in texts.iter().map(|text| split(text)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            match name {
                Name::Star => all = true,
                Name::Of(name) if !names.contains(&name) => names.push(name),
                Name::Of(_) => {}
            }
        }
        match (all, names.is_empty()) {
            (true, true) => Ok(Some(Databases::All)),
            (true, false) => Err(Fault::usage(format!("\"*\" is every database, and \"{}\" one more", names[0]))
                .hint("name either \"*\" alone, or each database")),
            (false, true) => Ok(None),
            (false, false) => Ok(Some(Databases::Named(names))),
        }
    }

    /// Returns the only name, or the only one that is a database if `@globals` or `@files` are named too. `None`: there is no
    /// single one.
    pub fn only(&self) -> Option<&str> {
        let Databases::Named(names) = self else { return None };
        let real: Vec<&String> = names.iter().filter(|name| Series::of(name).is_none()).collect();
        match (names.as_slice(), real.as_slice()) {
            ([only], _) => Some(only),
            (_, [only]) => Some(only),
            _ => None,
        }
    }

    /// Adds these subjects to the databases, unless the list already names one of them. Does nothing for `*`, which the run expands
    /// later.
    pub fn with(self, beside: &[Series]) -> Databases {
        match self {
            Databases::Named(mut names) if !names.iter().any(|name| Series::of(name).is_some()) => {
                names.extend(beside.iter().map(|series| series.name().to_owned()));
                Databases::Named(names)
            }
            other => other,
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
            Databases::All => f.write_str("*"),
            Databases::Named(names) => f.write_str(&names.join(", ")),
        }
    }
}

enum Name {
    Star,
    Of(String),
}

fn split(text: &str) -> Result<Vec<Name>, Fault> {
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
            names.push(Name::Of(name));
        } else {
            let (name, after) = rest.split_once(',').unwrap_or((rest, ""));
            rest = after;
            match name.trim() {
                "" => {}
                "*" => names.push(Name::Star),
                name => names.push(Name::Of(name.to_owned())),
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
            Ok(Databases::Named(names)) => names,
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
        let with = |text: &str| text.parse::<Databases>().unwrap().with(&Series::ALL);
        assert_eq!(with("shop").to_string(), "shop, @globals, @files");
        assert_eq!(with("shop").only(), Some("shop"));
        assert_eq!(with("shop, crm").only(), None);
        assert_eq!(with("@files").to_string(), "@files");
        assert_eq!(with("@files").only(), Some("@files"));
        assert_eq!(with("shop, @globals").to_string(), "shop, @globals");
        assert_eq!(with("*"), Databases::All);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for wrong in ["*,shop", "\"open", "\"a\"b", "\"\"", " , ", ""] {
            assert!(wrong.parse::<Databases>().is_err(), "{wrong:?}");
        }
    }
}
