//! The user's key or password, and what is derived from it.
//!
//! The cipher key is what `openssl enc` is given: the 64 hexadecimal digits themselves, or PBKDF2 of the password. The
//! authentication key is derived from the cipher key for that purpose alone, so that neither can be used in the other's place.

use crate::error::{Fault, Result};
use crate::secret::Secret;
use blake2b_simd::Params;
use openssl::{hash::MessageDigest, pkcs5::pbkdf2_hmac, rand::rand_bytes};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub const KDF: &str = "pbkdf2-hmac-sha256";
pub const ITERATIONS: u32 = 600_000;
/// More would only serve to keep a restore busy: a `.meta` is not authentic until the key has been derived.
const MOST_ITERATIONS: u32 = 10_000_000;
const MAC_PURPOSE: &[u8] = b"pgbk mac v1";
const CHECK_PURPOSE: &[u8] = b"pgbk key check v1";

type Bytes32 = Zeroizing<[u8; 32]>;

/// What the user gave.
#[derive(Debug, Clone)]
pub enum Key {
    /// `DB_BACKUP_ENCRYPT_KEY`, with the fixed `DB_BACKUP_ENCRYPT_IV` where that is set.
    Raw { key: Secret, iv: Option<[u8; 16]> },
    /// `ENC_PASSWORD`.
    Password(Secret),
}

/// What the `.meta` says about the key: enough to derive it again, nothing that gives it away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "lowercase", deny_unknown_fields)]
pub enum KeyNote {
    Raw {
        #[serde(with = "hex::serde")]
        check: [u8; 8],
    },
    Password {
        kdf: String,
        iterations: u32,
        #[serde(with = "hex::serde")]
        salt: [u8; 8],
        #[serde(with = "hex::serde")]
        check: [u8; 8],
    },
}

/// The working keys of one backup.
pub struct Working {
    pub cipher: Zeroizing<[u8; 32]>,
    pub mac: Zeroizing<[u8; 32]>,
    /// Random (or the fixed one) in raw mode, derived from the password otherwise.
    pub iv: [u8; 16],
    pub note: KeyNote,
}

impl Key {
    /// Reads `DB_BACKUP_ENCRYPT_KEY` and `DB_BACKUP_ENCRYPT_IV`: 64 and 32 hexadecimal digits.
    pub fn raw(key: &Secret, iv: Option<&str>) -> Result<Key> {
        digits::<32>("DB_BACKUP_ENCRYPT_KEY", key.reveal(), "openssl rand -hex 32")?;
        let iv =
            iv.map(|iv| digits::<16>("DB_BACKUP_ENCRYPT_IV", iv, "openssl rand -hex 16").map(|iv| *iv)).transpose()?;
        Ok(Key::Raw { key: key.clone(), iv })
    }

    /// Fresh working keys for a new backup.
    pub fn begin(&self) -> Result<Working> {
        match self {
            Key::Raw { iv, .. } => {
                let iv = iv.map_or_else(random::<16>, Ok)?;
                let (cipher, mac) = self.raw_keys()?;
                let check = check_value(&mac);
                Ok(Working { cipher, mac, iv, note: KeyNote::Raw { check } })
            }
            Key::Password(password) => {
                let salt = random::<8>()?;
                let (cipher, iv) = stretch(password, &salt, ITERATIONS)?;
                let mac = purpose(&cipher, MAC_PURPOSE);
                let check = check_value(&mac);
                let note = KeyNote::Password { kdf: KDF.into(), iterations: ITERATIONS, salt, check };
                Ok(Working { cipher, mac, iv, note })
            }
        }
    }

    /// The working keys of an object that says nothing of its key: both halves as they are set.
    pub fn as_set(&self) -> Result<Working> {
        match self {
            Key::Raw { iv: Some(_), .. } => self.begin(),
            Key::Raw { iv: None, .. } => Err(Fault::usage("DB_BACKUP_ENCRYPT_IV is not set")
                .hint("set it to what Doubletake had: the object itself does not say it")
                .into()),
            Key::Password(_) => Err(Fault::usage("ENC_PASSWORD is set, and DB_BACKUP_ENCRYPT_KEY is needed").into()),
        }
    }

    /// The working keys of an existing backup. The wrong key is told here, before anything is decrypted.
    pub fn resume(&self, note: &KeyNote, iv: Option<[u8; 16]>) -> Result<Working> {
        let (cipher, mac, iv, check) = match (self, note) {
            (Key::Raw { .. }, KeyNote::Raw { check }) => {
                let (cipher, mac) = self.raw_keys()?;
                (cipher, mac, iv.unwrap_or_default(), check)
            }
            (Key::Password(password), KeyNote::Password { kdf, iterations, salt, check }) => {
                if kdf != KDF || !(ITERATIONS..=MOST_ITERATIONS).contains(iterations) {
                    return Err(Fault::damaged(format!(
                        "refusing key derivation \"{kdf}\" with {iterations} iterations"
                    ))
                    .into());
                }
                let (cipher, iv) = stretch(password, salt, *iterations)?;
                let mac = purpose(&cipher, MAC_PURPOSE);
                (cipher, mac, iv, check)
            }
            (Key::Raw { .. }, KeyNote::Password { .. }) => return Err(needs("a password", "ENC_PASSWORD")),
            (Key::Password(_), KeyNote::Raw { .. }) => return Err(needs("a raw key", "DB_BACKUP_ENCRYPT_KEY")),
        };
        if !openssl::memcmp::eq(&check_value(&mac), check) {
            return Err(Fault::damaged("wrong key or password: this backup was made with another one")
                .hint("set DB_BACKUP_ENCRYPT_KEY or ENC_PASSWORD to what was in force when the backup was made")
                .into());
        }
        Ok(Working { cipher, mac, iv, note: note.clone() })
    }

    /// The cipher key and the authentication key.
    fn raw_keys(&self) -> Result<(Bytes32, Bytes32)> {
        let Key::Raw { key, .. } = self else { return Err(needs("a raw key", "DB_BACKUP_ENCRYPT_KEY")) };
        let cipher = digits::<32>("DB_BACKUP_ENCRYPT_KEY", key.reveal(), "openssl rand -hex 32")?;
        let mac = purpose(&cipher, MAC_PURPOSE);
        Ok((cipher, mac))
    }
}

fn needs(what: &str, variable: &str) -> anyhow::Error {
    Fault::damaged(format!("wrong key: this backup was made with {what}")).hint(format!("set {variable}")).into()
}

/// The value itself never appears in the message: it may be the key with one digit too few.
fn digits<const N: usize>(name: &str, text: &str, command: &str) -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    hex::decode_to_slice(text, bytes.as_mut()).map_err(|_| {
        let given = text.chars().count();
        let other = text.chars().filter(|c| !c.is_ascii_hexdigit()).count();
        Fault::usage(format!(
            "{name} must be {} hexadecimal digits, but has {given} characters, {other} of them not hexadecimal",
            2 * N
        ))
        .hint(format!("make one with: {command}"))
    })?;
    Ok(bytes)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand_bytes(&mut bytes)?;
    Ok(bytes)
}

/// Key and IV exactly as `openssl enc -pbkdf2` cuts them from one derivation.
fn stretch(password: &Secret, salt: &[u8], iterations: u32) -> Result<(Zeroizing<[u8; 32]>, [u8; 16])> {
    let mut derived = Zeroizing::new([0; 48]);
    pbkdf2_hmac(password.reveal().as_bytes(), salt, iterations as usize, MessageDigest::sha256(), derived.as_mut())?;
    let mut cipher = Zeroizing::new([0; 32]);
    let mut iv = [0; 16];
    cipher.copy_from_slice(&derived[..32]);
    iv.copy_from_slice(&derived[32..]);
    Ok((cipher, iv))
}

fn purpose(key: &[u8; 32], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(keyed(key, &[purpose]))
}

fn check_value(mac: &[u8; 32]) -> [u8; 8] {
    let mut check = [0; 8];
    check.copy_from_slice(&keyed(mac, &[CHECK_PURPOSE])[..8]);
    check
}

/// Keyed BLAKE2b-256, as `openssl mac -macopt hexkey:… -macopt size:32 BLAKE2BMAC`.
pub fn keyed(key: &[u8; 32], pieces: &[&[u8]]) -> [u8; 32] {
    let mut state = Params::new().hash_length(32).key(key).to_state();
    for piece in pieces {
        state.update(piece);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(state.finalize().as_bytes());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Kind, kind};

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn raw(hex: &str) -> Result<Key> {
        Key::raw(&Secret::new(hex), None)
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused_without_being_shown() {
        let error = raw(&HEX[1..]).unwrap_err();
        assert_eq!(kind(&error), Kind::Usage);
        assert!(format!("{error:#}").contains("has 63 characters"), "{error:#}");
        assert!(!format!("{error:?}").contains(&HEX[2..10]), "{error:?}");
    }

    #[test]
    fn a_key_that_is_not_hexadecimal_is_refused() {
        let error = raw(&HEX.replace('a', "x")).unwrap_err();
        assert!(format!("{error:#}").contains("2 of them not hexadecimal"), "{error:#}");
    }

    #[test]
    fn every_backup_gets_its_own_iv_and_the_same_key_resumes_it() {
        let key = raw(HEX).unwrap();
        let (one, two) = (key.begin().unwrap(), key.begin().unwrap());
        assert_ne!(one.iv, two.iv);
        let again = key.resume(&one.note, Some(one.iv)).unwrap();
        assert_eq!((again.iv, &again.mac[..]), (one.iv, &one.mac[..]));
    }

    #[test]
    fn a_keyed_hash_is_what_another_implementation_says() {
        use blake2::digest::{KeyInit, Mac, consts::U32};
        let mut theirs = blake2::Blake2bMac::<U32>::new_from_slice(&[7; 32]).unwrap();
        Mac::update(&mut theirs, b"in pieces");
        assert_eq!(keyed(&[7; 32], &[b"in ", b"pieces"])[..], theirs.finalize().into_bytes()[..]);
    }

    #[test]
    fn the_authentication_key_is_not_the_cipher_key() {
        let working = raw(HEX).unwrap().begin().unwrap();
        assert_ne!(working.cipher[..], working.mac[..]);
    }

    #[test]
    fn another_key_is_told_apart_before_anything_is_decrypted() {
        let note = raw(HEX).unwrap().begin().unwrap().note;
        let error = raw(&HEX.replace("00", "ff")).unwrap().resume(&note, None).err().unwrap();
        assert_eq!(kind(&error), Kind::Damaged);
        assert!(format!("{error}").starts_with("wrong key"));
    }

    #[test]
    fn fewer_iterations_than_ours_are_refused() {
        let key = Key::Password(Secret::new("correct horse"));
        let note = key.begin().unwrap().note;
        let KeyNote::Password { kdf, salt, check, .. } = note else { panic!("{note:?}") };
        for iterations in [0, 1, 10_000, ITERATIONS - 1, MOST_ITERATIONS + 1] {
            let weak = KeyNote::Password { kdf: kdf.clone(), iterations, salt, check };
            assert!(key.resume(&weak, None).is_err(), "{iterations}");
        }
    }
}
