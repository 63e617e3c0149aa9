//! The database's own properties as the document holds them: encrypted where the dump is. A value of `ALTER DATABASE … SET` may well be
//! a secret of the application's.

use super::properties::{LARGEST, Properties};
use crate::error::{Fault, Result};
use crate::keys::Working;
use openssl::symm::{Cipher, decrypt, encrypt};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Kept {
    Encrypted(Encrypted),
    Plain(Box<Properties>),
}

/// The JSON of [`Properties`], by the payload's cipher and key, with an IV of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encrypted {
    #[serde(with = "hex::serde")]
    iv: [u8; 16],
    #[serde(with = "hex::serde")]
    data: Vec<u8>,
}

const BLOCK: usize = 16;

impl Kept {
    /// With the working keys of a backup that is encrypted, else as it is.
    pub fn of(properties: Properties, working: Option<&Working>) -> Result<Kept> {
        let Some(working) = working else { return Ok(Kept::Plain(Box::new(properties))) };
        let mut iv = [0; 16];
        openssl::rand::rand_bytes(&mut iv)?;
        let text = serde_json::to_vec(&properties)?;
        Ok(Kept::Encrypted(Encrypted {
            iv,
            data: encrypt(Cipher::aes_256_cbc(), &working.cipher[..], Some(&iv), &text)?,
        }))
    }

    /// Gives the properties of an authenticated document.
    pub fn open(&self, working: Option<&Working>) -> Result<Properties> {
        let damaged = |why: String| Fault::damaged(format!("the properties of the database in the .meta: {why}"));
        let properties = match (self, working) {
            (Kept::Plain(properties), _) => (**properties).clone(),
            (Kept::Encrypted(_), None) => return Err(damaged("they are encrypted, and there is no key".into()).into()),
            (Kept::Encrypted(Encrypted { data, .. }), _) if data.len() > LARGEST + BLOCK => {
                return Err(damaged("they are larger than any that pgbk writes".into()).into());
            }
            (Kept::Encrypted(Encrypted { iv, data }), Some(working)) => {
                let text = decrypt(Cipher::aes_256_cbc(), &working.cipher[..], Some(iv), data)
                    .map_err(|_| damaged("they cannot be decrypted".into()))?;
                serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?
            }
        };
        match properties.is_bounded() {
            true => Ok(properties),
            false => Err(damaged("they are none that pgbk writes".into()).into()),
        }
    }
}
