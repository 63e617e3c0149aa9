//! The seal of a JSON document: its last member, over every byte before it.
//!
//! A key makes it `"mac"`, a keyed BLAKE2b-256. Without one it is `"checksum"`, an unkeyed BLAKE2b-256, which anyone could compute. It
//! covers the text as it is stored, so there is no canonical form to disagree about.

use crate::base::error::{Fault, Result};
use blake2b_simd::Params;

const KEYED: &str = ",\n  \"mac\": \"";
const UNKEYED: &str = ",\n  \"checksum\": \"";
const END: &str = "\"\n}\n";
const DIGITS: usize = 64;

/// How many bytes a seal adds to a document, at most.
pub(crate) const SEAL_BYTES: usize = UNKEYED.len() + DIGITS + END.len();

/// A document with its seal, which has not been checked yet.
#[derive(Debug)]
pub(crate) struct SealedText {
    text: String,
    /// How many bytes of the text the seal covers.
    covered: usize,
    seal: [u8; 32],
    is_keyed: bool,
}

impl SealedText {
    /// Splits a stored document into text and seal. `None`: its last member is not a seal.
    pub fn of(text: String) -> Option<SealedText> {
        let (covered, seal, is_keyed) = split(&text)?;
        Some(SealedText { covered: covered.len(), text, seal, is_keyed })
    }

    /// Returns the document as it is stored.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the bytes that the seal covers.
    pub fn covered(&self) -> &[u8] {
        &self.text.as_bytes()[..self.covered]
    }

    /// Returns whether a key made the seal.
    pub fn is_keyed(&self) -> bool {
        self.is_keyed
    }

    pub fn seal(&self) -> &[u8; 32] {
        &self.seal
    }

    /// Fails unless the seal is this one. `subject` names the document.
    pub fn require(&self, expected: &[u8; 32], subject: &str) -> Result<()> {
        if openssl::memcmp::eq(expected, &self.seal) {
            return Ok(());
        }
        let what = if self.is_keyed { "was changed after it was made" } else { "is damaged" };
        Err(Fault::damaged(format!("{subject} {what}: its seal does not hold")).into())
    }
}

/// Returns the part of a pretty-printed object that a seal covers: all but its last bracket and the line end before it.
pub(crate) fn unsealed(mut printed: String) -> String {
    printed.truncate(printed.len().saturating_sub("\n}".len()));
    printed
}

/// Adds a seal to the text that it covers.
pub(crate) fn sealed(mut text: String, seal: [u8; 32], is_keyed: bool) -> Vec<u8> {
    text.push_str(if is_keyed { KEYED } else { UNKEYED });
    text.push_str(&hex::encode(seal));
    text.push_str(END);
    text.into_bytes()
}

/// Returns the seal that needs no key.
pub(crate) fn unkeyed(text: &[u8]) -> [u8; 32] {
    let digest = Params::new().hash_length(32).hash(text);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_bytes());
    bytes
}

fn split(text: &str) -> Option<(&str, [u8; 32], bool)> {
    let rest = text.strip_suffix(END)?;
    let cut = rest.len().checked_sub(DIGITS)?;
    let (rest, digits) = (rest.get(..cut)?, rest.get(cut..)?);
    // One spelling only, so that no other text passes for this one.
    if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return None;
    }
    let mut seal = [0; 32];
    hex::decode_to_slice(digits, &mut seal).ok()?;
    match (rest.strip_suffix(KEYED), rest.strip_suffix(UNKEYED)) {
        (Some(covered), _) => Some((covered, seal, true)),
        (None, Some(covered)) => Some((covered, seal, false)),
        (None, None) => None,
    }
}
