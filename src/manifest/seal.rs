//! The seal: the last member of the document, over every byte before it.
//!
//! With a key it is `"mac"`, a keyed BLAKE2b-256; without one it is `"checksum"`, the same unkeyed, which anyone could compute. It
//! covers the text as it stands, so there is no canonical form to disagree about.

use super::{FORMAT, MOST_CHUNKS, Manifest, OLDEST};
use crate::error::{Fault, Result};
use crate::keys::{Key, Working, keyed};
use blake2::Blake2b;
use blake2::digest::{Digest, consts::U32};

const KEYED: &str = ",\n  \"mac\": \"";
const UNKEYED: &str = ",\n  \"checksum\": \"";
const END: &str = "\"\n}\n";
const DIGITS: usize = 64;

/// A document whose seal has not been looked at yet.
#[derive(Debug)]
pub struct Sealed {
    manifest: Manifest,
    covered: Vec<u8>,
    seal: [u8; 32],
    keyed: bool,
}

impl Manifest {
    /// The document as it is stored.
    pub fn seal(&self, working: Option<&Working>) -> Result<Vec<u8>> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.truncate(text.len() - "\n}".len());
        let (member, seal) = match working {
            Some(working) => (KEYED, keyed(&working.mac, &[text.as_bytes()])),
            None => (UNKEYED, unkeyed(text.as_bytes())),
        };
        text.push_str(member);
        text.push_str(&hex::encode(seal));
        text.push_str(END);
        Ok(text.into_bytes())
    }
}

impl Sealed {
    /// Takes a stored document apart. `name` is for messages.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Sealed> {
        let damaged = |why: &str| Fault::damaged(format!("\"{name}\" is not a whole .meta document: {why}"));
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
        let (covered, seal, keyed) = split(text).ok_or_else(|| damaged("its last member is not a seal"))?;
        let manifest: Manifest = serde_json::from_str(text).map_err(|error| {
            match serde_json::from_str::<serde_json::Value>(text).ok().and_then(|value| value["pgbk"].as_u64()) {
                Some(version) if version > u64::from(FORMAT) => newer(name, version),
                _ => damaged(&error.to_string()),
            }
        })?;
        match manifest.pgbk {
            OLDEST..=FORMAT => {}
            0 => return Err(damaged("there is no format version 0").into()),
            version => return Err(newer(name, version.into()).into()),
        }
        Ok(Sealed { manifest, covered: covered.as_bytes().to_vec(), seal, keyed })
    }

    /// What the document says of itself, for a listing. Nothing may be restored by it.
    pub fn claims(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest for whoever only carries the stored bytes and has no key: nothing vouches for it, but it is consistent in
    /// itself and names no other object than its own.
    pub fn unauthenticated(self) -> Result<Manifest> {
        self.manifest.consistent()?;
        Ok(self.manifest)
    }

    /// Checks the seal with the user's key and gives the manifest, with the working keys where a key made it.
    ///
    /// A document without a keyed seal is refused when a key is set, unless `unkeyed` allows it: anyone who can write to the
    /// store could have made it.
    pub fn authenticate(self, key: Option<&Key>, unkeyed_allowed: bool) -> Result<(Manifest, Option<Working>)> {
        let id = &self.manifest.id;
        let working = match (&self.manifest.key, key) {
            (Some(note), Some(key)) if self.keyed => {
                let iv = self.manifest.encryption.as_ref().and_then(|encryption| encryption.iv);
                Some(key.resume(note, iv)?)
            }
            (Some(_), None) if self.keyed => return Err(key_missing(id)),
            (None, None) if !self.keyed => None,
            (None, Some(_)) if !self.keyed => {
                if !unkeyed_allowed {
                    return Err(unauthenticated(id));
                }
                None
            }
            _ => return Err(Fault::damaged(format!("the .meta of {id} contradicts itself about its key")).into()),
        };
        let expected = match &working {
            Some(working) => keyed(&working.mac, &[&self.covered]),
            None => unkeyed(&self.covered),
        };
        if !openssl::memcmp::eq(&expected, &self.seal) {
            let what = if self.keyed { "was changed after it was made" } else { "is damaged" };
            return Err(Fault::damaged(format!("the .meta of {id} {what}: its seal does not hold")).into());
        }
        self.manifest.consistent()?;
        Ok((self.manifest, working))
    }
}

impl Manifest {
    /// What the rest of pgbk relies on, checked once.
    fn consistent(&self) -> Result<()> {
        let wrong =
            |what: &str| Err(Fault::damaged(format!("the .meta of {} is inconsistent: {what}", self.id)).into());
        let cipher_known = self.encryption.as_ref().is_none_or(|encryption| encryption.cipher == super::CIPHER);
        if !cipher_known {
            return wrong("its cipher is unknown");
        }
        if self.encryption.is_some() && self.key.is_none() {
            return wrong("it is encrypted but names no key");
        }
        if self.id.database() != self.database {
            return wrong("its id names another database");
        }
        let extension = super::extension(self.dump.format, self.compression, self.encryption.is_some());
        if self.object != self.id.object_key(&extension) {
            return wrong("its object is not the one that its id names");
        }
        if self.chunks.size == 0 || self.chunks.size > 1 << 30 {
            return wrong("its chunk size is out of range");
        }
        let expected = self.stored.bytes.div_ceil(self.chunks.size).max(1);
        if expected > MOST_CHUNKS || self.chunks.tags.len() as u64 != expected {
            return wrong("the number of its chunk tags does not fit its size");
        }
        Ok(())
    }
}

fn newer(name: &str, version: u64) -> Fault {
    Fault::failed(format!("\"{name}\" has format version {version}; this pgbk reads versions {OLDEST} to {FORMAT}"))
        .hint("use a newer pgbk")
}

fn key_missing(id: &super::BackupId) -> anyhow::Error {
    Fault::usage(format!("{id} was made with a key, and none is set"))
        .hint("set DB_BACKUP_ENCRYPT_KEY or ENC_PASSWORD")
        .into()
}

fn unauthenticated(id: &super::BackupId) -> anyhow::Error {
    Fault::damaged(format!(
        "{id} is not authenticated, but a key is set: anyone who can write to the store could have made it"
    ))
    .hint("if it is a backup from before the key was set, say --allow-unauthenticated")
    .into()
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

fn unkeyed(text: &[u8]) -> [u8; 32] {
    Blake2b::<U32>::digest(text).into()
}
