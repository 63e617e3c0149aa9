//! How often a request was made, where what came of the earlier tries is not known.

use aws_sdk_s3::config::http::HttpRequest;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Clone, Default)]
pub(super) struct Tries(Arc<AtomicU32>);

impl Tries {
    /// For `mutate_request`, which is called for every try.
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
