//! The sealed documents of a chain: that of the generation, and one for each segment.
//!
//! They are sealed as the manifest of a backup is, with a key for this purpose, and read in the same two steps: the seal is checked before
//! anything else is read. A segment states the seal of the segment before it. So no document of a chain can be changed, or left out, or
//! put in another place, without it being seen.

use crate::base::error::{Fault, Result};
use crate::format::keys::Key;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::note::KeyNote;
use crate::format::keys::purpose::Purpose;
use crate::format::manifest::META_LIMIT;
use crate::format::manifest::head::{damaged, is_deep};
use crate::format::manifest::seal::keys_of;
use crate::format::sealed_text::{SEAL_BYTES, SealedText, sealed, unkeyed, unsealed};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The format version that is written and read.
pub const CHAIN_FORMAT: u32 = 1;

/// A document whose seal has not been checked yet.
#[derive(Debug)]
pub struct SealedChainDocument {
    /// The document's name, for messages.
    name: String,
    key: Option<KeyNote>,
    text: SealedText,
}

/// Two members of a document, wherever they are in it.
#[derive(Deserialize)]
struct ChainHead {
    pgbk_changes: u64,
    key: Option<KeyNote>,
}

impl SealedChainDocument {
    /// Splits the bytes of a stored document into text and seal. `name` is for messages.
    pub fn parse(name: &str, bytes: Vec<u8>) -> Result<SealedChainDocument> {
        let text = String::from_utf8(bytes).map_err(|_| damaged(name, "it is not text"))?;
        let text = SealedText::of(text).ok_or_else(|| damaged(name, "its last member is not a seal"))?;
        if is_deep(text.text()) {
            return Err(damaged(name, "it is nested deeper than pgbk writes").into());
        }
        let head: ChainHead = serde_json::from_str(text.text()).map_err(|error| damaged(name, &error.to_string()))?;
        if head.pgbk_changes > u64::from(CHAIN_FORMAT) {
            let version = head.pgbk_changes;
            return Err(Fault::failed(format!(
                "\"{name}\" has format version {version}; this pgbk reads {CHAIN_FORMAT}"
            ))
            .hint("use a newer pgbk")
            .into());
        }
        let has_nonce = head.key.as_ref().is_none_or(|key| key.nonce().is_some());
        if head.pgbk_changes == 0 || head.key.is_some() != text.is_keyed() || !has_nonce {
            return Err(damaged(name, "it contradicts itself about its format or its key").into());
        }
        Ok(SealedChainDocument { name: name.to_owned(), key: head.key, text })
    }

    /// Returns the document as it is stored.
    pub fn bytes(&self) -> &[u8] {
        self.text.text().as_bytes()
    }

    /// Returns the seal, by which the next segment names this document.
    pub fn seal(&self) -> &[u8; 32] {
        self.text.seal()
    }

    /// Returns the key that the document says it was made with. `None`: it has a checksum only.
    pub fn key(&self) -> Option<&KeyNote> {
        self.key.as_ref()
    }

    /// Checks the seal and only then reads the document. `fault` tells why it is none that pgbk writes. Without a keyed seal it is refused
    /// when a key is set, unless `unkeyed_allowed` is true.
    pub(crate) fn open<T: DeserializeOwned>(
        &self,
        key: Option<&Key>,
        unkeyed_allowed: bool,
        fault: impl FnOnce(&T) -> Option<&'static str>,
    ) -> Result<(T, Option<DerivedKeys>)> {
        let subject = format!("\"{}\"", self.name);
        let derived_keys = keys_of(self.key.as_ref(), key, unkeyed_allowed, &subject)?;
        self.text.require(&seal_of(self.text.covered(), derived_keys.as_ref())?, &subject)?;
        let document: T =
            serde_json::from_str(self.text.text()).map_err(|error| damaged(&self.name, &error.to_string()))?;
        match fault(&document) {
            Some(fault) => Err(Fault::damaged(format!("{subject} is inconsistent: {fault}")).into()),
            None => Ok((document, derived_keys)),
        }
    }
}

/// Returns a document as it is stored, with a seal if there are keys, else with a checksum. `name` is for messages.
pub(crate) fn seal_document<T: Serialize>(
    name: &str,
    document: &T,
    derived_keys: Option<&DerivedKeys>,
) -> Result<Vec<u8>> {
    let text = unsealed(serde_json::to_string_pretty(document)?);
    let bytes = (text.len() + SEAL_BYTES) as u64;
    if bytes > META_LIMIT {
        return Err(Fault::failed(format!("\"{name}\" would have {bytes} bytes, more than one may have")).into());
    }
    let seal = seal_of(text.as_bytes(), derived_keys)?;
    Ok(sealed(text, seal, derived_keys.is_some()))
}

fn seal_of(covered: &[u8], derived_keys: Option<&DerivedKeys>) -> Result<[u8; 32]> {
    let Some(derived_keys) = derived_keys else { return Ok(unkeyed(covered)) };
    let seal = derived_keys.seal_for(Purpose::Changes, covered);
    seal.ok_or_else(|| Fault::failed("a key without a nonce seals no document of a chain").into())
}
