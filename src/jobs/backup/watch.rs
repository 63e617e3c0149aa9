//! What is asked of the control connection while `pg_dump` writes.

use crate::error::{Fault, into_io};
use crate::postgres::control::Control;
use std::io;
use std::time::{Duration, Instant};

/// Between two looks at whether the snapshot is still held: a dump without it is worth nothing, and may go on for hours.
const EVERY: Duration = Duration::from_secs(1);

pub(super) struct Watch<'a> {
    control: &'a mut Control,
    /// None before the first piece.
    looked: Option<Instant>,
    changed: Vec<String>,
}

impl<'a> Watch<'a> {
    pub fn new(control: &'a mut Control) -> Watch<'a> {
        Watch { control, looked: None, changed: Vec::new() }
    }

    /// Looks, if it is time to, before a piece of the dump is taken. `pg_dump` writes nothing before it has all its locks, so that the
    /// first piece is the first moment at which no table can change any more.
    pub fn piece(&mut self) -> io::Result<()> {
        match self.looked {
            None => {
                self.changed = self.control.changed(true).map_err(into_io)?;
                if !self.changed.is_empty() {
                    return Err(Fault::failed("tables have changed since the snapshot").into());
                }
            }
            Some(looked) if looked.elapsed() >= EVERY => self.control.alive().map_err(into_io)?,
            Some(_) => return Ok(()),
        }
        self.looked = Some(Instant::now());
        Ok(())
    }

    /// Returns the tables that changed before `pg_dump` had its locks; `failed` says that it has ended, which may be because of one.
    pub fn changed(mut self, failed: bool) -> Vec<String> {
        if failed && self.changed.is_empty() {
            // Where the server does not say, the failure speaks for itself.
            self.changed = self.control.changed(false).unwrap_or_default();
        }
        self.changed
    }
}
