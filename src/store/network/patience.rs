//! Waits for an overloaded host by time and not by count: its bad minute must not cost a dump of hours.

use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Measures the time that a host may stay overloaded.
pub(crate) struct OverloadLimit {
    begun: Instant,
    limit: Duration,
    pause: Duration,
}

impl OverloadLimit {
    /// Starts the time.
    pub fn start(limit: Duration) -> OverloadLimit {
        OverloadLimit { begun: Instant::now(), limit, pause: FIRST_PAUSE }
    }

    /// Waits a moment if the host has answered that it is busy, and there is time left. Returns whether to ask again.
    pub async fn lasts(&mut self, busy: bool) -> bool {
        if !busy || self.begun.elapsed() + self.pause >= self.limit {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

/// Sends a request, with all its attempts, again and again until the host is no longer busy or the time is over.
pub(crate) async fn patiently<T, E>(
    limit: Duration,
    is_busy: impl Fn(&E) -> bool,
    send: impl AsyncFn() -> Result<T, E>,
) -> Result<T, E> {
    let mut patience = OverloadLimit::start(limit);
    loop {
        let answer = send().await;
        if !patience.lasts(answer.as_ref().is_err_and(&is_busy)).await {
            return answer;
        }
    }
}
