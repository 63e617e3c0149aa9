//! The order in which the backups of one series were made.
//!
//! It follows the sequence, which does not depend on a clock. Backups of format 1, and of a host that may not list the store, have
//! no sequence: those are placed among the others by their dates.

use jiff::Timestamp;

/// Returns the place of each of these dates and sequences (0: none): a later backup has a higher one, or the same and a later date.
pub fn places(backups: &[(Timestamp, u64)]) -> Vec<(u64, Timestamp)> {
    let mut by_date: Vec<usize> = (0..backups.len()).collect();
    by_date.sort_by_key(|at| backups[*at].0);
    let mut places = vec![(0, Timestamp::UNIX_EPOCH); backups.len()];
    let in_order = in_order(backups, &by_date);
    let mut reached = 0;
    for at in by_date {
        let (date, sequence) = backups[at];
        if sequence > 0 && in_order[at] {
            reached = reached.max(sequence);
        }
        places[at] = (if sequence > 0 { sequence } else { reached }, date);
    }
    places
}

/// Returns for each whether its date agrees with its sequence. It does not if a clock was set back.
fn in_order(backups: &[(Timestamp, u64)], by_date: &[usize]) -> Vec<bool> {
    let mut in_order = vec![true; backups.len()];
    let mut least = u64::MAX;
    for at in by_date.iter().rev() {
        let sequence = backups[*at].1;
        if sequence > 0 {
            in_order[*at] = sequence <= least;
            least = least.min(sequence);
        }
    }
    in_order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the backups from the first made to the last, as day and sequence.
    fn ordered(backups: &[(i64, u64)]) -> Vec<(i64, u64)> {
        let dated: Vec<(Timestamp, u64)> =
            backups.iter().map(|(day, sequence)| (Timestamp::from_second(day * 86_400).unwrap(), *sequence)).collect();
        let places = places(&dated);
        let mut order: Vec<usize> = (0..backups.len()).collect();
        order.sort_by_key(|at| places[*at]);
        order.into_iter().map(|at| backups[at]).collect()
    }

    #[test]
    fn the_sequence_tells_the_order_and_the_date_where_there_is_none() {
        assert_eq!(ordered(&[]), []);
        // Of format 1.
        assert_eq!(ordered(&[(3, 0), (1, 0), (2, 0)]), [(1, 0), (2, 0), (3, 0)]);
        // A clock that fell back by years, and one that was years ahead.
        assert_eq!(
            ordered(&[(100, 1), (101, 2), (5, 3), (900, 4), (102, 5)]),
            [(100, 1), (101, 2), (5, 3), (900, 4), (102, 5)]
        );
        // Before and after the host might list the store, also where a clock fell back in between.
        assert_eq!(ordered(&[(9, 0), (8, 2), (7, 1), (6, 0)]), [(6, 0), (7, 1), (8, 2), (9, 0)]);
        assert_eq!(ordered(&[(1, 3), (6, 0), (7, 1), (8, 2)]), [(6, 0), (7, 1), (8, 2), (1, 3)]);
    }
}
