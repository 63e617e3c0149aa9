//! The user's key or password, and the keys derived from it.
//!
//! The cipher key is what `openssl enc` is given: the 64 hexadecimal digits themselves, or PBKDF2 of the password. All other keys
//! are derived from the cipher key, each for one [`Purpose`](purpose::Purpose) alone, so that none can be used in another's place.

pub(crate) mod derived;
pub mod derived_keys;
pub(crate) mod digest_key;
pub(crate) mod hash;
pub(crate) mod note;
pub(crate) mod purpose;
pub(crate) mod ring;

use crate::base::error::{Fault, Kind, Result};
use crate::base::random;
use crate::base::secret::Secret;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::hash::Bytes32;
use derived::derive;
use note::KeyNote;
use purpose::check_value;
use zeroize::Zeroizing;

/// The key or password that the user has set.
#[derive(Debug, Clone)]
pub enum Key {
    /// `DB_BACKUP_ENCRYPT_KEY`, with the fixed `DB_BACKUP_ENCRYPT_IV` where that is set.
    Raw { key: Secret, iv: Option<[u8; 16]> },
    /// `ENC_PASSWORD`.
    Password(Secret),
}

/// The names of the variables of a raw key and of its IV.
const KEY: &str = "DB_BACKUP_ENCRYPT_KEY";
const IV: &str = "DB_BACKUP_ENCRYPT_IV";

impl Key {
    /// Reads `DB_BACKUP_ENCRYPT_KEY` and `DB_BACKUP_ENCRYPT_IV`: 64 and 32 hexadecimal digits.
    pub fn raw(key: &Secret, iv: Option<&str>) -> Result<Key> {
        Key::raw_named([KEY, IV], key, iv)
    }

    /// Reads a key and an IV that are set under other names.
    pub(crate) fn raw_named([key_name, iv_name]: [&str; 2], key: &Secret, iv: Option<&str>) -> Result<Key> {
        digits::<32>(key_name, key.reveal(), "openssl rand -hex 32")?;
        let iv = iv.map(|iv| digits::<16>(iv_name, iv, "openssl rand -hex 16").map(|iv| *iv)).transpose()?;
        Ok(Key::Raw { key: key.clone(), iv })
    }

    /// Returns whether the other one opens what this one opens.
    pub(crate) fn is_same(&self, other: &Key) -> bool {
        match (self, other) {
            (Key::Raw { key, .. }, Key::Raw { key: other, .. }) => key.reveal().eq_ignore_ascii_case(other.reveal()),
            (Key::Password(password), Key::Password(other)) => password.reveal() == other.reveal(),
            _ => false,
        }
    }

    /// Derives the keys of a new backup, with a new nonce. Each call gives other keys.
    pub fn begin(&self) -> Result<DerivedKeys> {
        let nonce = Some(random::bytes()?);
        let (cipher, iv, note) = match self {
            Key::Raw { iv, .. } => {
                let iv = iv.map_or_else(random::bytes::<16>, Ok)?;
                (self.raw_key()?, iv, KeyNote::Raw { check: [0; 8], nonce })
            }
            // The salt makes key and IV, so it is never another backup's.
            Key::Password(password) => {
                let salt = random::bytes::<8>()?;
                let (cipher, iv) = stretch(password, &salt)?;
                (cipher, iv, KeyNote::Password { salt, check: [0; 8], nonce })
            }
        };
        let check = check_value(&cipher, &note);
        Ok(DerivedKeys { cipher, iv, note: note.with_check(check) })
    }

    /// Returns the keys of an object that names no key: key and IV both as they are set. It is an error if no IV is set, or a
    /// password.
    pub fn as_set(&self) -> Result<DerivedKeys> {
        match self {
            Key::Raw { iv: Some(iv), .. } => {
                let (cipher, note) = (self.raw_key()?, KeyNote::Raw { check: [0; 8], nonce: None });
                let check = check_value(&cipher, &note);
                Ok(DerivedKeys { cipher, iv: *iv, note: note.with_check(check) })
            }
            Key::Raw { iv: None, .. } => Err(Fault::usage("DB_BACKUP_ENCRYPT_IV is not set")
                .hint("set it to what Doubletake had: the object itself does not say it")
                .into()),
            Key::Password(_) => Err(Fault::usage("ENC_PASSWORD is set, and DB_BACKUP_ENCRYPT_KEY is needed").into()),
        }
    }

    /// Derives the keys of an existing backup. A wrong key is an error here, before anything is decrypted. With a raw key the IV is
    /// left zero, for the document to fill in.
    pub fn resume(&self, note: &KeyNote) -> Result<DerivedKeys> {
        let (cipher, iv) = match (self, note) {
            (Key::Raw { .. }, KeyNote::Raw { .. }) => (self.raw_key()?, [0; 16]),
            (Key::Password(password), KeyNote::Password { salt, .. }) => stretch(password, salt)?,
            (Key::Raw { .. }, KeyNote::Password { .. }) => return Err(needs("a password", "ENC_PASSWORD")),
            (Key::Password(_), KeyNote::Raw { .. }) => return Err(needs("a raw key", "DB_BACKUP_ENCRYPT_KEY")),
        };
        let ours = check_value(&cipher, note);
        if !openssl::memcmp::eq(&ours, note.check()) {
            return Err(other(note.check(), &ours, note));
        }
        Ok(DerivedKeys { cipher, iv, note: note.clone() })
    }

    fn raw_key(&self) -> Result<Bytes32> {
        let Key::Raw { key, .. } = self else { return Err(needs("a raw key", "DB_BACKUP_ENCRYPT_KEY")) };
        digits::<32>(KEY, key.reveal(), "openssl rand -hex 32")
    }
}

fn needs(what: &str, variable: &str) -> anyhow::Error {
    let message = format!("wrong key: this backup was made with {what}");
    Fault::new(Kind::OtherKey, message).hint(format!("set {variable}")).into()
}

/// Returns the error of a wrong key. It names raw keys by their check values; a password has none, because each salt gives another
/// one.
fn other(theirs: &[u8; 8], ours: &[u8; 8], note: &KeyNote) -> anyhow::Error {
    let which = match note {
        KeyNote::Raw { .. } => format!(" (with key {}, yours is {})", hex::encode(theirs), hex::encode(ours)),
        KeyNote::Password { .. } => String::new(),
    };
    Fault::new(Kind::OtherKey, format!("wrong key or password: this backup was made with another one{which}"))
        .hint(
            "set DB_BACKUP_ENCRYPT_KEY or ENC_PASSWORD to what was in force when the backup was made; quotes around a password are \
             part of it only within quotes of the other kind",
        )
        .into()
}

/// Parses hexadecimal digits. The value itself never appears in the message: it may be the key with one digit too few.
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

/// Derives key and IV exactly as `openssl enc -pbkdf2` does, both from one derivation.
fn stretch(password: &Secret, salt: &[u8; 8]) -> Result<(Bytes32, [u8; 16])> {
    let derived = derive(password, salt)?;
    let mut cipher = Zeroizing::new([0; 32]);
    let mut iv = [0; 16];
    cipher.copy_from_slice(&derived[..32]);
    iv.copy_from_slice(&derived[32..]);
    Ok((cipher, iv))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::kind;

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
    fn every_backup_gets_its_own_iv_and_nonce_and_the_same_key_resumes_it() {
        for key in [raw(HEX).unwrap(), Key::Password(Secret::new("correct horse"))] {
            let (one, two) = (key.begin().unwrap(), key.begin().unwrap());
            assert_ne!(one.iv, two.iv);
            assert_ne!(one.note.nonce().unwrap(), two.note.nonce().unwrap());
            let again = key.resume(&one.note).unwrap();
            assert_eq!((&again.cipher, again.seal(b"x")), (&one.cipher, one.seal(b"x")));
            assert_ne!(one.seal(b"x"), two.seal(b"x"));
        }
    }

    #[test]
    fn another_key_is_told_apart_before_anything_is_decrypted() {
        let note = raw(HEX).unwrap().begin().unwrap().note;
        let error = raw(&HEX.replace("00", "ff")).unwrap().resume(&note).err().unwrap();
        assert_eq!(kind(&error), Kind::OtherKey);
        assert!(format!("{error}").starts_with("wrong key"));
    }
}
