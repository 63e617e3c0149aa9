//! Reads a status from `STATE_DIR` alone.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::monitoring::facts::Facts;
use crate::monitoring::health;
use crate::monitoring::status::Status;
use crate::repository::inventory::Inventory;
use crate::runs::history::{History, Known};
use crate::runs::missed::watch::sights;
use crate::runs::schedule::heartbeat;
use jiff::Timestamp;
use std::path::PathBuf;

pub struct Source {
    state_dir: PathBuf,
    history: History,
    known: Known,
}

impl Source {
    pub fn new(state_dir: PathBuf) -> Source {
        Source { history: History::of(&state_dir), state_dir, known: Known::default() }
    }

    pub fn status(&mut self, now: Timestamp, monitor: &dyn Monitor) -> Result<Status> {
        self.facts(now, monitor).map(Status::of)
    }

    /// Returns that a database's backups are overdue, and since when. None: they are not, or the last run failed,
    /// which is reported as such.
    pub fn overdue(&mut self, database: &str, now: Timestamp, monitor: &dyn Monitor) -> Result<Option<String>> {
        Ok(health::overdue(database, &self.facts(now, monitor)?))
    }

    fn facts(&mut self, now: Timestamp, monitor: &dyn Monitor) -> Result<Facts> {
        let records = self.history.renewed(&mut self.known, monitor)?;
        let past = self.history.past();
        let seen = heartbeat::look(&self.state_dir)?;
        let (inventory, sights) = (Inventory::read(&self.state_dir), sights(&self.state_dir));
        Ok(Facts { now, seen, records, past, inventory, sights })
    }
}
