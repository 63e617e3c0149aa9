//! Says whether a capture can go on after an error.

use crate::base::cancel;
use crate::base::error::{Kind, kind};
use crate::format::capture_record::ProblemKind;
use crate::postgres::replication::refusal::{RefusalCause, cause};

/// Why a round has ended.
pub(crate) enum RoundEnd {
    /// The first segment of a generation is stored.
    Begun,
    /// The server was promoted or set back, the chain has ended, and another generation has begun. The error says why.
    Renewed(anyhow::Error),
    /// A signal, or whoever stops the capture, ends it.
    Stopped(anyhow::Error),
    /// The slot does not lead on from the end of the chain, and never will.
    Lost(anyhow::Error),
    /// Nothing is different the next time.
    Final(anyhow::Error),
    /// The store or the server may be there again later.
    Passing(anyhow::Error),
}

/// The outcome of a part of a round.
pub(crate) type RoundResult<T> = std::result::Result<T, RoundEnd>;

impl RoundEnd {
    /// Returns what would end the problem, with the error. `None`: there is none, as a generation has begun.
    pub fn problem(self) -> Option<(ProblemKind, anyhow::Error)> {
        match self {
            RoundEnd::Begun => None,
            RoundEnd::Stopped(error) | RoundEnd::Passing(error) => Some((ProblemKind::Passing, error)),
            RoundEnd::Renewed(error) => Some((ProblemKind::Gap, error)),
            RoundEnd::Lost(error) => Some((ProblemKind::Slot, error)),
            RoundEnd::Final(error) if matches!(kind(&error), Kind::Damaged | Kind::OtherKey) => {
                Some((ProblemKind::Chain, error))
            }
            RoundEnd::Final(error) => Some((ProblemKind::Settings, error)),
        }
    }
}

impl From<anyhow::Error> for RoundEnd {
    fn from(error: anyhow::Error) -> RoundEnd {
        use RefusalCause::{AllSlotsUsed, NoSlot, Other, SlotInUse, SlotLost};
        match (kind(&error), cause(&error)) {
            _ if cancel::check().is_err() => RoundEnd::Stopped(error),
            (_, Some(NoSlot | SlotLost)) => RoundEnd::Lost(error),
            (Kind::Busy | Kind::Damaged | Kind::OtherKey | Kind::Usage | Kind::Refused, _) => RoundEnd::Final(error),
            (_, None | Some(Other | SlotInUse | AllSlotsUsed)) => RoundEnd::Passing(error),
            (_, Some(_)) => RoundEnd::Final(error),
        }
    }
}
