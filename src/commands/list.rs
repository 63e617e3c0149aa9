//! `pgbk list`

pub(crate) mod tables;

use crate::base::error::{Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::shown::Lines;
use crate::base::subject::Subject;
use crate::cli::arguments::ListArgs;
use crate::cli::console::{Console, bytes};
use crate::config;
use crate::config::state::records;
use crate::format::backup_id::BackupId;
use crate::format::keys::note::KeyNote;
use crate::format::manifest::lineage::short;
use crate::format::manifest::origin::Origin;
use crate::format::manifest::{Manifest, extension};
use crate::format::run_record;
use crate::repository::catalog::{Catalog, CatalogEntry};
use crate::repository::doubletake::how_to_restore;
use crate::repository::{Repository, guard};
use crate::runs::history::share;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Number of characters of a note that are shown at most.
const NOTE: usize = 200;

/// A backup as the list shows it, with its entry in the catalog.
struct ListRow {
    entry: CatalogEntry,
    claim: Result<ListedManifest>,
    proven: Option<Timestamp>,
}

/// The part of a `.meta` that the list shows. The rest of the document is not kept.
struct ListedManifest {
    object: String,
    plain_bytes: u64,
    stored_bytes: u64,
    rows: Option<u64>,
    server: Option<String>,
    server_version: Option<String>,
    origin: Origin,
    sequence: u64,
    note: Option<String>,
    extension: String,
    key: Option<KeyNote>,
}

impl ListedManifest {
    fn of(manifest: Manifest) -> ListedManifest {
        ListedManifest {
            plain_bytes: manifest.plain.bytes,
            stored_bytes: manifest.stored.bytes,
            rows: manifest.rows(),
            extension: extension(manifest.dump.format, manifest.compression, manifest.encryption.is_some()),
            server: manifest.system_identifier().map(str::to_owned),
            origin: if manifest.is_upload() { Origin::Upload } else { Origin::Backup },
            sequence: manifest.sequence,
            server_version: manifest.server.map(|server| server.version),
            note: manifest.note,
            object: manifest.object,
            key: manifest.key,
        }
    }
}

pub fn run(args: &ListArgs, console: &Console) -> Result<u8> {
    let variant = config::outputs::variant(&args.variant, args.id.as_ref())?;
    let place = config::outputs::place(variant, &args.variant.place, &args.store)?;
    let store = config::remembered(config::store(&place, true)?, &args.state);
    let repository = Repository { variant, ..Repository::without_key(store) };
    if let Some(id) = &args.id {
        return tables::run(&repository, id, console);
    }
    let records = records(&args.state);
    let database = args.database.as_deref().map(|name| Subject::from(name).in_variant(variant));
    let catalog = repository.catalog(database.as_ref())?;
    let rows = rows(&repository, &catalog, &run_record::proofs(&records))?;
    if let Some(how) = how_to_restore(&catalog.old_backups()) {
        console.info(&how);
    }
    if rows.is_empty() {
        if let Some(how) = catalog.how_to_see_others() {
            console.info(&how);
        }
        share::look(repository.store.as_ref(), &records)?;
    }
    for row in &rows {
        if let Err(error) = &row.claim {
            console.warn(&format!("{} cannot be read: {error:#}", row.entry.id));
        }
    }
    let now = Timestamp::now();
    console.result_of(|| table(&rows, now), || rows.iter().map(|row| document(row, now)).collect::<Vec<Value>>())?;
    Ok(0)
}

/// Reads the `.meta` of each backup without authenticating it; nothing is restored by it. A backup that was removed
/// since the listing is left out.
fn rows(repository: &Repository, catalog: &Catalog, proofs: &BTreeMap<BackupId, Timestamp>) -> Result<Vec<ListRow>> {
    let entries: Vec<&CatalogEntry> = catalog.entries().iter().collect();
    let mut rows = Vec::with_capacity(entries.len());
    let claims =
        repository.each(&entries, |_, sealed| sealed.and_then(|sealed| sealed.claims()).map(ListedManifest::of))?;
    for (entry, claim) in entries.into_iter().zip(claims) {
        if claim.as_ref().is_err_and(|error| kind(error) == Kind::NotFound) {
            continue;
        }
        rows.push(ListRow { proven: proofs.get(&entry.id).copied(), entry: entry.clone(), claim });
    }
    Ok(rows)
}

fn document(row: &ListRow, now: Timestamp) -> Value {
    let (id, claim) = (&row.entry.id, row.claim.as_ref().ok());
    json!({
        "id": id,
        "database": id.subject(),
        "taken_at": id.taken_at(),
        "in_the_future": id.is_from_the_future(now),
        "object": claim.map(|claim| &claim.object),
        "plain_bytes": claim.map(|claim| claim.plain_bytes),
        "stored_bytes": claim.map(|claim| claim.stored_bytes),
        "rows": claim.and_then(|claim| claim.rows),
        "server": claim.and_then(|claim| claim.server.as_ref()),
        "server_version": claim.and_then(|claim| claim.server_version.as_ref()),
        "origin": claim.map(|claim| claim.origin),
        "sequence": claim.map(|claim| claim.sequence),
        "pinned": row.entry.pinned,
        "note": claim.and_then(|claim| claim.note.as_ref()),
        "readable": claim.is_some(),
        "key": claim.and_then(|claim| claim.key.as_ref()).map(check),
        "proven_at": row.proven,
    })
}

fn table(rows: &[ListRow], now: Timestamp) -> Lines {
    if rows.is_empty() {
        return Lines::of("no backups");
    }
    let width = rows.iter().map(|row| row.entry.id.to_string().len()).max().unwrap_or(0);
    let mut text = Lines::of(format!(
        "{:width$}  {:>13}  {:>12}  {:>12}  {:>10}  {:>9}  {:8}  {:6}  {:6}  KIND",
        "BACKUP", "AGE", "STORED", "DUMP", "ROWS", "PROVEN", "KEY", "SERVER", "ORIGIN"
    ));
    for row in rows.iter().rev() {
        let (id, age) = (row.entry.id.to_string(), age(&row.entry.id, now));
        match &row.claim {
            Ok(claim) => text.push(format!(
                "{id:width$}  {age:>13}  {:>12}  {:>12}  {:>10}  {:>9}  {:8}  {:6}  {:6}  {}{}",
                bytes(claim.stored_bytes),
                bytes(claim.plain_bytes),
                claim.rows.map_or("-".to_owned(), |rows| rows.to_string()),
                row.proven.map_or("-".to_owned(), |proven| since(proven, now)),
                claim.key.as_ref().map_or("-".to_owned(), key),
                claim.server.as_deref().map_or("-", short),
                if claim.origin == Origin::Upload { "upload" } else { "backup" },
                claim.extension,
                remarks(row, claim),
            )),
            Err(_) => text.push(format!("{id:width$}  {age:>13}  unreadable")),
        }
    }
    text
}

/// Returns the beginning of a raw key's check id, which shows which key it is; "password" for a key derived from a password.
fn key(note: &KeyNote) -> String {
    match note {
        KeyNote::Raw { check, .. } => guard::short(check),
        KeyNote::Password { .. } => "password".to_owned(),
    }
}

/// Returns the whole check id in hex. With a password it is a different one in each backup.
fn check(note: &KeyNote) -> String {
    hex::encode(note.check())
}

/// Returns what a person added to the backup: the pin and the note.
fn remarks(row: &ListRow, claim: &ListedManifest) -> String {
    let pinned = if row.entry.pinned { "  pinned" } else { "" };
    let short = |note: &String| note.chars().take(NOTE).collect::<String>();
    let note = claim.note.as_ref().map(short).map_or_else(String::new, |note| format!("  \"{note}\""));
    format!("{pinned}{note}")
}

/// Returns how long ago the backup was taken, in the largest unit that fits.
pub fn age(id: &BackupId, now: Timestamp) -> String {
    match id.is_from_the_future(now) {
        true => "in the future".to_owned(),
        false => since(id.taken_at(), now),
    }
}

fn since(time: Timestamp, now: Timestamp) -> String {
    let seconds = (now.as_second() - time.as_second()).max(0) as u64;
    let age = Duration::from_secs(seconds);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", age.as_secs() / 60),
        3600..172_800 => format!("{} h", age.as_secs() / 3600),
        _ => format!("{} days", age.as_secs() / 86_400),
    }
}
