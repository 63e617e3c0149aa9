//! How a job tells what it is doing, without knowing who listens.

/// Progress and remarks of one job. Implementations must be cheap: `advance` is called for every block.
pub trait Monitor: Send + Sync {
    /// A step begins; `total` is in bytes where it is known or estimated.
    fn begin(&self, step: &str, total: Option<u64>);
    /// So many more plain bytes went through.
    fn advance(&self, bytes: u64);
    /// So many bytes have been handed to the store in all.
    fn stored(&self, _bytes: u64) {}
    /// Something a person should know although the work goes on.
    fn warn(&self, message: &str);
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
