//! Chooses the backups that the rules are applied to. Each series is judged by itself, and a backup that does
//! not belong to the server's own series stays.

use crate::base::error::{Fault, Result};
use crate::format::backup_id::BackupId;
use crate::format::manifest::Manifest;
use crate::format::manifest::lineage::{Owner, short};
use crate::repository::newest::{ServerIdentity, server_of};
use crate::repository::retention::Candidate;
use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PruneScope {
    /// Prunes the series of this server; the only series if no server could be asked.
    Of(ServerIdentity),
    /// Prunes the series of every server, each by itself.
    All,
    /// Prunes the backups that name no server, uploads too.
    Nobody,
}

/// Says whose backup it is, as its document has it.
#[derive(Debug, Clone)]
pub(crate) struct BackupOwner {
    owner: Owner,
    adopted: Vec<String>,
}

impl BackupOwner {
    /// Returns the owner and the adopted servers from an authentic document.
    pub fn of(manifest: &Manifest) -> BackupOwner {
        BackupOwner { owner: manifest.owner(), adopted: manifest.adopted.clone() }
    }

    /// Returns the owner from a document that is not authentic. It can make backups stay, and gives no right to remove any.
    pub fn claimed(manifest: &Manifest) -> BackupOwner {
        BackupOwner { owner: manifest.owner(), adopted: Vec::new() }
    }

    /// Returns the server that made it; `None` if it names none.
    pub fn server(&self) -> Option<String> {
        match &self.owner {
            Owner::Server(server) => Some(server.clone()),
            _ => None,
        }
    }
}

/// The backups of one database, sorted by owner.
#[derive(Debug, Default)]
pub(crate) struct OwnerGroups {
    /// Groups to which the rules are applied one by one. A backup that two series share is in both.
    pub groups: Vec<Vec<Candidate>>,
    /// Backups that stay because they are in no group, and the reasons.
    pub others: Vec<(BackupId, String)>,
}

/// Sorts backups by owner. Backups without a readable owner are not good; they join the first group, so that they are shown.
pub(crate) fn sort(backups: Vec<(Candidate, Option<BackupOwner>)>, scope: &PruneScope) -> Result<OwnerGroups> {
    let known: Vec<&BackupOwner> = backups.iter().filter_map(|(_, belongs)| belongs.as_ref()).collect();
    let groups = groups(&known, scope)?;
    let mut sorted = OwnerGroups { groups: vec![Vec::new(); groups.len()], others: Vec::new() };
    let mut unknown = Vec::new();
    for (candidate, belongs) in backups {
        let Some(belongs) = belongs else {
            unknown.push(candidate);
            continue;
        };
        let own: Vec<usize> = (0..groups.len()).filter(|at| groups[*at].contains(&belongs.owner)).collect();
        own.iter().for_each(|at| sorted.groups[*at].push(candidate.clone()));
        if own.is_empty() {
            sorted.others.push((candidate.id, why(&belongs.owner)));
        }
    }
    sorted.groups.retain(|group| !group.is_empty());
    match sorted.groups.first_mut() {
        Some(group) => group.extend(unknown),
        None if !unknown.is_empty() => sorted.groups.push(unknown),
        None => {}
    }
    Ok(sorted)
}

/// Returns whether the rules are applied to what this owner has: `backups` are those of the database.
pub(crate) fn judges(backups: &[&BackupOwner], scope: &PruneScope, owner: &Owner) -> Result<bool> {
    Ok(groups(backups, scope)?.iter().any(|group| group.contains(owner)))
}

/// The owners whose backups are judged together.
#[derive(Debug, Default)]
struct Group {
    servers: BTreeSet<String>,
    others: Vec<Owner>,
}

impl Group {
    fn of(owner: Owner) -> Group {
        Group { servers: BTreeSet::new(), others: vec![owner] }
    }

    fn contains(&self, owner: &Owner) -> bool {
        match owner {
            Owner::Server(server) => self.servers.contains(server),
            other => self.others.contains(other),
        }
    }
}

fn groups(known: &[&BackupOwner], scope: &PruneScope) -> Result<Vec<Group>> {
    let server = match scope {
        PruneScope::Nobody => return Ok([Owner::Unnamed, Owner::Anyone, Owner::Upload].map(Group::of).into()),
        PruneScope::All => return Ok(each(known)),
        PruneScope::Of(ServerIdentity::Unasked) => return only(known),
        PruneScope::Of(server) => server,
    };
    let own = match server {
        ServerIdentity::Named(name) => Group { servers: series_of(name, known), others: Vec::new() },
        _ => Group::of(Owner::Unnamed),
    };
    Ok(with_the_nameless(vec![own], known))
}

/// Returns the servers whose backups count for one server's series: itself, and those that its own authentic documents adopt.
fn series_of(server: &str, known: &[&BackupOwner]) -> BTreeSet<String> {
    let own = known.iter().filter(|belongs| belongs.owner == Owner::Server(server.to_owned()));
    own.flat_map(|belongs| belongs.adopted.iter().cloned()).chain([server.to_owned()]).collect()
}

/// Adds backups without a server to the only series that is here, and uploads as a group of their own. If there are several
/// series, either may be another server's, and stays.
fn with_the_nameless(mut groups: Vec<Group>, known: &[&BackupOwner]) -> Vec<Group> {
    let shared = |owner: &Owner| matches!(owner, Owner::Anyone | Owner::Upload);
    if let [only] = groups.as_mut_slice()
        && known.iter().all(|belongs| only.contains(&belongs.owner) || shared(&belongs.owner))
    {
        only.others.push(Owner::Anyone);
        groups.push(Group::of(Owner::Upload));
    }
    groups
}

/// Returns a group for every series. If two of them adopted the same one, neither is judged by what is in the other.
fn each(known: &[&BackupOwner]) -> Vec<Group> {
    let servers: BTreeSet<String> = known.iter().filter_map(|belongs| belongs.server()).collect();
    let series: BTreeSet<BTreeSet<String>> = servers.iter().map(|server| series_of(server, known)).collect();
    let within_another = |one: &BTreeSet<String>| series.iter().any(|other| other != one && one.is_subset(other));
    let whole = series.iter().filter(|one| !within_another(one));
    let mut groups: Vec<Group> = whole.map(|one| Group { servers: one.clone(), others: Vec::new() }).collect();
    if groups.is_empty() || known.iter().any(|belongs| belongs.owner == Owner::Unnamed) {
        groups.push(Group::of(Owner::Unnamed));
    }
    with_the_nameless(groups, known)
}

/// Returns the groups of the only series. Several are an error, because no server could be asked which one is meant.
fn only(known: &[&BackupOwner]) -> Result<Vec<Group>> {
    let groups = each(known);
    let named = |group: &Group| group.others != [Owner::Upload];
    if groups.iter().filter(|group| named(group)).count() < 2 {
        return Ok(groups);
    }
    let servers: BTreeSet<Option<String>> = known
        .iter()
        .filter(|belongs| !matches!(belongs.owner, Owner::Anyone | Owner::Upload))
        .map(|belongs| belongs.server())
        .collect();
    let servers: Vec<String> = servers.iter().map(|server| server_of(server.as_deref())).collect();
    Err(Fault::usage(format!(
        "several servers' backups are here, and no server could be asked which are its own: {}",
        servers.join(", ")
    ))
    .hint("say whose: --server=IDENTIFIER, or --server=all for every server's, each by itself")
    .into())
}

fn why(owner: &Owner) -> String {
    match owner {
        Owner::Server(server) => format!("of another server (…{})", short(server)),
        Owner::Unnamed | Owner::Anyone => "of a server that is not named, while others' backups are here".to_owned(),
        Owner::Upload => "an upload, while several servers' backups are here".to_owned(),
    }
}
