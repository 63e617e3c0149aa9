//! Checks the store: what it can do, tried on a small object of our own, and what killed runs left in it.

use crate::base::error::{Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::shown::many;
use crate::monitoring::doctor::DoctorFinding;
use crate::repository::orphans::{Orphans, PROBE as PROBE_NAME};
use crate::store::capabilities::{Clock, ConditionalWrite, ObjectLock, Tags, Versions};
use crate::store::{ObjectInfo, Store, read_small, write_small};
use jiff::Timestamp;
use std::time::Duration;

const PROBE: &[u8] = b"pgbk doctor\n";
/// Clock skew in seconds from which AWS and others refuse requests.
const MOST_SKEW: i64 = 15 * 60;
/// Clock skew in seconds from which there is a note.
const SOME_SKEW: i64 = 60;

/// Says which of the orphans are to be removed.
#[derive(Debug, Clone, Default)]
pub struct Cleaning {
    /// Remove orphans of at least this age. None: remove none.
    pub older_than: Option<Duration>,
    /// Keys of `.meta` documents to remove, whose payload is missing.
    pub metas: Vec<String>,
}

/// Tries what the store can do, with a small object of our own.
pub fn look_at_store(store: &dyn Store, now: Timestamp) -> Vec<DoctorFinding> {
    let key = format!("{PROBE_NAME}{}-{}", std::process::id(), now.as_nanosecond());
    let mut findings = Vec::new();
    if let Err(error) = write_small(store, &key, PROBE) {
        findings.push(DoctorFinding::error("store: write", &error, "give the role the right to put objects"));
        return findings;
    }
    findings.push(DoctorFinding::ok("store: write", store.location()));
    findings.push(read(store, &key));
    findings.push(listing(store, &key));
    let can = store.capabilities();
    findings.extend(can.tags.map(|tags| keeps_tags(tags, &key)));
    findings.extend(can.versions.map(keeps_versions));
    findings.extend(can.lock.map(lock));
    findings.extend(can.condition.map(|condition| conditional(condition, &key)));
    findings.extend(can.clock.map(skew));
    findings.push(match take_away(store, &key) {
        Ok(None) => DoctorFinding::ok("store: delete", "allowed"),
        Ok(Some(why)) => DoctorFinding::note(
            "store: delete",
            format!("the bucket keeps a version of \"{key}\" that may not be removed now: {why}"),
            "it locks what is written to it, or the role may delete no versions: each look of doctor leaves a few bytes there",
        ),
        Err(error) => {
            let detail = format!("not possible, and not needed for backups: {error:#}");
            DoctorFinding::note(
                "store: delete",
                detail,
                format!("\"{key}\" is left behind; retention needs a role that may delete"),
            )
        }
    });
    findings
}

/// Removes the probe with all its versions. Returns why a version stays; None: none stays.
fn take_away(store: &dyn Store, key: &str) -> Result<Option<String>> {
    let versions = store.capabilities().versions.and_then(|versions| versions.all(key).ok()).unwrap_or_default();
    let own: Vec<&str> = versions.iter().filter(|one| one.key == key).map(|one| one.version.as_str()).collect();
    let held = own.iter().filter_map(|version| store.remove(key, Some(version)).err()).next();
    if own.is_empty() || held.is_some() {
        store.remove(key, None)?;
    }
    Ok(held.map(|error| format!("{error:#}")))
}

/// Reports the orphans in a listing of the whole store, and removes those that `cleaning` names. An error: there is
/// something to remove and the store cannot be listed, or it could not be removed.
pub fn look_at_leftovers(
    store: &dyn Store,
    listed: Result<Vec<ObjectInfo>>,
    cleaning: &Cleaning,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<Vec<DoctorFinding>> {
    let found = listed.and_then(|listed| Ok(Orphans::of(listed, store.unfinished("")?)));
    let mut found = match found {
        Ok(found) => found,
        Err(error) if cleaning.older_than.is_some() || !cleaning.metas.is_empty() => return Err(error),
        Err(error) => {
            let remedy = if kind(&error) == Kind::Denied { "the role may not list" } else { "the store has to list" };
            return Ok(vec![DoctorFinding::note("leftovers", format!("cannot be looked for: {error:#}"), remedy)]);
        }
    };
    let mut findings = Vec::new();
    for key in &cleaning.metas {
        found.remove_bare(store, key)?;
        monitor.note(&format!("removed \"{key}\", a .meta without payload"));
        findings.push(DoctorFinding::ok("clean", format!("\"{key}\" removed")));
    }
    if let Some(age) = cleaning.older_than {
        let (old, young) = found.by_age(age, now);
        let left = old.remove(store, monitor)?;
        let removed = old.count() - left.len();
        findings.push(DoctorFinding::ok("clean", format!("{} removed", many(removed, "leftover"))));
        found = Orphans { orphans: left.into_iter().chain(young.orphans).collect(), ..young };
        found.bare.extend(old.bare);
    }
    findings.push(orphans(&found));
    findings.extend(bare(&found));
    Ok(findings)
}

fn read(store: &dyn Store, key: &str) -> DoctorFinding {
    match read_small(store, key, 1024) {
        Ok(bytes) if bytes == PROBE => DoctorFinding::ok("store: read", "what was written comes back"),
        Ok(_) => {
            DoctorFinding::fail("store: read", "other bytes came back than were written", "do not trust this store")
        }
        Err(error) if kind(&error) == Kind::Denied => DoctorFinding::note(
            "store: read",
            format!("{error:#}"),
            "backups work; restore and verify need the right to get objects",
        ),
        Err(error) => DoctorFinding::error("store: read", &error, "restore and verify need to get objects"),
    }
}

fn conditional(store: &dyn ConditionalWrite, key: &str) -> DoctorFinding {
    match store.refuses_taken(key) {
        Ok(true) => DoctorFinding::ok("store: conditional write", "a taken name is refused by the host"),
        Ok(false) => DoctorFinding::note(
            "store: conditional write",
            "the host ignores If-None-Match",
            "pgbk looks before it writes; only two runs in the same second could meet. Keep versions in the bucket",
        ),
        Err(error) => {
            DoctorFinding::note("store: conditional write", format!("{error:#}"), "pgbk looks before it writes")
        }
    }
}

fn listing(store: &dyn Store, key: &str) -> DoctorFinding {
    match store.list(key) {
        Ok(found) if found.iter().any(|object| object.key == key) => {
            DoctorFinding::ok("store: list", "shows what was written")
        }
        Ok(_) => {
            DoctorFinding::note("store: list", "does not show what was written yet", "list and latest may lag behind")
        }
        Err(error) => DoctorFinding::note(
            "store: list",
            format!("{error:#}"),
            "backups work; list, latest and verify --all need it",
        ),
    }
}

fn keeps_tags(store: &dyn Tags, key: &str) -> DoctorFinding {
    let wanted = [("lifecycle".to_owned(), "hourly".to_owned())];
    let found = store.tag(key, None, &wanted).and_then(|()| store.tags(key, None));
    let remedy = "AUTO_LIFECYCLE_POLICY_TAGS cannot be used here; expire by prefix or by age instead";
    match found {
        Ok(tags) if tags == wanted => DoctorFinding::ok("store: tags", "are kept"),
        Ok(_) => DoctorFinding::note("store: tags", "are dropped by the host", remedy),
        Err(error) => DoctorFinding::note("store: tags", format!("{error:#}"), remedy),
    }
}

fn keeps_versions(versions: &dyn Versions) -> DoctorFinding {
    match versions.are_kept() {
        Ok(true) => DoctorFinding::ok("store: versions", "what is overwritten or deleted stays as an older version"),
        Ok(false) => DoctorFinding::note(
            "store: versions",
            "the bucket keeps none",
            "S3_OBJECT_NAME and Object Lock need them; without them a deletion is final",
        ),
        Err(error) => {
            DoctorFinding::note("store: versions", format!("unknown: {error:#}"), "S3_OBJECT_NAME needs to know")
        }
    }
}

fn lock(lock: &dyn ObjectLock) -> DoctorFinding {
    match lock.is_there() {
        Ok(true) => DoctorFinding::ok("store: Object Lock", "the bucket has it"),
        Ok(false) if lock.is_asked_for() => DoctorFinding::fail(
            "store: Object Lock",
            "the bucket does not have it, and backups are to be locked",
            "use a bucket that was made with Object Lock, or unset S3_OBJECT_LOCK_MODE",
        ),
        Ok(false) => DoctorFinding::note(
            "store: Object Lock",
            "the bucket does not have it",
            "a bucket with Object Lock keeps backups safe from a stolen key; it is chosen when the bucket is made",
        ),
        Err(error) => {
            DoctorFinding::note("store: Object Lock", format!("unknown: {error:#}"), "ask whoever runs the store")
        }
    }
}

fn skew(clock: &dyn Clock) -> DoctorFinding {
    let remedy = "set the clock (NTP); requests that are 15 minutes off are refused";
    match clock.skew() {
        Ok(None) => DoctorFinding::note("clock", "the host does not tell its time", "compare by hand"),
        Ok(Some(seconds)) if seconds.abs() >= MOST_SKEW => {
            DoctorFinding::fail("clock", format!("{seconds} s off the host's"), remedy)
        }
        Ok(Some(seconds)) if seconds.abs() >= SOME_SKEW => {
            DoctorFinding::note("clock", format!("{seconds} s off the host's"), remedy)
        }
        Ok(Some(seconds)) => DoctorFinding::ok("clock", format!("{} s off the host's", seconds.abs())),
        Err(error) => DoctorFinding::error("clock", &error, remedy),
    }
}

fn orphans(found: &Orphans) -> DoctorFinding {
    if found.is_empty() {
        return DoctorFinding::ok("leftovers", "none");
    }
    let detail = format!(
        "{}, {} without .meta: {}",
        many(found.unfinished.len(), "unfinished upload"),
        many(found.orphans.len(), "payload"),
        found.keys().join(", ")
    );
    let remedy = "of killed runs, or of one that is running now; remove them with: pgbk doctor --clean";
    DoctorFinding::note("leftovers", detail, remedy)
}

/// Reports the backups that cannot be restored because only their `.meta` is there. None: there are none.
fn bare(found: &Orphans) -> Option<DoctorFinding> {
    let keys: Vec<&str> = found.bare.iter().map(|object| object.key.as_str()).collect();
    let first = keys.first()?;
    let detail = format!("{} whose payload is missing, which cannot be restored: {}", keys.len(), keys.join(", "));
    let remedy = format!("bring the payload back, or remove the .meta with: pgbk doctor --remove-meta {first}");
    Some(DoctorFinding::note("damaged backups", detail, remedy))
}
