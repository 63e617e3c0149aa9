//! `pgbk list`

use crate::cli::ListArgs;
use crate::config;
use crate::console::{Console, bytes};
use crate::error::Result;
use crate::keys::KeyNote;
use crate::manifest::{BackupId, Manifest, extension};
use crate::monitor::{Monitor, Silent};
use crate::record::{State, Task};
use crate::vault::Vault;
use crate::vault::guard::short;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the list shows of a `.meta`; the rest of the document is not kept.
struct Claim {
    object: String,
    plain_bytes: u64,
    stored_bytes: u64,
    rows: Option<u64>,
    server_version: Option<String>,
    extension: String,
    key: Option<KeyNote>,
}

impl Claim {
    fn of(manifest: Manifest) -> Claim {
        Claim {
            plain_bytes: manifest.plain.bytes,
            stored_bytes: manifest.stored.bytes,
            rows: manifest.rows(),
            extension: extension(manifest.dump.format, manifest.compression, manifest.encryption.is_some()),
            server_version: manifest.server.map(|server| server.version),
            object: manifest.object,
            key: manifest.key,
        }
    }
}

pub fn run(args: &ListArgs, console: &Console) -> Result<u8> {
    let place = config::place(&args.store, true)?;
    let vault = Vault { store: place.store, key: None, encrypt: false, verify: true, allow_unauthenticated: true };
    let ids = vault.ids(args.database.as_deref())?;
    let claims = claims(&vault, &ids)?;
    let rows: Vec<(BackupId, Result<Claim>)> = ids.into_iter().zip(claims).collect();
    for (id, claims) in &rows {
        if let Err(error) = claims {
            console.warn(&format!("{id} cannot be read: {error:#}"));
        }
    }
    let proofs = proofs(args);
    let documents: Vec<Value> =
        rows.iter().map(|(id, claims)| document(id, claims.as_ref().ok(), proofs.get(id))).collect();
    console.result(&table(&rows, &proofs, Timestamp::now()), &documents)?;
    Ok(0)
}

/// When each backup was last proven by a restore, as far as this host's records tell; the list itself comes from the store alone.
fn proofs(args: &ListArgs) -> BTreeMap<BackupId, Timestamp> {
    let records = config::history(&args.state).and_then(|history| history.records(&Silent)).unwrap_or_default();
    let mut proofs = BTreeMap::new();
    for record in records.into_iter().filter(|record| record.task == Task::Verify && record.state == State::Done) {
        if let (Some(proof), Some(ended)) = (record.proof, record.ended) {
            // The newest comes first.
            proofs.entry(proof.id).or_insert(ended);
        }
    }
    proofs
}

/// What each `.meta` says of itself; nothing here is authenticated, and nothing is restored by it.
fn claims(vault: &Vault, ids: &[BackupId]) -> Result<Vec<Result<Claim>>> {
    vault.each(ids, |_, sealed| sealed.and_then(|sealed| sealed.claims()).map(Claim::of))
}

fn document(id: &BackupId, claim: Option<&Claim>, proven: Option<&Timestamp>) -> Value {
    json!({
        "id": id,
        "database": id.database(),
        "taken_at": id.taken_at(),
        "object": claim.map(|claim| &claim.object),
        "plain_bytes": claim.map(|claim| claim.plain_bytes),
        "stored_bytes": claim.map(|claim| claim.stored_bytes),
        "rows": claim.and_then(|claim| claim.rows),
        "server_version": claim.and_then(|claim| claim.server_version.as_ref()),
        "readable": claim.is_some(),
        "key": claim.and_then(|claim| claim.key.as_ref()).map(check),
        "proven_at": proven,
    })
}

fn table(rows: &[(BackupId, Result<Claim>)], proofs: &BTreeMap<BackupId, Timestamp>, now: Timestamp) -> String {
    if rows.is_empty() {
        return "no backups\n".to_owned();
    }
    let width = rows.iter().map(|(id, _)| id.to_string().len()).max().unwrap_or(0);
    let mut text = format!(
        "{:width$}  {:>9}  {:>12}  {:>12}  {:>10}  {:>9}  {:8}  KIND\n",
        "BACKUP", "AGE", "STORED", "DUMP", "ROWS", "PROVEN", "KEY"
    );
    for (id, claims) in rows.iter().rev() {
        let age = age(id, now);
        match claims {
            Ok(claim) => text.push_str(&format!(
                "{:width$}  {age:>9}  {:>12}  {:>12}  {:>10}  {:>9}  {:8}  {}\n",
                id.to_string(),
                bytes(claim.stored_bytes),
                bytes(claim.plain_bytes),
                claim.rows.map_or("-".to_owned(), |rows| rows.to_string()),
                proofs.get(id).map_or("-".to_owned(), |proven| since(*proven, now)),
                claim.key.as_ref().map_or("-".to_owned(), key),
                claim.extension,
            )),
            Err(_) => text.push_str(&format!("{:width$}  {age:>9}  unreadable\n", id.to_string())),
        }
    }
    text
}

/// The beginning of a raw key's check id, by which keys are told apart.
fn key(note: &KeyNote) -> String {
    match note {
        KeyNote::Raw { check, .. } => short(check),
        KeyNote::Password { .. } => "password".to_owned(),
    }
}

/// The whole check id; that of a password is another one in each backup.
fn check(note: &KeyNote) -> String {
    hex::encode(note.check())
}

/// How long ago, in the largest unit that fits.
pub fn age(id: &BackupId, now: Timestamp) -> String {
    since(id.taken_at(), now)
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
