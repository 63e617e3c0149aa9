//! The document of a generation: where a chain of segments comes from.
//!
//! A generation is one unbroken chain of segments of one database, from one slot. Where a slot was lost, or the server is another one, a
//! new generation begins.

use crate::base::subject::Subject;
use crate::format::changes::chain_document::{CHAIN_FORMAT, SealedChainDocument, seal_document};
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::replication_names::{PublicationName, SlotName};
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::keys::Key;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::note::KeyNote;
use crate::format::lsn::Lsn;
use crate::format::manifest::bounded_members;
use crate::format::manifest::encoding::EncodingName;
use anyhow::Result;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Most publications of one slot.
const MOST_PUBLICATIONS: usize = 64;

/// The number that `initdb` gives a server. Written as text, because it has more digits than JSON's numbers keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerIdentifier(pub u64);

impl Serialize for ServerIdentifier {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ServerIdentifier {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let number = crate::format::manifest::pieces::number(&text).filter(|number| *number != 0);
        number.map(ServerIdentifier).ok_or_else(|| de::Error::custom("no identifier of a server"))
    }
}

/// Where a chain comes from, as it was when the chain began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The format version.
    pub pgbk_changes: u32,
    pub id: GenerationId,
    #[serde(deserialize_with = "bounded_members::subject")]
    pub database: Subject,
    /// Where the first segment starts.
    pub start: Lsn,
    pub created_at: Timestamp,
    pub system_identifier: ServerIdentifier,
    pub timeline: u32,
    #[serde(deserialize_with = "bounded_members::word")]
    pub server_version: String,
    pub server_version_num: u32,
    pub encoding: EncodingName,
    pub slot: SlotName,
    #[serde(deserialize_with = "bounded_members::list::<_, _, MOST_PUBLICATIONS>")]
    pub publications: Vec<PublicationName>,
    /// The key that made the seal. `None`: it detects accident, not attack.
    pub key: Option<KeyNote>,
}

impl Generation {
    /// Returns the folder of its objects.
    pub fn folder(&self) -> GenerationFolder {
        GenerationFolder { subject: self.database.clone(), generation: self.id }
    }

    /// Returns the key of its document.
    pub fn key_name(&self) -> String {
        self.folder().key(&GenerationObject::Generation)
    }

    /// Returns the document as it is stored. `derived_keys` are those of [`key`](Self::key).
    pub fn seal(&self, derived_keys: Option<&DerivedKeys>) -> Result<Vec<u8>> {
        seal_document(&self.key_name(), self, derived_keys)
    }

    /// Checks the seal of a document and reads it. It is an error if it belongs to another folder.
    pub fn open(
        document: &SealedChainDocument,
        folder: &GenerationFolder,
        key: Option<&Key>,
        unkeyed_allowed: bool,
    ) -> Result<Generation> {
        let (generation, _) =
            document.open(key, unkeyed_allowed, |generation: &Generation| generation.fault(folder))?;
        Ok(generation)
    }

    pub(crate) fn fault(&self, folder: &GenerationFolder) -> Option<&'static str> {
        match () {
            () if self.pgbk_changes != CHAIN_FORMAT => Some("its format is another one"),
            () if self.folder() != *folder => Some("it belongs to another generation"),
            () if self.database.database().is_none() => Some("it is of no database"),
            () if self.publications.is_empty() => Some("it names no publication"),
            () if self.timeline == 0 || self.start == Lsn(0) => Some("it begins nowhere"),
            () => None,
        }
    }
}
