//! A host that is overloaded is waited for by time and not by count: its bad minute must not cost a dump of hours.

use super::fault::{Answer, status};
use super::host::Host;
use std::time::{Duration, Instant};

/// Too many requests, and "slow down".
const BUSY: [u16; 2] = [429, 503];
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// What is left of the time that a host may have.
pub(super) struct Patience {
    begun: Instant,
    limit: Duration,
    pause: Duration,
}

impl Patience {
    /// `S3_TIMEOUT`, from now on.
    pub fn with(host: &Host) -> Patience {
        Patience { begun: Instant::now(), limit: host.settings.timeout, pause: FIRST_PAUSE }
    }

    /// Waits a moment where the host has answered that it is busy, and there is time left. Returns whether to ask again.
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

/// Returns whether a host that answers so has no time now.
pub(super) fn is_busy(status: u16) -> bool {
    BUSY.contains(&status)
}

/// Sends a request, with all its tries, again until the host has time for it or its own is over.
pub(super) async fn patiently<T, E>(host: &Host, send: impl AsyncFn() -> Answer<T, E>) -> Answer<T, E> {
    let mut patience = Patience::with(host);
    loop {
        let answer = send().await;
        if !patience.lasts(answer.as_ref().err().and_then(status)).await {
            return answer;
        }
    }
}
