//! The keys of one backup, derived from the user's key.

use crate::base::error::Result;
use crate::base::random;
use crate::format::keys::hash::Bytes32;
use crate::format::keys::note::KeyNote;
use openssl::symm::{Cipher, decrypt, encrypt};

/// The cipher key and IV of one backup, and the note from which they can be derived again.
pub struct DerivedKeys {
    pub cipher: Bytes32,
    /// Random (or the fixed one) in raw mode, derived from the password otherwise.
    pub iv: [u8; 16],
    pub note: KeyNote,
}

impl DerivedKeys {
    /// Encrypts a member of the document by the payload's cipher and key, and returns it with an IV of its own.
    pub(crate) fn encrypt_member(&self, text: &[u8]) -> Result<([u8; 16], Vec<u8>)> {
        let iv = random::bytes()?;
        Ok((iv, encrypt(Cipher::aes_256_cbc(), &self.cipher[..], Some(&iv), text)?))
    }

    /// Decrypts a member of the document. `None`: it was not encrypted with this key.
    pub(crate) fn decrypt_member(&self, iv: &[u8; 16], data: &[u8]) -> Option<Vec<u8>> {
        decrypt(Cipher::aes_256_cbc(), &self.cipher[..], Some(iv), data).ok()
    }
}
