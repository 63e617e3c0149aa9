//! Where a status comes from: `STATE_DIR` alone.

use super::{Facts, Status};
use crate::error::Result;
use crate::history::{History, Known};
use crate::monitor::Monitor;
use crate::roster;
use crate::shelf::Shelf;
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
        let records = self.history.renewed(&mut self.known, monitor)?;
        let past = self.history.past();
        let seen = roster::look(&self.state_dir)?;
        Ok(Status::of(Facts { now, seen, records, past, shelf: Shelf::read(&self.state_dir) }))
    }
}
