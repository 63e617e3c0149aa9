//! Holds the facts that a status is made of, as read from the state directory at one time.

use crate::base::databases::Selection;
use crate::base::variant::Variant;
use crate::format::run_record::series::by_series;
use crate::format::run_record::{Record, RunState, Task};
use crate::repository::inventory::Inventory;
use crate::runs::captures::record_file::SavedCapture;
use crate::runs::history::totals::RunTotals;
use crate::runs::missing_backups::watch;
use crate::runs::schedule::heartbeat::LastHeartbeat;
use jiff::{SignedDuration, Timestamp};

/// A scheduler whose heartbeat is older than this hangs, unless it is at work.
pub const HANGS: SignedDuration = SignedDuration::from_secs(60);

/// The facts that a status is made of.
pub struct Facts {
    pub now: Timestamp,
    pub seen: Option<LastHeartbeat>,
    /// The records of runs, newest first.
    pub runs: Vec<Record>,
    /// The same, split by series.
    pub records: Vec<Record>,
    pub past: RunTotals,
    pub inventory: Option<Inventory>,
    /// The results of the last checks for missing backups, for each subject.
    pub sights: Vec<watch::SavedCheck>,
    /// The records of captures.
    pub captures: Vec<SavedCapture>,
}

impl Facts {
    /// Returns the facts of these runs, newest first, if nothing else is known.
    pub fn of(now: Timestamp, runs: Vec<Record>) -> Facts {
        Facts {
            now,
            seen: None,
            records: by_series(&runs),
            runs,
            past: RunTotals::default(),
            inventory: None,
            sights: Vec::new(),
            captures: Vec::new(),
        }
    }

    /// Returns whether the newest run of the database was to make this series too. A series that runs no longer make is none to wait for.
    pub(crate) fn is_still_made(&self, name: &Selection) -> bool {
        let of = |one: &Selection| one.subject().map(|subject| subject.clone().in_variant(Variant::Plain));
        let newest = |fits: &dyn Fn(&Selection) -> bool| {
            let tried = |record: &&Record| record.task == Task::Backup && fits(&record.database);
            self.records.iter().find(tried).map(|record| &record.run)
        };
        name.variant().is_plain() || newest(&|one| one == name) == newest(&|one| of(one) == of(name))
    }

    /// Returns the results of the last checks of this database's backups, in the store that its newest backup went to.
    pub(crate) fn sights_of<'a>(&'a self, name: &'a Selection) -> impl Iterator<Item = &'a watch::SavedCheck> {
        let done = |record: &&Record| record.database == *name && record.state == RunState::Done;
        let newest = self.records.iter().filter(done).find_map(|record| record.backup.as_ref());
        let newest = newest.or_else(|| self.past.success(name)?.backup.as_ref());
        let location = newest.map(|stored| stored.location.as_str());
        self.sights.iter().filter(move |seen| *name == seen.subject && Some(seen.location.as_str()) == location)
    }
}

/// Whether the run has a result. A skipped run has none; the run that it met has one.
pub fn is_over(record: &Record) -> bool {
    matches!(record.state, RunState::Done | RunState::Failed)
}
