//! The seal: the last member of the document, over every byte before it.
//!
//! With a key it is `"mac"`, a keyed BLAKE2b-256; without one it is `"checksum"`, the same unkeyed, which anyone could compute. It
//! covers the text as it stands, so there is no canonical form to disagree about.

use super::head::{Head, damaged};
use super::{BackupId, LARGEST_CHUNK, META_LIMIT, MOST_CHUNKS, Manifest, OLDEST, SMALLEST_CHUNK};
use crate::error::{Fault, Result};
use crate::keys::{Key, KeyNote, Working};
use blake2::Blake2b;
use blake2::digest::{Digest, consts::U32};

const KEYED: &str = ",\n  \"mac\": \"";
const UNKEYED: &str = ",\n  \"checksum\": \"";
const END: &str = "\"\n}\n";
const DIGITS: usize = 64;

/// A document whose seal has not been looked at yet. Of what it says, only the format and the key are known.
#[derive(Debug)]
pub struct Sealed {
    /// For messages.
    name: String,
    /// The backup that it must be of; None for whatever it says.
    id: Option<BackupId>,
    key: Option<KeyNote>,
    text: String,
    /// How many bytes of it are under the seal.
    covered: usize,
    seal: [u8; 32],
    keyed: bool,
}

impl Manifest {
    /// The document as it is stored.
    pub fn seal(&self, working: Option<&Working>) -> Result<Vec<u8>> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.truncate(text.len() - "\n}".len());
        let bytes = (text.len() + UNKEYED.len() + DIGITS + END.len()) as u64;
        if bytes > META_LIMIT {
            let id = &self.id;
            return Err(
                Fault::failed(format!("the .meta of {id} would have {bytes} bytes, more than one may have")).into()
            );
        }
        let (member, seal) = match working {
            Some(working) => (KEYED, working.seal(text.as_bytes())),
            None => (UNKEYED, unkeyed(text.as_bytes())),
        };
        text.push_str(member);
        text.push_str(&hex::encode(seal));
        text.push_str(END);
        Ok(text.into_bytes())
    }
}

impl Sealed {
    /// Takes the bytes of a stored document. `name` is for messages.
    pub fn parse(name: &str, bytes: Vec<u8>) -> Result<Sealed> {
        let text = String::from_utf8(bytes).map_err(|_| damaged(name, "it is not text"))?;
        let (covered, seal, keyed) = split(&text).ok_or_else(|| damaged(name, "its last member is not a seal"))?;
        let key = Head::read(name, &text)?.key;
        if key.is_some() != keyed {
            return Err(damaged(name, "it contradicts itself about its key").into());
        }
        Ok(Sealed { name: name.to_owned(), id: None, key, covered: covered.len(), text, seal, keyed })
    }

    /// Whose it must be.
    pub fn of(self, id: &BackupId) -> Sealed {
        Sealed { id: Some(id.clone()), ..self }
    }

    /// The key that it says it was made with. None: it has no seal but a checksum.
    pub fn key(&self) -> Option<&KeyNote> {
        self.key.as_ref()
    }

    /// The document as it is stored.
    pub fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Reads what the document says of itself, for a listing. Nothing may be restored by it.
    pub fn claims(&self) -> Result<Manifest> {
        if !self.keyed {
            self.holds(&unkeyed(self.covered()))?;
        }
        self.read()
    }

    /// The manifest for whoever only carries the stored bytes and has no key: nothing vouches for it, but it is consistent in
    /// itself and names no other object than its own.
    pub fn unauthenticated(&self) -> Result<Manifest> {
        let manifest = self.claims()?;
        manifest.consistent()?;
        Ok(manifest)
    }

    /// Checks the seal with the user's key and only then reads the manifest; gives it with the working keys where a key made it.
    ///
    /// A document without a keyed seal is refused when a key is set, unless `unkeyed` allows it: anyone who can write to the
    /// store could have made it.
    pub fn authenticate(&self, key: Option<&Key>, unkeyed_allowed: bool) -> Result<(Manifest, Option<Working>)> {
        let mut working = match (&self.key, key) {
            (Some(note), Some(key)) => Some(key.resume(note)?),
            (Some(_), None) => return Err(key_missing(&self.subject())),
            (None, Some(_)) if !unkeyed_allowed => return Err(unauthenticated(&self.subject())),
            (None, _) => None,
        };
        self.holds(&working.as_ref().map_or_else(|| unkeyed(self.covered()), |working| working.seal(self.covered())))?;
        let manifest = self.read()?;
        manifest.consistent()?;
        if let (Some(working), Some(iv)) = (&mut working, manifest.encryption.as_ref().and_then(|how| how.iv)) {
            working.iv = iv;
        }
        Ok((manifest, working))
    }

    fn covered(&self) -> &[u8] {
        &self.text.as_bytes()[..self.covered]
    }

    fn holds(&self, expected: &[u8; 32]) -> Result<()> {
        if openssl::memcmp::eq(expected, &self.seal) {
            return Ok(());
        }
        let what = if self.keyed { "was changed after it was made" } else { "is damaged" };
        Err(Fault::damaged(format!("the .meta of {} {what}: its seal does not hold", self.subject())).into())
    }

    /// The one place where a document is parsed.
    fn read(&self) -> Result<Manifest> {
        let manifest: Manifest =
            serde_json::from_str(&self.text).map_err(|error| damaged(&self.name, &error.to_string()))?;
        match &self.id {
            Some(id) if manifest.id != *id => {
                Err(Fault::damaged(format!("\"{}\" is the .meta of {}", self.name, manifest.id)).into())
            }
            _ => Ok(manifest),
        }
    }

    fn subject(&self) -> String {
        self.id.as_ref().map_or_else(|| format!("\"{}\"", self.name), ToString::to_string)
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
        let says_iv = self.encryption.as_ref().map(|encryption| encryption.iv.is_some());
        if says_iv.is_some_and(|says| says != matches!(self.key, Some(KeyNote::Raw { .. }))) {
            return wrong("its IV does not fit its key");
        }
        if self.previous.as_ref().is_some_and(|previous| previous.database() != self.database) {
            return wrong("the backup before it is of another database");
        }
        if self.id.database() != self.database {
            return wrong("its id names another database");
        }
        // Format 2 states what the server's clock said, and an id that follows the order of its series.
        if self.pgbk == OLDEST && self.taken_at != self.id.taken_at() {
            return wrong("its id names another time");
        }
        let extension = super::extension(self.dump.format, self.compression, self.encryption.is_some());
        if self.object != self.id.object_key(&extension) {
            return wrong("its object is not the one that its id names");
        }
        if !self.chunks.size.is_power_of_two() || !(SMALLEST_CHUNK..=LARGEST_CHUNK).contains(&self.chunks.size) {
            return wrong("its chunk size is out of range");
        }
        let expected = self.stored.bytes.div_ceil(self.chunks.size).max(1);
        if expected > MOST_CHUNKS || self.chunks.tags.len() as u64 != expected {
            return wrong("the number of its chunk tags does not fit its size");
        }
        Ok(())
    }
}

fn key_missing(subject: &str) -> anyhow::Error {
    Fault::usage(format!("{subject} was made with a key, and none is set"))
        .hint("set DB_BACKUP_ENCRYPT_KEY or ENC_PASSWORD")
        .into()
}

fn unauthenticated(subject: &str) -> anyhow::Error {
    Fault::damaged(format!(
        "{subject} is not authenticated, but a key is set: anyone who can write to the store could have made it"
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
