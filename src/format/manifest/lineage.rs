//! Which server a backup belongs to, and how it came into the store.
//!
//! A series is the backups that one server made of one database. A document that names no server counts as its database's.

use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::manifest::Manifest;
use crate::format::manifest::origin::Origin;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The owner of a backup, by its own document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// The server with this system identifier.
    Server(String),
    /// A server whose role was not allowed to ask for its system identifier.
    Unnamed,
    /// Any server that has the database: documents of format 1 may not say, and files may be packed while no server answers.
    Anyone,
    /// No server: it was made from a file.
    Upload,
}

/// The members of a document by which backups are chosen: the id, the owner, and the place in its series.
#[derive(Debug, Clone)]
pub struct Claims {
    pub id: BackupId,
    pub owner: Owner,
    pub sequence: u64,
    pub adopted: Vec<String>,
}

impl Claims {
    pub fn of(manifest: &Manifest) -> Claims {
        let Manifest { id, sequence, adopted, .. } = manifest;
        Claims { id: id.clone(), owner: manifest.owner(), sequence: *sequence, adopted: adopted.clone() }
    }

    /// Returns the system identifier of the server. `None`: the document names none.
    pub fn system_identifier(&self) -> Option<&str> {
        match &self.owner {
            Owner::Server(identifier) => Some(identifier),
            _ => None,
        }
    }
}

impl Manifest {
    pub fn owner(&self) -> Owner {
        match (self.is_upload(), self.system_identifier(), self.origin) {
            (true, ..) => Owner::Upload,
            (false, Some(identifier), _) => Owner::Server(identifier.to_owned()),
            (false, None, Some(_)) if self.subject != Subject::Files => Owner::Unnamed,
            (false, None, _) => Owner::Anyone,
        }
    }

    /// Returns the system identifier of the server that it was taken from. `None`: it was uploaded, or the role was not allowed to
    /// ask.
    pub fn system_identifier(&self) -> Option<&str> {
        self.server.as_ref()?.system_identifier.as_deref()
    }

    /// Returns whether it was made from a file. A document of format 1 does not say so; there an upload is one that names no
    /// server.
    pub fn is_upload(&self) -> bool {
        match self.origin {
            Some(origin) => origin == Origin::Upload,
            None => self.server.is_none() && self.subject.database().is_some(),
        }
    }
}

/// The series of one database, each as the set of servers whose backups belong to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lineages(Vec<BTreeSet<String>>);

impl Lineages {
    /// Adds the statement of one backup: its own server, and those whose series it continues.
    pub fn add(&mut self, server: &str, adopted: &[String]) {
        let mut joined: BTreeSet<String> = adopted.iter().cloned().collect();
        joined.insert(server.to_owned());
        let (touched, apart): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|one| !one.is_disjoint(&joined));
        joined.extend(touched.into_iter().flatten());
        self.0 = apart;
        self.0.push(joined);
        self.0.sort();
    }

    pub fn of<'a>(claims: impl IntoIterator<Item = &'a Claims>) -> Lineages {
        let mut lineages = Lineages::default();
        for claims in claims {
            if let Some(server) = claims.system_identifier() {
                lineages.add(server, &claims.adopted);
            }
        }
        lineages
    }

    /// Returns the series' servers, in a settled order.
    pub fn all(&self) -> &[BTreeSet<String>] {
        &self.0
    }

    /// Returns whether there are several series.
    pub fn are_several(&self) -> bool {
        self.0.len() > 1
    }
}

/// Returns the end of a system identifier, enough to distinguish servers in a table.
pub(crate) fn short(identifier: &str) -> &str {
    const SHOWN: usize = 6;
    identifier.char_indices().rev().nth(SHOWN - 1).map_or(identifier, |(at, _)| &identifier[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineages(said: &[(&str, &[&str])]) -> Vec<Vec<String>> {
        let mut lineages = Lineages::default();
        for (server, adopted) in said {
            lineages.add(server, &adopted.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
        }
        lineages.all().iter().map(|one| one.iter().cloned().collect()).collect()
    }

    #[test]
    fn servers_are_one_series_where_one_has_adopted_the_other_and_in_no_other_case() {
        assert_eq!(lineages(&[]), Vec::<Vec<String>>::new());
        assert_eq!(lineages(&[("1", &[]), ("2", &[]), ("1", &[])]), [["1"], ["2"]]);
        let joined = [vec!["1", "2", "3"], vec!["4"]];
        for said in [
            [("1", &[][..]), ("2", &["1"]), ("3", &["2"]), ("4", &[])],
            [("3", &["2"]), ("4", &[]), ("1", &[]), ("2", &["1"])],
            [("3", &["1", "2"]), ("4", &[]), ("3", &[]), ("4", &[])],
        ] {
            assert_eq!(lineages(&said), joined);
        }
    }

    #[test]
    fn the_end_of_an_identifier_is_shown_and_a_short_one_whole() {
        assert_eq!((short("7345678901234567890"), short("12"), short("")), ("567890", "12", ""));
    }
}
