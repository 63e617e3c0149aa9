//! The seal of a manifest, and what must hold of one before anything is done by it. [`SealedText`] defines the seal itself.

use crate::base::error::{Fault, Result};
use crate::format::backup_id::BackupId;
use crate::format::keys::Key;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::note::KeyNote;
use crate::format::manifest::head::{ManifestHead, damaged};
use crate::format::manifest::{CIPHER, META_LIMIT, Manifest, OLDEST};
use crate::format::sealed_text::{SEAL_BYTES, SealedText, sealed, unkeyed, unsealed};

/// A document whose seal has not been checked yet. Only its format and its key are known.
#[derive(Debug)]
pub struct SealedManifest {
    /// The document's name, for messages.
    name: String,
    /// The backup that it must belong to; `None`: any.
    id: Option<BackupId>,
    key: Option<KeyNote>,
    text: SealedText,
}

impl Manifest {
    /// Returns the document as it is stored, with a seal if there are keys, else with a checksum. It is an error if the document is
    /// larger than [`META_LIMIT`].
    pub fn seal(&self, derived_keys: Option<&DerivedKeys>) -> Result<Vec<u8>> {
        let text = unsealed(serde_json::to_string_pretty(self)?);
        let bytes = (text.len() + SEAL_BYTES) as u64;
        if bytes > META_LIMIT {
            let id = &self.id;
            return Err(
                Fault::failed(format!("the .meta of {id} would have {bytes} bytes, more than one may have")).into()
            );
        }
        let seal = match derived_keys {
            Some(derived_keys) => derived_keys.seal(text.as_bytes()),
            None => unkeyed(text.as_bytes()),
        };
        Ok(sealed(text, seal, derived_keys.is_some()))
    }
}

impl SealedManifest {
    /// Splits the bytes of a stored document into text and seal. `name` is for messages.
    pub fn parse(name: &str, bytes: Vec<u8>) -> Result<SealedManifest> {
        let text = String::from_utf8(bytes).map_err(|_| damaged(name, "it is not text"))?;
        let text = SealedText::of(text).ok_or_else(|| damaged(name, "its last member is not a seal"))?;
        let key = ManifestHead::read(name, text.text())?.key;
        if key.is_some() != text.is_keyed() {
            return Err(damaged(name, "it contradicts itself about its key").into());
        }
        Ok(SealedManifest { name: name.to_owned(), id: None, key, text })
    }

    /// Sets the backup that the document must belong to; any other is an error when it is read.
    pub fn of(self, id: &BackupId) -> SealedManifest {
        SealedManifest { id: Some(id.clone()), ..self }
    }

    /// Returns the key that the document says it was made with. `None`: it has a checksum only.
    pub fn key(&self) -> Option<&KeyNote> {
        self.key.as_ref()
    }

    /// Returns the document as it is stored.
    pub fn bytes(&self) -> &[u8] {
        self.text.text().as_bytes()
    }

    /// Returns the manifest as the document states it, for a listing. A keyed seal is not checked, so nothing may be restored by
    /// it.
    pub fn claims(&self) -> Result<Manifest> {
        if !self.text.is_keyed() {
            self.holds(&unkeyed(self.text.covered()))?;
        }
        self.read()
    }

    /// Returns the manifest without checking its seal, for copying stored bytes without a key. Only its internal consistency is
    /// checked: it names no object but its own.
    pub fn unauthenticated(&self) -> Result<Manifest> {
        let manifest = self.claims()?;
        manifest.consistent()?;
        Ok(manifest)
    }

    /// Checks the seal with the user's key and only then reads the manifest. Returns it with the derived keys, which are `None`
    /// without a key.
    ///
    /// A document without a keyed seal is refused when a key is set, unless `unkeyed_allowed` is true: anyone who can write to the
    /// store could have made it.
    pub fn authenticate(&self, key: Option<&Key>, unkeyed_allowed: bool) -> Result<(Manifest, Option<DerivedKeys>)> {
        let mut derived_keys = keys_of(self.key.as_ref(), key, unkeyed_allowed, &self.subject())?;
        self.holds(
            &derived_keys
                .as_ref()
                .map_or_else(|| unkeyed(self.text.covered()), |derived_keys| derived_keys.seal(self.text.covered())),
        )?;
        let manifest = self.read()?;
        manifest.consistent()?;
        if let (Some(derived_keys), Some(iv)) = (&mut derived_keys, manifest.encryption.as_ref().and_then(|how| how.iv))
        {
            derived_keys.iv = iv;
        }
        Ok((manifest, derived_keys))
    }

    fn holds(&self, expected: &[u8; 32]) -> Result<()> {
        self.text.require(expected, &format!("the .meta of {}", self.subject()))
    }

    /// Parses the document; no other place does. It is an error if it belongs to another backup.
    fn read(&self) -> Result<Manifest> {
        let manifest: Manifest =
            serde_json::from_str(self.text.text()).map_err(|error| damaged(&self.name, &error.to_string()))?;
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
    /// Checks everything that the rest of pgbk relies on.
    fn consistent(&self) -> Result<()> {
        let wrong =
            |what: &str| Err(Fault::damaged(format!("the .meta of {} is inconsistent: {what}", self.id)).into());
        let cipher_known = self.encryption.as_ref().is_none_or(|encryption| encryption.cipher == CIPHER);
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
        if self.previous.as_ref().is_some_and(|previous| *previous.subject() != self.subject) {
            return wrong("the backup before it is of another database");
        }
        if *self.id.subject() != self.subject {
            return wrong("its id names another database");
        }
        // Format 2 states what the server's clock said, and an id that follows the order of its series.
        if self.pgbk == OLDEST && self.taken_at != self.id.taken_at() {
            return wrong("its id names another time");
        }
        let extension =
            crate::format::manifest::extension(self.dump.format, self.compression, self.encryption.is_some());
        if self.object != self.id.object_key(&extension) {
            return wrong("its object is not the one that its id names");
        }
        if !self.has_whole_objects() {
            return wrong("the objects of its payload do not make up its size");
        }
        match self.chunks.fault(self.stored.bytes) {
            Some(fault) => wrong(fault),
            None => Ok(()),
        }
    }
}

/// Returns the keys of a document that says to be made with this key. `None`: it has a checksum only. That is an error when the user has a
/// key, unless `unkeyed_allowed` is true; and so is a key that the user does not have.
pub(crate) fn keys_of(
    note: Option<&KeyNote>,
    key: Option<&Key>,
    unkeyed_allowed: bool,
    subject: &str,
) -> Result<Option<DerivedKeys>> {
    match (note, key) {
        (Some(note), Some(key)) => Ok(Some(key.resume(note)?)),
        (Some(_), None) => Err(key_missing(subject)),
        (None, Some(_)) if !unkeyed_allowed => Err(unauthenticated(subject)),
        (None, _) => Ok(None),
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
