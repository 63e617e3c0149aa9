//! Computes several BLAKE2b hashes at once: four streams in one SIMD register cost little more than two after each other.

use blake2b_simd::many::{degree, update_many};
use blake2b_simd::{Hash, Params, State};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that a lane collects before all lanes are hashed. Four such buffers fit into a core's own cache.
const FILL: usize = 64 << 10;
/// Bytes hashed per call. Lanes hash together only what all have buffered; the other half of the buffer absorbs a
/// lane that is ahead.
const RUN: usize = FILL / 2;
/// Several lanes are to be written in turn in steps of this many bytes at most, so that none is far ahead.
pub const STEP: usize = FILL / 4;

/// A set of hashes that are computed together, of streams that are about equally fast. Clones are the same set.
#[derive(Clone, Default)]
pub struct MultiHash(Arc<Mutex<Vec<LaneState>>>);

struct LaneState {
    taken: bool,
    state: State,
    waiting: Vec<u8>,
}

/// The hash of one stream.
pub struct HashLane {
    lanes: MultiHash,
    at: usize,
}

impl MultiHash {
    pub fn open(&self, params: &Params) -> HashLane {
        let mut places = self.lock();
        let at = places.iter().position(|place| !place.taken).unwrap_or(places.len());
        if at == places.len() {
            places.push(LaneState { taken: true, state: params.to_state(), waiting: Vec::new() });
        } else {
            let place = &mut places[at];
            (place.taken, place.state) = (true, params.to_state());
        }
        drop(places);
        HashLane { lanes: self.clone(), at }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<LaneState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes for an idle part of the register.
const IDLE: &[u8] = &[0; RUN];

/// Hashes the beginning of each lane's buffer, all lanes together. Where lanes leave a part of the register idle, hashing there costs
/// nothing, and less than a run with half of the register.
fn run(places: &mut [LaneState]) {
    let busy = places.iter().filter(|place| !place.waiting.is_empty()).count();
    let idle = if busy > 1 { degree().saturating_sub(busy) } else { 0 };
    let mut idle = vec![State::new(); idle];
    let lanes = places.iter_mut().map(|LaneState { state, waiting, .. }| {
        let now = waiting.len().min(RUN);
        (state, &waiting[..now])
    });
    update_many(lanes.chain(idle.iter_mut().map(|state| (state, IDLE))));
    for LaneState { waiting, .. } in places {
        waiting.drain(..waiting.len().min(RUN));
    }
}

impl HashLane {
    pub fn update(&mut self, mut bytes: &[u8]) {
        let mut places = self.lanes.lock();
        if let [place] = &mut places[..] {
            // Nobody to wait for.
            place.state.update(bytes);
            return;
        }
        while !bytes.is_empty() {
            let waiting = &mut places[self.at].waiting;
            let (now, later) = bytes.split_at(bytes.len().min(FILL - waiting.len()));
            waiting.extend_from_slice(now);
            if waiting.len() == FILL {
                run(&mut places);
            }
            bytes = later;
        }
    }

    pub fn finish(self) -> Hash {
        let place = &mut self.lanes.lock()[self.at];
        place.state.update(&place.waiting).finalize()
    }
}

impl Drop for HashLane {
    fn drop(&mut self) {
        let place = &mut self.lanes.lock()[self.at];
        place.waiting.clear();
        place.taken = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alone(bytes: &[u8]) -> Hash {
        State::new().update(bytes).finalize()
    }

    proptest! {
        #[test]
        fn every_lane_gives_the_hash_of_its_own_stream(
            lengths in proptest::collection::vec(0usize..3 * FILL, 1..7), piece in 1usize..2 * FILL
        ) {
            let streams: Vec<Vec<u8>> = lengths.iter().map(|length| (0..*length).map(|n| (n * 7 + length) as u8).collect()).collect();
            let lanes = MultiHash::default();
            let mut open: Vec<HashLane> = streams.iter().map(|_| lanes.open(&Params::new())).collect();
            for step in 0..=3 * FILL / piece {
                for (stream, lane) in streams.iter().zip(&mut open) {
                    lane.update(stream.chunks(piece).nth(step).unwrap_or_default());
                }
            }
            for (stream, lane) in streams.iter().zip(open) {
                prop_assert_eq!(lane.finish(), alone(stream));
            }
        }
    }

    #[test]
    fn a_lane_that_ends_makes_room_for_another() {
        let lanes = MultiHash::default();
        let mut long = lanes.open(&Params::new());
        long.update(b"a lo");
        for text in ["one", "two", "three"] {
            let mut short = lanes.open(&Params::new());
            short.update(text.as_bytes());
            drop(lanes.open(&Params::new()));
            assert_eq!(short.finish(), alone(text.as_bytes()));
        }
        long.update(b"ng one");
        assert_eq!(long.finish(), alone(b"a long one"));
        assert!(lanes.lock().iter().all(|place| !place.taken) && lanes.lock().len() == 3);
    }
}
