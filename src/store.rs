//! Where backups live: a directory, an S3 bucket, or memory.
//!
//! A store holds whole objects under keys such as `shop/shop-20260822T031500Z.sql.xz.enc`. What is being written is invisible
//! until it is committed; what is read is pinned to one version of the object, so that a swap in mid-read is an error and never
//! a mixture. Every kind of store passes the one suite in `tests/store.rs`.

pub(crate) mod caching_store;
pub mod capabilities;
pub mod directory;
pub(crate) mod keys;
pub mod memory;
pub(crate) mod network;
#[cfg(test)]
pub(crate) mod refusing_store;
pub mod s3;

use crate::base::error::{Fault, Kind, Result, kind};
use crate::store::capabilities::Capabilities;
use jiff::Timestamp;
use std::fmt::Debug;
use std::io::Write;
use std::ops::Range;

/// The operations of a store. Keys are relative to the folder that the store was opened on and use `/` between names.
///
/// Errors carry a [`Kind`](crate::base::error::Kind): `NotFound`, `Exists`, `Denied`, `Unauthenticated`, else `Failed`.
pub trait Store: Debug + Send + Sync {
    /// Returns where the store is, for people, without a secret.
    fn location(&self) -> String;
    /// Returns where one object is, for people and their tools, without a secret.
    fn place(&self, key: &str) -> String {
        format!("{}/{key}", self.location())
    }
    /// Returns what the store can do beyond this.
    fn capabilities(&self) -> Capabilities<'_>;
    /// Starts an object. `Exists` if the key is taken, here or at commit, whichever the store can detect.
    fn create(&self, key: &str, creation: &PutOptions) -> Result<Box<dyn Upload>>;
    /// Looks the object up (this version of it, or the newest) and pins it for reading.
    fn open(&self, key: &str, version: Option<&str>) -> Result<Box<dyn Object>>;
    /// Opens a small object that was listed, to be read whole, by as few requests as the store needs for that. A copy of that very
    /// object, kept on this host, will do.
    fn open_listed(&self, listed: &ObjectInfo) -> Result<Box<dyn Object>> {
        self.open(&listed.key, None)
    }
    /// Returns all committed objects whose key begins with `prefix`, in order of their keys.
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>>;
    /// Removes an object; no error when it is not there. Where the store keeps versions, one that is named goes for good, or is
    /// `Denied` while a lock holds it; without a name the object is only hidden, whatever holds it.
    fn remove(&self, key: &str, version: Option<&str>) -> Result<()>;
    /// Returns the uploads below `prefix` that were begun and neither committed nor aborted, such as those of a killed run.
    fn unfinished(&self, prefix: &str) -> Result<Vec<PendingUpload>>;
    /// Removes an unfinished upload; no error if it is not there.
    fn discard(&self, unfinished: &PendingUpload) -> Result<()>;
}

/// The options of a new object, known before its first byte.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// The size to plan for, in bytes; the stream may turn out smaller or (within a factor of four) larger. 0: a small object.
    pub expected: u64,
    pub purpose: ObjectKind,
    pub taken: IfExists,
}

/// The kind of an object: a host may keep some kinds longer, or in other ways, than others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ObjectKind {
    /// A dump: locked, and in the storage class that is asked for.
    Payload,
    /// The document that makes it a backup: locked, and never in a storage class from which it would have to be fetched first.
    Meta,
    /// Any other object: not locked.
    #[default]
    Note,
}

/// Says what happens to an object that has the key already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IfExists {
    /// It stays, and the new one is refused.
    #[default]
    Refuse,
    /// It becomes an older version, in a bucket that keeps versions.
    Replace,
}

/// An object being written. Dropping it discards it: nothing is visible, nothing is left behind.
pub trait Upload: Write + Send {
    /// Hands over all that was written, so that it takes next to no memory until the commit. Nothing is written after it.
    fn close(&mut self) -> Result<()>;
    /// Makes the object visible, whole and durable.
    fn commit(self: Box<Self>) -> Result<PutResult>;
}

/// Describes the object that was just committed, as the writer knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutResult {
    pub bytes: u64,
    /// The ETag that an S3 host gives such an object (the MD5, or the MD5 of the parts' MD5s and their number): computed here, not
    /// taken from the host's answer. None where the store has no such thing.
    pub etag: Option<String>,
    /// The version that the host gave it, in a bucket that keeps versions.
    pub version: Option<String>,
    pub held: LockStatus,
}

/// Whether the host keeps the object under the lock that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LockStatus {
    /// No lock was asked for.
    #[default]
    Free,
    /// It is locked. The text says how, and until when, for people.
    Locked(String),
    /// The host took the lock, and does not let this role read it back.
    Unread,
    /// It is not locked. The text says why.
    Unlocked(String),
}

/// An object pinned for reading.
pub trait Object: Send + Sync {
    fn info(&self) -> &Info;
    /// Returns exactly these bytes, or an error. May be called from several threads at once.
    fn read(&self, range: Range<u64>) -> Result<Vec<u8>>;
    /// Returns the keys of the objects that hold these bytes, if this stands for several objects. Empty: it is one.
    fn keys(&self, _range: &Range<u64>) -> Vec<&str> {
        Vec::new()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    pub bytes: u64,
    /// The ETag without quotes. A weak one keeps its `W/`, because it promises no equal bytes.
    pub etag: Option<String>,
    pub version: Option<String>,
    pub modified: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    pub key: String,
    pub bytes: u64,
    pub modified: Option<Timestamp>,
    /// The ETag, as in [`Info::etag`]. None: the store has none, or lists none.
    pub etag: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingUpload {
    /// The key that the object would have had.
    pub key: String,
    /// The store's name for the upload: an upload id, or a temporary file's name.
    pub token: String,
    pub started: Option<Timestamp>,
}

/// Reads a small object whole; `limit` guards memory against an object that is not what it should be.
pub fn read_small(store: &dyn Store, key: &str, limit: u64) -> Result<Vec<u8>> {
    read_whole(store.open(key, None)?.as_ref(), key, limit)
}

/// Reads an open object whole, with the same limit.
pub(crate) fn read_whole(object: &dyn Object, key: &str, limit: u64) -> Result<Vec<u8>> {
    let bytes = object.info().bytes;
    if bytes > limit {
        return Err(Fault::damaged(format!(
            "\"{key}\" has {bytes} bytes, more than the {limit} that such an object may have"
        ))
        .into());
    }
    object.read(0..bytes)
}

/// Removes the object under a key: this version of it if the store has it, else the newest. If versions are kept, the
/// version itself is removed: only so is its space freed, and only so does a lock hold it. No error if nothing is
/// there.
pub(crate) fn remove_for_good(store: &dyn Store, key: &str, version: Option<&str>) -> Result<()> {
    let known = version.and_then(|version| store.open(key, Some(version)).ok());
    match known.map_or_else(|| store.open(key, None), Ok) {
        Ok(object) => store.remove(key, object.info().version.as_deref()),
        Err(error) if kind(&error) == Kind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a document for good. Returns false if it is still there: a host, or what stands before it, may say yes to what it does not do.
pub(crate) fn remove_surely(store: &dyn Store, key: &str) -> Result<bool> {
    remove_for_good(store, key, None)?;
    match store.open(key, None) {
        Err(error) if kind(&error) == Kind::NotFound => Ok(true),
        Err(error) => Err(error),
        Ok(_) => Ok(false),
    }
}

/// Writes a small object in one go.
pub fn write_small(store: &dyn Store, key: &str, bytes: &[u8]) -> Result<PutResult> {
    write_as(store, key, bytes, ObjectKind::Note)
}

pub(crate) fn write_as(store: &dyn Store, key: &str, bytes: &[u8], purpose: ObjectKind) -> Result<PutResult> {
    let mut upload =
        store.create(key, &PutOptions { expected: bytes.len() as u64, purpose, ..PutOptions::default() })?;
    upload.write_all(bytes)?;
    upload.commit()
}
