//! A store in memory, for tests. Clones share their contents.

use crate::base::error::{Fault, Kind, Result};
use crate::store::capabilities::{Capabilities, Integrity, Tags};
use crate::store::keys::{check, check_range, refuse_version};
use crate::store::{Info, Object, ObjectInfo, PendingUpload, PutOptions, PutResult, Store, Upload};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<MemoryContents>>);

#[derive(Debug, Default)]
struct MemoryContents {
    objects: BTreeMap<String, MemoryEntry>,
    /// Uploads that are being written, by token. A leaked one stays here for a test to see.
    unfinished: BTreeMap<u64, PendingUpload>,
    begun: u64,
}

#[derive(Debug, Clone)]
struct MemoryEntry {
    bytes: Arc<[u8]>,
    modified: Timestamp,
    tags: Vec<(String, String)>,
}

impl Memory {
    /// Locks the contents. A test that panicked while holding the lock has failed already; the others may go on.
    fn contents(&self) -> MutexGuard<'_, MemoryContents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities { integrity: Integrity::Synced, tags: Some(self), ..Capabilities::default() }
    }

    fn create(&self, key: &str, _creation: &PutOptions) -> Result<Box<dyn Upload>> {
        check(key)?;
        let mut contents = self.contents();
        if contents.objects.contains_key(key) {
            return Err(taken(key).into());
        }
        contents.begun += 1;
        let token = contents.begun;
        let unfinished =
            PendingUpload { key: key.to_owned(), token: token.to_string(), started: Some(Timestamp::now()) };
        contents.unfinished.insert(token, unfinished);
        Ok(Box::new(MemoryUpload { memory: self.clone(), key: key.to_owned(), token, bytes: Vec::new() }))
    }

    fn open(&self, key: &str, version: Option<&str>) -> Result<Box<dyn Object>> {
        check(key)?;
        refuse_version(version)?;
        let contents = self.contents();
        let Some(kept) = contents.objects.get(key) else { return Err(missing(key).into()) };
        let bytes = Arc::clone(&kept.bytes);
        let info = Info { bytes: bytes.len() as u64, etag: None, version: None, modified: Some(kept.modified) };
        Ok(Box::new(MemoryObject { key: key.to_owned(), bytes, info }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let contents = self.contents();
        let found = contents.objects.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(found
            .map(|(key, kept)| ObjectInfo {
                key: key.clone(),
                bytes: kept.bytes.len() as u64,
                modified: Some(kept.modified),
                etag: None,
            })
            .collect())
    }

    fn remove(&self, key: &str, version: Option<&str>) -> Result<()> {
        check(key)?;
        if version.is_none() {
            self.contents().objects.remove(key);
        }
        Ok(())
    }

    fn unfinished(&self, prefix: &str) -> Result<Vec<PendingUpload>> {
        let contents = self.contents();
        Ok(contents.unfinished.values().filter(|begun| begun.key.starts_with(prefix)).cloned().collect())
    }

    fn discard(&self, unfinished: &PendingUpload) -> Result<()> {
        self.contents().unfinished.retain(|_, begun| begun.token != unfinished.token);
        Ok(())
    }
}

impl Tags for Memory {
    fn tag(&self, key: &str, version: Option<&str>, tags: &[(String, String)]) -> Result<()> {
        check(key)?;
        refuse_version(version)?;
        let mut contents = self.contents();
        let Some(kept) = contents.objects.get_mut(key) else { return Err(missing(key).into()) };
        kept.tags = tags.to_vec();
        Ok(())
    }

    fn tags(&self, key: &str, version: Option<&str>) -> Result<Vec<(String, String)>> {
        check(key)?;
        refuse_version(version)?;
        let contents = self.contents();
        let Some(kept) = contents.objects.get(key) else { return Err(missing(key).into()) };
        Ok(kept.tags.clone())
    }
}

struct MemoryUpload {
    memory: Memory,
    key: String,
    token: u64,
    bytes: Vec<u8>,
}

impl Write for MemoryUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for MemoryUpload {
    fn close(&mut self) -> Result<()> {
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<PutResult> {
        let bytes: Arc<[u8]> = std::mem::take(&mut self.bytes).into();
        let mut contents = self.memory.contents();
        if contents.objects.contains_key(&self.key) {
            return Err(taken(&self.key).into());
        }
        let receipt = PutResult { bytes: bytes.len() as u64, ..PutResult::default() };
        contents.objects.insert(self.key.clone(), MemoryEntry { bytes, modified: Timestamp::now(), tags: Vec::new() });
        Ok(receipt)
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        self.memory.contents().unfinished.remove(&self.token);
    }
}

struct MemoryObject {
    key: String,
    bytes: Arc<[u8]>,
    info: Info,
}

impl Object for MemoryObject {
    fn info(&self) -> &Info {
        &self.info
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        check_range(&self.key, &range, self.info.bytes)?;
        Ok(self.bytes[range.start as usize..range.end as usize].to_vec())
    }
}

fn taken(key: &str) -> Fault {
    Fault::new(Kind::Exists, format!("\"{key}\" exists already"))
}

fn missing(key: &str) -> Fault {
    Fault::not_found(format!("\"{key}\" does not exist"))
}
