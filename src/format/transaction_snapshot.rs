//! Reads which transactions a snapshot sees, as `pg_current_snapshot()` writes it: `735:741:737,739`.

use crate::format::manifest::pieces::number;
use serde::{Deserialize, Serialize};

/// Longest text in bytes: some ten thousand transactions that write at the same time.
const LONGEST: usize = 256 << 10;

/// Holds the transactions that a snapshot sees. Their numbers are those of 64 bits, which are never used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TransactionSnapshot {
    /// All transactions before this one were over.
    oldest: u64,
    /// This one, and all behind it, had not begun.
    next: u64,
    /// Those between the two that were not over, in ascending order.
    running: Vec<u64>,
}

impl TransactionSnapshot {
    /// Reads what a server writes. `None`: it would not write this, or it is too long for a document.
    pub fn of_text(text: &str) -> Option<TransactionSnapshot> {
        let mut parts = text.split(':');
        let (oldest, next, list) = (number(parts.next()?)?, number(parts.next()?)?, parts.next()?);
        let running = match list {
            "" => Vec::new(),
            list => list.split(',').map(number).collect::<Option<Vec<_>>>()?,
        };
        let is_whole = text.len() <= LONGEST && parts.next().is_none() && 0 < oldest && oldest <= next;
        let is_between = running.iter().all(|xid| (oldest..next).contains(xid));
        let in_order = running.is_sorted_by(|one, other| one < other);
        (is_whole && is_between && in_order).then_some(TransactionSnapshot { oldest, next, running })
    }

    /// Returns the text as a server writes it.
    pub fn text(&self) -> String {
        let running: Vec<String> = self.running.iter().map(u64::to_string).collect();
        format!("{}:{}:{}", self.oldest, self.next, running.join(","))
    }

    /// Returns whether the snapshot sees a committed transaction. `xid` is the lower half of its number, as a server's stream has it; it
    /// is taken for the transaction with this half that is nearest to the snapshot.
    pub fn sees(&self, xid: u32) -> bool {
        // A server never has transactions that are farther apart than half of what 32 bits can number.
        let ahead = xid.wrapping_sub(self.next as u32).cast_signed();
        let Some(xid) = self.next.checked_add_signed(i64::from(ahead)) else { return true };
        xid < self.next && self.running.binary_search(&xid).is_err()
    }
}

impl TryFrom<String> for TransactionSnapshot {
    type Error = &'static str;

    fn try_from(text: String) -> Result<TransactionSnapshot, &'static str> {
        TransactionSnapshot::of_text(&text).ok_or("no snapshot as a server writes it")
    }
}

impl From<TransactionSnapshot> for String {
    fn from(snapshot: TransactionSnapshot) -> String {
        snapshot.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> TransactionSnapshot {
        TransactionSnapshot::of_text(text).unwrap()
    }

    #[test]
    fn a_snapshot_sees_what_was_over_and_nothing_that_ran_or_had_not_begun() {
        let snapshot = read("735:741:737,739");
        let seen: Vec<u32> = (733..744).filter(|xid| snapshot.sees(*xid)).collect();
        assert_eq!(seen, [733, 734, 735, 736, 738, 740]);
        assert!(read("735:735:").sees(734));
    }

    #[test]
    fn half_a_number_is_of_the_nearest_transaction() {
        let turn = 1u64 << 32;
        let snapshot = read(&format!("{}:{}:{}", turn - 5, turn + 5, turn - 2));
        let halves = [u32::MAX, u32::MAX - 1, u32::MAX - 4, 0, 4, 5, 1 << 30, 3 << 30];
        let seen = halves.map(|xid| snapshot.sees(xid));
        assert_eq!(seen, [true, false, true, true, true, false, false, true]);
        // Before the first turn there is nothing that could be seen from half a turn back but what the server began with.
        assert!(read("735:735:").sees(u32::MAX) && !read("735:735:").sees(1 << 30));
    }

    #[test]
    fn another_text_is_no_snapshot() {
        for text in [
            "",
            "1",
            "1:2",
            "1:2:3",
            "0:2:",
            "2:1:",
            "1:3:2,1",
            "1:3:1,1",
            "1:3:1,",
            "1:2::",
            "+1:2:",
            "01:2:",
            "1:2: ",
            "a:b:",
            "1:18446744073709551616:",
            "1:3:3",
        ] {
            assert_eq!(TransactionSnapshot::of_text(text), None, "{text:?}");
        }
        let many = |count: u64| {
            format!("1:{}:{}", count + 1, (1..=count).map(|xid| xid.to_string()).collect::<Vec<_>>().join(","))
        };
        assert!(TransactionSnapshot::of_text(&many(10_000)).is_some());
        assert!(TransactionSnapshot::of_text(&many(50_000)).is_none());
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_the_same(text in "[0-9:,]{0,40}") {
            if let Some(snapshot) = TransactionSnapshot::of_text(&text) {
                prop_assert_eq!(snapshot.text(), text);
            }
        }
    }
}
