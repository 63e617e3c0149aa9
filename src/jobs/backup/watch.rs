//! Checks over the control connection, while `pg_dump` writes, that the snapshot is still held and nothing in it has changed.

use crate::base::error::{Fault, Result, into_io};
use crate::postgres::session::control::Control;
use crate::postgres::session::moment::Moment;
use std::io;
use std::time::{Duration, Instant};

/// Pause between two checks that the snapshot is still held: a dump without it is worth nothing, and may go on for hours.
const EVERY: Duration = Duration::from_secs(1);

pub(crate) struct SnapshotWatch<'a> {
    control: &'a mut Control,
    /// Time of the last check; `None` before the first piece.
    looked: Option<Instant>,
    changed: Vec<String>,
}

impl<'a> SnapshotWatch<'a> {
    pub fn new(control: &'a mut Control) -> SnapshotWatch<'a> {
        SnapshotWatch { control, looked: None, changed: Vec::new() }
    }

    /// Checks the snapshot, if it is time to, before a piece of the dump is taken. `pg_dump` writes nothing before it has all its locks and
    /// every definition, so the first piece is the first moment at which none of these can change in the dump any more.
    pub fn piece(&mut self) -> io::Result<()> {
        match self.looked {
            None => {
                self.changed = self.control.changed(Moment::Begun).map_err(into_io)?;
                if !self.changed.is_empty() {
                    return Err(Fault::failed("something has changed since the snapshot").into());
                }
            }
            Some(looked) if looked.elapsed() >= EVERY => self.control.alive().map_err(into_io)?,
            Some(_) => return Ok(()),
        }
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// Returns the names of what changed after the snapshot and is not in the dump as it was. `failed` says that
    /// `pg_dump` has failed, which may be the reason.
    pub fn changed(mut self, failed: bool) -> Vec<String> {
        if failed && self.changed.is_empty() {
            // Where the server does not say, the failure speaks for itself.
            self.changed = self.control.changed(Moment::Failed).unwrap_or_default();
        }
        self.changed
    }

    /// Returns the same for a dump that ended well, whose rows are all written by then.
    pub fn changed_meanwhile(self) -> Result<Vec<String>> {
        self.control.changed(Moment::Ended)
    }
}
