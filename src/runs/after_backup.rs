//! Does the work that follows a backup which succeeded: lifecycle tags, then retention.

use crate::base::error::{Kind, Result, hints, kind};
use crate::base::progress::Monitor;
use crate::base::shown::many;
use crate::format::backup_id::BackupId;
use crate::format::manifest::Manifest;
use crate::format::manifest::lineage::Owner;
use crate::jobs::lifecycle_tags::tag;
use crate::jobs::prune::chain_outcome::ChainOutcome;
use crate::jobs::prune::scope::PruneScope;
use crate::jobs::prune::{PruneDecision, PruneMode, PruneOrder, PruneOutcome, prune};
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::repository::newest::ServerIdentity;
use crate::repository::retention::Policy;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
pub struct AfterBackup {
    /// `AUTO_LIFECYCLE_POLICY_TAGS`: backups are tagged with their lifecycle.
    pub tags: bool,
    /// `None`: everything stays.
    pub retention: Option<Policy>,
    pub zone: TimeZone,
}

impl AfterBackup {
    /// Returns the policy by which backups are removed; `None` if there is none, or if the store removes them by their tags.
    pub fn policy(&self) -> Option<Policy> {
        self.retention.clone().filter(|_| !self.tags)
    }

    /// Returns whether anything follows a backup, which then needs a listing of the store.
    pub fn is_any(&self) -> bool {
        self.tags || self.retention.is_some()
    }

    /// Tags and prunes after a backup. The backup stays whatever happens here, so errors are only warnings. `catalog` was listed after the
    /// backup; the one that gave it its name is as old as the dump took. `proven` holds the backups that a restore test has proven. `going`
    /// is called with the ids to remove before they are removed.
    pub fn after(
        &self,
        repository: &Repository,
        catalog: &Result<Catalog>,
        (made, now): (&Manifest, Timestamp),
        proven: &BTreeSet<BackupId>,
        going: &dyn Fn(&[BackupId]),
        monitor: &dyn Monitor,
    ) {
        if self.tags {
            self.tag(repository, catalog, made, monitor);
        }
        if let Some(policy) = &self.retention {
            let scope = PruneScope::Of(server_of(made));
            let order = PruneOrder { policy, mode: PruneMode::Careful, scope, made: Some(&made.id), proven, now };
            let pruned = match catalog {
                Ok(catalog) => prune(repository, catalog, &made.subject, &order, going, monitor),
                Err(error) => return warn("retention", error, monitor),
            };
            match pruned {
                Ok(pruned) => {
                    tell(&pruned.backups, monitor);
                    pruned.chains.iter().for_each(|chain| tell_of_changes(chain, monitor));
                }
                Err(error) => warn("retention", &error, monitor),
            }
        }
    }

    fn tag(&self, repository: &Repository, catalog: &Result<Catalog>, made: &Manifest, monitor: &dyn Monitor) {
        let catalog = match catalog {
            Ok(catalog) => Some(catalog),
            Err(error) if kind(error) == Kind::Denied => None,
            Err(error) => return warn("lifecycle tags", error, monitor),
        };
        if let Err(error) = tag(repository, catalog, made, &self.zone, monitor) {
            warn("lifecycle tags", &error, monitor);
        }
    }
}

/// Returns the server that made the backup; only its series is pruned.
fn server_of(made: &Manifest) -> ServerIdentity {
    match made.owner() {
        Owner::Server(identifier) => ServerIdentity::Named(identifier),
        _ => ServerIdentity::Unnamed,
    }
}

fn tell(backups: &[PruneDecision], monitor: &dyn Monitor) {
    for backup in backups {
        match &backup.fate {
            PruneOutcome::Removed => monitor.info(&format!("retention: removed {}", backup.id)),
            // No good, which its reasons tell.
            PruneOutcome::Kept(reasons) if backup.bytes.is_none() => {
                monitor.warn(&format!("retention: {}: {}", backup.id, reasons.join(", ")));
            }
            PruneOutcome::Kept(_) | PruneOutcome::Due | PruneOutcome::Left(_) => {}
        }
    }
    // Where locks outlast the rules there are some after every run.
    let mut left = backups.iter().filter_map(|backup| match &backup.fate {
        PruneOutcome::Left(why) => Some((&backup.id, why)),
        _ => None,
    });
    if let Some((id, why)) = left.next() {
        monitor.warn(&match left.count() {
            0 => format!("retention: {id} is left: {why}"),
            more => format!("retention: {id} and {} are left: {why}", many(more, "older one")),
        });
    }
}

fn tell_of_changes(chain: &ChainOutcome, monitor: &dyn Monitor) {
    let ChainOutcome { generation, gone, left, why, .. } = chain;
    if *gone > 0 {
        monitor.info(&format!("retention: removed {} of changes {generation}", many(*gone, "segment")));
    }
    if *left > 0 {
        monitor.warn(&format!("retention: {} of changes {generation} are left: {why}", many(*left, "segment")));
    }
}

fn warn(what: &str, error: &anyhow::Error, monitor: &dyn Monitor) {
    let hints: String = hints(error).iter().map(|hint| format!(" ({hint})")).collect();
    monitor.warn(&format!("{what}: {error:#}{hints}"));
}
