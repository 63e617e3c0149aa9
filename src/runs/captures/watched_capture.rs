//! One capture, as others see it: its record in `STATE_DIR`, and the alerts about it.

use crate::alerts::Alerts;
use crate::alerts::capture_outage::{CaptureCause, CaptureOutage};
use crate::base::progress::Monitor;
use crate::base::state_dir::StateDir;
use crate::format::capture_record::CaptureRecord;
use crate::format::changes::uncovered_tables::UncoveredRelation;
use crate::jobs::capture::base_needs::{SharedNeeds, locked};
use crate::jobs::capture::capture_progress::CaptureProgress;
use crate::runs::captures::capture_trouble::{CaptureTrouble, of_record};
use crate::runs::captures::record_file::RecordFile;
use jiff::Timestamp;
use std::sync::Arc;

pub(crate) struct WatchedCapture {
    progress: Arc<CaptureProgress>,
    needs: Arc<SharedNeeds>,
    /// `None`: nothing can be remembered.
    file: Option<RecordFile>,
    outage: CaptureOutage,
    /// Whether the record could not be written the last time.
    is_silent: bool,
}

impl WatchedCapture {
    pub fn new(
        (progress, needs): (Arc<CaptureProgress>, Arc<SharedNeeds>),
        state: Option<&StateDir>,
        alerts: &Alerts,
    ) -> WatchedCapture {
        let record = progress.record();
        let file = state.map(|state| RecordFile::new(state, &record));
        let outage = alerts.capture_outage(&record.database.into());
        WatchedCapture { file, outage, progress, needs, is_silent: false }
    }

    /// Writes the record where it is due, and alerts people to what is new.
    pub fn show(&mut self, alerts: &Alerts, now: Timestamp, monitor: &dyn Monitor) {
        let (waiting, has_base) = {
            let needs = locked(&self.needs);
            (needs.waiting(), needs.base().is_some())
        };
        self.progress.base(has_base, now);
        let mut record = self.progress.record();
        if record.no_base_since.is_some() {
            record.recoverable = None;
        }
        let is_told = |one: &UncoveredRelation| record.uncovered.iter().any(|other| other.table == one.table);
        let waiting: Vec<UncoveredRelation> = waiting.into_iter().filter(|one| !is_told(one)).collect();
        record.uncovered.extend(waiting);
        self.write(&record, now, monitor);
        // Before it streams again, nothing is known to be over.
        if record.streaming || record.problem.is_some() {
            let causes: Vec<CaptureCause> = of_record(&record, now).iter().map(CaptureTrouble::cause).collect();
            alerts.capture(&mut self.outage, &causes, record.streaming, now, monitor);
        }
    }

    /// Shows the end of the capture. One that was told to stop is no trouble of which people are alerted.
    pub fn end(mut self, alerts: &Alerts, now: Timestamp, monitor: &dyn Monitor) {
        self.show(alerts, now, monitor);
    }

    fn write(&mut self, record: &CaptureRecord, now: Timestamp, monitor: &dyn Monitor) {
        let Some(file) = &mut self.file else { return };
        let written = file.update(record, now);
        let was_silent = std::mem::replace(&mut self.is_silent, written.is_err());
        if let (Err(error), false) = (&written, was_silent) {
            let name = &record.database;
            monitor.warn(&format!("how far the capture of {name} is cannot be written to STATE_DIR: {error}"));
        }
    }
}
