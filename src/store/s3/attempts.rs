//! Counts attempts of one request. After more than one, a 412 may be the answer to our own earlier, lost success.

use aws_sdk_s3::config::http::HttpRequest;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Clone, Default)]
pub(crate) struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// Returns a counter for `mutate_request`, which is called for every attempt.
    pub fn count(&self) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
        let tries = Arc::clone(&self.0);
        move |_| {
            tries.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn several(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
}
