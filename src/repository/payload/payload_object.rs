//! Opens one object of a payload.

use crate::base::error::{Kind, Result, kind};
use crate::format::manifest::payload_objects::{StatedObject, StatedPayload};
use crate::store::{Object, Store};

/// Objects of one payload that are opened at the same time.
pub(crate) const READERS: usize = 8;

/// Opens an object of a payload: the stated version of it, else the newest. One that is missing, or of another size, is damage.
pub(crate) fn open(store: &dyn Store, payload: &StatedPayload, stated: &StatedObject) -> Result<Box<dyn Object>> {
    let StatedObject { key, version, .. } = stated;
    let object = match pinned_or_newest(store, key, version.as_deref()) {
        Err(error) if kind(&error) == Kind::NotFound => {
            return Err(payload.compare(stated, None).err().unwrap_or(error));
        }
        opened => opened?,
    };
    payload.compare(stated, Some(object.info().bytes))?;
    Ok(object)
}

/// Opens the stated version of an object, else the newest: a raw copy in another store has no such version. What the newest one holds is
/// checked like any other.
pub(crate) fn pinned_or_newest(store: &dyn Store, key: &str, version: Option<&str>) -> Result<Box<dyn Object>> {
    let pinned = version.and_then(|version| store.open(key, Some(version)).ok());
    pinned.map_or_else(|| store.open(key, None), Ok)
}
