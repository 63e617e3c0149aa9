//! Says whether a capture can go on after an error.

use crate::base::error::{Kind, kind};
use crate::postgres::replication::refusal::{RefusalCause, cause};

/// Why a round has ended.
pub(crate) enum RoundEnd {
    /// The first segment of a generation is stored.
    Begun,
    /// Nothing is different the next time.
    Final(anyhow::Error),
    /// The store or the server may be there again later.
    Passing(anyhow::Error),
}

/// The outcome of a part of a round.
pub(crate) type RoundResult<T> = std::result::Result<T, RoundEnd>;

impl From<anyhow::Error> for RoundEnd {
    fn from(error: anyhow::Error) -> RoundEnd {
        let is_final_kind = matches!(
            kind(&error),
            Kind::Interrupted(_) | Kind::Busy | Kind::Damaged | Kind::OtherKey | Kind::Usage | Kind::Refused
        );
        let is_final_cause = cause(&error).is_some_and(|cause| {
            !matches!(cause, RefusalCause::Other | RefusalCause::SlotInUse | RefusalCause::AllSlotsUsed)
        });
        if is_final_kind || is_final_cause { RoundEnd::Final(error) } else { RoundEnd::Passing(error) }
    }
}
