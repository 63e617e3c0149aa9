//! Finds the newest backup of a subject, and says which server made it.
//!
//! A series is what one server made of one database. Backups of other servers and uploads may be in the same folder, and a wrong clock may
//! have dated some ahead of now: none of them is ever taken for the newest of this series.

use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::manifest::Manifest;
use crate::format::manifest::lineage::{Claims, Lineages, Owner, short};
use crate::format::manifest::origin::Origins;
use crate::repository::Repository;
use crate::repository::catalog::{Catalog, CatalogEntry};
use crate::repository::walk::{ClaimedBackup, FoundBackup, last_of, past};
use jiff::Timestamp;

/// Says for which server, from which origins and at what time the newest backup is wanted.
#[derive(Debug, Clone)]
pub struct NewestQuery {
    pub server: ServerIdentity,
    pub origins: Origins,
    pub now: Timestamp,
}

/// The server that the settings lead to, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerIdentity {
    /// Known by its system identifier.
    Named(String),
    /// A server that answers, but whose identifier this role may not read.
    Unnamed,
    /// No server could be asked.
    Unasked,
}

/// The newest backup, with a remark if it may not be the expected one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestBackup {
    pub id: BackupId,
    /// Remark for the user: it is another server's, or an upload, or one that may be newer was
    /// passed over. `None` if there is nothing to say.
    pub remark: Option<String>,
}

impl ServerIdentity {
    pub fn of(identifier: Option<String>) -> ServerIdentity {
        identifier.map_or(ServerIdentity::Unnamed, ServerIdentity::Named)
    }

    /// Returns whether a backup with this owner is of this server's series.
    pub fn owns(&self, owner: &Owner) -> bool {
        match (self, owner) {
            (ServerIdentity::Named(own), Owner::Server(other)) => own == other,
            (ServerIdentity::Unnamed, Owner::Unnamed) => true,
            (ServerIdentity::Named(_) | ServerIdentity::Unnamed, Owner::Anyone) => true,
            _ => false,
        }
    }

    /// Returns whether a backup with this owner says that this server made it.
    pub fn made(&self, owner: &Owner) -> bool {
        *owner != Owner::Anyone && self.owns(owner)
    }
}

impl Repository {
    /// Returns the newest backup that this server made of the database whose catalog this is. If it made none, the only other series stands
    /// in for it; if there are several, the user must choose one, and it is a usage error.
    pub fn latest(&self, catalog: &Catalog, subject: &Subject, asker: &NewestQuery) -> Result<LatestBackup> {
        let (said, own) = self.own(catalog, subject, asker)?;
        if let Some(own) = own {
            return Ok(own);
        }
        let stands = StandIn { said: &said, asker, subject };
        let chosen = match asker.origins {
            Origins::Backup => stands.series()?.or_else(|| stands.upload()),
            Origins::Upload => stands.newest(|owner| *owner == Owner::Upload),
            Origins::Any => stands.any(),
        };
        chosen.ok_or_else(|| self.none_of(subject, catalog, asker.now))
    }

    /// Returns the documents that were read, and the newest backup that this server made; `None` if it made none. If all of its
    /// backups are dated ahead of now, that is an error.
    pub(crate) fn own(
        &self,
        catalog: &Catalog,
        subject: &Subject,
        asker: &NewestQuery,
    ) -> Result<(Vec<ClaimedBackup>, Option<LatestBackup>)> {
        if asker.origins != Origins::Backup {
            return Ok((self.said(past(catalog, asker.now))?, None));
        }
        let (said, own) = self.walk(catalog, asker.now, |owner| asker.server.owns(owner))?;
        if let Some(own) = own {
            let remark = self.passed_over(catalog, asker, &own)?;
            return Ok((said, Some(LatestBackup { id: own.0.id, remark })));
        }
        // What stands in for a series that is only hidden by a clock would be another server's data.
        if !self.ahead(catalog, asker.now, |owner| asker.server.made(owner))?.is_empty() {
            return Err(self.none_of(subject, catalog, asker.now));
        }
        Ok((said, None))
    }

    /// Returns up to `count` backups of the same series that are dated before this one, newest first. An
    /// unreadable one may be of the series and counts.
    pub fn before(&self, catalog: &Catalog, newest: &Manifest, count: usize) -> Result<Vec<BackupId>> {
        let server = ServerIdentity::of(newest.system_identifier().map(str::to_owned));
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

    /// Returns a remark that names the newest backup that was made after the chosen one and is dated ahead of now; `None` if there is none.
    fn passed_over(
        &self,
        catalog: &Catalog,
        asker: &NewestQuery,
        (chosen, claims): &FoundBackup,
    ) -> Result<Option<String>> {
        let Some(claims) = claims else { return Ok(None) };
        let ahead = self.ahead(catalog, asker.now, |owner| asker.server.owns(owner))?;
        let newer = ahead.iter().filter(|(_, one)| one.sequence > claims.sequence || one.sequence == 0);
        Ok(newer.max_by_key(|(entry, one)| (one.sequence, entry.id.taken_at())).map(|(entry, _)| {
            format!(
                "{} is dated ahead of this host's clock, which says {:.0}, and is passed over for {}; say its id if it is the one that you mean",
                entry.id, asker.now, chosen.id
            )
        }))
    }

    fn none_of(&self, subject: &Subject, catalog: &Catalog, now: Timestamp) -> anyhow::Error {
        let place = self.store.location();
        match catalog.entries().iter().rfind(|entry| entry.id.is_from_the_future(now)) {
            Some(entry) => Fault::not_found(format!(
                "every backup of \"{subject}\" in {place} is dated ahead of this host's clock, which says {now:.0}; the newest is {}",
                entry.id
            ))
            .hint("set the clock right, or say the backup's id if it is the one that you mean")
            .into(),
            None => Fault::not_found(format!("there is no backup of \"{subject}\" in {place}"))
                .hint("\"pgbk list\" shows what is stored; DB_NAME or --database chooses the database")
                .into(),
        }
    }
}

/// Chooses the backup that stands in if the server has none, or no server could be asked.
struct StandIn<'a> {
    said: &'a [ClaimedBackup],
    asker: &'a NewestQuery,
    subject: &'a Subject,
}

impl StandIn<'_> {
    fn readable(&self, wanted: impl Fn(&Owner) -> bool) -> Vec<(&CatalogEntry, &Claims)> {
        let readable = self.said.iter().filter_map(|(entry, claims)| Some((entry, claims.as_ref().ok()?)));
        readable.filter(|(_, manifest)| wanted(&manifest.owner)).collect()
    }

    fn newest(&self, wanted: impl Fn(&Owner) -> bool) -> Option<LatestBackup> {
        let (entry, _) = last_of(&self.readable(wanted))?;
        Some(LatestBackup { id: entry.id.clone(), remark: None })
    }

    /// Returns the backup with the newest date among uploads and this server's own backups; among all if no server could be asked.
    fn any(&self) -> Option<LatestBackup> {
        let own = |owner: &Owner| *owner == Owner::Upload || self.asker.server.owns(owner);
        let all = self.readable(|owner| own(owner) || self.asker.server == ServerIdentity::Unasked);
        let (entry, _) = all.into_iter().max_by_key(|(entry, _)| entry.id.taken_at())?;
        Some(LatestBackup { id: entry.id.clone(), remark: None })
    }

    /// Returns the newest backup of the only series; `None` if there is no series. Several series are an error.
    fn series(&self) -> Result<Option<LatestBackup>> {
        let lineages = Lineages::of(self.said.iter().filter_map(|(_, claims)| claims.as_ref().ok()));
        let mut newest: Vec<(&CatalogEntry, &Claims)> = Vec::new();
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
                let remark = (self.asker.server != ServerIdentity::Unasked).then(|| self.anothers(entry, manifest));
                // What cannot be read may well be newer.
                let unreadable = if remark.is_none() { self.unreadable(Some(&entry.id)) } else { None };
                Ok(Some(unreadable.unwrap_or(LatestBackup { id: entry.id.clone(), remark })))
            }
            several => Err(self.several(several).into()),
        }
    }

    fn unreadable(&self, newer_than: Option<&BackupId>) -> Option<LatestBackup> {
        let mut unreadable = self.said.iter().filter(|(_, claims)| claims.is_err());
        let (entry, _) = unreadable.find(|(entry, _)| newer_than.is_none_or(|id| entry.id > *id))?;
        Some(LatestBackup { id: entry.id.clone(), remark: None })
    }

    fn upload(&self) -> Option<LatestBackup> {
        let latest = self.newest(|owner| *owner == Owner::Upload)?;
        let remark =
            format!("there is no backup of \"{}\" but uploads: {} was made of a file", self.subject, latest.id);
        Some(LatestBackup { remark: (self.asker.server != ServerIdentity::Unasked).then_some(remark), ..latest })
    }

    fn anothers(&self, entry: &CatalogEntry, manifest: &Claims) -> String {
        format!(
            "this server has no backup of \"{}\" here yet; {} is {}'s",
            self.subject,
            entry.id,
            server_of(manifest.system_identifier())
        )
    }

    fn several(&self, newest: &[(&CatalogEntry, &Claims)]) -> Fault {
        let named: Vec<String> = newest
            .iter()
            .map(|(entry, manifest)| format!("{} of {}", entry.id, server_of(manifest.system_identifier())))
            .collect();
        let why = match self.asker.server {
            ServerIdentity::Unasked => "and no server could be asked which of them are its own",
            _ => "and this one has none here yet",
        };
        Fault::usage(format!(
            "several servers have backups of \"{}\" here, {why}; the newest of each: {}",
            self.subject,
            named.join(", ")
        ))
        .hint("say the id of the one that you mean; \"pgbk list --json\" shows all of them and their servers; \"pgbk restore --all --from SERVER\" takes what one server had")
    }
}

/// Returns the name of a server for messages; `None`: a server without a name.
pub(crate) fn server_of(system_identifier: Option<&str>) -> String {
    match system_identifier {
        Some(identifier) => format!("server {identifier} (…{})", short(identifier)),
        None => "a server that is not named".to_owned(),
    }
}
