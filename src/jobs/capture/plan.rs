//! Holds what a capture is told to do, and the names that it uses on the server.

use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::format::changes::replication_names::{PublicationName, SlotName};
use crate::format::keys::hash::keyed;
use crate::format::manifest::Compression;
use crate::jobs::capture::journal_keeper::JournalPlan;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::replication::publication::Publications;
use std::time::Duration;

/// The settings of a capture.
#[derive(Clone)]
pub struct CapturePlan {
    /// Lead to the database whose changes are captured.
    pub settings: ConnectionSettings,
    pub slot: SlotName,
    pub publications: Publications,
    pub compression: Option<Compression>,
    /// How long a segment waits for more, once it has a transaction.
    pub interval: Duration,
    /// How many bytes of the script end a segment, at the next commit.
    pub bytes: u64,
    /// How many bytes of its log the server may keep for the slot. `None`: a quarter of its own limit, or 10 GiB where it has none.
    pub wal_limit: Option<u64>,
    /// `None`: no journal is kept.
    pub journal: Option<JournalPlan>,
}

/// The settings of captures, for any database of a server.
#[derive(Clone)]
pub struct CaptureOptions {
    pub server: ConnectionSettings,
    /// `None`: each database's own.
    pub slot: Option<SlotName>,
    pub compression: Option<Compression>,
    pub interval: Duration,
    pub bytes: u64,
    pub wal_limit: Option<u64>,
    /// `None`: no journal is kept.
    pub journal: Option<JournalPlan>,
    /// How old the newest moment that can be restored may be.
    pub lag_limit: Duration,
}

impl CaptureOptions {
    /// Returns the settings for this database.
    pub fn plan(&self, database: &str) -> Result<CapturePlan> {
        Ok(CapturePlan {
            settings: self.server.for_database(database),
            slot: self.slot.clone().map_or_else(|| slot_name(database), Ok)?,
            publications: publications()?,
            compression: self.compression,
            interval: self.interval,
            bytes: self.bytes,
            wal_limit: self.wal_limit,
            journal: self.journal.clone(),
        })
    }
}

impl CapturePlan {
    /// Returns the names of the publications, as the stream is asked for them.
    pub(crate) fn published(&self) -> Vec<PublicationName> {
        vec![self.publications.changes.clone(), self.publications.inserts.clone()]
    }

    pub fn subject(&self) -> Subject {
        Subject::from(self.settings.database())
    }
}

/// Returns the publications that pgbk makes in each database.
fn publications() -> Result<Publications> {
    Ok(Publications { changes: "pgbk_changes".parse()?, inserts: "pgbk_inserts".parse()? })
}

/// Returns the slot's name for a database: its own name behind `pgbk_`. Slots are the whole server's, so a name that had to be changed gets
/// a hash, by which two databases never have one slot.
pub fn slot_name(database: &str) -> Result<SlotName> {
    let is_taken = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if database.chars().all(is_taken) && database.len() <= 58 {
        return format!("pgbk_{database}").parse();
    }
    let taken = database.chars().map(|c| if is_taken(c) { c } else { '_' });
    let short: String = taken.take(49).collect();
    let hash = hex::encode(&keyed(&[0; 32], &[database.as_bytes()])[..4]);
    format!("pgbk_{short}_{hash}").parse()
}

/// Returns the fault of a generation that another slot belongs to.
pub(crate) fn other_slot(plan: &CapturePlan, slot: &SlotName) -> Fault {
    Fault::usage(format!(
        "the changes of \"{}\" are captured from slot \"{slot}\", not from \"{}\"",
        plan.subject(),
        plan.slot
    ))
    .hint(format!("set CAPTURE_SLOT to {slot}, or begin anew with --new-generation"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_database_has_a_slot_of_its_own() {
        let name = |database: &str| slot_name(database).unwrap().to_string();
        assert_eq!(name("shop_1"), "pgbk_shop_1");
        assert!(name("Shop 1").starts_with("pgbk__hop_1_") && name("Shop 1") != name("shop 1"));
        assert_eq!(name(&"x".repeat(63)).len(), 63);
        assert_eq!(name(&"ä".repeat(31)).len(), 5 + 31 + 9);
    }
}
