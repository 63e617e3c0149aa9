//! Limits the memory of all parts that are on their way to one store, over all its uploads: several streams share it.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most bytes that are on their way together. Two parts may always be, whatever their size.
const BYTES: u64 = 64 << 20;
/// Bytes that one permit stands for: the semaphore counts in 32 bits.
const UNIT: u64 = 64 << 10;

/// Holds the room for parts that are on their way. Clones share it.
#[derive(Clone)]
pub(crate) struct Buffers(Arc<Semaphore>);

/// Stands for the room of one part, until it is dropped.
pub(crate) struct PartRoom {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Buffers {
    pub fn new() -> Buffers {
        Buffers(Arc::new(Semaphore::new((BYTES / UNIT) as usize)))
    }

    /// Waits until there is room for this many bytes. Parts end by themselves and wait for no others, so that room comes.
    pub async fn room(&self, bytes: u64) -> PartRoom {
        let units = bytes.div_ceil(UNIT).clamp(1, BYTES / UNIT / 2) as u32;
        PartRoom { _permit: Arc::clone(&self.0).acquire_many_owned(units).await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// Returns the room if there is some at once.
    fn at_once(buffers: &Buffers, bytes: u64) -> Option<PartRoom> {
        match pin!(buffers.room(bytes)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(room) => Some(room),
            Poll::Pending => None,
        }
    }

    #[test]
    fn all_uploads_together_have_no_more_on_their_way_than_one_may() {
        for part in [UNIT, 5 << 20, 8 << 20, 20 << 20] {
            let (one, other) = (Buffers::new(), Buffers::new());
            let shared = one.clone();
            let mut held = Vec::new();
            while let Some(room) = at_once(if held.len() % 2 == 0 { &one } else { &shared }, part) {
                held.push(room);
            }
            assert_eq!(held.len() as u64, BYTES / part, "{part}");
            assert!(at_once(&other, part).is_some(), "another store has room of its own");
            held.pop();
            assert!(at_once(&shared, part).is_some(), "what has ended makes room");
        }
    }

    #[test]
    fn two_parts_of_any_size_may_be_on_their_way() {
        for part in [BYTES / 2 + 1, BYTES, 5 << 30, u64::MAX] {
            let buffers = Buffers::new();
            let first = at_once(&buffers, part);
            let second = at_once(&buffers, part);
            assert!(first.is_some() && second.is_some(), "{part}");
            assert!(at_once(&buffers, part).is_none(), "{part}");
        }
    }
}
