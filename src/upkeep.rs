//! What follows a backup that succeeded: lifecycle tags, then retention.

use crate::error::hints;
use crate::jobs::prune::{Fate, Judged, Mode, prune};
use crate::jobs::tag::tag;
use crate::manifest::BackupId;
use crate::monitor::Monitor;
use crate::retention::Policy;
use crate::vault::Vault;
use jiff::Timestamp;
use jiff::tz::TimeZone;

#[derive(Debug, Clone)]
pub struct Upkeep {
    /// `AUTO_LIFECYCLE_POLICY_TAGS`
    pub tags: bool,
    /// None: everything stays.
    pub retention: Option<Policy>,
    pub zone: TimeZone,
}

impl Upkeep {
    /// The backup stands whatever happens here: trouble is a warning.
    pub fn after(&self, vault: &Vault, backup: &BackupId, now: Timestamp, monitor: &dyn Monitor) {
        if self.tags
            && let Err(error) = tag(vault, backup, &self.zone, monitor)
        {
            warn("lifecycle tags", &error, monitor);
        }
        if let Some(policy) = &self.retention {
            match prune(vault, backup.database(), policy, Mode::Careful, now, monitor) {
                Ok(pruned) => tell(&pruned.backups, monitor),
                Err(error) => warn("retention", &error, monitor),
            }
        }
    }
}

fn tell(backups: &[Judged], monitor: &dyn Monitor) {
    for backup in backups {
        match &backup.fate {
            Fate::Removed => monitor.info(&format!("retention: removed {}", backup.id)),
            Fate::Left(why) => monitor.warn(&format!("retention: {} is left: {why}", backup.id)),
            // No good, which its reasons tell.
            Fate::Kept(reasons) if backup.bytes.is_none() => {
                monitor.warn(&format!("retention: {}: {}", backup.id, reasons.join(", ")));
            }
            Fate::Kept(_) | Fate::Due => {}
        }
    }
}

fn warn(what: &str, error: &anyhow::Error, monitor: &dyn Monitor) {
    let hints: String = hints(error).iter().map(|hint| format!(" ({hint})")).collect();
    monitor.warn(&format!("{what}: {error:#}{hints}"));
}
