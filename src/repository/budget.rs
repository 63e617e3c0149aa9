//! A memory budget that several readers share: bytes are taken before a document is fetched and given back when it is dropped.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Limits how many bytes may be in use at a time, and counts those that are free.
#[derive(Debug)]
pub struct Budget {
    whole: u64,
    free: Mutex<u64>,
    given_back: Condvar,
}

/// A part of a budget, given back when it is dropped.
#[derive(Debug)]
pub struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    pub fn new(bytes: u64) -> Budget {
        Budget { whole: bytes, free: Mutex::new(bytes), given_back: Condvar::new() }
    }

    /// Waits until `bytes` are free and takes them. A request for more than the whole budget takes all of it, alone.
    pub fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(self.whole);
        let mut free = self.free();
        while *free < bytes {
            free = self.given_back.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= bytes;
        Share { budget: self, bytes }
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.free() += self.bytes;
        self.budget.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn no_more_than_the_whole_is_ever_taken_and_all_of_it_comes_back() {
        let (budget, taken) = (Budget::new(100), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for reader in 0..8u64 {
                let (budget, taken) = (&budget, &taken);
                scope.spawn(move || {
                    for round in 0..200 {
                        let bytes = (reader * 37 + round * 11) % 150;
                        let _share = budget.take(bytes);
                        let now = taken.fetch_add(bytes.min(100), Ordering::SeqCst) + bytes.min(100);
                        assert!(now <= 100, "{now} taken");
                        taken.fetch_sub(bytes.min(100), Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(*budget.free(), 100);
    }
}
