//! Whose backups the rules are applied to. They never cross: each series is judged by itself, and one that is none of the server's
//! own stays.

use crate::manifest::lineage::short;
use crate::manifest::{BackupId, Lineages, Manifest, Owner};
use crate::retention::Candidate;
use crate::vault::Server;
use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The series of this server; of every server, each by itself, where none could be asked.
    Of(Server),
    /// What names no server: uploads too.
    Nobody,
}

/// What an authentic document says of whose it is.
#[derive(Debug, Clone)]
pub struct Belongs {
    owner: Owner,
    adopted: Vec<String>,
}

impl Belongs {
    pub fn of(manifest: &Manifest) -> Belongs {
        Belongs { owner: manifest.owner(), adopted: manifest.adopted.clone() }
    }
}

/// The backups of one database, sorted by whose they are.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// The rules are applied to each of these by itself.
    pub groups: Vec<Vec<Candidate>>,
    /// What stays because it is none of these, and why.
    pub others: Vec<(BackupId, String)>,
}

/// Sorts backups; those of which nothing is known are no good and go with the first group, to be seen.
pub(super) fn sort(backups: Vec<(Candidate, Option<Belongs>)>, scope: &Scope) -> Sorted {
    let known: Vec<&Belongs> = backups.iter().filter_map(|(_, belongs)| belongs.as_ref()).collect();
    let groups = groups(&known, scope);
    let mut sorted = Sorted { groups: vec![Vec::new(); groups.len()], others: Vec::new() };
    let mut unknown = Vec::new();
    for (candidate, belongs) in backups {
        let Some(belongs) = belongs else {
            unknown.push(candidate);
            continue;
        };
        match groups.iter().position(|group| group.contains(&belongs.owner)) {
            Some(at) => sorted.groups[at].push(candidate),
            None => sorted.others.push((candidate.id, why(&belongs.owner))),
        }
    }
    sorted.groups.retain(|group| !group.is_empty());
    match sorted.groups.first_mut() {
        Some(group) => group.extend(unknown),
        None if !unknown.is_empty() => sorted.groups.push(unknown),
        None => {}
    }
    sorted
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

fn groups(known: &[&Belongs], scope: &Scope) -> Vec<Group> {
    let server = match scope {
        Scope::Nobody => return [Owner::Unnamed, Owner::Anyone, Owner::Upload].map(Group::of).into(),
        Scope::Of(Server::Unasked) => return each(known),
        Scope::Of(server) => server,
    };
    let mut own = Group::default();
    if let Server::Named(name) = server {
        own.servers.insert(name.clone());
        for belongs in known.iter().filter(|belongs| server.owns(&belongs.owner)) {
            own.servers.extend(belongs.adopted.iter().cloned());
        }
    } else {
        own.others.push(Owner::Unnamed);
    }
    let shared = |owner: &Owner| matches!(owner, Owner::Anyone | Owner::Upload);
    // Where another server's are here too, what names none may be its.
    match known.iter().all(|belongs| own.contains(&belongs.owner) || shared(&belongs.owner)) {
        true => {
            own.others.push(Owner::Anyone);
            vec![own, Group::of(Owner::Upload)]
        }
        false => vec![own],
    }
}

/// Every series by itself.
fn each(known: &[&Belongs]) -> Vec<Group> {
    let mut lineages = Lineages::default();
    for belongs in known {
        if let Owner::Server(server) = &belongs.owner {
            lineages.add(server, &belongs.adopted);
        }
    }
    let group = |servers: &BTreeSet<String>| Group { servers: servers.clone(), others: Vec::new() };
    let mut groups: Vec<Group> = lineages.all().iter().map(group).collect();
    let unnamed = known.iter().any(|belongs| belongs.owner == Owner::Unnamed);
    if unnamed || groups.is_empty() {
        groups.push(Group::of(Owner::Unnamed));
    }
    if let [only] = groups.as_mut_slice() {
        only.others.push(Owner::Anyone);
        groups.push(Group::of(Owner::Upload));
    }
    groups
}

fn why(owner: &Owner) -> String {
    match owner {
        Owner::Server(server) => format!("of another server (…{})", short(server)),
        Owner::Unnamed | Owner::Anyone => "of a server that is not named, while others' backups are here".to_owned(),
        Owner::Upload => "an upload, while several servers' backups are here".to_owned(),
    }
}
