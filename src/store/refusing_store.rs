//! A store for tests: it refuses to open some of its objects, or to remove them.

use crate::base::error::{Fault, Kind, Result};
use crate::store::capabilities::Capabilities;
use crate::store::memory::Memory;
use crate::store::{Object, ObjectInfo, PendingUpload, PutOptions, Store, Upload};

#[derive(Debug, Clone)]
pub(crate) struct RefusingStore {
    pub memory: Memory,
    /// The end of the keys that are refused.
    pub end: String,
    /// The kind of error of opening one. `None`: it is opened.
    pub open: Option<Kind>,
    /// The same of removing one.
    pub remove: Option<Kind>,
}

impl RefusingStore {
    fn refuse(&self, key: &str, kind: Option<Kind>) -> Result<()> {
        match kind.filter(|_| key.ends_with(&self.end)) {
            Some(kind) => Err(Fault::new(kind, format!("the host refuses \"{key}\"")).into()),
            None => Ok(()),
        }
    }
}

impl Store for RefusingStore {
    fn location(&self) -> String {
        self.memory.location()
    }

    fn capabilities(&self) -> Capabilities<'_> {
        self.memory.capabilities()
    }

    fn create(&self, key: &str, creation: &PutOptions) -> Result<Box<dyn Upload>> {
        self.memory.create(key, creation)
    }

    fn open(&self, key: &str, version: Option<&str>) -> Result<Box<dyn Object>> {
        self.refuse(key, self.open)?;
        self.memory.open(key, version)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.memory.list(prefix)
    }

    fn remove(&self, key: &str, version: Option<&str>) -> Result<()> {
        self.refuse(key, self.remove)?;
        self.memory.remove(key, version)
    }

    fn unfinished(&self, prefix: &str) -> Result<Vec<PendingUpload>> {
        self.memory.unfinished(prefix)
    }

    fn discard(&self, unfinished: &PendingUpload) -> Result<()> {
        self.memory.discard(unfinished)
    }
}
