//! Says from which timelines of a server's log a chain comes. A standby that is promoted begins a timeline of its own: up to where that
//! begins its log is the primary's, and behind it another one, at the same positions.

use crate::format::lsn::Lsn;
use crate::format::manifest::bounded_members;
use serde::{Deserialize, Serialize};

/// Most timelines that a document states: the newest ones.
const MOST_LEFT: usize = 64;

/// Says that a timeline ended at a position, where the next one began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineSwitch {
    pub timeline: u32,
    pub end: Lsn,
}

/// The timeline of a server, and those that it has left, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineHistory {
    pub timeline: u32,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded_members::list::<_, _, MOST_LEFT>"
    )]
    left: Vec<TimelineSwitch>,
}

/// Says how the log of a server goes on from the end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimelineStanding {
    /// It holds what the chain holds, on the same timeline.
    Same,
    /// It holds what the chain holds. The server has been promoted since.
    Promoted,
    /// It left the chain's timeline before the end of the chain: what is stored behind that place this server never had.
    LeftBefore(TimelineSwitch),
    /// It has never been on the chain's timeline, or has gone another way since.
    Foreign,
}

impl TimelineHistory {
    pub fn new(timeline: u32, mut left: Vec<TimelineSwitch>) -> TimelineHistory {
        left.drain(..left.len().saturating_sub(MOST_LEFT));
        TimelineHistory { timeline, left }
    }

    /// Compares the history of a server with that of a chain which ends here.
    pub fn standing(&self, chain: &TimelineHistory, end: Lsn) -> TimelineStanding {
        let oldest = self.left.first().map_or(self.timeline, |first| first.timeline);
        let is_shared = |switch: &TimelineSwitch| switch.timeline < oldest || self.left.contains(switch);
        if !chain.left.iter().all(is_shared) {
            return TimelineStanding::Foreign;
        }
        if self.timeline == chain.timeline {
            return TimelineStanding::Same;
        }
        match self.left.iter().find(|switch| switch.timeline == chain.timeline) {
            None => TimelineStanding::Foreign,
            Some(switch) if switch.end < end => TimelineStanding::LeftBefore(switch.clone()),
            Some(_) => TimelineStanding::Promoted,
        }
    }

    /// Returns whether a position on a timeline is in this history.
    pub fn holds(&self, timeline: u32, position: Lsn) -> bool {
        match self.left.iter().find(|switch| switch.timeline == timeline) {
            Some(switch) => position <= switch.end,
            // Of what was left long ago no document tells any more.
            None => timeline == self.timeline || self.left.len() == MOST_LEFT && timeline < self.left[0].timeline,
        }
    }

    /// Returns whether it is none that a server has.
    pub(super) fn is_odd(&self) -> bool {
        let in_order = self.left.is_sorted_by(|one, next| one.timeline < next.timeline && one.end <= next.end);
        let last = self.left.last().map_or(0, |switch| switch.timeline);
        !in_order || last >= self.timeline || self.left.first().is_some_and(|first| first.timeline == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(timeline: u32, left: &[(u32, u64)]) -> TimelineHistory {
        let left = left.iter().map(|(timeline, end)| TimelineSwitch { timeline: *timeline, end: Lsn(*end) });
        TimelineHistory::new(timeline, left.collect())
    }

    #[test]
    fn a_chain_goes_on_only_where_the_server_has_all_of_its_log() {
        use TimelineStanding::{Foreign, LeftBefore, Promoted, Same};
        let switch = |timeline, end| TimelineSwitch { timeline, end: Lsn(end) };
        let (first, second) = (history(1, &[]), history(2, &[(1, 100)]));
        assert_eq!(first.standing(&first, Lsn(900)), Same);
        assert_eq!(second.standing(&first, Lsn(100)), Promoted);
        assert_eq!(second.standing(&first, Lsn(101)), LeftBefore(switch(1, 100)));
        // It went on behind the place where it was promoted.
        assert_eq!(second.standing(&second, Lsn(900)), Same);
        // The old primary is back, or another standby was promoted as well.
        assert_eq!(first.standing(&second, Lsn(100)), Foreign);
        assert_eq!(history(2, &[(1, 90)]).standing(&second, Lsn(900)), Foreign);
        assert_eq!(history(3, &[(1, 100)]).standing(&second, Lsn(900)), Foreign);
        assert_eq!(history(3, &[(1, 100), (2, 800)]).standing(&second, Lsn(900)), LeftBefore(switch(2, 800)));
        assert_eq!(history(3, &[(1, 100), (2, 900)]).standing(&second, Lsn(900)), Promoted);
    }

    #[test]
    fn a_position_counts_up_to_where_its_timeline_was_left() {
        let third = history(3, &[(1, 100), (2, 800)]);
        let held = [(1, 100), (1, 101), (2, 800), (2, 801), (3, 900), (4, 900)]
            .map(|(timeline, position)| third.holds(timeline, Lsn(position)));
        assert_eq!(held, [true, false, true, false, true, false]);
    }

    #[test]
    fn of_very_many_timelines_the_newest_are_stated() {
        let left: Vec<(u32, u64)> = (1..100).map(|timeline| (timeline, u64::from(timeline))).collect();
        let long = history(100, &left);
        assert!(long.left.len() == MOST_LEFT && long.holds(1, Lsn(7)) && !long.holds(99, Lsn(100)) && !long.is_odd());
        assert_eq!(long.standing(&history(40, &left[..39]), Lsn(40)), TimelineStanding::Promoted);
    }

    #[test]
    fn what_no_server_has_is_odd() {
        for odd in [history(1, &[(1, 5)]), history(3, &[(2, 5), (1, 6)]), history(3, &[(1, 6), (2, 5)])] {
            assert!(odd.is_odd(), "{odd:?}");
        }
        assert!(history(3, &[(0, 5)]).is_odd() && !history(3, &[(1, 5), (2, 5)]).is_odd());
    }
}
