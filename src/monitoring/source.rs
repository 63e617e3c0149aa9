//! Reads a status from `STATE_DIR` alone.

use crate::base::databases::Selection;
use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::state_dir::StateDir;
use crate::monitoring::health;
use crate::monitoring::status::Status;
use crate::monitoring::status_facts::Facts;
use crate::repository::inventory::Inventory;
use crate::runs::captures::record_file::saved;
use crate::runs::history::{History, RecordCache};
use crate::runs::missing_backups::watch::sights;
use crate::runs::schedule::heartbeat;
use jiff::Timestamp;

pub struct StatusSource {
    history: History,
    known: RecordCache,
}

impl StatusSource {
    pub fn new(state: StateDir) -> StatusSource {
        StatusSource { history: History::of(state), known: RecordCache::default() }
    }

    pub fn status(&mut self, now: Timestamp, monitor: &dyn Monitor) -> Result<Status> {
        self.facts(now, monitor).map(Status::of)
    }

    /// Returns that a database's backups are overdue, and since when. None: they are not, or the last run failed,
    /// which is reported as such.
    pub fn overdue(&mut self, selection: &Selection, now: Timestamp, monitor: &dyn Monitor) -> Result<Option<String>> {
        Ok(health::overdue(selection, &self.facts(now, monitor)?))
    }

    fn facts(&mut self, now: Timestamp, monitor: &dyn Monitor) -> Result<Facts> {
        let runs = self.history.renewed(&mut self.known, monitor)?;
        let past = self.history.past();
        let state = self.history.state();
        let seen = heartbeat::look(state)?;
        let (inventory, sights) = (Inventory::read(state), sights(state));
        let captures = saved(state);
        Ok(Facts { seen, past, inventory, sights, captures, ..Facts::of(now, runs) })
    }
}
