//! Implements `--adopt`: this server's series continues that of another server.

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::format::manifest::lineage::{Claims, Lineages, Owner};
use crate::repository::catalog::CatalogEntry;
use crate::repository::new_backup::Adoption;
use crate::repository::new_backup::{NewBackup, Predecessors};
use crate::repository::newest::server_of;
use crate::repository::walk::last_of;
use std::collections::BTreeSet;

/// Joins another server's series if `--adopt` asks for it. Otherwise announces that a new series begins next to other servers'.
pub(crate) fn join(
    taking: &NewBackup,
    all: &[(&CatalogEntry, &Claims)],
    before: &mut Predecessors,
    monitor: &dyn Monitor,
) -> Result<()> {
    let others: Vec<(&CatalogEntry, &Claims)> = all
        .iter()
        .filter(|(_, one)| match &one.owner {
            Owner::Server(server) => Some(server.as_str()) != taking.server && !before.adopted.contains(server),
            Owner::Unnamed => taking.server.is_some(),
            _ => false,
        })
        .copied()
        .collect();
    let adopted = match taking.adopt {
        Adoption::No => {
            tell_who_goes_on(taking, all, before, monitor);
            let begins = before.id.is_none() && before.ahead.is_none();
            if let (true, Some((_, manifest))) = (begins, last_of(&others)) {
                monitor.announce(&beside(taking, server_of(manifest.system_identifier())));
            }
            return Ok(());
        }
        Adoption::Only => only(taking, &others)?,
        Adoption::This(wanted) => {
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
    let theirs: Vec<(&CatalogEntry, &Claims)> = others
        .into_iter()
        .filter(|(_, one)| one.system_identifier().is_some_and(|server| adopted.contains(server)))
        .collect();
    before.newest = theirs.iter().map(|(entry, _)| Some(entry.id.clone())).fold(before.newest.take(), Option::max);
    if let Some((entry, manifest)) = last_of(&theirs) {
        before.beside.push(entry.id.clone());
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

/// Announces that the adopted server still makes backups here: retention counts its backups and this server's as one series.
fn tell_who_goes_on(
    taking: &NewBackup,
    all: &[(&CatalogEntry, &Claims)],
    before: &Predecessors,
    monitor: &dyn Monitor,
) {
    let since = |entry: &CatalogEntry| before.newest.as_ref().is_some_and(|newest| entry.id > *newest);
    let adopted = |one: &Claims| one.system_identifier().is_some_and(|server| before.adopted.contains(server));
    let theirs = all.iter().filter(|(entry, one)| since(entry) && adopted(one));
    if let Some((_, one)) = theirs.max_by_key(|(entry, _)| entry.id.clone()) {
        monitor.announce(&format!(
            "{} still backs up \"{}\" here, although this server's series goes on with its own: retention counts both as one; stop one of the two, or give it a folder of its own",
            server_of(one.system_identifier()),
            taking.subject
        ));
    }
}

/// Returns the announcement of a new series. It names no backup id: if the run fails and is repeated, the id is another one.
fn beside(taking: &NewBackup, whose: String) -> String {
    format!(
        "the backups of \"{}\" that are here are those of {whose}: this server begins a series of its own beside them; after a move or pg_upgrade \"pgbk backup --adopt\" goes on with theirs",
        taking.subject
    )
}

fn only(taking: &NewBackup, others: &[(&CatalogEntry, &Claims)]) -> Result<BTreeSet<String>> {
    let lineages = Lineages::of(others.iter().map(|(_, manifest)| *manifest));
    match lineages.all() {
        [] => Err(nothing(taking, "of another server").into()),
        [only] => Ok(only.clone()),
        several => {
            let named: Vec<String> = several.iter().flatten().cloned().collect();
            Err(Fault::usage(format!(
                "several other servers have backups of \"{}\" here: {}",
                taking.subject,
                named.join(", ")
            ))
            .hint("say which: --adopt=IDENTIFIER")
            .into())
        }
    }
}

fn nothing(taking: &NewBackup, whose: &str) -> Fault {
    Fault::not_found(format!("there is no backup of \"{}\" {whose} to go on with", taking.subject))
        .hint("leave out --adopt; \"pgbk list\" shows the servers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, hints, kind};
    use crate::base::progress::NullMonitor;
    use crate::format::manifest::origin::Origin;
    use crate::repository::made_backups::{at, put, repository};
    use crate::store::memory::Memory;

    #[test]
    fn no_series_is_joined_by_a_server_that_cannot_say_who_it_is() {
        let repository = repository(&Memory::default());
        put(&repository, "app", 1, Some("7001"), &[]);
        let catalog = repository.catalog(None).unwrap();
        let entries: Vec<&CatalogEntry> = catalog.entries().iter().collect();
        let claims: Vec<Claims> = repository.claims(&entries).unwrap().into_iter().map(Result::unwrap).collect();
        let all: Vec<(&CatalogEntry, &Claims)> = entries.into_iter().zip(&claims).collect();
        for adopt in [Adoption::Only, Adoption::This("7001".to_owned())] {
            for (server, joins) in [(Some("7002"), true), (None, false)] {
                let (subject, origin) = ("app".into(), Origin::Backup);
                let taking = NewBackup { subject, origin, server, taken_at: at(9), now: at(9), adopt: &adopt };
                let mut before = Predecessors::default();
                let joined = join(&taking, &all, &mut before, &NullMonitor);
                assert_eq!((joined.is_ok(), before.adopted.contains("7001")), (joins, joins));
                let Err(error) = joined else { continue };
                assert_eq!(kind(&error), Kind::Usage);
                assert!(error.to_string().contains("may not ask this server who it is"), "{error:#}");
                assert_eq!(hints(&error), ["connect as a role that may call pg_control_system()"]);
            }
        }
    }
}
