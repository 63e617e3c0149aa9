//! Whose backups the rules are applied to. They never cross: each series is judged by itself, and one that is none of the server's
//! own stays.

use crate::error::{Fault, Result};
use crate::manifest::lineage::short;
use crate::manifest::{BackupId, Manifest, Owner};
use crate::retention::Candidate;
use crate::vault::{Server, server_of};
use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The series of this server. Where none could be asked, the only one that there is.
    Of(Server),
    /// Of every server, each by itself.
    All,
    /// What names no server: uploads too.
    Nobody,
}

/// What a document says of whose it is.
#[derive(Debug, Clone)]
pub struct Belongs {
    owner: Owner,
    adopted: Vec<String>,
}

impl Belongs {
    /// Of an authentic document.
    pub fn of(manifest: &Manifest) -> Belongs {
        Belongs { owner: manifest.owner(), adopted: manifest.adopted.clone() }
    }

    /// Of one that nothing vouches for. It can make backups stay, and gives no right to remove any.
    pub fn claimed(manifest: &Manifest) -> Belongs {
        Belongs { owner: manifest.owner(), adopted: Vec::new() }
    }

    /// The server that made it; None where it names none.
    pub fn server(&self) -> Option<String> {
        match &self.owner {
            Owner::Server(server) => Some(server.clone()),
            _ => None,
        }
    }
}

/// The backups of one database, sorted by whose they are.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// The rules are applied to each of these by itself. One that two series go on with is in both.
    pub groups: Vec<Vec<Candidate>>,
    /// What stays because it is none of these, and why.
    pub others: Vec<(BackupId, String)>,
}

/// Sorts backups; those of which nothing is known are no good and go with the first group, to be seen.
pub(super) fn sort(backups: Vec<(Candidate, Option<Belongs>)>, scope: &Scope) -> Result<Sorted> {
    let known: Vec<&Belongs> = backups.iter().filter_map(|(_, belongs)| belongs.as_ref()).collect();
    let groups = groups(&known, scope)?;
    let mut sorted = Sorted { groups: vec![Vec::new(); groups.len()], others: Vec::new() };
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

fn groups(known: &[&Belongs], scope: &Scope) -> Result<Vec<Group>> {
    let server = match scope {
        Scope::Nobody => return Ok([Owner::Unnamed, Owner::Anyone, Owner::Upload].map(Group::of).into()),
        Scope::All => return Ok(each(known)),
        Scope::Of(Server::Unasked) => return only(known),
        Scope::Of(server) => server,
    };
    let own = match server {
        Server::Named(name) => Group { servers: series_of(name, known), others: Vec::new() },
        _ => Group::of(Owner::Unnamed),
    };
    Ok(with_the_nameless(vec![own], known))
}

/// Returns the servers whose backups one server's series counts: itself, and those that its own authentic documents go on with.
fn series_of(server: &str, known: &[&Belongs]) -> BTreeSet<String> {
    let own = known.iter().filter(|belongs| belongs.owner == Owner::Server(server.to_owned()));
    own.flat_map(|belongs| belongs.adopted.iter().cloned()).chain([server.to_owned()]).collect()
}

/// Where one series is all that is here, what names no server counts with it, and uploads by themselves; else either may be another
/// server's, and stays.
fn with_the_nameless(mut groups: Vec<Group>, known: &[&Belongs]) -> Vec<Group> {
    let shared = |owner: &Owner| matches!(owner, Owner::Anyone | Owner::Upload);
    if let [only] = groups.as_mut_slice()
        && known.iter().all(|belongs| only.contains(&belongs.owner) || shared(&belongs.owner))
    {
        only.others.push(Owner::Anyone);
        groups.push(Group::of(Owner::Upload));
    }
    groups
}

/// Every series by itself. Two may go on with one: neither is judged by what is in the other.
fn each(known: &[&Belongs]) -> Vec<Group> {
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

/// The only series. Of several, no server could be asked which one the rules are meant for.
fn only(known: &[&Belongs]) -> Result<Vec<Group>> {
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
