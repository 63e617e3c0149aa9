//! Says what a store can do beyond keeping objects. What it cannot do, it cannot be asked for.

use crate::base::error::Result;
use jiff::Timestamp;

/// Holds what a store can do. A store has none of it by default.
#[derive(Clone, Copy, Default)]
pub struct Capabilities<'s> {
    pub integrity: Integrity,
    pub medium: Medium,
    /// The largest size of an object in bytes. `None`: no limit is known.
    pub largest_object: Option<u64>,
    /// Writes tags on objects. `None`: the store has no tags.
    pub tags: Option<&'s dyn Tags>,
    /// Finds older versions of objects. `None`: the store keeps none, and a deletion is final.
    pub versions: Option<&'s dyn Versions>,
    /// Says whether objects are kept under Object Lock. `None`: the store has no such thing.
    pub lock: Option<&'s dyn ObjectLock>,
    /// Says whether the store itself refuses a taken key, of a store where that differs from host to host.
    pub condition: Option<&'s dyn ConditionalWrite>,
    /// Compares the store's clock with ours. `None`: the store has no clock of its own.
    pub clock: Option<&'s dyn Clock>,
}

/// Says what is known of an object's bytes once it is committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Integrity {
    /// Nothing, until the object is read back.
    #[default]
    Unknown,
    /// The commit itself has flushed every byte to where the store keeps it.
    Synced,
    /// If [`Info::etag`](super::Info::etag) is the [`PutResult::etag`](super::PutResult::etag), the store has hashed the same bytes.
    /// If it is another, or there is none, nothing is known until the object is read back.
    Etag,
}

/// Says where a store keeps its objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Medium {
    /// On a host, each request to which takes time and may cost money.
    Host,
    /// In a folder of this host, over which a share or a disk may be mounted, or not be mounted today.
    Folder,
    /// In this process.
    #[default]
    Memory,
}

pub trait Tags {
    /// Replaces the tags of the object (of this version of it, or of the newest).
    fn tag(&self, key: &str, version: Option<&str>, tags: &[(String, String)]) -> Result<()>;
    /// Returns the tags of the object.
    fn tags(&self, key: &str, version: Option<&str>) -> Result<Vec<(String, String)>>;
}

pub trait Versions {
    /// Returns whether what is overwritten or deleted stays as an older version: an operator turns that on.
    fn are_kept(&self) -> Result<bool>;
    /// Returns all versions of the objects whose key begins with `prefix`, those of one key newest first.
    fn all(&self, prefix: &str) -> Result<Vec<Version>>;
}

/// Describes one version of an object. A mark of deletion is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub key: String,
    pub version: String,
    pub bytes: u64,
    pub modified: Option<Timestamp>,
}

pub trait ObjectLock {
    /// Returns whether the store keeps objects under Object Lock. It is an error if it does not say.
    fn is_there(&self) -> Result<bool>;
    /// Returns whether new backups are to be locked.
    fn is_asked_for(&self) -> bool;
}

pub trait ConditionalWrite {
    /// Returns whether the store itself refuses a second object under a taken key, asked with `key`, which must exist.
    fn refuses_taken(&self, key: &str) -> Result<bool>;
}

pub trait Clock {
    /// Returns by how many seconds the store's clock is ahead of ours. `None`: the store does not send its time.
    fn skew(&self) -> Result<Option<i64>>;
}
