//! What follows a backup that succeeded: lifecycle tags, then retention.

use crate::error::{Kind, Result, hints, kind};
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
    /// The backup stands whatever happens here: trouble is a warning, and only a signal is an error.
    pub fn after(&self, vault: &Vault, backup: &BackupId, now: Timestamp, monitor: &dyn Monitor) -> Result<()> {
        if self.tags {
            survived(tag(vault, backup, &self.zone, monitor), "lifecycle tags", monitor)?;
        }
        if let Some(policy) = &self.retention {
            let pruned = prune(vault, backup.database(), policy, Mode::Careful, now, monitor);
            survived(pruned.map(|pruned| tell(&pruned.backups, monitor)), "retention", monitor)?;
        }
        Ok(())
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

fn survived(outcome: Result<()>, what: &str, monitor: &dyn Monitor) -> Result<()> {
    match outcome {
        Err(error) if matches!(kind(&error), Kind::Interrupted(_)) => return Err(error),
        Err(error) => {
            let hints: String = hints(&error).iter().map(|hint| format!(" ({hint})")).collect();
            monitor.warn(&format!("{what}: {error:#}{hints}"));
        }
        Ok(()) => {}
    }
    Ok(())
}
