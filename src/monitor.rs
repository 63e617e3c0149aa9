//! How a job tells what it is doing, without knowing who listens.

use std::sync::{Mutex, PoisonError};

/// Which run something is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub database: String,
    pub run: String,
    /// The backup that is made or read; None until it has a name.
    pub backup: Option<String>,
}

/// Progress and remarks of one job. Implementations must be cheap: `advance` is called for every block.
pub trait Monitor: Send + Sync {
    /// What follows, from the thread that says so, is about this run; None: about none.
    fn about(&self, _subject: Option<&Subject>) {}
    /// The backup that the run is about has this name.
    fn names(&self, _backup: &str) {}
    /// A step begins; `total` is in bytes where it is known or estimated.
    fn begin(&self, step: &str, total: Option<u64>);
    /// So many more plain bytes went through.
    fn advance(&self, bytes: u64);
    /// So many bytes have been handed to the store in all.
    fn stored(&self, _bytes: u64) {}
    /// The step has come to this part of its work, which moves no more plain bytes.
    fn stage(&self, _name: &str) {}
    /// Something a person should know although the work goes on.
    fn warn(&self, message: &str);
    /// Something that people should hear of once, wherever they are, beside whoever looks on.
    fn announce(&self, message: &str) {
        self.warn(message);
    }
    /// Something that a person who looks on wants to know.
    fn info(&self, _message: &str) {}
    /// Something worth a line in the log.
    fn note(&self, _message: &str) {}
    /// The step is over.
    fn end(&self);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn begin(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn warn(&self, _: &str) {}
    fn end(&self) {}
}

/// Passes everything on, and keeps what was warned of.
pub struct Noting<'a> {
    inner: &'a dyn Monitor,
    warnings: Mutex<Vec<String>>,
    announced: Mutex<Vec<String>>,
}

impl<'a> Noting<'a> {
    pub fn new(inner: &'a dyn Monitor) -> Noting<'a> {
        Noting { inner, warnings: Mutex::default(), announced: Mutex::default() }
    }

    /// Returns what was announced so far.
    pub fn announced(&self) -> Vec<String> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn warnings(self) -> Vec<String> {
        self.warnings.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Monitor for Noting<'_> {
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
