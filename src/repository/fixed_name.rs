//! The fixed-name layout, `S3_OBJECT_NAME`: every backup is a new version of `backup.sql.xz.enc` and `backup.meta`.
//!
//! The rest of pgbk sees a store like any other, in which a backup's objects have the keys that its id gives them. Here they are looked up
//! among the versions; the first lines of each version of the `.meta` say which backup it belongs to. Objects under ids in the same folder
//! are found as well, and an object of no backup, such as a probe, keeps its name.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::threads;
use crate::format::backup_id::BackupId;
use crate::format::manifest::META;
use crate::format::manifest::further_object::FurtherObject;
use crate::format::manifest::payload_objects::{object_key, payload_of};
use crate::store::capabilities::{Capabilities, Tags, Version, Versions};
use crate::store::{IfExists, Object, ObjectInfo, PendingUpload, PutOptions, PutResult, Store, Upload};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes read from the start of a `.meta`: enough for the members that are needed here, unless the payload has further objects.
const HEAD: u64 = 2048;
/// Most bytes read of a `.meta` with as many further objects as there may be.
const LONGEST_HEAD: u64 = 16 << 20;
/// Versions read at the same time.
const READERS: usize = 8;

#[derive(Debug)]
pub struct FixedName {
    inner: Arc<dyn Store>,
    name: String,
    known: Arc<Mutex<VersionCache>>,
}

#[derive(Debug, Default)]
struct VersionCache {
    /// Name and version of each key's object.
    places: BTreeMap<String, VersionedName>,
    /// Head of each version of the `.meta`; `None` if it is not pgbk's. Never outdated, because a version does not change.
    heads: BTreeMap<String, Option<VersionHead>>,
    /// Names of payloads' further objects of which there are versions.
    further: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct VersionedName {
    name: String,
    version: String,
}

#[derive(Debug, Clone)]
struct VersionHead {
    id: BackupId,
    /// Key and version of each object of the payload.
    objects: Vec<(String, String)>,
}

impl FixedName {
    /// Wraps a store that can keep versions. A directory, or a name that is no plain word, is an error.
    pub fn new(inner: Arc<dyn Store>, name: &str) -> Result<FixedName> {
        if inner.capabilities().versions.is_none() {
            return Err(Fault::usage("S3_OBJECT_NAME is set, and no S3 bucket: a directory keeps no versions")
                .hint("unset S3_OBJECT_NAME, or set S3_BUCKET")
                .into());
        }
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(good) {
            return Err(Fault::usage(format!("S3_OBJECT_NAME {name:?} is not a name of letters, digits, - and _"))
                .hint("for example backup, which makes backup.sql and backup.meta")
                .into());
        }
        Ok(FixedName { inner, name: name.to_owned(), known: Arc::default() })
    }

    /// Returns the fixed name of a backup's object, such as `backup.sql.xz` for
    /// `shop/shop-20260822T031500Z.sql.xz`; `None` for any other key.
    fn name_of(&self, key: &str) -> Option<String> {
        // A pin stands beside the versions under its own name.
        let id = BackupId::of_key(key).filter(|id| id.pin_key() != key)?;
        let extension = key.strip_prefix(&id.object_key(""))?;
        Some(format!("{}.{extension}", self.name))
    }

    fn is_ours(&self, name: &str) -> bool {
        name.strip_prefix(&self.name).is_some_and(|rest| rest.starts_with('.') && !rest.contains('/'))
    }

    fn versions(&self) -> Result<&dyn Versions> {
        self.inner.capabilities().versions.ok_or_else(|| Fault::failed("the store keeps no versions").into())
    }

    fn known(&self) -> MutexGuard<'_, VersionCache> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns where a backup's object is; `None` if no version belongs to that backup.
    fn place(&self, key: &str) -> Result<Option<VersionedName>> {
        if let Some(place) = self.known().places.get(key) {
            return Ok(Some(place.clone()));
        }
        self.look()?;
        Ok(self.known().places.get(key).cloned())
    }

    /// Returns where an object is if it has the fixed name; `None` if it has its own.
    fn version_of(&self, key: &str) -> Result<Option<VersionedName>> {
        if self.name_of(key).is_none() { Ok(None) } else { self.place(key) }
    }

    fn tagged(&self) -> Result<&dyn Tags> {
        self.inner.capabilities().tags.ok_or_else(|| Fault::failed("the store has no tags").into())
    }

    /// Lists every backup's objects among the versions, under the keys that their ids give them.
    fn look(&self) -> Result<Vec<ObjectInfo>> {
        let versions = self.versions()?.all(&format!("{}.", self.name))?;
        let meta = format!("{}{META}", self.name);
        let metas: Vec<&Version> = versions.iter().filter(|version| version.key == meta).collect();
        self.read_heads(&metas)?;
        let by_place: BTreeMap<(&str, &str), &Version> =
            versions.iter().map(|version| ((version.key.as_str(), version.version.as_str()), version)).collect();
        let mut known = self.known();
        known.further = by_place
            .keys()
            .filter(|(name, _)| payload_of(name).is_some())
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let mut found = BTreeMap::new();
        for version in metas {
            let Some(Some(head)) = known.heads.get(&version.version).cloned() else { continue };
            let meta = (head.id.meta_key(), version.version.clone());
            for (key, version) in std::iter::once(meta).chain(head.objects) {
                let Some(name) = self.name_of(&key) else { continue };
                let place = by_place.get(&(name.as_str(), version.as_str())).copied().cloned();
                let Some(Version { version, bytes, modified, .. }) = place else { continue };
                // The newest comes first, and counts.
                found.entry(key.clone()).or_insert_with(|| {
                    known.places.insert(key.clone(), VersionedName { name, version });
                    ObjectInfo { key, bytes, modified, etag: None }
                });
            }
        }
        Ok(found.into_values().collect())
    }

    fn read_heads(&self, metas: &[&Version]) -> Result<()> {
        let unread: Vec<&&Version> = {
            let known = self.known();
            metas.iter().filter(|meta| !known.heads.contains_key(&meta.version)).collect()
        };
        let heads = threads::each(&unread, READERS, |meta| read_head(self.inner.as_ref(), &meta.key, &meta.version))?;
        for (meta, head) in unread.iter().zip(heads) {
            self.known().heads.insert(meta.version.clone(), head);
        }
        Ok(())
    }
}

/// Reads the first lines of a `.meta`; `None` if it is gone or not pgbk's. They are not trusted and only say where to look.
fn read_head(store: &dyn Store, key: &str, version: &str) -> Result<Option<VersionHead>> {
    let object = match store.open(key, Some(version)) {
        // Gone since it was listed.
        Err(error) if kind(&error) == Kind::NotFound => return Ok(None),
        opened => opened?,
    };
    let all = object.info().bytes;
    let read =
        |bytes: u64| Ok::<_, anyhow::Error>(String::from_utf8_lossy(&object.read(0..bytes.min(all))?).into_owned());
    let head = read(HEAD)?;
    let is_cut = further_text(&head).is_some_and(|further| further.split_once(LIST_END).is_none());
    Ok(parse_head(&if is_cut { read(LONGEST_HEAD)? } else { head }))
}

/// Text before and behind the further objects of a payload.
const LIST: &str = "\n  \"further_objects\": [";
const LIST_END: &str = "\n  ],";

/// Returns the text of a `.meta` from the first of the further objects on. `None`: the payload has none.
fn further_text(text: &str) -> Option<&str> {
    text.split_once(LIST).map(|(_, further)| further)
}

fn parse_head(text: &str) -> Option<VersionHead> {
    text.strip_prefix("{\n  \"pgbk\": ")?;
    let member = |name: &str| -> Option<String> {
        let line = text.split(&format!("\n  \"{name}\": ")).nth(1)?.lines().next()?;
        serde_json::from_str(line.strip_suffix(',')?).ok()
    };
    let object = member("object")?;
    let mut objects = vec![(object.clone(), member("version_id")?)];
    if let Some(further) = further_text(text) {
        let list = format!("[{}]", further.split_once(LIST_END)?.0);
        let further: Vec<FurtherObject> = serde_json::from_str(&list).ok()?;
        let numbered = further.into_iter().zip(2..);
        objects.extend(numbered.filter_map(|(one, number)| Some((object_key(&object, number), one.version_id?))));
    }
    Some(VersionHead { id: member("id")?.parse().ok()?, objects })
}

impl Store for FixedName {
    fn location(&self) -> String {
        format!("{} (versions of {})", self.inner.location(), self.name)
    }

    fn place(&self, key: &str) -> String {
        match self.name_of(key) {
            Some(name) => format!("{}, a version of it", self.inner.place(&name)),
            None => self.inner.place(key),
        }
    }

    fn capabilities(&self) -> Capabilities<'_> {
        let inner = self.inner.capabilities();
        Capabilities { tags: inner.tags.map(|_| self as &dyn Tags), ..inner }
    }

    fn create(&self, key: &str, creation: &PutOptions) -> Result<Box<dyn Upload>> {
        let Some(name) = self.name_of(key) else { return self.inner.create(key, creation) };
        if !self.versions()?.are_kept()? {
            return Err(Fault::usage(format!(
                "S3_OBJECT_NAME={} writes every backup over the one before, and the bucket keeps no versions",
                self.name
            ))
            .hint("turn on versioning for the bucket, or unset S3_OBJECT_NAME: then each backup has its own name")
            .into());
        }
        let inner = self.inner.create(&name, &PutOptions { taken: IfExists::Replace, ..creation.clone() })?;
        let (store, known) = (Arc::clone(&self.inner), Arc::clone(&self.known));
        Ok(Box::new(NewVersion { inner, store, key: key.to_owned(), name, known }))
    }

    fn open(&self, key: &str, version: Option<&str>) -> Result<Box<dyn Object>> {
        let Some(name) = self.name_of(key) else { return self.inner.open(key, version) };
        let found = match version {
            Some(version) => self.inner.open(&name, Some(version)).ok(),
            None => self.place(key)?.map(|place| self.inner.open(&place.name, Some(&place.version))).transpose()?,
        };
        // Or a backup under its id.
        found.map_or_else(|| self.inner.open(key, version), Ok)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let mut found = self.look()?;
        found.retain(|listed| listed.key.starts_with(prefix));
        let others = self.inner.list(prefix)?;
        found.extend(others.into_iter().filter(|listed| !self.is_ours(&listed.key)));
        found.sort_by(|a, b| a.key.cmp(&b.key));
        found.dedup_by(|a, b| a.key == b.key);
        Ok(found)
    }

    /// Removes the very version of this backup; otherwise the version before it would come to light.
    fn remove(&self, key: &str, version: Option<&str>) -> Result<()> {
        if self.name_of(key).is_none() {
            return self.inner.remove(key, version);
        }
        match self.place(key)? {
            Some(place) => {
                self.inner.remove(&place.name, Some(&place.version))?;
                self.known().places.remove(key);
                Ok(())
            }
            // A deletion of what is not there would leave a mark of its own.
            None if self.inner.list(key)?.iter().any(|listed| listed.key == key) => self.inner.remove(key, version),
            None => Ok(()),
        }
    }

    fn unfinished(&self, prefix: &str) -> Result<Vec<PendingUpload>> {
        self.inner.unfinished(prefix)
    }

    fn discard(&self, unfinished: &PendingUpload) -> Result<()> {
        self.inner.discard(unfinished)
    }
}

impl Tags for FixedName {
    fn tag(&self, key: &str, version: Option<&str>, tags: &[(String, String)]) -> Result<()> {
        match self.version_of(key)? {
            Some(place) => self.tagged()?.tag(&place.name, Some(&place.version), tags),
            None => self.tagged()?.tag(key, version, tags),
        }
    }

    fn tags(&self, key: &str, version: Option<&str>) -> Result<Vec<(String, String)>> {
        match self.version_of(key)? {
            Some(place) => self.tagged()?.tags(&place.name, Some(&place.version)),
            None => self.tagged()?.tags(key, version),
        }
    }
}

/// A version being written. Its place is remembered when it is committed.
struct NewVersion {
    inner: Box<dyn Upload>,
    store: Arc<dyn Store>,
    key: String,
    name: String,
    known: Arc<Mutex<VersionCache>>,
}

impl Write for NewVersion {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Upload for NewVersion {
    fn close(&mut self) -> Result<()> {
        self.inner.close()
    }

    fn commit(self: Box<Self>) -> Result<PutResult> {
        let NewVersion { inner, store, key, name, known } = *self;
        let receipt = inner.commit()?;
        let Some(version) = receipt.version.clone() else {
            let text = format!("the host does not tell the version of \"{name}\" that it has just stored");
            return Err(Fault::failed(text).hint("unset S3_OBJECT_NAME").into());
        };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.places.insert(key.clone(), VersionedName { name, version });
        if let Some(id) = BackupId::of_meta_key(&key) {
            hide(store.as_ref(), &known.surplus(&id));
        }
        Ok(receipt)
    }
}

impl VersionCache {
    /// Returns the names of further objects that this backup, which is the newest now, has no version of.
    fn surplus(&self, id: &BackupId) -> Vec<String> {
        let of_it = |key: &str| BackupId::of_any_payload_key(key).as_ref() == Some(id);
        let own: BTreeSet<&str> =
            self.places.iter().filter(|(key, _)| of_it(key)).map(|(_, place)| place.name.as_str()).collect();
        let is_left =
            |name: &&String| !own.contains(name.as_str()) && payload_of(name).is_some_and(|it| own.contains(it));
        self.further.iter().filter(is_left).cloned().collect()
    }
}

/// Hides further objects of the backup before: whoever puts the newest ones after each other must not get them too. That backup finds them
/// by their versions. Errors are ignored: the backup is stored, and its `.meta` says how many objects it has.
fn hide(store: &dyn Store, names: &[String]) {
    for name in names {
        if store.open(name, None).is_ok() {
            let _ = store.remove(name, None);
        }
    }
}
