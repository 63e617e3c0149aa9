//! The table of contents of a dump as the document holds it: compressed, and encrypted if the dump is. Single tables are restored by it.

use crate::base::error::{Fault, Result};
use crate::format::archive::contents::LARGEST;
use crate::format::keys::derived_keys::DerivedKeys;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::io::Read;

/// Longest text in the document, in bytes: some 200,000 tables.
const LONGEST: usize = 16 << 20;
const LEVEL: i32 = 3;

/// Holds what `pg_dump --format=custom` writes before all data, as zstd and in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredContents {
    /// The IV of the encryption by the payload's cipher and key. `None`: it is not encrypted.
    #[serde(default, rename = "data_iv", skip_serializing_if = "Option::is_none")]
    iv: Option<ContentsIv>,
    #[serde(deserialize_with = "bounded")]
    data: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ContentsIv(#[serde(with = "hex::serde")] [u8; 16]);

impl StoredContents {
    /// Compresses the table of contents, and encrypts it with the derived keys of the backup. `None`: it is longer than a document may hold.
    pub(crate) fn of(contents: &[u8], derived_keys: Option<&DerivedKeys>) -> Result<Option<StoredContents>> {
        let packed = zstd::bulk::compress(contents, LEVEL)?;
        let (iv, data) = match derived_keys {
            None => (None, packed),
            Some(derived_keys) => {
                let (iv, data) = derived_keys.encrypt_member(&packed)?;
                (Some(ContentsIv(iv)), data)
            }
        };
        let data = STANDARD.encode(data);
        Ok((data.len() <= LONGEST).then_some(StoredContents { iv, data }))
    }

    /// Returns the table of contents of an authenticated document. It is an error if the key is missing, or it is not what pgbk writes.
    pub(crate) fn open(&self, derived_keys: Option<&DerivedKeys>) -> Result<Vec<u8>> {
        let data = STANDARD.decode(&self.data).map_err(|_| damaged("it is no base64"))?;
        let packed = match (&self.iv, derived_keys) {
            (None, _) => data,
            (Some(_), None) => return Err(damaged("it is encrypted, and there is no key").into()),
            (Some(ContentsIv(iv)), Some(derived_keys)) => {
                derived_keys.decrypt_member(iv, &data).ok_or_else(|| damaged("it cannot be decrypted"))?
            }
        };
        unpacked(&packed, LARGEST)
    }
}

/// Returns what was compressed. It is an error if that is no zstd, or more than so many bytes, of which a few may make very many.
fn unpacked(packed: &[u8], most: usize) -> Result<Vec<u8>> {
    let mut contents = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(packed)?;
    decoder.take(most as u64 + 1).read_to_end(&mut contents).map_err(|_| damaged("it is no zstd"))?;
    match contents.len() <= most {
        true => Ok(contents),
        false => Err(damaged("it is longer than any that pgbk writes").into()),
    }
}

fn damaged(why: &str) -> Fault {
    Fault::damaged(format!("the table of contents in the .meta: {why}"))
}

fn bounded<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.len() <= LONGEST { Ok(text) } else { Err(de::Error::custom("a table of contents that is too long")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, kind};
    use crate::format::keys::note::KeyNote;
    use zeroize::Zeroizing;

    fn keys(byte: u8) -> DerivedKeys {
        let note = KeyNote::Raw { check: [0; 8], nonce: None };
        DerivedKeys { cipher: Zeroizing::new([byte; 32]), iv: [0; 16], note }
    }

    #[test]
    fn what_was_stored_is_read_with_the_same_key_and_with_no_other() {
        let contents = b"PGDMP CREATE TABLE secret".repeat(40);
        let plain = StoredContents::of(&contents, None).unwrap().unwrap();
        assert!(plain.open(None).unwrap() == contents && plain.open(Some(&keys(1))).unwrap() == contents);
        let sealed = StoredContents::of(&contents, Some(&keys(1))).unwrap().unwrap();
        let text = serde_json::to_string(&sealed).unwrap();
        let read: StoredContents = serde_json::from_str(&text).unwrap();
        assert!(read.open(Some(&keys(1))).unwrap() == contents);
        for wrong in [None, Some(&keys(2))] {
            assert_eq!(kind(&read.open(wrong).unwrap_err()), Kind::Damaged);
        }
    }

    #[test]
    fn another_text_is_damage() {
        for data in ["", "!", "AAAA"] {
            let stored: StoredContents = serde_json::from_str(&format!(r#"{{"data":"{data}"}}"#)).unwrap();
            assert!(stored.open(None).is_err(), "{data}");
        }
        assert!(serde_json::from_str::<StoredContents>(r#"{"data_iv":"00","data":""}"#).is_err());
    }

    #[test]
    fn of_a_few_bytes_that_make_very_many_no_more_are_kept_than_a_table_of_contents_may_have() {
        let packed = zstd::bulk::compress(&[0; 4096], LEVEL).unwrap();
        assert_eq!(unpacked(&packed, 4096).unwrap().len(), 4096);
        let error = unpacked(&packed, 4095).unwrap_err();
        let said = "the table of contents in the .meta: it is longer than any that pgbk writes";
        assert_eq!((error.to_string().as_str(), kind(&error)), (said, Kind::Damaged));
    }
}
