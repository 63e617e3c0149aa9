//! How a job reports what it does, without knowing who listens.

use std::sync::{Mutex, PoisonError};

/// The run that a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLabel {
    pub database: String,
    pub run: String,
    /// Id of the backup that is made or read; `None` until it is known.
    pub backup: Option<String>,
}

/// Receives the progress and messages of one job. Implementations must be cheap: `advance` is called for every block.
pub trait Monitor: Send + Sync {
    /// Sets the run that all further calls from this thread are about. `None`: no run.
    fn about(&self, _run: Option<&RunLabel>) {}
    /// Sets the id of the backup that the run is about.
    fn names(&self, _backup: &str) {}
    /// Begins a piece of work, of which several may be under way. Call [`Progress::begin`], which also ends it.
    fn begin(&self, name: &str, total: Option<u64>) -> ProgressId;
    /// Reports how a piece of work goes on.
    fn update(&self, of: ProgressId, update: Update<'_>);
    /// Reports that this many more plain bytes have passed in the work at hand. A monitor that is no [`Progress`] has none.
    fn advance(&self, _bytes: u64) {}
    /// Reports how many bytes of the work at hand have been handed to the store in all.
    fn stored(&self, _bytes: u64) {}
    /// Reports that the work at hand has come to this part, which moves no more plain bytes.
    fn stage(&self, _name: &str) {}
    /// Reports something a person should know although the work goes on.
    fn warn(&self, message: &str);
    /// Reports a warning that is also sent as an alert, once.
    fn announce(&self, message: &str) {
        self.warn(message);
    }
    /// Reports something for a person who watches.
    fn info(&self, _message: &str) {}
    /// Reports something worth a line in the log.
    fn note(&self, _message: &str) {}
}

/// Tells the pieces of work of one monitor apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProgressId(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update<'a> {
    /// This many more plain bytes have passed.
    Advanced(u64),
    /// This many bytes have been handed to the store in all.
    Stored(u64),
    /// The work has come to this part.
    Stage(&'a str),
    /// The work is over. No update follows.
    Ended,
}

/// Reports one piece of work, from here to where it is dropped. It is the monitor of whatever belongs to that work.
pub struct Progress<'m> {
    monitor: &'m dyn Monitor,
    id: ProgressId,
}

impl<'m> Progress<'m> {
    /// Begins it. `total` is the number of plain bytes, known or estimated; `None`: unknown.
    pub fn begin(monitor: &'m dyn Monitor, name: &str, total: Option<u64>) -> Progress<'m> {
        Progress { monitor, id: monitor.begin(name, total) }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.monitor.update(self.id, Update::Ended);
    }
}

impl Monitor for Progress<'_> {
    fn about(&self, subject: Option<&RunLabel>) {
        self.monitor.about(subject);
    }

    fn names(&self, backup: &str) {
        self.monitor.names(backup);
    }

    fn begin(&self, name: &str, total: Option<u64>) -> ProgressId {
        self.monitor.begin(name, total)
    }

    fn update(&self, of: ProgressId, update: Update<'_>) {
        self.monitor.update(of, update);
    }

    fn advance(&self, bytes: u64) {
        self.monitor.update(self.id, Update::Advanced(bytes));
    }

    fn stored(&self, bytes: u64) {
        self.monitor.update(self.id, Update::Stored(bytes));
    }

    fn stage(&self, name: &str) {
        self.monitor.update(self.id, Update::Stage(name));
    }

    fn warn(&self, message: &str) {
        self.monitor.warn(message);
    }

    fn announce(&self, message: &str) {
        self.monitor.announce(message);
    }

    fn info(&self, message: &str) {
        self.monitor.info(message);
    }

    fn note(&self, message: &str) {
        self.monitor.note(message);
    }
}

/// A monitor that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullMonitor;

impl Monitor for NullMonitor {
    fn begin(&self, _: &str, _: Option<u64>) -> ProgressId {
        ProgressId::default()
    }
    fn update(&self, _: ProgressId, _: Update<'_>) {}
    fn warn(&self, _: &str) {}
}

/// A monitor that passes everything on and keeps the warnings.
pub(crate) struct RecordingMonitor<'a> {
    inner: &'a dyn Monitor,
    warnings: Mutex<Vec<String>>,
    announced: Mutex<Vec<String>>,
}

impl<'a> RecordingMonitor<'a> {
    pub fn new(inner: &'a dyn Monitor) -> RecordingMonitor<'a> {
        RecordingMonitor { inner, warnings: Mutex::default(), announced: Mutex::default() }
    }

    /// Returns the messages that were announced so far.
    pub fn announced(&self) -> Vec<String> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn warnings(self) -> Vec<String> {
        self.warnings.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Monitor for RecordingMonitor<'_> {
    fn about(&self, subject: Option<&RunLabel>) {
        self.inner.about(subject);
    }

    fn names(&self, backup: &str) {
        self.inner.names(backup);
    }

    fn begin(&self, name: &str, total: Option<u64>) -> ProgressId {
        self.inner.begin(name, total)
    }

    fn update(&self, of: ProgressId, update: Update<'_>) {
        self.inner.update(of, update);
    }

    fn warn(&self, message: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
        self.inner.warn(message);
    }

    fn announce(&self, message: &str) {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
        self.warn(message);
    }

    fn info(&self, message: &str) {
        self.inner.info(message);
    }

    fn note(&self, message: &str) {
        self.inner.note(message);
    }
}
