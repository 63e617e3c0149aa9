//! The name of a new backup, and its place in its series.
//!
//! Names tell a time, and clocks go wrong. So a name never goes back behind the newest backup of its series and never ahead of this
//! host's clock, and a sequence that no clock has given stands beside it.

use super::Vault;
use super::catalog::{Catalog, Entry};
use super::newest::{Said, Server, last_of, past, server_of};
use crate::error::{Fault, Kind, Result, kind};
use crate::manifest::id::is_ahead;
use crate::manifest::{BackupId, Claims, Lineages, Origin, Owner};
use crate::monitor::Monitor;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// Ids tell time in whole seconds.
const SECOND: Duration = Duration::from_secs(1);
/// From here on it is worth a word that a clock lies behind.
const BEHIND: SignedDuration = SignedDuration::from_mins(1);

/// What is known of a backup before it begins.
#[derive(Debug)]
pub struct Taking<'a> {
    pub database: &'a str,
    pub origin: Origin,
    /// The system identifier of the server. None: it does not tell, or there is none.
    pub server: Option<&'a str>,
    /// By the clock of the server, where there is one.
    pub taken_at: Timestamp,
    /// By this host's.
    pub now: Timestamp,
    pub adopt: &'a Adopt,
}

/// Whether the series goes on with that of another server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Adopt {
    #[default]
    No,
    /// With the only other one that there is.
    Only,
    /// With that of this system identifier.
    This(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub id: BackupId,
    pub previous: Option<BackupId>,
    /// From 1 on; 0 where the store does not let itself be looked at.
    pub sequence: u64,
    pub adopted: Vec<String>,
}

impl From<BackupId> for Name {
    /// Makes the name of a backup of which nothing else is known.
    fn from(id: BackupId) -> Name {
        Name { id, previous: None, sequence: 0, adopted: Vec::new() }
    }
}

/// The newest backup of the series, if there is one, and what of it is carried on.
#[derive(Debug, Default)]
struct Before {
    id: Option<BackupId>,
    /// None where the documents may not be read.
    sequence: Option<u64>,
    adopted: BTreeSet<String>,
}

impl Vault {
    /// Returns the name for a backup that begins now. Refuses one that would be in plain text where the one before was encrypted.
    pub fn name(&self, taking: &Taking, monitor: &dyn Monitor) -> Result<Name> {
        let found = self.catalog(Some(taking.database)).and_then(|catalog| self.found_name(taking, &catalog, monitor));
        match found {
            // A role that may only write can back up; what a look at the bucket would have told stays unknown.
            Err(error) if kind(&error) == Kind::Denied && *taking.adopt == Adopt::No => {
                monitor.warn(
                    "the store does not allow listing: the previous backup is not recorded, and its key not compared",
                );
                Ok(BackupId::new(taking.database, trusted(taking, monitor)).into())
            }
            found => found,
        }
    }

    fn found_name(&self, taking: &Taking, catalog: &Catalog, monitor: &dyn Monitor) -> Result<Name> {
        let before = match self.newest_before(taking, catalog, monitor) {
            // A role may list and not read: then dates alone tell the order.
            Err(error) if kind(&error) == Kind::Denied && *taking.adopt == Adopt::No => {
                let newest = past(catalog, taking.now).into_iter().next().map(|entry| entry.id);
                Before { id: newest, sequence: None, adopted: BTreeSet::new() }
            }
            before => before?,
        };
        // An upload must not slip in in plain text beside whatever is there.
        let compared = match taking.origin {
            Origin::Backup => before.id.as_ref(),
            Origin::Upload => catalog.entries().last().map(|entry| &entry.id),
        };
        self.guard(compared, catalog, monitor)?;
        let time = trusted(taking, monitor);
        let mut id = BackupId::new(taking.database, time);
        if let Some(newest) = before.id.as_ref().filter(|newest| **newest >= id) {
            if newest.taken_at().duration_since(time) > BEHIND {
                monitor.warn(&format!(
                    "the clock says {time:.0}, which lies before the newest backup, {newest}: the order is taken from the series, not from the clock"
                ));
            }
            id = BackupId::new(taking.database, newest.taken_at() + SECOND);
        }
        // Two in one second would have one name: the later one takes the next free second.
        while catalog.entries().iter().any(|entry| entry.id == id) {
            id = BackupId::new(taking.database, id.taken_at() + SECOND);
        }
        Ok(Name {
            id,
            previous: before.id,
            sequence: before.sequence.map_or(0, |sequence| sequence.saturating_add(1)),
            adopted: before.adopted.into_iter().collect(),
        })
    }

    fn newest_before(&self, taking: &Taking, catalog: &Catalog, monitor: &dyn Monitor) -> Result<Before> {
        let own = |owner: &Owner| owns(taking, owner);
        let ahead: Vec<Entry> =
            catalog.entries().iter().filter(|entry| entry.id.is_from_the_future(taking.now)).cloned().collect();
        let ahead = self.said(ahead)?;
        let ahead: Vec<(&Entry, &Claims)> = readable(&ahead).into_iter().filter(|(_, one)| own(&one.owner)).collect();
        let all = *taking.adopt != Adopt::No || taking.origin == Origin::Upload;
        // One that cannot be read says nothing of the order.
        let (said, found) = match all {
            true => (self.said(past(catalog, taking.now))?, None),
            false => self.walk(catalog, taking.now, own)?,
        };
        let (said, found) = match found {
            Some((_, None)) => (self.said(past(catalog, taking.now))?, None),
            found => (said, found),
        };
        let known = readable(&said);
        let mine: Vec<(&Entry, &Claims)> = known.iter().filter(|(_, one)| own(&one.owner)).copied().collect();
        let found = match &found {
            Some((entry, Some(manifest))) => Some((entry, manifest)),
            _ => last_of(&mine),
        };
        let mut before = Before { sequence: Some(0), ..Before::default() };
        if let Some((entry, manifest)) = found {
            before.go_on(entry, manifest);
            before.adopted = self.carried(manifest);
        }
        before.sequence = ahead.iter().map(|(_, one)| Some(one.sequence)).fold(before.sequence, Option::max);
        tell_of_the_future(taking, &ahead, before.id.is_none(), monitor);
        if taking.origin == Origin::Backup {
            join(taking, &known, &mut before, monitor)?;
        }
        Ok(before)
    }

    /// Returns whose series the one before goes on with. Only what its seal vouches for gives rights to remove others' backups.
    fn carried(&self, manifest: &Claims) -> BTreeSet<String> {
        if manifest.adopted.is_empty() {
            return BTreeSet::new();
        }
        let sealed = self.manifest(&manifest.id).map(|(manifest, _)| manifest.adopted);
        sealed.unwrap_or_default().into_iter().collect()
    }
}

impl Before {
    fn go_on(&mut self, entry: &Entry, manifest: &Claims) {
        self.id = self.id.take().max(Some(entry.id.clone()));
        self.sequence = self.sequence.max(Some(manifest.sequence));
    }
}

fn owns(taking: &Taking, owner: &Owner) -> bool {
    match taking.origin {
        Origin::Upload => *owner == Owner::Upload,
        Origin::Backup => Server::of(taking.server.map(str::to_owned)).owns(owner),
    }
}

fn readable(said: &[Said]) -> Vec<(&Entry, &Claims)> {
    said.iter().filter_map(|(entry, claims)| Some((entry, claims.as_ref().ok()?))).collect()
}

/// Returns the server's time; where that is more than an hour ahead of this host's, the host's.
fn trusted(taking: &Taking, monitor: &dyn Monitor) -> Timestamp {
    let Taking { taken_at, now, .. } = taking;
    if !is_ahead(*taken_at, *now) {
        return *taken_at;
    }
    monitor.warn(&format!(
        "the server's clock says {taken_at:.0}, this host's {now:.0}: one of them is wrong, and the backup is named by this host's"
    ));
    *now
}

fn tell_of_the_future(taking: &Taking, ahead: &[(&Entry, &Claims)], alone: bool, monitor: &dyn Monitor) {
    let Some((newest, _)) = ahead.iter().max_by_key(|(entry, _)| entry.id.taken_at()) else { return };
    let text = format!(
        "{} backups of \"{}\" are dated ahead of this host's clock, which says {:.0}, up to {}: they do not count as the newest",
        ahead.len(),
        taking.database,
        taking.now,
        newest.id
    );
    // Where there is no other, it is this host's clock that fell back.
    if alone { monitor.warn(&format!("{text}; look at the clock of this host")) } else { monitor.info(&text) }
}

/// Joins another server's series where that is asked for; else says once that a series begins beside others.
fn join(taking: &Taking, all: &[(&Entry, &Claims)], before: &mut Before, monitor: &dyn Monitor) -> Result<()> {
    let others: Vec<(&Entry, &Claims)> = all
        .iter()
        .filter(|(_, one)| match &one.owner {
            Owner::Server(server) => Some(server.as_str()) != taking.server && !before.adopted.contains(server),
            Owner::Unnamed => taking.server.is_some(),
            _ => false,
        })
        .copied()
        .collect();
    let adopted = match taking.adopt {
        Adopt::No => {
            if let (None, Some((_, manifest))) = (&before.id, last_of(&others)) {
                monitor.announce(&beside(taking, server_of(manifest.system_identifier())));
            }
            return Ok(());
        }
        Adopt::Only => only(taking, &others)?,
        Adopt::This(wanted) => {
            let lineages = Lineages::of(others.iter().map(|(_, manifest)| *manifest));
            let found = lineages.all().iter().find(|lineage| lineage.contains(wanted)).cloned();
            found.ok_or_else(|| nothing(taking, &format!("of server {wanted}")))?
        }
    };
    if taking.server.is_none() {
        return Err(Fault::usage("--adopt joins two servers' series, and this role may not ask this server who it is")
            .hint("connect as a role that may call pg_control_system()")
            .into());
    }
    let theirs: Vec<(&Entry, &Claims)> = others
        .into_iter()
        .filter(|(_, one)| one.system_identifier().is_some_and(|server| adopted.contains(server)))
        .collect();
    if let Some((entry, manifest)) = last_of(&theirs) {
        before.go_on(entry, manifest);
        monitor.info(&format!(
            "the series goes on with that of {}, whose newest is {}",
            server_of(manifest.system_identifier()),
            entry.id
        ));
    }
    before.adopted.extend(adopted.into_iter().filter(|server| Some(server.as_str()) != taking.server));
    Ok(())
}

/// Returns what people are told once. No id is in it: were the run to fail and be made again, it would be another one.
fn beside(taking: &Taking, whose: String) -> String {
    format!(
        "the backups of \"{}\" that are here are those of {whose}: this server begins a series of its own beside them; after a move or pg_upgrade \"pgbk backup --adopt\" goes on with theirs",
        taking.database
    )
}

fn only(taking: &Taking, others: &[(&Entry, &Claims)]) -> Result<BTreeSet<String>> {
    let lineages = Lineages::of(others.iter().map(|(_, manifest)| *manifest));
    match lineages.all() {
        [] => Err(nothing(taking, "of another server").into()),
        [only] => Ok(only.clone()),
        several => {
            let named: Vec<String> = several.iter().flatten().cloned().collect();
            Err(Fault::usage(format!(
                "several other servers have backups of \"{}\" here: {}",
                taking.database,
                named.join(", ")
            ))
            .hint("say which: --adopt=IDENTIFIER")
            .into())
        }
    }
}

fn nothing(taking: &Taking, whose: &str) -> Fault {
    Fault::not_found(format!("there is no backup of \"{}\" {whose} to go on with", taking.database))
        .hint("leave out --adopt; \"pgbk list\" shows the servers")
}
