//! Writes and reads the records of captures, `STATE_DIR/captures/`. One that is there means that this database is to be captured.

use crate::base::state_dir::file::{StateFile, WriterLife};
use crate::base::state_dir::{StateDir, name_hash};
use crate::base::subject::Subject;
use crate::format::capture_record::CaptureRecord;
use jiff::{SignedDuration, Timestamp};
use std::fs::File;
use std::io;

/// How often a record is written where nothing else has changed than how far the capture is.
const PULSE: SignedDuration = SignedDuration::from_secs(10);

/// A record, as it was found.
#[derive(Debug, Clone)]
pub struct SavedCapture {
    pub record: CaptureRecord,
    pub life: WriterLife,
    /// When it was written.
    pub pulse: Timestamp,
}

/// Returns all of them, in the order of their files. One that cannot be read is passed over.
pub fn saved(state: &StateDir) -> Vec<SavedCapture> {
    let files = state.captures().files();
    let read = files.iter().filter_map(|file| file.read_json::<CaptureRecord>().ok());
    read.map(|found| SavedCapture { record: found.value, life: found.life, pulse: found.modified }).collect()
}

/// Removes the record of a database that is not to be captured any more.
pub fn forget(state: &StateDir, database: &Subject, server: &str) {
    // It may not be there.
    let _ = file(state, database, server).remove();
}

fn file(state: &StateDir, database: &Subject, server: &str) -> StateFile {
    state.capture(&database.series(), &name_hash(server))
}

/// Writes the record of one capture.
pub(crate) struct RecordFile {
    file: StateFile,
    written: Option<(CaptureRecord, Timestamp)>,
    /// Holds the lock. `None` before the first write, or after one that failed.
    held: Option<File>,
}

impl RecordFile {
    pub fn new(state: &StateDir, record: &CaptureRecord) -> RecordFile {
        RecordFile { file: file(state, &record.database, &record.server), written: None, held: None }
    }

    /// Writes the record if it is time. Does nothing while another process keeps one of the same database.
    pub fn update(&mut self, record: &CaptureRecord, now: Timestamp) -> io::Result<()> {
        if !self.is_due(record, now) || self.held.is_none() && self.is_anothers() {
            return Ok(());
        }
        self.written = Some((record.clone(), now));
        self.held = None;
        self.held = Some(self.file.hold_json(record)?);
        Ok(())
    }

    fn is_due(&self, record: &CaptureRecord, now: Timestamp) -> bool {
        let Some((before, written)) = &self.written else { return true };
        let is_other = before.streaming != record.streaming
            || before.problem != record.problem
            || before.generation != record.generation
            || before.segments != record.segments && record.segments < 3
            || before.uncovered.len() != record.uncovered.len();
        is_other || now.duration_since(*written).abs() >= PULSE
    }

    fn is_anothers(&self) -> bool {
        self.file.exists().is_ok_and(|exists| exists) && self.file.claim().is_ok_and(|claimed| claimed.is_none())
    }
}
