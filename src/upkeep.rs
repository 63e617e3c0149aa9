//! What follows a backup that succeeded: lifecycle tags, then retention.

use crate::error::{Kind, Result, hints, kind};
use crate::jobs::prune::{Fate, Judged, Mode, Order, Scope, prune};
use crate::jobs::tag::tag;
use crate::manifest::{BackupId, Manifest, Owner};
use crate::monitor::Monitor;
use crate::retention::Policy;
use crate::vault::{Catalog, Server, Vault};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
pub struct Upkeep {
    /// `AUTO_LIFECYCLE_POLICY_TAGS`
    pub tags: bool,
    /// None: everything stays.
    pub retention: Option<Policy>,
    pub zone: TimeZone,
}

impl Upkeep {
    /// Returns the rules by which backups are removed. None: there are none, or the store removes by what backups are tagged with.
    pub fn policy(&self) -> Option<Policy> {
        self.retention.clone().filter(|_| !self.tags)
    }

    /// Returns whether anything follows a backup, which then needs a listing of what is there.
    pub fn is_any(&self) -> bool {
        self.tags || self.retention.is_some()
    }

    /// The backup stands whatever happens here: trouble is a warning. The catalog was made after the backup: the one that gave it its name is as
    /// old as the dump took. `proven` is what was proven by a restore. What the rules remove is told to `going` before it goes.
    pub fn after(
        &self,
        vault: &Vault,
        catalog: &Result<Catalog>,
        (made, now): (&Manifest, Timestamp),
        proven: &BTreeSet<BackupId>,
        going: &dyn Fn(&[BackupId]),
        monitor: &dyn Monitor,
    ) {
        if self.tags {
            self.tag(vault, catalog, made, monitor);
        }
        if let Some(policy) = &self.retention {
            let scope = Scope::Of(server_of(made));
            let order = Order { policy, mode: Mode::Careful, scope, made: Some(&made.id), proven, now };
            let pruned = match catalog {
                Ok(catalog) => prune(vault, catalog, &made.database, &order, going, monitor),
                Err(error) => return warn("retention", error, monitor),
            };
            match pruned {
                Ok(pruned) => tell(&pruned.backups, monitor),
                Err(error) => warn("retention", &error, monitor),
            }
        }
    }

    fn tag(&self, vault: &Vault, catalog: &Result<Catalog>, made: &Manifest, monitor: &dyn Monitor) {
        let catalog = match catalog {
            Ok(catalog) => Some(catalog),
            Err(error) if kind(error) == Kind::Denied => None,
            Err(error) => return warn("lifecycle tags", error, monitor),
        };
        if let Err(error) = tag(vault, catalog, made, &self.zone, monitor) {
            warn("lifecycle tags", &error, monitor);
        }
    }
}

/// The server that made it, whose series alone is looked after.
fn server_of(made: &Manifest) -> Server {
    match made.owner() {
        Owner::Server(identifier) => Server::Named(identifier),
        _ => Server::Unnamed,
    }
}

fn tell(backups: &[Judged], monitor: &dyn Monitor) {
    for backup in backups {
        match &backup.fate {
            Fate::Removed => monitor.info(&format!("retention: removed {}", backup.id)),
            // No good, which its reasons tell.
            Fate::Kept(reasons) if backup.bytes.is_none() => {
                monitor.warn(&format!("retention: {}: {}", backup.id, reasons.join(", ")));
            }
            Fate::Kept(_) | Fate::Due | Fate::Left(_) => {}
        }
    }
    // Where locks outlast the rules there are some after every run.
    let mut left = backups.iter().filter_map(|backup| match &backup.fate {
        Fate::Left(why) => Some((&backup.id, why)),
        _ => None,
    });
    if let Some((id, why)) = left.next() {
        let more = left.count();
        monitor.warn(&format!("retention: {id} and {more} older ones are left: {why}"));
    }
}

fn warn(what: &str, error: &anyhow::Error, monitor: &dyn Monitor) {
    let hints: String = hints(error).iter().map(|hint| format!(" ({hint})")).collect();
    monitor.warn(&format!("{what}: {error:#}{hints}"));
}
