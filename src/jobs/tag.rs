//! Lifecycle tags on the backup that was just made and the two before it.

use crate::error::{Fault, Kind, Result, kind};
use crate::lifecycle::{LOOKED_AT, Lifecycle, TAG, lifecycles};
use crate::manifest::{BackupId, Manifest};
use crate::monitor::Monitor;
use crate::store::Store;
use crate::vault::{Catalog, Vault};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// An error leaves tags as they were, or some of them set: what is not tagged does not expire.
///
/// The catalog is the database's; None where the role may not list.
pub fn tag(
    vault: &Vault,
    catalog: Option<&Catalog>,
    newest: &Manifest,
    zone: &TimeZone,
    monitor: &dyn Monitor,
) -> Result<()> {
    let ids = up_to(vault, catalog, newest, monitor)?;
    let times: Vec<Timestamp> = ids.iter().map(BackupId::taken_at).collect();
    for (id, lifecycle) in ids.iter().zip(lifecycles(&times, zone)) {
        match tag_backup(vault, id, lifecycle) {
            Ok(()) => monitor.note(&format!("{id} is tagged {TAG}={}", lifecycle.name())),
            // That is about this one, and the one before it may be whole.
            Err(error)
                if *id != newest.id && matches!(kind(&error), Kind::Damaged | Kind::OtherKey | Kind::NotFound) =>
            {
                monitor.warn(&format!("{id} is not tagged: {error:#}"));
            }
            Err(error) => return Err(error.context(format!("tag {id}"))),
        }
    }
    Ok(())
}

/// That backup and those of its series before it, newest first, as many as have a lifecycle.
fn up_to(vault: &Vault, catalog: Option<&Catalog>, newest: &Manifest, monitor: &dyn Monitor) -> Result<Vec<BackupId>> {
    let before = match catalog.map(|catalog| vault.before(catalog, newest, LOOKED_AT - 1)) {
        Some(Ok(before)) => before,
        None => {
            monitor.warn("the store does not allow listing: only the new backup is tagged");
            Vec::new()
        }
        Some(Err(error)) if kind(&error) == Kind::Denied => {
            monitor.warn("the store does not allow reading: only the new backup is tagged");
            Vec::new()
        }
        Some(Err(error)) => return Err(error),
    };
    Ok([vec![newest.id.clone()], before].concat())
}

fn tag_backup(vault: &Vault, id: &BackupId, lifecycle: Lifecycle) -> Result<()> {
    let store = vault.store.as_ref();
    // No key is needed: a document that is consistent names no object but its own.
    let manifest = vault.sealed(id)?.unauthenticated()?;
    let payload = vault.payload(&manifest)?.info().version.clone();
    let meta_key = manifest.meta_key();
    let meta = store.open(&meta_key, None)?.info().version.clone();
    set(store, &manifest.object, payload.as_deref(), lifecycle)?;
    set(store, &meta_key, meta.as_deref(), lifecycle)
}

/// Leaves the object's other tags as they are, and looks whether the host kept this one.
fn set(store: &dyn Store, key: &str, version: Option<&str>, lifecycle: Lifecycle) -> Result<()> {
    let wanted = (TAG.to_owned(), lifecycle.name().to_owned());
    let mut tags = store.tags(key, version)?;
    if tags.contains(&wanted) {
        return Ok(());
    }
    tags.retain(|(name, _)| name != TAG);
    tags.push(wanted.clone());
    store.tag(key, version, &tags)?;
    if store.tags(key, version)?.contains(&wanted) {
        return Ok(());
    }
    let text = format!("the host dropped the tag {TAG}={} of \"{key}\"", lifecycle.name());
    Err(Fault::failed(text).hint("AUTO_LIFECYCLE_POLICY_TAGS cannot be used there; KEEP_ rules can").into())
}
