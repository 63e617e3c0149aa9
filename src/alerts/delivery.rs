//! The outcome of a delivery, and how long a channel may take.

use std::time::{Duration, Instant};

/// The reason why a message has not arrived.
#[derive(Debug)]
pub struct DeliveryFailure {
    /// The reason in words, without any secret.
    pub why: String,
    /// Whether another try of the same message may succeed.
    pub passing: bool,
    /// Whether the message may have been too long.
    pub shorter: bool,
}

impl DeliveryFailure {
    pub fn passing(why: impl Into<String>) -> DeliveryFailure {
        DeliveryFailure { why: why.into(), passing: true, shorter: false }
    }

    pub fn lasting(why: impl Into<String>) -> DeliveryFailure {
        DeliveryFailure { why: why.into(), passing: false, shorter: false }
    }
}

/// The recipients whom a message has reached. Only mail has several; for other channels both lists are empty.
#[derive(Debug, Default)]
pub struct Delivery {
    pub by: Vec<String>,
    pub refused: Vec<RecipientRefusal>,
}

/// One recipient whom the mail server refuses, though it may accept others.
#[derive(Debug)]
pub struct RecipientRefusal {
    pub address: String,
    pub undelivered: DeliveryFailure,
}

impl RecipientRefusal {
    /// Returns a text with the address and reason of each.
    pub fn told(refusals: &[RecipientRefusal]) -> String {
        let each = refusals.iter().map(|one| format!("{}: {}", one.address, one.undelivered.why));
        each.collect::<Vec<_>>().join("; ")
    }
}

/// How long to wait for a receiver.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryLimits {
    /// Limit of one HTTP request.
    pub request: Duration,
    /// Limit of each answer of a mail server: many delay their first word to a stranger.
    pub answer: Duration,
    /// When everything must be over, however many answers and tries it takes.
    pub end: Instant,
}

impl DeliveryLimits {
    /// Returns the limits of a single try that begins now.
    pub fn once(limit: Duration) -> DeliveryLimits {
        DeliveryLimits { request: limit, answer: limit / 2, end: Instant::now() + limit }
    }

    /// Returns the limits of several tries. Three tries and their pauses fit in, even if the receiver of a request hangs.
    pub fn repeated(limit: Duration) -> DeliveryLimits {
        let least = Duration::from_secs(1);
        DeliveryLimits { request: (limit / 4).max(least), answer: (limit / 2).max(least), end: Instant::now() + limit }
    }

    pub fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}
