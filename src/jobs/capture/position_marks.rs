//! Tells from what has been received up to which moment everything is stored.
//!
//! Now and then the server says where its log ends, and the time. Everything that was visible then had been written before that place. So
//! once all of the log before it is stored, or holds no change that is captured, the database can be restored as it was at that time. A
//! message that the server is there (keepalive) says how far it has read its log, but not that this is all of it.

use crate::format::lsn::Lsn;
use jiff::Timestamp;
use std::collections::VecDeque;

/// Most marks that wait. Behind a store that is away for longer than they reach, none is added.
const MOST: usize = 1000;
/// Size of a page of the log, and of the headers at the beginning of pages, in bytes.
const PAGE: u64 = 8192;
const HEADERS: [u64; 2] = [24, 40];

/// A place in the log at which the server's log ended, and when that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PositionMark {
    pub position: Lsn,
    /// The moment by the server's clock.
    pub time: Timestamp,
    /// The moment by the clock of this host.
    pub seen: Timestamp,
}

/// Holds the marks whose places have not been reached, in their order.
#[derive(Debug, Default)]
pub(crate) struct PositionMarks(VecDeque<PositionMark>);

impl PositionMarks {
    pub fn add(&mut self, mark: PositionMark) {
        if self.0.len() < MOST {
            self.0.push_back(mark);
        }
    }

    /// Returns the last mark that lies before this position, with which all before it are done. `None`: none does.
    pub fn reached(&mut self, position: Lsn) -> Option<PositionMark> {
        let mut last = None;
        while self.0.front().is_some_and(|mark| is_reached(mark.position, position)) {
            last = self.0.pop_front();
        }
        last
    }
}

/// Returns whether all records before `mark` end at `position` or before it. Where the next record would begin on a new page, a server
/// says that its log ends behind the page's header, and the record before it ends at the page.
fn is_reached(mark: Lsn, position: Lsn) -> bool {
    let into = mark.0 % PAGE;
    position >= mark || HEADERS.contains(&into) && position.0 == mark.0 - into
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(position: u64, second: i64) -> PositionMark {
        let time = Timestamp::from_second(second).unwrap();
        PositionMark { position: Lsn(position), time, seen: time }
    }

    #[test]
    fn the_last_mark_that_is_passed_counts_and_once() {
        let mut marks = PositionMarks::default();
        [mark(100, 1), mark(100, 2), mark(200, 3), mark(300, 4)].into_iter().for_each(|mark| marks.add(mark));
        assert_eq!(marks.reached(Lsn(99)), None);
        assert_eq!(marks.reached(Lsn(250)), Some(mark(200, 3)));
        assert_eq!(marks.reached(Lsn(250)), None);
        assert_eq!(marks.reached(Lsn(300)), Some(mark(300, 4)));
    }

    #[test]
    fn a_record_that_ends_at_a_page_is_followed_by_one_behind_the_header() {
        for (mark, position, reached) in
            [(8192 + 24, 8192, true), (8192 + 40, 8192, true), (8192 + 40, 8191, false), (8192 + 48, 8192, false)]
        {
            assert_eq!(is_reached(Lsn(mark), Lsn(position)), reached, "{mark} {position}");
        }
    }

    #[test]
    fn marks_that_nobody_reaches_do_not_grow_for_ever() {
        let mut marks = PositionMarks::default();
        (0..5000).for_each(|second| marks.add(mark(100, second)));
        assert_eq!((marks.0.len(), marks.reached(Lsn(100)).unwrap().time.as_second()), (MOST, 999));
    }
}
