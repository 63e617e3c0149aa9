//! Which backup is the newest, and of which server.
//!
//! A series is what one server made of one database. Backups of others may lie beside it in the same folder, uploads too, and a
//! clock that was wrong may have dated some ahead of now: none of them is ever taken for the newest of this one.

use super::Vault;
use super::catalog::{Catalog, Entry};
use crate::error::{Fault, Kind, Result, kind};
use crate::manifest::lineage::short;
use crate::manifest::order::places;
use crate::manifest::{BackupId, Claims, Lineages, Manifest, Origins, Owner};
use jiff::Timestamp;

/// Documents that are read at once where the first was none of ours.
const BATCH: usize = 8;

/// Says who wants to know the newest, and when.
#[derive(Debug, Clone)]
pub struct Asker {
    pub server: Server,
    pub origins: Origins,
    pub now: Timestamp,
}

/// The server that the settings lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// By its system identifier.
    Named(String),
    /// It answers, but this role may not ask who it is.
    Unnamed,
    /// None could be asked.
    Unasked,
}

/// The newest backup, as far as that can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    pub id: BackupId,
    /// What a person should know of it: it is another server's, or an upload.
    pub remark: Option<String>,
}

/// A backup and what its document says.
pub(super) type Said = (Entry, Result<Claims>);
/// The same of the one that was looked for; None where it cannot be read.
pub(super) type Found = (Entry, Option<Claims>);

impl Server {
    pub fn of(identifier: Option<String>) -> Server {
        identifier.map_or(Server::Unnamed, Server::Named)
    }

    /// Returns whether a backup with this owner is of this server's series.
    pub fn owns(&self, owner: &Owner) -> bool {
        match (self, owner) {
            (Server::Named(own), Owner::Server(other)) => own == other,
            (Server::Unnamed, Owner::Unnamed) => true,
            (Server::Named(_) | Server::Unnamed, Owner::Anyone) => true,
            _ => false,
        }
    }
}

impl Vault {
    /// Returns the newest backup that this server made of the database whose catalog this is. Where it has made none, the only other series stands in for
    /// it; of several, the person must say which.
    pub fn latest(&self, catalog: &Catalog, database: &str, asker: &Asker) -> Result<Latest> {
        let (said, own) = match asker.origins {
            Origins::Backup => self.walk(catalog, asker.now, |owner| asker.server.owns(owner))?,
            Origins::Upload | Origins::Any => (self.said(past(catalog, asker.now))?, None),
        };
        if let Some(own) = own {
            return Ok(Latest { id: own.0.id, remark: None });
        }
        let stands = Standing { said: &said, asker, database };
        let chosen = match asker.origins {
            Origins::Backup => stands.series()?.or_else(|| stands.upload()),
            Origins::Upload => stands.newest(|owner| *owner == Owner::Upload),
            Origins::Any => stands.any(),
        };
        chosen.ok_or_else(|| self.none_of(database, catalog, asker.now))
    }

    /// Returns as many backups of the same series that are dated before this one, the newest first. What cannot be read may be one.
    pub fn before(&self, catalog: &Catalog, newest: &Manifest, count: usize) -> Result<Vec<BackupId>> {
        let server = Server::of(newest.system_identifier().map(str::to_owned));
        let adopted = |owner: &Owner| matches!(owner, Owner::Server(other) if newest.adopted.contains(other));
        let same = |owner: Owner| owner == newest.owner() || server.owns(&owner) || adopted(&owner);
        let mut found = Vec::new();
        for entry in catalog.entries().iter().rev().filter(|entry| entry.id < newest.id) {
            if found.len() == count {
                break;
            }
            let own = self
                .said(vec![entry.clone()])?
                .pop()
                .is_some_and(|(_, claims)| claims.map_or(true, |claims| same(claims.owner)));
            if own {
                found.push(entry.id.clone());
            }
        }
        Ok(found)
    }

    /// Reads documents from the newest date downward until one is wanted, and returns all that was read. One that cannot be read may
    /// be the wanted one, and is taken for it.
    pub(super) fn walk(
        &self,
        catalog: &Catalog,
        now: Timestamp,
        wanted: impl Fn(&Owner) -> bool,
    ) -> Result<(Vec<Said>, Option<Found>)> {
        let entries = past(catalog, now);
        let mut said: Vec<Said> = Vec::new();
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(rest.len().min(if said.is_empty() { 1 } else { BATCH }));
            rest = after;
            let from = said.len();
            said.extend(self.said(batch.to_vec())?);
            let found = said[from..].iter().find(|(_, claims)| match claims {
                Ok(claims) => wanted(&claims.owner),
                Err(_) => true,
            });
            if let Some((entry, claims)) = found {
                let first = (entry.clone(), claims.as_ref().ok().cloned());
                let own = self.written_last(first, &entries, wanted)?;
                return Ok((said, Some(own)));
            }
        }
        Ok((said, None))
    }

    /// Returns the document that the store has taken in last, where that is of the same series and of a higher sequence: both clocks
    /// fell back when it was made.
    fn written_last(&self, first: Found, entries: &[Entry], wanted: impl Fn(&Owner) -> bool) -> Result<Found> {
        let last = entries.iter().max_by_key(|entry| (entry.modified, entry.id.taken_at()));
        let (Some(last), Some(manifest)) = (last, &first.1) else { return Ok(first) };
        if last.modified <= first.0.modified || last.id == first.0.id {
            return Ok(first);
        }
        Ok(match self.said(vec![last.clone()])?.pop() {
            Some((entry, Ok(other))) if wanted(&other.owner) && other.sequence > manifest.sequence => {
                (entry, Some(other))
            }
            _ => first,
        })
    }

    /// Reads what these say. One that is gone meanwhile is left out; what keeps others from being read is an error.
    pub(super) fn said(&self, entries: Vec<Entry>) -> Result<Vec<Said>> {
        let ids: Vec<BackupId> = entries.iter().map(|entry| entry.id.clone()).collect();
        let mut said = Vec::with_capacity(entries.len());
        for (entry, claims) in entries.into_iter().zip(self.claims(&ids)?) {
            match claims {
                Err(error) if kind(&error) == Kind::NotFound => {}
                Err(error) if kind(&error) != Kind::Damaged => return Err(error),
                claims => said.push((entry, claims)),
            }
        }
        Ok(said)
    }

    fn none_of(&self, database: &str, catalog: &Catalog, now: Timestamp) -> anyhow::Error {
        let place = self.store.location();
        match catalog.entries().iter().rfind(|entry| entry.id.is_from_the_future(now)) {
            Some(entry) => Fault::not_found(format!(
                "every backup of \"{database}\" in {place} is dated ahead of this host's clock, which says {now:.0}; the newest is {}",
                entry.id
            ))
            .hint("set the clock right, or say the backup's id if it is the one that you mean")
            .into(),
            None => Fault::not_found(format!("there is no backup of \"{database}\" in {place}"))
                .hint("\"pgbk list\" shows what is stored; DB_NAME or --database chooses the database")
                .into(),
        }
    }
}

/// Returns those that are not dated ahead of now, the newest date first.
pub(super) fn past(catalog: &Catalog, now: Timestamp) -> Vec<Entry> {
    catalog.entries().iter().rev().filter(|entry| !entry.id.is_from_the_future(now)).cloned().collect()
}

/// Returns the one that was made last.
pub(super) fn last_of<'a>(said: &[(&'a Entry, &'a Claims)]) -> Option<(&'a Entry, &'a Claims)> {
    let dated: Vec<(Timestamp, u64)> =
        said.iter().map(|(entry, manifest)| (entry.id.taken_at(), manifest.sequence)).collect();
    let places = places(&dated);
    (0..said.len()).max_by_key(|at| places[*at]).map(|at| said[at])
}

/// What stands in where the server that asks has no backup, or none could be asked.
struct Standing<'a> {
    said: &'a [Said],
    asker: &'a Asker,
    database: &'a str,
}

impl Standing<'_> {
    fn readable(&self, wanted: impl Fn(&Owner) -> bool) -> Vec<(&Entry, &Claims)> {
        let readable = self.said.iter().filter_map(|(entry, claims)| Some((entry, claims.as_ref().ok()?)));
        readable.filter(|(_, manifest)| wanted(&manifest.owner)).collect()
    }

    fn newest(&self, wanted: impl Fn(&Owner) -> bool) -> Option<Latest> {
        let (entry, _) = last_of(&self.readable(wanted))?;
        Some(Latest { id: entry.id.clone(), remark: None })
    }

    /// Whatever is the newest by its date, of those that are this server's, or nobody's.
    fn any(&self) -> Option<Latest> {
        let own = |owner: &Owner| *owner == Owner::Upload || self.asker.server.owns(owner);
        let all = self.readable(|owner| own(owner) || self.asker.server == Server::Unasked);
        let (entry, _) = all.into_iter().max_by_key(|(entry, _)| entry.id.taken_at())?;
        Some(Latest { id: entry.id.clone(), remark: None })
    }

    /// The newest of the only series that there is.
    fn series(&self) -> Result<Option<Latest>> {
        let lineages = Lineages::of(self.said.iter().filter_map(|(_, claims)| claims.as_ref().ok()));
        let mut newest: Vec<(&Entry, &Claims)> = Vec::new();
        for lineage in lineages.all() {
            let wanted = |owner: &Owner| match owner {
                Owner::Server(server) => lineage.contains(server),
                Owner::Anyone => !lineages.are_several(),
                _ => false,
            };
            newest.extend(last_of(&self.readable(wanted)));
        }
        newest.extend(last_of(&self.readable(|owner| *owner == Owner::Unnamed)));
        if newest.is_empty() {
            newest.extend(last_of(&self.readable(|owner| *owner == Owner::Anyone)));
        }
        match newest.as_slice() {
            [] => Ok(self.unreadable(None)),
            [(entry, manifest)] => {
                let remark = (self.asker.server != Server::Unasked).then(|| self.anothers(entry, manifest));
                // What cannot be read may well be newer.
                let unreadable = if remark.is_none() { self.unreadable(Some(&entry.id)) } else { None };
                Ok(Some(unreadable.unwrap_or(Latest { id: entry.id.clone(), remark })))
            }
            several => Err(self.several(several).into()),
        }
    }

    fn unreadable(&self, newer_than: Option<&BackupId>) -> Option<Latest> {
        let mut unreadable = self.said.iter().filter(|(_, claims)| claims.is_err());
        let (entry, _) = unreadable.find(|(entry, _)| newer_than.is_none_or(|id| entry.id > *id))?;
        Some(Latest { id: entry.id.clone(), remark: None })
    }

    fn upload(&self) -> Option<Latest> {
        let latest = self.newest(|owner| *owner == Owner::Upload)?;
        let remark =
            format!("there is no backup of \"{}\" but uploads: {} was made of a file", self.database, latest.id);
        Some(Latest { remark: (self.asker.server != Server::Unasked).then_some(remark), ..latest })
    }

    fn anothers(&self, entry: &Entry, manifest: &Claims) -> String {
        format!(
            "this server has no backup of \"{}\" here yet; {} is {}'s",
            self.database,
            entry.id,
            server_of(manifest.system_identifier())
        )
    }

    fn several(&self, newest: &[(&Entry, &Claims)]) -> Fault {
        let named: Vec<String> = newest
            .iter()
            .map(|(entry, manifest)| format!("{} of {}", entry.id, server_of(manifest.system_identifier())))
            .collect();
        let why = match self.asker.server {
            Server::Unasked => "and no server could be asked which of them are its own",
            _ => "and this one has none here yet",
        };
        Fault::usage(format!(
            "several servers have backups of \"{}\" here, {why}; the newest of each: {}",
            self.database,
            named.join(", ")
        ))
        .hint("say the id of the one that you mean; \"pgbk list\" shows all of them")
    }
}

/// Returns for people which server a backup is of.
pub fn server_of(system_identifier: Option<&str>) -> String {
    match system_identifier {
        Some(identifier) => format!("server {identifier} (…{})", short(identifier)),
        None => "a server that is not named".to_owned(),
    }
}
