//! Waits for an overloaded host by time and not by count: its bad minute must not cost a dump of hours.

use crate::store::s3::errors::{Answer, status};
use crate::store::s3::host::Host;
use std::time::{Duration, Instant};

/// The statuses of an overloaded host: too many requests, and "slow down".
const BUSY: [u16; 2] = [429, 503];
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Measures the time that a host may stay overloaded.
pub(crate) struct Patience {
    begun: Instant,
    limit: Duration,
    pause: Duration,
}

impl Patience {
    /// Starts the time, which is `S3_TIMEOUT`.
    pub fn with(host: &Host) -> Patience {
        Patience { begun: Instant::now(), limit: host.address.settings.timeout, pause: FIRST_PAUSE }
    }

    /// Waits a moment if the host has answered that it is busy, and there is time left. Returns whether to ask again.
    pub async fn lasts(&mut self, status: Option<u16>) -> bool {
        let busy = status.is_some_and(is_busy);
        if !busy || self.begun.elapsed() + self.pause >= self.limit {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

/// Returns whether this is the status of an overloaded host.
pub(crate) fn is_busy(status: u16) -> bool {
    BUSY.contains(&status)
}

/// Sends a request, with all its attempts, again and again until the host is no longer busy or the time is over.
pub(crate) async fn patiently<T, E>(host: &Host, send: impl AsyncFn() -> Answer<T, E>) -> Answer<T, E> {
    let mut patience = Patience::with(host);
    loop {
        let answer = send().await;
        if !patience.lasts(answer.as_ref().err().and_then(status)).await {
            return answer;
        }
    }
}
