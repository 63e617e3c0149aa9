//! What a key may be used for: each purpose has a key of its own, so that what was made for one is never taken for another.

use super::{Bytes32, KeyNote, Working, keyed};
use zeroize::Zeroizing;

/// The one key that format 1 has beside the cipher's.
const FIRST: &[u8] = b"pgbk mac v1";
/// What tells a wrong key in format 1, under its one key, and in format 2, under the cipher key.
const FIRST_CHECK: &[u8] = b"pgbk key check v1";
const CHECK: &[u8] = b"pgbk check 2";

/// In format 2 the purpose's key is BLAKE2b-256 of its label and the document's nonce, keyed with the cipher key: of this one
/// backup, for this one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Over the document.
    Seal,
    /// Over each chunk of the payload.
    Chunk,
    /// Over the rows of each table.
    Table,
    /// Over the dump before it is compressed and encrypted.
    Plain,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Seal => b"pgbk seal 2",
            Purpose::Chunk => b"pgbk chunk 2",
            Purpose::Table => b"pgbk table 2",
            Purpose::Plain => b"pgbk plain 2",
        }
    }
}

impl Working {
    /// Returns the key for this purpose. None where the format does not key it: the digests of format 1.
    pub fn key(&self, purpose: Purpose) -> Option<Bytes32> {
        match self.note.nonce() {
            Some(nonce) => Some(Zeroizing::new(keyed(&self.cipher, &[purpose.label(), nonce]))),
            None => matches!(purpose, Purpose::Seal | Purpose::Chunk).then(|| first(&self.cipher)),
        }
    }

    /// Returns the seal over these bytes.
    pub fn seal(&self, covered: &[u8]) -> [u8; 32] {
        let key = self.key(Purpose::Seal).unwrap_or_else(|| first(&self.cipher));
        keyed(&key, &[covered])
    }
}

fn first(cipher: &[u8; 32]) -> Bytes32 {
    Zeroizing::new(keyed(cipher, &[FIRST]))
}

/// Returns what a document states of its key, so that another one is told apart before anything is read. It is the same for
/// every backup of one raw key.
pub(super) fn check_value(cipher: &[u8; 32], note: &KeyNote) -> [u8; 8] {
    let whole = match note.nonce() {
        Some(_) => keyed(cipher, &[CHECK]),
        None => keyed(&first(cipher), &[FIRST_CHECK]),
    };
    let mut check = [0; 8];
    check.copy_from_slice(&whole[..8]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Purpose; 4] = [Purpose::Seal, Purpose::Chunk, Purpose::Table, Purpose::Plain];

    fn working(nonce: Option<[u8; 16]>) -> Working {
        Working { cipher: Zeroizing::new([7; 32]), iv: [0; 16], note: KeyNote::Raw { check: [0; 8], nonce } }
    }

    #[test]
    fn no_two_purposes_and_no_two_backups_share_a_key() {
        let mut keys: Vec<Vec<u8>> = vec![vec![7; 32]];
        for nonce in [[1; 16], [2; 16]] {
            keys.extend(ALL.iter().map(|purpose| working(Some(nonce)).key(*purpose).unwrap().to_vec()));
        }
        keys.push(working(None).key(Purpose::Seal).unwrap().to_vec());
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!((keys.len(), count), (10, 10));
    }

    #[test]
    fn format_1_has_one_key_for_seal_and_chunks_and_none_for_digests() {
        let first = working(None);
        assert_eq!(first.key(Purpose::Seal), first.key(Purpose::Chunk));
        assert!(first.key(Purpose::Table).is_none() && first.key(Purpose::Plain).is_none());
    }
}
