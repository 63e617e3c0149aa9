//! The keys of one backup, derived from the user's key.

use crate::format::keys::hash::Bytes32;
use crate::format::keys::note::KeyNote;

/// The cipher key and IV of one backup, and the note from which they can be derived again.
pub struct DerivedKeys {
    pub cipher: Bytes32,
    /// Random (or the fixed one) in raw mode, derived from the password otherwise.
    pub iv: [u8; 16],
    pub note: KeyNote,
}
