//! Gives a slot up for which the server keeps too much of its log.

use crate::base::error::Fault;
use crate::base::progress::Monitor;
use crate::jobs::capture::plan::CapturePlan;
use crate::jobs::capture::round_end::{RoundEnd, RoundResult};
use crate::postgres::replication::slot::SlotState;
use std::time::Duration;

/// Longest wait for the process that streamed from the slot to leave it.
const LEAVE: Duration = Duration::from_secs(5);

/// Drops the slot if the server keeps more log for it than it may: the application's disk comes first.
pub(crate) fn give_up_beyond(
    slot: &SlotState,
    plan: &CapturePlan,
    limit: u64,
    monitor: &dyn Monitor,
) -> RoundResult<()> {
    let kept = kept_bytes(slot);
    if kept <= limit {
        return Ok(());
    }
    let name = &plan.slot;
    monitor.announce(&format!("the server keeps {kept} bytes of its log for replication slot \"{name}\", more than CAPTURE_WAL_LIMIT ({limit}): the slot is given up"));
    let mut connection = plan.settings.open_for_replication("pgbk")?;
    connection.drop_slot(name, LEAVE)?;
    Err(RoundEnd::Lost(
        Fault::failed(format!("replication slot \"{name}\" was given up: the server kept {kept} bytes of its log for it"))
            .hint("find what kept the capture from storing, then begin anew: pgbk capture --new-generation, and a backup after it")
            .into(),
    ))
}

/// Returns how many bytes of its log the server keeps for a slot.
pub(crate) fn kept_bytes(slot: &SlotState) -> u64 {
    slot.retained_bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default()
}
