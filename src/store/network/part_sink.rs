//! Says what a kind of store brings for uploads: its requests, and what parts it takes.

use crate::base::error::Result;
use crate::store::network::buffers::Buffers;
use crate::store::network::waiter::Waiter;
use crate::store::{PutOptions, PutResult};
use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub(crate) const MIB: u64 = 1 << 20;
/// Usual size of a part, in bytes. A smaller one costs more in requests than it gains.
const USUAL_PART: u64 = 8 * MIB;

/// Sends what an upload consists of to one kind of host. The caller sees to buffers, the number of parts on their way, and aborts.
pub(crate) trait PartSink: Send + Sync + 'static {
    /// Names an upload that was begun, as the host knows it.
    type Begun: Send + Sync + 'static;
    /// Holds what is needed of a part that was stored to complete the upload.
    type Part: Send + 'static;

    fn waiter(&self) -> &Waiter;
    fn buffers(&self) -> &Buffers;
    fn plan(&self) -> PartPlan;
    /// Fails with `Exists` if the key is taken.
    fn refuse_taken(&self, key: &str) -> Result<()>;
    /// Stores an object in one request.
    fn put(self: &Arc<Self>, key: &str, bytes: Vec<u8>, creation: &PutOptions) -> Result<PutResult>;
    /// Begins an upload in parts.
    fn begin(&self, key: &str, creation: &PutOptions) -> Result<Self::Begun>;
    /// Stores a part. Numbers begin with 1.
    fn send(
        &self,
        key: &str,
        begun: &Self::Begun,
        number: u32,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<Self::Part>> + Send;
    /// Makes the object appear from these parts, in their order. `sizes` are those of the object and of a part, in bytes.
    fn complete(
        self: &Arc<Self>,
        key: &str,
        begun: &Self::Begun,
        parts: Vec<Self::Part>,
        sizes: (u64, u64),
    ) -> Result<PutResult>;
    fn abort(&self, key: &str, begun: &Self::Begun) -> impl Future<Output = Result<AbortResult>> + Send;
}

/// Says what parts a host takes.
#[derive(Debug, Clone)]
pub(crate) struct PartPlan {
    /// Size of a part in bytes. `None`: chosen from the expected size of the object.
    pub part_size: Option<u64>,
    /// The sizes that a part may have, in bytes. The last one may be smaller.
    pub sizes: RangeInclusive<u64>,
    /// The most parts that the host takes for one object.
    pub part_limit: u32,
    /// Parts of one upload that are on their way together.
    pub in_flight: usize,
    /// Says which setting makes parts larger.
    pub larger_parts: &'static str,
}

impl PartPlan {
    /// Returns the one size for all parts of an object, in bytes, such that four times the expected size still fits.
    pub fn size_for(&self, expected: u64) -> u64 {
        let needed = expected.saturating_mul(4).div_ceil(u64::from(self.part_limit.max(1)));
        let usual = USUAL_PART.clamp(*self.sizes.start(), *self.sizes.end());
        self.part_size.unwrap_or_else(|| needed.div_ceil(MIB).saturating_mul(MIB).clamp(usual, *self.sizes.end()))
    }
}

/// Says what an abort met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AbortResult {
    /// The upload, which is no more.
    Now,
    /// Nothing: the upload was no more.
    Before,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_large_as_four_times_the_expected_size_needs() {
        let size = |part_size: Option<u64>, part_limit, expected| {
            let sizes = 5 * MIB..=5120 * MIB;
            PartPlan { part_size, sizes, part_limit, in_flight: 1, larger_parts: "" }.size_for(expected)
        };
        assert_eq!(size(None, 10_000, 0), 8 * MIB);
        assert_eq!(size(None, 10_000, 20_000 * MIB), 8 * MIB);
        assert_eq!(size(None, 10_000, 20_001 * MIB), 9 * MIB);
        assert_eq!(size(None, 1_000, 1 << 40), 4195 * MIB);
        assert_eq!(size(Some(5 * MIB), 10, 1 << 40), 5 * MIB);
    }
}
