//! Keeps keys derived from a password for later processes: reading many backups then costs one derivation.
//!
//! It is a file in `STATE_DIR` with a line for each salt: the salt, then key and IV, sealed for this salt under one more derivation
//! from the same password. A reader of the file can guess at the password, as with any `.meta` and at the same cost. Without the
//! password, nobody can write a line that opens. The file may be lost at any time: its keys are then derived again.

use crate::base::error;
use crate::base::random;
use crate::base::state_dir::StateDir;
use crate::base::state_dir::file::StateFile;
use crate::format::keys::hash::{Bytes32, keyed};
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use std::io;
use std::sync::OnceLock;
use zeroize::Zeroizing;

const HEAD: &str = "pgbk keyring 1 ";
const LABEL: &[u8] = b"pgbk keyring 1";
/// How many salts are kept; the oldest are removed first.
const MOST: usize = 4_096;
const NONCE: usize = 12;
const TAG: usize = 16;
const DERIVED: usize = 48;

static PLACE: OnceLock<StateFile> = OnceLock::new();

/// Sets where keys are kept, for the rest of the process. Until then nothing is kept; a second call has no effect.
pub fn keep_in(state: &StateDir) {
    PLACE.get_or_init(|| state.keyring());
}

/// The contents of the file. None of it is trusted before it opens.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ring {
    /// Salt of the derivation that seals the others.
    pub salt: [u8; 8],
    lines: Vec<RingLine>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct RingLine {
    salt: [u8; 8],
    nonce: [u8; NONCE],
    sealed: [u8; DERIVED],
    tag: [u8; TAG],
}

impl Ring {
    /// Reads the file. `None`: no place is set, the file is not there, or it is not one of pgbk's.
    pub fn read() -> Option<Ring> {
        let text = PLACE.get()?.read().ok()?;
        Ring::parse(std::str::from_utf8(&text).ok()?)
    }

    /// Returns an empty ring with a new salt. `None`: no place is set.
    pub fn begin() -> Option<Ring> {
        PLACE.get()?;
        Some(Ring { salt: random::bytes().ok()?, lines: Vec::new() })
    }

    pub fn holds(&self, salt: &[u8; 8]) -> bool {
        self.lines.iter().any(|line| line.salt == *salt)
    }

    /// Returns the derivation with this salt. `None`: no line opens; it may be another password's.
    pub fn find(&self, salt: &[u8; 8], own: &[u8; 48]) -> Option<Zeroizing<[u8; DERIVED]>> {
        let key = key(own);
        let opened = self.lines.iter().filter(|line| line.salt == *salt).find_map(|line| {
            decrypt_aead(Cipher::aes_256_gcm(), &*key, Some(&line.nonce), salt, &line.sealed, &line.tag).ok()
        });
        let opened = Zeroizing::new(opened?);
        let mut derived = Zeroizing::new([0; DERIVED]);
        derived.copy_from_slice(opened.get(..DERIVED)?);
        Some(derived)
    }

    /// Adds the derivation with this salt, and removes the oldest if there are too many.
    pub fn add(&mut self, salt: &[u8; 8], derived: &[u8; DERIVED], own: &[u8; 48]) -> error::Result<()> {
        let (nonce, mut tag) = (random::bytes::<NONCE>()?, [0; TAG]);
        let text = encrypt_aead(Cipher::aes_256_gcm(), &*key(own), Some(&nonce), salt, derived, &mut tag)?;
        let mut sealed = [0; DERIVED];
        sealed.copy_from_slice(&text);
        self.lines.push(RingLine { salt: *salt, nonce, sealed, tag });
        let more = self.lines.len().saturating_sub(MOST);
        self.lines.drain(..more);
        Ok(())
    }

    /// Replaces the file as a whole. Lines that another process has added meanwhile may be lost, which costs it a derivation.
    pub fn write(&self) -> io::Result<()> {
        PLACE.get().map_or(Ok(()), |file| file.write_copy(self.text().as_bytes()))
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}{}\n", hex::encode(self.salt));
        for RingLine { salt, nonce, sealed, tag } in &self.lines {
            let parts: [&[u8]; 4] = [salt, nonce, sealed, tag];
            text.extend(parts.map(hex::encode));
            text.push('\n');
        }
        text
    }

    fn parse(text: &str) -> Option<Ring> {
        let mut lines = text.lines();
        let salt = digits(lines.next()?.strip_prefix(HEAD)?)?;
        // One that is no line of it is passed over.
        Some(Ring { salt, lines: lines.filter_map(RingLine::parse).take(MOST).collect() })
    }
}

impl RingLine {
    fn parse(text: &str) -> Option<RingLine> {
        let whole: [u8; 8 + NONCE + DERIVED + TAG] = digits(text)?;
        let (salt, rest) = whole.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (sealed, rest) = rest.split_first_chunk()?;
        Some(RingLine { salt: *salt, nonce: *nonce, sealed: *sealed, tag: *rest.first_chunk()? })
    }
}

/// Returns the key that seals the lines, for this one purpose: the derivation with the ring's salt seals nothing else.
fn key(own: &[u8; 48]) -> Bytes32 {
    let mut cipher = Zeroizing::new([0; 32]);
    cipher.copy_from_slice(&own[..32]);
    Zeroizing::new(keyed(&cipher, &[LABEL]))
}

fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> Ring {
        let mut ring = Ring { salt: [9; 8], lines: Vec::new() };
        for at in 1..=3 {
            ring.add(&[at; 8], &[at; 48], &[7; 48]).unwrap();
        }
        ring
    }

    #[test]
    fn what_was_kept_opens_for_its_salt_and_its_password_alone() {
        let ring = Ring::parse(&ring().text()).unwrap();
        assert_eq!(ring, Ring::parse(&ring.text()).unwrap());
        assert_eq!(*ring.find(&[2; 8], &[7; 48]).unwrap(), [2; 48]);
        assert!(ring.holds(&[2; 8]) && ring.find(&[2; 8], &[8; 48]).is_none());
        assert!(!ring.holds(&[4; 8]) && ring.find(&[4; 8], &[7; 48]).is_none());
        // A line that says another's salt.
        let moved = ring.text().replace(&"02".repeat(8), &"04".repeat(8));
        assert!(Ring::parse(&moved).unwrap().find(&[4; 8], &[7; 48]).is_none());
    }

    #[test]
    fn nobody_without_the_password_can_change_what_it_gives() {
        let text = ring().text();
        let head = HEAD.len() + 17;
        for at in head..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let ring = Ring::parse(std::str::from_utf8(&changed).unwrap()).unwrap();
            for salt in 0..=255 {
                let found = ring.find(&[salt; 8], &[7; 48]);
                assert!(found.is_none_or(|found| *found == [salt; 48]), "at {at}");
            }
        }
    }

    #[test]
    fn it_has_an_end_and_what_is_none_is_passed_over() {
        let mut full = Ring { salt: [0; 8], lines: ring().lines.into_iter().cycle().take(MOST).collect() };
        full.add(&[5; 8], &[5; 48], &[7; 48]).unwrap();
        assert_eq!(full.lines.len(), MOST);
        let state = tempfile::tempdir().unwrap();
        let file = StateDir::at(state.path()).keyring();
        file.write_copy(full.text().as_bytes()).unwrap();
        assert_eq!(file.read().unwrap(), full.text().as_bytes(), "a full one is too large to be read");
        for text in ["", "\n", "pgbk keyring 2 0000000000000000\n", "pgbk keyring 1 00\n", "{}"] {
            assert_eq!(Ring::parse(text), None, "{text:?}");
        }
        let torn = &ring().text()[..ring().text().len() - 9];
        assert_eq!(Ring::parse(&format!("{torn}\n\nx\u{0}\n")).unwrap().lines.len(), 2);
    }
}
