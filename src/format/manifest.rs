//! The `.meta` document: the manifest of a backup, and the seal over it.
//!
//! A backup exists if and only if its `.meta` does. The document is read in two steps:
//! [`SealedManifest::parse`](seal::SealedManifest::parse) finds the seal and the key without trusting them,
//! [`SealedManifest::authenticate`](seal::SealedManifest::authenticate) parses the [`Manifest`] once the seal over the bytes holds.
//! Nothing is accepted that pgbk cannot have written ([`bounded`]). The section "Format" of the README specifies the document.

pub mod anonymised_note;
pub mod base_alignment;
pub(crate) mod bounded_members;
pub(crate) mod chunk_bounds;
pub mod encoding;
pub mod extent;
pub mod further_object;
pub(crate) mod head;
pub mod lineage;
pub(crate) mod needed_changes;
pub(crate) mod order;
pub mod origin;
pub(crate) mod payload_objects;
pub mod pieces;
pub(crate) mod properties;
pub mod seal;
pub mod session;
pub mod stored_contents;
pub(crate) mod stored_properties;
pub(crate) mod table_diff;
pub mod upload_check;

use crate::base::error;
use crate::base::error::Fault;
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::keys::note::KeyNote;
use crate::format::sql::requirements::Requirements;
use anonymised_note::AnonymisedNote;
use base_alignment::BaseAlignment;
use encoding::EncodingName;
use extent::Extent;
use further_object::{FurtherObject, MOST_FURTHER};
use jiff::Timestamp;
use origin::Origin;
use pieces::{MOST_PIECES, Piece};
use serde::{Deserialize, Deserializer, Serialize};
use session::SessionSettings;
use std::collections::{BTreeMap, BTreeSet};
use stored_contents::StoredContents;
use stored_properties::StoredProperties;
use upload_check::UploadCheck;

/// The format version that is written.
pub const FORMAT: u32 = 3;
/// The format version from which on the digest of a table does not depend on the order of its rows.
pub(crate) const UNORDERED: u32 = 3;
/// The oldest format version that is read.
pub(crate) const OLDEST: u32 = 1;
/// The suffix that makes an object a backup.
pub(crate) const META: &str = ".meta";
/// Largest size of a `.meta`, in bytes: 16,384 tags and [`TABLES_LIMIT`] stay below it.
pub(crate) const META_LIMIT: u64 = 64 << 20;
/// How many bytes of a document its tables may take: some 200,000 tables with names of ordinary length.
pub(crate) const TABLES_LIMIT: usize = 48 << 20;
/// A lower bound of the bytes of one table's entry.
const LEAST_ENTRY: usize = 96;
const MOST_TABLES: usize = META_LIMIT as usize / LEAST_ENTRY;
pub(crate) const MOST_CHUNKS: u64 = 16_384;
pub(crate) const SMALLEST_CHUNK: u64 = 1 << 20;
pub(crate) const LARGEST_CHUNK: u64 = 1 << 30;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format version, from [`OLDEST`] to [`FORMAT`]. A member that an older version lacks has a default with that version's
    /// meaning.
    pub pgbk: u32,
    pub id: BackupId,
    /// The payload's key below the folder: that of its first object.
    #[serde(deserialize_with = "bounded_members::text")]
    pub object: String,
    /// The payload's version, in a bucket that keeps versions.
    #[serde(default, deserialize_with = "bounded_members::maybe_word")]
    pub version_id: Option<String>,
    /// The objects behind the first one. Empty: the payload is one object, as before format 3.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded_members::list::<_, _, MOST_FURTHER>"
    )]
    pub further_objects: Vec<FurtherObject>,
    #[serde(rename = "database", deserialize_with = "bounded_members::subject")]
    pub subject: Subject,
    pub taken_at: Timestamp,
    /// `None` for a file that `upload` brought in.
    pub server: Option<ServerNote>,
    /// Properties of the database itself. `None`: they were not read, as in uploads and older backups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<StoredProperties>,
    pub tools: Tools,
    pub dump: Dump,
    pub compression: Option<Compression>,
    /// The key that made the seal and the tags. `None`: they detect accident, not attack.
    pub key: Option<KeyNote>,
    pub encryption: Option<Encryption>,
    pub plain: Digest,
    pub stored: Digest,
    pub snapshot: Option<SnapshotNote>,
    /// The backup of the same series before this one.
    pub previous: Option<BackupId>,
    /// How it came into the store. `None` in documents of format 1, where an upload is one that names no server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Its place in its series, from 1 on, independent of any clock; 0 in documents of format 1, and if the run could not list the
    /// store.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sequence: u64,
    /// System identifiers of the servers whose series this backup continues, as `--adopt` said.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded_members::texts")]
    pub adopted: Vec<String>,
    /// How the values of an anonymised backup were made; `None` for every other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymised: Option<AnonymisedNote>,
    /// A note by a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How the stored object was checked after the upload.
    pub verified: UploadCheck,
    /// Seconds by stage.
    #[serde(deserialize_with = "bounded_members::map::<_, _, 64>")]
    pub seconds: BTreeMap<String, f64>,
    /// Warnings of the dump program, although it succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded_members::few_texts")]
    pub warnings: Vec<String>,
    /// Roles, extensions and tablespaces that must exist on the server that it is restored to.
    #[serde(deserialize_with = "requirements")]
    pub requires: Requirements,
    #[serde(deserialize_with = "bounded_members::list::<_, _, MOST_TABLES>")]
    pub tables: Vec<Table>,
    pub chunks: Chunks,
    /// The pieces that the payload consists of, in order. Empty: it is one compressed stream, as before format 3.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded_members::list::<_, _, MOST_PIECES>"
    )]
    pub pieces: Vec<Piece>,
    /// The table of contents of the dump, by which single tables are restored. `None`: there is none, as before format 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<StoredContents>,
    /// How it is aligned to a generation, so that it is a base to which segments can be applied. `None`: it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<BaseAlignment>,
    /// For people, how the store locks the object that this run has just stored. `None`: it is not locked, or the document was
    /// read.
    #[serde(skip)]
    pub locked: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerNote {
    #[serde(deserialize_with = "bounded_members::word")]
    pub version: String,
    pub version_num: u32,
    pub encoding: EncodingName,
    #[serde(default, deserialize_with = "bounded_members::maybe_word")]
    pub system_identifier: Option<String>,
    pub timeline: Option<u32>,
    /// Whether it was a standby. Format 1 does not say, and reads as false.
    #[serde(default)]
    pub in_recovery: bool,
    /// Session settings that the text of values depends on, and that pg_dump leaves as they are.
    #[serde(default, skip_serializing_if = "SessionSettings::is_empty")]
    pub session: SessionSettings,
}

impl ServerNote {
    /// Returns the major version, such as 17.
    pub fn major(&self) -> u32 {
        self.version_num / 10_000
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    #[serde(deserialize_with = "bounded_members::word")]
    pub pgbk: String,
    #[serde(default, deserialize_with = "bounded_members::maybe_word")]
    pub pg_dump: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An SQL script.
    Plain,
    /// An archive for `pg_restore`.
    Custom,
    /// Files and folders, as `tar` packs them.
    #[value(skip)]
    Tar,
}

impl Format {
    pub fn extension(self) -> &'static str {
        match self {
            Format::Plain => "sql",
            Format::Custom => "dump",
            Format::Tar => "tar",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    pub format: Format,
    /// Arguments of `pg_dump` besides pgbk's own.
    #[serde(deserialize_with = "bounded_members::texts")]
    pub arguments: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    Xz,
    Zstd,
    Gzip,
}

impl Method {
    /// Returns the name that people and `DB_BACKUP_COMPRESS` use.
    pub fn name(self) -> &'static str {
        match self {
            Method::Xz => "xz",
            Method::Zstd => "zstd",
            Method::Gzip => "gzip",
        }
    }

    pub fn extension(self) -> &'static str {
        match self {
            Method::Xz => "xz",
            Method::Zstd => "zst",
            Method::Gzip => "gz",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compression {
    pub method: Method,
    pub level: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    #[serde(deserialize_with = "bounded_members::word")]
    pub cipher: String,
    /// The IV in raw-key mode. `None` in password mode, where the derivation gives it.
    #[serde(with = "optional_iv")]
    pub iv: Option<[u8; 16]>,
}

pub(crate) const CIPHER: &str = "aes-256-cbc";

/// Length in bytes and BLAKE2b-512, the same that `b2sum` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    pub bytes: u64,
    #[serde(with = "hex::serde")]
    pub blake2b: [u8; 64],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotNote {
    /// `pg_current_snapshot()` of the transaction that the dump reads.
    #[serde(deserialize_with = "bounded_members::text")]
    pub snapshot: String,
    #[serde(default, deserialize_with = "bounded_members::maybe_word")]
    pub lsn: Option<String>,
}

/// The rows of a table, counted as the dump streamed by; before format 3 those of one COPY block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The name as the dump writes it: `public."My Table"`.
    #[serde(deserialize_with = "bounded_members::text")]
    pub name: String,
    pub rows: u64,
    pub bytes: u64,
    /// The digest of the rows: from format 3 on the sum that [`RowSum`](crate::format::row_sum) describes, before it the hash of the
    /// rows in their order.
    #[serde(with = "hex::serde")]
    pub blake2b: [u8; 32],
    /// Where its COPY blocks are in the dump, from the statement to the line that ends the rows. Empty before format 3.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "extent")]
    pub at: Vec<Extent>,
}

/// One tag per `size` bytes of the stored object; the last may cover fewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunks {
    pub size: u64,
    #[serde(deserialize_with = "bounded_members::list::<_, _, { MOST_CHUNKS as usize }>")]
    pub tags: Vec<Tag>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(#[serde(with = "hex::serde")] pub [u8; 32]);

impl Manifest {
    /// Fails if the payload that was read is another one than the document states.
    pub(crate) fn compare_stored(&self, found: Digest) -> error::Result<()> {
        match found == self.stored {
            true => Ok(()),
            false => {
                Err(Fault::damaged(format!("\"{}\" does not have the BLAKE2b that its .meta states", self.object))
                    .into())
            }
        }
    }

    pub fn meta_key(&self) -> String {
        self.id.meta_key()
    }

    /// Returns the payload's file name, which `download --raw` writes.
    pub fn file_name(&self) -> &str {
        self.object.rsplit('/').next().unwrap_or(&self.object)
    }

    /// Returns the number of rows. `None` for an archive, whose rows are not counted, and for files and globals, which have none.
    pub fn rows(&self) -> Option<u64> {
        // Whoever wrote the document may have stated any figures.
        let rows = || self.tables.iter().fold(0, |rows: u64, table| rows.saturating_add(table.rows));
        (self.dump.format == Format::Plain && self.subject.database().is_some()).then(rows)
    }
}

/// Returns the payload's extension: `sql`, `dump` or `tar`, then the codec's, then `enc`.
pub(crate) fn extension(format: Format, compression: Option<Compression>, encrypted: bool) -> String {
    let mut extension = format.extension().to_owned();
    if let Some(compression) = compression {
        extension.push('.');
        extension.push_str(compression.method.extension());
    }
    if encrypted {
        extension.push_str(".enc");
    }
    extension
}

/// Splits off the extensions of a name: returns the name of what is inside, its compression, and whether that is then encrypted.
pub fn unpacked(name: &str) -> (&str, Option<Method>, bool) {
    let packed = name.strip_suffix(".enc").unwrap_or(name);
    let bare = |method: Method| packed.strip_suffix(method.extension())?.strip_suffix('.');
    let method = [Method::Xz, Method::Zstd, Method::Gzip].into_iter().find(|method| bare(*method).is_some());
    (method.and_then(bare).unwrap_or(packed), method, packed != name)
}

/// Reads requirements, with no more names than a dump may hold.
fn requirements<'de, D: Deserializer<'de>>(from: D) -> Result<Requirements, D::Error> {
    #[derive(Deserialize)]
    struct RequirementMembers {
        #[serde(deserialize_with = "bounded_members::set")]
        roles: BTreeSet<String>,
        #[serde(default, deserialize_with = "bounded_members::set")]
        bound_roles: BTreeSet<String>,
        #[serde(default, deserialize_with = "bounded_members::set")]
        owners: BTreeSet<String>,
        #[serde(deserialize_with = "bounded_members::set")]
        extensions: BTreeSet<String>,
        #[serde(default, deserialize_with = "bounded_members::set")]
        tablespaces: BTreeSet<String>,
    }
    let RequirementMembers { roles, bound_roles, owners, extensions, tablespaces } =
        RequirementMembers::deserialize(from)?;
    Ok(Requirements { roles, bound_roles, owners, extensions, tablespaces })
}

fn is_zero(sequence: &u64) -> bool {
    *sequence == 0
}

mod optional_iv {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(iv: &Option<[u8; 16]>, to: S) -> Result<S::Ok, S::Error> {
        match iv {
            Some(iv) => to.serialize_some(&hex::encode(iv)),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 16]>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let mut iv = [0; 16];
        hex::decode_to_slice(&text, &mut iv).map_err(D::Error::custom)?;
        Ok(Some(iv))
    }
}
