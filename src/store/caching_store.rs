//! Keeps small objects of a store on this host, so that thousands of them need not be fetched for every run.
//!
//! The listing identifies an object by its ETag. A kept copy is used for that very object only, and a copy that was
//! changed here is fetched again. No copy is trusted because it is on this host: its reader checks it as if it had
//! come from the store.

use crate::base::error::Result;
use crate::base::state_dir::StateDir;
use crate::base::state_dir::file::StateFile;
use crate::store::capabilities::Capabilities;
use crate::store::keys::check_range;
use crate::store::{Info, Object, ObjectInfo, PendingUpload, PutOptions, Store, Upload};
use blake2b_simd::Params;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ending of the keys of objects that are kept: the documents of backups.
const KEPT: &str = ".meta";
/// Length of the digest before the bytes of a kept object, in bytes.
const SUM: usize = 32;

#[derive(Debug)]
pub struct CachingStore {
    inner: Arc<dyn Store>,
    state: StateDir,
    /// The name of this store's copies. There is a folder for each folder of the store, and in that a file for each object.
    name: String,
    /// The ETag of each object that may be kept, as the last listing showed it: what has gone since is kept no longer.
    listed: Mutex<BTreeMap<String, String>>,
}

impl CachingStore {
    /// Wraps a store and keeps copies in the state directory, which may hold those of other stores, too. One that
    /// cannot be written to only costs time.
    pub fn new(inner: Arc<dyn Store>, state: StateDir) -> CachingStore {
        let name = name(&[inner.location().as_bytes()]);
        CachingStore { inner, state, name, listed: Mutex::default() }
    }

    fn listed(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a listing. Returns whether copies may be kept of objects that are no longer there.
    fn learn(&self, prefix: &str, found: &[ObjectInfo]) -> bool {
        let known = found.iter().filter_map(|one| Some((one.key.clone(), strong(one)?.to_owned())));
        let mut listed = self.listed();
        let before = std::mem::take(&mut *listed);
        let (old, others): (BTreeMap<_, _>, _) = before.into_iter().partition(|(key, _)| key.starts_with(prefix));
        *listed = others;
        listed.extend(known);
        // What the first listing of a process does not show, one before it may have.
        old.is_empty() || old.iter().any(|(key, etag)| listed.get(key) != Some(etag))
    }

    /// Removes the copies of objects that are no longer there. Errors are ignored, as nothing depends on it.
    fn forget(&self, prefix: &str) {
        let Some(parent) = prefix.strip_suffix('/').or(prefix.is_empty().then_some("")) else { return };
        // Names alone, of which there may be very many: paths are compared step by step.
        let mut wanted: BTreeMap<String, HashSet<String>> = BTreeMap::new();
        if !prefix.is_empty() {
            wanted.insert(folder_name(&format!("{parent}/")), HashSet::new());
        }
        for (key, etag) in self.listed().iter().filter(|(key, _)| key.starts_with(prefix)) {
            wanted.entry(folder_name(key)).or_default().insert(file_name(key, etag));
        }
        let copies = self.state.copies(&self.name);
        for (folder, wanted) in &wanted {
            copies.folder(folder).retain(|name| wanted.contains(name));
        }
        if prefix.is_empty() {
            copies.retain(|name| wanted.contains_key(name));
        }
    }

    fn copy(&self, key: &str, etag: &str) -> StateFile {
        self.state.copy(&self.name, &folder_name(key), &file_name(key, etag))
    }
}

impl Store for CachingStore {
    fn open_listed(&self, listed: &ObjectInfo) -> Result<Box<dyn Object>> {
        let Some(etag) = strong(listed) else { return self.inner.open_listed(listed) };
        let copy = self.copy(&listed.key, etag);
        let info = Info { bytes: listed.bytes, etag: Some(etag.to_owned()), version: None, modified: None };
        let kept = CachedObject { inner: Arc::clone(&self.inner), copy, listed: listed.clone(), info };
        match kept.copy.size() == Some(listed.bytes + SUM as u64) {
            true => Ok(Box::new(kept)),
            false => kept.fetch(),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let found = self.inner.list(prefix)?;
        if self.learn(prefix, &found) {
            self.forget(prefix);
        }
        Ok(found)
    }

    fn location(&self) -> String {
        self.inner.location()
    }

    fn place(&self, key: &str) -> String {
        self.inner.place(key)
    }

    fn capabilities(&self) -> Capabilities<'_> {
        self.inner.capabilities()
    }

    fn create(&self, key: &str, creation: &PutOptions) -> Result<Box<dyn Upload>> {
        self.inner.create(key, creation)
    }

    fn open(&self, key: &str, version: Option<&str>) -> Result<Box<dyn Object>> {
        self.inner.open(key, version)
    }

    fn remove(&self, key: &str, version: Option<&str>) -> Result<()> {
        self.inner.remove(key, version)
    }

    fn unfinished(&self, prefix: &str) -> Result<Vec<PendingUpload>> {
        self.inner.unfinished(prefix)
    }

    fn discard(&self, unfinished: &PendingUpload) -> Result<()> {
        self.inner.discard(unfinished)
    }
}

/// An object of which a copy is kept.
struct CachedObject {
    inner: Arc<dyn Store>,
    copy: StateFile,
    listed: ObjectInfo,
    info: Info,
}

impl Object for CachedObject {
    fn info(&self) -> &Info {
        &self.info
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        check_range(&self.listed.key, &range, self.info.bytes)?;
        match read(&self.copy, &self.listed.key, &self.info) {
            Some(kept) => Ok(kept[range.start as usize..range.end as usize].to_vec()),
            None => self.fetch()?.read(range),
        }
    }
}

impl CachedObject {
    /// Fetches the object from the store, because there is no copy, or it was changed or cannot be read.
    fn fetch(&self) -> Result<Box<dyn Object>> {
        let object = self.inner.open_listed(&self.listed)?;
        // Another one by now is not the one that was listed.
        let is_same = object.info().etag == self.info.etag && object.info().bytes == self.info.bytes;
        let CachedObject { copy, listed, .. } = self;
        Ok(if is_same {
            Box::new(CachingObject { object, copy: copy.clone(), key: listed.key.clone() })
        } else {
            object
        })
    }
}

/// An object that is kept once it was read whole.
struct CachingObject {
    object: Box<dyn Object>,
    copy: StateFile,
    key: String,
}

impl Object for CachingObject {
    fn info(&self) -> &Info {
        self.object.info()
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let bytes = self.object.read(range.clone())?;
        if range == (0..self.info().bytes) {
            // It is fetched again the next time.
            let sum = sum(&self.key, self.info(), &bytes);
            let _ = self.copy.write_copy(&[sum.as_slice(), &bytes].concat());
        }
        Ok(bytes)
    }
}

/// Returns the ETag by which an object may be kept. None: it is no document, or its ETag promises no equal bytes, as a weak one does not.
fn strong(listed: &ObjectInfo) -> Option<&str> {
    let etag = listed.etag.as_deref().filter(|etag| !etag.is_empty() && !etag.starts_with("W/"));
    etag.filter(|_| listed.key.ends_with(KEPT))
}

/// Returns the kept copy. None: it cannot be read, or it was changed.
fn read(copy: &StateFile, key: &str, info: &Info) -> Option<Vec<u8>> {
    let mut kept = copy.read().ok()?;
    let bytes = kept.split_off(SUM.min(kept.len()));
    (bytes.len() as u64 == info.bytes && kept == sum(key, info, &bytes)).then_some(bytes)
}

fn sum(key: &str, info: &Info, bytes: &[u8]) -> Vec<u8> {
    let mut state = Params::new().hash_length(SUM).to_state();
    for part in [key.as_bytes(), b"\0", info.etag.as_deref().unwrap_or_default().as_bytes(), b"\0", bytes] {
        state.update(part);
    }
    state.finalize().as_bytes().to_vec()
}

/// Returns the name of the folder in which copies of objects from the same folder as this one are kept.
fn folder_name(key: &str) -> String {
    name(&[key.rsplit_once('/').map_or("", |(parent, _)| parent).as_bytes()])
}

fn file_name(key: &str, etag: &str) -> String {
    name(&[key.as_bytes(), etag.as_bytes()])
}

fn name(parts: &[&[u8]]) -> String {
    let mut state = Params::new().hash_length(16).to_state();
    for part in parts {
        state.update(part).update(b"\0");
    }
    state.finalize().to_hex().to_string()
}
