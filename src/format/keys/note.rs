//! The note on its key in a `.meta`: enough to derive it again, nothing that gives it away.

use crate::format::keys::derived::{ITERATIONS, KDF};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::num::NonZeroU32;

/// How the keys of a backup are derived. A note is read only if pgbk can have written it: with pgbk's own derivation, and no other
/// members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyNote {
    Raw { check: [u8; 8], nonce: Option<[u8; 16]> },
    Password { salt: [u8; 8], check: [u8; 8], nonce: Option<[u8; 16]> },
}

impl KeyNote {
    /// Returns the random value that makes the keys of this backup its own. `None`: format 1.
    pub fn nonce(&self) -> Option<&[u8; 16]> {
        let (KeyNote::Raw { nonce, .. } | KeyNote::Password { nonce, .. }) = self;
        nonce.as_ref()
    }

    /// Returns the value by which a wrong key is recognised.
    pub fn check(&self) -> &[u8; 8] {
        let (KeyNote::Raw { check, .. } | KeyNote::Password { check, .. }) = self;
        check
    }

    pub(crate) fn with_check(mut self, value: [u8; 8]) -> KeyNote {
        let (KeyNote::Raw { check, .. } | KeyNote::Password { check, .. }) = &mut self;
        *check = value;
        self
    }
}

/// The note as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoteDocument<'a> {
    mode: KeyMode,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    kdf: Option<&'a str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iterations: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<HexDigits<8>>,
    check: HexDigits<8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<HexDigits<16>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeyMode {
    Raw,
    Password,
}

/// Bytes in hexadecimal digits.
struct HexDigits<const N: usize>([u8; N]);

impl<const N: usize> Serialize for HexDigits<N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for HexDigits<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(from)?;
        let mut bytes = [0; N];
        hex::decode_to_slice(text, &mut bytes).map_err(de::Error::custom)?;
        Ok(HexDigits(bytes))
    }
}

impl Serialize for KeyNote {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (check, nonce) = (HexDigits(*self.check()), self.nonce().copied().map(HexDigits));
        let written = match self {
            KeyNote::Raw { .. } => {
                NoteDocument { mode: KeyMode::Raw, kdf: None, iterations: None, salt: None, check, nonce }
            }
            KeyNote::Password { salt, .. } => NoteDocument {
                mode: KeyMode::Password,
                kdf: Some(KDF),
                iterations: Some(ITERATIONS),
                salt: Some(HexDigits(*salt)),
                check,
                nonce,
            },
        };
        written.serialize(to)
    }
}

impl<'de> Deserialize<'de> for KeyNote {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let NoteDocument { mode, kdf, iterations, salt, check, nonce } = NoteDocument::deserialize(from)?;
        let (check, nonce) = (check.0, nonce.map(|nonce| nonce.0));
        match (mode, kdf, iterations, salt) {
            (KeyMode::Raw, None, None, None) => Ok(KeyNote::Raw { check, nonce }),
            (KeyMode::Password, Some(KDF), Some(ITERATIONS), Some(salt)) => {
                Ok(KeyNote::Password { salt: salt.0, check, nonce })
            }
            (KeyMode::Raw, ..) => Err(de::Error::custom("a raw key has no derivation")),
            // More would keep whoever reads it busy before anything is authentic; fewer would make guessing cheap.
            (KeyMode::Password, ..) => Err(de::Error::custom(format!(
                "refusing key derivation: pgbk writes {KDF} with {ITERATIONS} iterations and 8 bytes of salt, and nothing else"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        for nonce in [None, Some([3; 16])] {
            for note in
                [KeyNote::Raw { check: [1; 8], nonce }, KeyNote::Password { salt: [2; 8], check: [1; 8], nonce }]
            {
                let text = serde_json::to_string(&note).unwrap();
                assert_eq!(serde_json::from_str::<KeyNote>(&text).unwrap(), note, "{text}");
            }
        }
    }

    #[test]
    fn a_note_that_pgbk_cannot_have_written_is_refused() {
        let check = r#""check": "0000000000000000""#;
        let whole = format!(
            r#"{{"mode": "password", "kdf": "{KDF}", "iterations": 600000, "salt": "0101010101010101", {check}}}"#
        );
        assert!(serde_json::from_str::<KeyNote>(&whole).is_ok());
        let mut tried: Vec<String> =
            ["0", "1", "10000", "599999", "600001", "10000000", "4294967295", "-1", "6e5", "null"]
                .iter()
                .map(|iterations| whole.replace("600000", iterations))
                .collect();
        tried.push(whole.replace(KDF, "pbkdf2-hmac-md5"));
        tried.push(whole.replace("0101010101010101", "01"));
        tried.push(whole.replace("password", "raw"));
        tried.push(whole.replace("password", "none"));
        tried.push(format!(r#"{{"mode": "password", {check}}}"#));
        tried.push(format!(r#"{{"mode": "raw", {check}, {check}}}"#));
        tried.push(format!(r#"{{"mode": "raw", {check}, "more": [[],[]]}}"#));
        tried.push(format!(r#"{{"mode": "raw", {check}, "nonce": "00"}}"#));
        for text in tried {
            assert!(serde_json::from_str::<KeyNote>(&text).is_err(), "{text}");
        }
    }
}
