//! How a job reports what it does, without knowing who listens.

use std::sync::{Mutex, PoisonError};

/// The run that a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub database: String,
    pub run: String,
    /// Id of the backup that is made or read; `None` until it is known.
    pub backup: Option<String>,
}

/// Receives the progress and messages of one job. Implementations must be cheap: `advance` is called for every block.
pub trait Monitor: Send + Sync {
    /// Sets the run that all further calls from this thread are about. `None`: no run.
    fn about(&self, _subject: Option<&Subject>) {}
    /// Sets the id of the backup that the run is about.
    fn names(&self, _backup: &str) {}
    /// Begins a step. `total` is the number of bytes, known or estimated; `None`: unknown.
    fn begin(&self, step: &str, total: Option<u64>);
    /// Reports that this many more plain bytes have passed.
    fn advance(&self, bytes: u64);
    /// Reports how many bytes have been handed to the store in all.
    fn stored(&self, _bytes: u64) {}
    /// Reports that the step has come to this part of its work, which moves no more plain bytes.
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
    /// Ends the step.
    fn end(&self);
}

/// A monitor that ignores everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullMonitor;

impl Monitor for NullMonitor {
    fn begin(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn warn(&self, _: &str) {}
    fn end(&self) {}
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
    fn about(&self, subject: Option<&Subject>) {
        self.inner.about(subject);
    }

    fn names(&self, backup: &str) {
        self.inner.names(backup);
    }

    fn begin(&self, step: &str, total: Option<u64>) {
        self.inner.begin(step, total);
    }

    fn advance(&self, bytes: u64) {
        self.inner.advance(bytes);
    }

    fn stored(&self, bytes: u64) {
        self.inner.stored(bytes);
    }

    fn stage(&self, name: &str) {
        self.inner.stage(name);
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

    fn end(&self) {
        self.inner.end();
    }
}
