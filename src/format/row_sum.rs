//! The digest of a table's rows that does not depend on their order, so that tables that several connections read or fill compare.

use crate::format::keys::digest_key::DigestKey;
use crate::format::keys::hash::keyed;
use blake2b_simd::many::{HashManyJob, hash_many};
use blake2b_simd::{Params, SALTBYTES};
use memchr::memchr;

/// Number of rows that are hashed together: several in one SIMD register.
const BATCH: usize = 32;
const WORDS: usize = 4;

/// Adds up the BLAKE2b-256 of rows modulo 2^256. A row is a line of COPY's text without the line break. With a key each table has a key of
/// its own, so that tables with the same rows do not show it. It is salt and personalization of the hash: these fill half of the state that
/// the hash begins with, where a key proper would be one more block to hash for every row.
#[derive(Debug, Clone)]
pub(crate) struct RowSum {
    params: Params,
    /// The beginning of a row whose end has not come.
    held: Vec<u8>,
    /// The sum, its lowest word first.
    sum: [u64; WORDS],
    rows: u64,
}

impl RowSum {
    /// Begins the sum of a table. `table` is its name as the dump writes it.
    pub fn new(key: &DigestKey, table: &str) -> RowSum {
        let mut params = Params::new();
        params.hash_length(32);
        if let Some(key) = key {
            let key = keyed(key, &[table.as_bytes()]);
            let (salt, personal) = key.split_at(SALTBYTES);
            params.salt(salt).personal(personal);
        }
        RowSum { params, held: Vec::new(), sum: [0; WORDS], rows: 0 }
    }

    /// Takes the next bytes of the rows, in pieces that may break anywhere.
    pub fn update(&mut self, data: &[u8]) {
        let mut rest = data;
        if !self.held.is_empty() {
            let Some(end) = memchr(b'\n', rest) else { return self.held.extend_from_slice(rest) };
            self.held.extend_from_slice(&rest[..end]);
            let row = std::mem::take(&mut self.held);
            self.add(&[&row]);
            rest = &rest[end + 1..];
        }
        let mut rows = Vec::with_capacity(BATCH);
        while let Some(end) = memchr(b'\n', rest) {
            rows.push(&rest[..end]);
            rest = &rest[end + 1..];
            if rows.len() == BATCH {
                self.add(&rows);
                rows.clear();
            }
        }
        self.add(&rows);
        self.held.extend_from_slice(rest);
    }

    fn add(&mut self, rows: &[&[u8]]) {
        let mut jobs: Vec<HashManyJob<'_>> = rows.iter().map(|row| HashManyJob::new(&self.params, row)).collect();
        hash_many(&mut jobs);
        self.rows += rows.len() as u64;
        for job in &jobs {
            let mut words = [0; WORDS];
            for (word, bytes) in words.iter_mut().zip(job.to_hash().as_bytes().as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            self.sum = plus(self.sum, words);
        }
    }

    /// Adds the rows of another part of the same table, made with the same key.
    pub fn join(&mut self, part: &RowSum) {
        self.sum = plus(self.sum, part.sum);
        self.rows += part.rows;
    }

    /// Returns the number of rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the sum, its lowest byte first; 0 for no rows.
    pub fn finish(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (to, word) in bytes.chunks_exact_mut(8).zip(self.sum) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// Returns the sum of two numbers modulo 2^256, their lowest words first.
fn plus(one: [u64; WORDS], other: [u64; WORDS]) -> [u64; WORDS] {
    let (mut sum, mut carry) = ([0; WORDS], false);
    for (word, (one, other)) in sum.iter_mut().zip(one.into_iter().zip(other)) {
        let (added, over) = one.overflowing_add(other);
        let (added, over_again) = added.overflowing_add(u64::from(carry));
        (*word, carry) = (added, over || over_again);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use blake2::digest::Digest;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    fn sum(key: &DigestKey, rows: &[Vec<u8>], piece: usize) -> [u8; 32] {
        let text: Vec<u8> = rows.iter().flat_map(|row| [row.as_slice(), b"\n"].concat()).collect();
        let mut sum = RowSum::new(key, "public.orders");
        text.chunks(piece).for_each(|piece| sum.update(piece));
        sum.finish()
    }

    proptest! {
        #[test]
        fn the_order_of_rows_and_the_pieces_that_they_come_in_do_not_matter_and_each_byte_and_row_does(
            rows in proptest::collection::vec(proptest::collection::vec(b'a'..=b'z', 0..300), 1..100), piece in 1usize..700, at in any::<prop::sample::Index>()
        ) {
            let first = sum(&None, &rows, piece);
            let mut turned = rows.clone();
            turned.reverse();
            prop_assert_eq!(sum(&None, &turned, 7), first);
            let at = at.index(rows.len());
            let mut twice = rows.clone();
            twice.push(rows[at].clone());
            prop_assert_ne!(sum(&None, &twice, piece), first);
            turned.remove(at);
            prop_assert_ne!(sum(&None, &turned, piece), first);
            let mut other = rows;
            other[at].push(b'!');
            prop_assert_ne!(sum(&None, &other, piece), first);
        }
    }

    #[test]
    fn the_sum_of_parts_is_the_sum_of_the_whole() {
        let (mut joined, mut part) = (RowSum::new(&None, "t"), RowSum::new(&None, "t"));
        joined.update(b"1\n2\n");
        part.update(b"3\n");
        joined.join(&part);
        assert_eq!(
            (joined.rows(), joined.finish()),
            (3, sum(&None, &[b"3".to_vec(), b"1".to_vec(), b"2".to_vec()], 2))
        );
    }

    #[test]
    fn one_row_has_the_digest_that_other_programs_give_and_none_has_zero() {
        let other: [u8; 32] = blake2::Blake2b::<blake2::digest::consts::U32>::digest(b"1\tone").into();
        assert_eq!(sum(&None, &[b"1\tone".to_vec()], 3), other);
        assert_eq!(sum(&None, &[], 3), [0; 32]);
    }

    #[test]
    fn with_a_key_two_tables_with_the_same_rows_have_digests_of_their_own() {
        let key: DigestKey = Some(Zeroizing::new([7; 32]));
        let of = |table| {
            let mut sum = RowSum::new(&key, table);
            sum.update(b"1\n");
            sum.finish()
        };
        assert_ne!(of("a"), of("b"));
        assert_ne!(of("a"), sum(&None, &[b"1".to_vec()], 3));
    }

    #[test]
    fn the_addition_carries_over_every_word_and_drops_what_is_beyond_the_last() {
        assert_eq!(plus([u64::MAX; 4], [1, 0, 0, 0]), [0; 4]);
        assert_eq!(plus([u64::MAX, 0, 0, 0], [1, 0, 0, 0]), [0, 1, 0, 0]);
        assert_eq!(plus([1, u64::MAX, u64::MAX, 3], [u64::MAX, 0, 0, 1]), [0, 0, 0, 5]);
    }
}
