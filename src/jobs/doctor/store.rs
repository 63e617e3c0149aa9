//! The store's side: what it can do, tried on a small object of our own, and what killed runs left in it.

use super::Finding;
use crate::error::{Kind, Result, kind};
use crate::manifest::{BackupId, META};
use crate::monitor::Monitor;
use crate::store::s3::S3;
use crate::store::{Store, Unfinished, read_small, write_small};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

const PROBE_NAME: &str = ".pgbk-doctor-";
const PROBE: &[u8] = b"pgbk doctor\n";
/// AWS and others refuse requests whose time is further off.
const MOST_SKEW: i64 = 15 * 60;
/// From here on it is worth a remark.
const SOME_SKEW: i64 = 60;

pub fn look_at_store(store: &dyn Store, s3: Option<&S3>, now: Timestamp) -> Vec<Finding> {
    let key = format!("{PROBE_NAME}{}-{}", std::process::id(), now.as_nanosecond());
    let mut findings = Vec::new();
    if let Err(error) = write_small(store, &key, PROBE) {
        findings.push(Finding::error("store: write", &error, "give the role the right to put objects"));
        return findings;
    }
    findings.push(Finding::ok("store: write", store.location()));
    findings.push(read(store, &key));
    findings.push(listing(store, &key));
    if let Some(s3) = s3 {
        findings.extend([tags(store, &key), versions(s3), lock(s3), conditional(s3, &key), skew(s3)]);
    }
    findings.push(match store.remove(&key, None) {
        Ok(()) => Finding::ok("store: delete", "allowed"),
        Err(error) => {
            let detail = format!("not possible, and not needed for backups: {error:#}");
            Finding::note(
                "store: delete",
                detail,
                format!("\"{key}\" is left behind; retention needs a role that may delete"),
            )
        }
    });
    findings.push(leftovers(store));
    findings
}

fn read(store: &dyn Store, key: &str) -> Finding {
    match read_small(store, key, 1024) {
        Ok(bytes) if bytes == PROBE => Finding::ok("store: read", "what was written comes back"),
        Ok(_) => Finding::fail("store: read", "other bytes came back than were written", "do not trust this store"),
        Err(error) if kind(&error) == Kind::Denied => Finding::note(
            "store: read",
            format!("{error:#}"),
            "backups work; restore and verify need the right to get objects",
        ),
        Err(error) => Finding::error("store: read", &error, "restore and verify need to get objects"),
    }
}

fn conditional(s3: &S3, key: &str) -> Finding {
    match s3.refuses_taken(key) {
        Ok(true) => Finding::ok("store: conditional write", "a taken name is refused by the host"),
        Ok(false) => Finding::note(
            "store: conditional write",
            "the host ignores If-None-Match",
            "pgbk looks before it writes; only two runs in the same second could meet. Keep versions in the bucket",
        ),
        Err(error) => Finding::note("store: conditional write", format!("{error:#}"), "pgbk looks before it writes"),
    }
}

fn listing(store: &dyn Store, key: &str) -> Finding {
    match store.list(key) {
        Ok(found) if found.iter().any(|object| object.key == key) => {
            Finding::ok("store: list", "shows what was written")
        }
        Ok(_) => Finding::note("store: list", "does not show what was written yet", "list and latest may lag behind"),
        Err(error) => {
            Finding::note("store: list", format!("{error:#}"), "backups work; list, latest and verify --all need it")
        }
    }
}

fn tags(store: &dyn Store, key: &str) -> Finding {
    let wanted = [("lifecycle".to_owned(), "hourly".to_owned())];
    let found = store.tag(key, None, &wanted).and_then(|()| store.tags(key, None));
    let remedy = "AUTO_LIFECYCLE_POLICY_TAGS cannot be used here; expire by prefix or by age instead";
    match found {
        Ok(tags) if tags == wanted => Finding::ok("store: tags", "are kept"),
        Ok(_) => Finding::note("store: tags", "are dropped by the host", remedy),
        Err(error) => Finding::note("store: tags", format!("{error:#}"), remedy),
    }
}

fn versions(s3: &S3) -> Finding {
    match s3.keeps_versions() {
        Ok(true) => Finding::ok("store: versions", "what is overwritten or deleted stays as an older version"),
        Ok(false) => Finding::note(
            "store: versions",
            "the bucket keeps none",
            "S3_OBJECT_NAME and Object Lock need them; without them a deletion is final",
        ),
        Err(error) => Finding::note("store: versions", format!("unknown: {error:#}"), "S3_OBJECT_NAME needs to know"),
    }
}

fn lock(s3: &S3) -> Finding {
    match s3.object_lock() {
        Ok(true) => Finding::ok("store: Object Lock", "the bucket has it"),
        Ok(false) if s3.locks() => Finding::fail(
            "store: Object Lock",
            "the bucket does not have it, and backups are to be locked",
            "use a bucket that was made with Object Lock, or unset S3_OBJECT_LOCK_MODE",
        ),
        Ok(false) => Finding::note(
            "store: Object Lock",
            "the bucket does not have it",
            "a bucket with Object Lock keeps backups safe from a stolen key; it is chosen when the bucket is made",
        ),
        Err(error) => Finding::note("store: Object Lock", format!("unknown: {error:#}"), "ask whoever runs the store"),
    }
}

fn skew(s3: &S3) -> Finding {
    let remedy = "set the clock (NTP); requests that are 15 minutes off are refused";
    match s3.clock_skew() {
        Ok(None) => Finding::note("clock", "the host does not tell its time", "compare by hand"),
        Ok(Some(seconds)) if seconds.abs() >= MOST_SKEW => {
            Finding::fail("clock", format!("{seconds} s off the host's"), remedy)
        }
        Ok(Some(seconds)) if seconds.abs() >= SOME_SKEW => {
            Finding::note("clock", format!("{seconds} s off the host's"), remedy)
        }
        Ok(Some(seconds)) => Finding::ok("clock", format!("{} s off the host's", seconds.abs())),
        Err(error) => Finding::error("clock", &error, remedy),
    }
}

/// What killed runs left: uploads never finished, payloads without a `.meta`, and probes of this very check.
struct Leftovers {
    unfinished: Vec<Unfinished>,
    /// Key, bytes and age.
    orphans: Vec<(String, u64, Option<Timestamp>)>,
}

fn find(store: &dyn Store) -> Result<Leftovers> {
    let objects = store.list("")?;
    let backups: BTreeSet<BackupId> = objects.iter().filter_map(|object| BackupId::of_meta_key(&object.key)).collect();
    let orphans = objects
        .into_iter()
        .filter(|object| !object.key.ends_with(META))
        .filter(|object| {
            object.key.starts_with(PROBE_NAME) || BackupId::of_key(&object.key).is_some_and(|id| !backups.contains(&id))
        })
        .map(|object| (object.key, object.bytes, object.modified))
        .collect();
    Ok(Leftovers { unfinished: store.unfinished("")?, orphans })
}

fn leftovers(store: &dyn Store) -> Finding {
    match find(store) {
        Err(error) => Finding::note("leftovers", format!("cannot be looked for: {error:#}"), "the role may not list"),
        Ok(found) if found.unfinished.is_empty() && found.orphans.is_empty() => Finding::ok("leftovers", "none"),
        Ok(found) => {
            let names: Vec<&str> = found
                .unfinished
                .iter()
                .map(|upload| upload.key.as_str())
                .chain(found.orphans.iter().map(|(key, _, _)| key.as_str()))
                .collect();
            let detail = format!(
                "{} unfinished uploads, {} payloads without .meta: {}",
                found.unfinished.len(),
                found.orphans.len(),
                names.join(", ")
            );
            Finding::note(
                "leftovers",
                detail,
                "of killed runs, or of one that is running now; remove them with: pgbk doctor --clean",
            )
        }
    }
}

/// Removes leftovers older than that, and only those. What a running backup has in the store is younger.
pub fn clean(store: &dyn Store, older_than: Duration, now: Timestamp, monitor: &dyn Monitor) -> Result<usize> {
    let found = find(store)?;
    let old = |time: Option<Timestamp>| {
        time.is_some_and(|time| now.as_second().saturating_sub(time.as_second()) >= older_than.as_secs() as i64)
    };
    let mut removed = 0;
    for upload in found.unfinished.iter().filter(|upload| old(upload.started)) {
        store.discard(upload)?;
        monitor.note(&format!("removed the unfinished upload of \"{}\"", upload.key));
        removed += 1;
    }
    for (key, _, modified) in found.orphans.iter().filter(|(_, _, modified)| old(*modified)) {
        store.remove(key, None)?;
        monitor.note(&format!("removed \"{key}\", a payload without .meta, of {modified:?}"));
        removed += 1;
    }
    Ok(removed)
}
