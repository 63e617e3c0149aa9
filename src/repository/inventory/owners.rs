//! Remembers which server each backup in the store belongs to. Only its `.meta` says so, and each is read once.

use crate::base::error::{Kind, Result, kind};
use crate::base::state_dir::StateDir;
use crate::base::state_dir::file::StateFile;
use crate::base::variant::Variant;
use crate::format::backup_id::BackupId;
use crate::format::manifest::lineage::{Claims, Lineages, Owner};
use crate::repository::Repository;
use crate::repository::catalog::{Catalog, CatalogEntry};
use crate::repository::newest::ServerIdentity;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Most documents that one call reads, newest first. Later calls read the older ones.
const MOST: usize = 2000;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Owners {
    location: String,
    known: BTreeMap<BackupId, OwnerEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OwnerEntry {
    owner: Owner,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    adopted: Vec<String>,
}

impl Owners {
    /// Reads what is remembered of the store at `location`; nothing if the file is about another store.
    pub fn read(state: &StateDir, variant: Variant, location: &str) -> Owners {
        let found = file(state, variant).read_json::<Owners>().ok().map(|found| found.value);
        found
            .filter(|owners| owners.location == location)
            .unwrap_or_else(|| Owners { location: location.to_owned(), ..Owners::default() })
    }

    pub fn write(&self, state: &StateDir, variant: Variant) -> io::Result<()> {
        file(state, variant).write_json(self)
    }

    /// Returns the backups of that server's series, and of those that it adopted. If the role may list
    /// but not read, unknown backups count as its own.
    pub fn sort(
        &mut self,
        repository: &Repository,
        catalog: &Catalog,
        server: &ServerIdentity,
    ) -> Result<BTreeSet<BackupId>> {
        let ids: BTreeSet<&BackupId> = catalog.entries().iter().map(|entry| &entry.id).collect();
        self.known.retain(|id, _| ids.contains(id));
        let is_readable = self.learn(repository, catalog)?;
        let mut own = BTreeSet::new();
        for subject in catalog.subjects() {
            let of_it: Vec<(&BackupId, &OwnerEntry)> =
                self.known.iter().filter(|(id, _)| id.subject() == subject).collect();
            let owns = owns(&of_it, server);
            own.extend(of_it.into_iter().filter(|(_, owned)| owns(&owned.owner)).map(|(id, _)| id.clone()));
        }
        if !is_readable {
            // A role that may list and not read: nobody else's are told apart.
            own.extend(ids.into_iter().filter(|id| !self.known.contains_key(id)).cloned());
        }
        Ok(own)
    }

    /// Reads the documents that are not known yet, newest first. Returns false if the role may not read them.
    fn learn(&mut self, repository: &Repository, catalog: &Catalog) -> Result<bool> {
        let entries = catalog.entries().iter().rev();
        let unknown: Vec<&CatalogEntry> =
            entries.filter(|entry| !self.known.contains_key(&entry.id)).take(MOST).collect();
        for batch in unknown.chunks(64) {
            for (entry, claims) in batch.iter().zip(repository.claims(batch)?) {
                match claims {
                    Err(error) if kind(&error) == Kind::Denied => return Ok(false),
                    Err(error) if matches!(kind(&error), Kind::Damaged | Kind::NotFound) => {}
                    claims => {
                        let Claims { owner, adopted, .. } = claims?;
                        self.known.insert(entry.id.clone(), OwnerEntry { owner, adopted });
                    }
                }
            }
        }
        Ok(true)
    }
}

fn file(state: &StateDir, variant: Variant) -> StateFile {
    if variant.is_plain() { state.owners() } else { state.owners_of(variant.name()) }
}

/// Returns a function that says whether an owner's backups of one database are a server's own. If no server was ever asked, all but
/// uploads are, unless there are several series.
fn owns<'a>(of_it: &[(&BackupId, &'a OwnerEntry)], server: &'a ServerIdentity) -> Box<dyn Fn(&Owner) -> bool + 'a> {
    if *server == ServerIdentity::Unasked {
        let mut lineages = Lineages::default();
        for (_, owned) in of_it {
            if let Owner::Server(identifier) = &owned.owner {
                lineages.add(identifier, &owned.adopted);
            }
        }
        let several = lineages.are_several();
        return Box::new(move |owner| *owner != Owner::Upload && !several);
    }
    let own = of_it.iter().filter(|(_, owned)| server.owns(&owned.owner));
    let adopted: BTreeSet<&str> = own.flat_map(|(_, owned)| &owned.adopted).map(String::as_str).collect();
    Box::new(move |owner| {
        server.owns(owner) || matches!(owner, Owner::Server(other) if adopted.contains(other.as_str()))
    })
}
