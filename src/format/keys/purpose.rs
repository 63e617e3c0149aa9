//! The purposes of keys: each has a key of its own, so that a value made for one is never accepted for another.

use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::hash::{Bytes32, keyed};
use crate::format::keys::note::KeyNote;
use zeroize::Zeroizing;

/// Label of the one key that format 1 has besides the cipher key.
const FIRST: &[u8] = b"pgbk mac v1";
/// Labels of the check value: in format 1 under its one key, in format 2 under the cipher key.
const FIRST_CHECK: &[u8] = b"pgbk key check v1";
const CHECK: &[u8] = b"pgbk check 2";

/// The purpose of a key. In format 2 its key is BLAKE2b-256 of its label and the document's nonce, keyed with the cipher key: a key
/// of this one backup, for this one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The seal over the document.
    Seal,
    /// The tag of each chunk of the payload.
    Chunk,
    /// The digest of the rows of each table, in format 2.
    Table,
    /// The keys of the digests of tables, one for each name, from format 3 on.
    Row,
    /// The digest of the dump before it is compressed and encrypted.
    Plain,
    /// The seal over a document of continuous capture.
    Changes,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Seal => b"pgbk seal 2",
            Purpose::Chunk => b"pgbk chunk 2",
            Purpose::Table => b"pgbk table 2",
            Purpose::Row => b"pgbk row 3",
            Purpose::Plain => b"pgbk plain 2",
            Purpose::Changes => b"pgbk changes 1",
        }
    }
}

impl DerivedKeys {
    /// Returns the key for this purpose. `None`: the format uses no key for it, as for the digests of format 1.
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

    /// Returns the seal over the bytes of another document than a manifest. `None`: the format has no key for it.
    pub(crate) fn seal_for(&self, purpose: Purpose, covered: &[u8]) -> Option<[u8; 32]> {
        let key = self.key(purpose)?;
        Some(keyed(&key, &[covered]))
    }
}

fn first(cipher: &[u8; 32]) -> Bytes32 {
    Zeroizing::new(keyed(cipher, &[FIRST]))
}

/// Returns the check value of a key, by which another key is recognised before anything is read. It is the same for every backup of
/// one raw key and format.
pub(crate) fn check_value(cipher: &[u8; 32], note: &KeyNote) -> [u8; 8] {
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

    const ALL: [Purpose; 6] =
        [Purpose::Seal, Purpose::Chunk, Purpose::Table, Purpose::Row, Purpose::Plain, Purpose::Changes];

    fn derived_keys(nonce: Option<[u8; 16]>) -> DerivedKeys {
        DerivedKeys { cipher: Zeroizing::new([7; 32]), iv: [0; 16], note: KeyNote::Raw { check: [0; 8], nonce } }
    }

    #[test]
    fn no_two_purposes_and_no_two_backups_share_a_key() {
        let mut keys: Vec<Vec<u8>> = vec![vec![7; 32]];
        for nonce in [[1; 16], [2; 16]] {
            keys.extend(ALL.iter().map(|purpose| derived_keys(Some(nonce)).key(*purpose).unwrap().to_vec()));
        }
        keys.push(derived_keys(None).key(Purpose::Seal).unwrap().to_vec());
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!((keys.len(), count), (14, 14));
    }

    #[test]
    fn format_1_has_one_key_for_seal_and_chunks_and_none_for_digests() {
        let first = derived_keys(None);
        assert_eq!(first.key(Purpose::Seal), first.key(Purpose::Chunk));
        assert!(first.key(Purpose::Table).is_none() && first.key(Purpose::Plain).is_none());
    }
}
