//! Lifecycle tags on the backup that was just made and the two before it.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::format::backup_id::BackupId;
use crate::format::manifest::Manifest;
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::repository::lifecycle::{LOOKED_AT, Lifecycle, TAG, lifecycles};
use crate::store::capabilities::Tags;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Tags the newest backup and those before it with their lifecycle. An error leaves tags as they were, or some of
/// them set: what is not tagged does not expire.
///
/// The catalog is the database's; `None` if the role may not list, and then only the newest is tagged.
pub fn tag(
    repository: &Repository,
    catalog: Option<&Catalog>,
    newest: &Manifest,
    zone: &TimeZone,
    monitor: &dyn Monitor,
) -> Result<()> {
    let ids = up_to(repository, catalog, newest, monitor)?;
    let times: Vec<Timestamp> = ids.iter().map(BackupId::taken_at).collect();
    for (id, lifecycle) in ids.iter().zip(lifecycles(&times, zone)) {
        match tag_backup(repository, id, lifecycle) {
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

/// Returns that backup and those of its series before it, newest first, as many as have a lifecycle.
fn up_to(
    repository: &Repository,
    catalog: Option<&Catalog>,
    newest: &Manifest,
    monitor: &dyn Monitor,
) -> Result<Vec<BackupId>> {
    let before = match catalog.map(|catalog| repository.before(catalog, newest, LOOKED_AT - 1)) {
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

fn tag_backup(repository: &Repository, id: &BackupId, lifecycle: Lifecycle) -> Result<()> {
    let store = repository.store.as_ref();
    // No key is needed: a document that is consistent names no object but its own.
    let manifest = repository.sealed(id)?.unauthenticated()?;
    let payload = repository.payload_versions(&manifest)?;
    let meta_key = manifest.meta_key();
    let meta = store.open(&meta_key, None)?.info().version.clone();
    let tags = store.capabilities().tags.ok_or_else(|| Fault::failed(format!("{} has no tags", store.location())))?;
    payload.iter().try_for_each(|(key, version)| set(tags, key, version.as_deref(), lifecycle))?;
    set(tags, &meta_key, meta.as_deref(), lifecycle)
}

/// Sets the lifecycle tag, keeps the object's other tags, and checks that the host has stored it.
fn set(store: &dyn Tags, key: &str, version: Option<&str>, lifecycle: Lifecycle) -> Result<()> {
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
