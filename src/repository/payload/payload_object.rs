//! Opens one object of a payload.

use crate::base::error::{Kind, Result, kind};
use crate::format::manifest::payload_objects::{StatedObject, StatedPayload};
use crate::store::{Object, Store};

/// Objects of one payload that are opened at the same time.
pub(crate) const READERS: usize = 8;

/// Opens an object of a payload: the stated version of it, else the newest. One that is missing, or of another size, is damage.
pub(crate) fn open(store: &dyn Store, payload: &StatedPayload, stated: &StatedObject) -> Result<Box<dyn Object>> {
    let StatedObject { key, version, .. } = stated;
    // A raw copy in another store has no such version; what the newest one holds is checked like any other.
    let pinned = version.as_deref().and_then(|version| store.open(key, Some(version)).ok());
    let object = match pinned.map_or_else(|| store.open(key, None), Ok) {
        Err(error) if kind(&error) == Kind::NotFound => {
            return Err(payload.compare(stated, None).err().unwrap_or(error));
        }
        opened => opened?,
    };
    payload.compare(stated, Some(object.info().bytes))?;
    Ok(object)
}
