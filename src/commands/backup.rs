//! `pgbk backup`

use super::contents;
use crate::alert::Alerts;
use crate::cli::BackupArgs;
use crate::config;
use crate::console::{Console, bytes};
use crate::error::{self, Fault, Kind, Result};
use crate::jobs::backup::{Plan, backup};
use crate::keys::Key;
use crate::manifest::Manifest;
use crate::monitor::Monitor;
use crate::record::{Cause, Problem, Record, State, Stored};
use crate::vault::Vault;
use jiff::Timestamp;
use openssl::rand::rand_bytes;
use serde_json::{Value, json};

pub fn run(args: &BackupArgs, console: &Console) -> Result<u8> {
    // All settings first: a mistake is told before any network is touched.
    let compression = config::compression(&args.pipeline)?;
    let arguments = config::pg_dump_arguments(args.pg_dump_args.as_deref())?;
    let vault = config::vault(&args.store, &args.keys)?;
    if vault.encrypt && matches!(vault.key, Some(Key::Raw { iv: Some(_), .. })) {
        console.warn(
            "a fixed DB_BACKUP_ENCRYPT_IV shows which backups share a beginning; unset it to get a fresh IV for each",
        );
    }
    if !vault.verify {
        console.warn("DB_BACKUP_VERIFY=0: what is stored is not read back");
    }
    let server = config::server(&args.server)?;
    let databases = match args.databases.as_slice() {
        [] if !server.database().is_empty() => vec![server.database().to_owned()],
        [] => return Err(Fault::usage("no database is named").hint("name one, or set DB_NAME").into()),
        named => named.to_vec(),
    };
    let plan = Plan {
        settings: server.clone(),
        format: args.format,
        compression,
        arguments,
        bin_dir: args.server.pg_bin_dir.clone(),
        lock_wait: args.lock_timeout,
        stall: args.stall_timeout,
        expected: args.pipeline.size_estimate,
    };
    let alerts = Alerts::open(&config::alerts(&args.alerts, &args.state, server.describe())?);
    let done = all(&databases, &vault, &plan, &alerts, args.json, console);
    let told = done.and_then(|made| tell(&made, &vault.store.location(), console));
    alerts.close(console);
    told.map(|()| 0)
}

/// One after the other, until one fails.
fn all(
    databases: &[String],
    vault: &Vault,
    plan: &Plan,
    alerts: &Alerts,
    json: bool,
    console: &Console,
) -> Result<Vec<Manifest>> {
    let mut round = alerts.round(console);
    let mut made = Vec::new();
    for database in databases {
        let mut record = begun(database)?;
        round.started(&record);
        let plan = Plan { settings: plan.settings.for_database(database), ..plan.clone() };
        let outcome = backup(vault, &plan, console);
        // A step that failed is over as well.
        console.end();
        conclude(&mut record, &outcome, vault.store.location());
        round.ended(&record);
        match outcome {
            Ok(manifest) => made.push(manifest),
            Err(error) => {
                round.finish();
                return Err(error);
            }
        }
        if let (Some(manifest), false) = (made.last(), json) {
            console.text(&summary(manifest, &vault.store.location()))?;
        }
    }
    round.finish();
    Ok(made)
}

fn begun(database: &str) -> Result<Record> {
    let now = Timestamp::now();
    let mut random = [0; 4];
    rand_bytes(&mut random)?;
    Ok(Record {
        run: format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), hex::encode(random)),
        cause: Cause::Manual,
        database: database.to_owned(),
        state: State::Running,
        started: now,
        ended: None,
        process: std::process::id(),
        boot: String::new(),
        backup: None,
        problem: None,
        warnings: Vec::new(),
    })
}

fn conclude(record: &mut Record, outcome: &Result<Manifest>, location: String) {
    record.ended = Some(Timestamp::now());
    match outcome {
        Ok(manifest) => {
            record.state = State::Done;
            record.backup = Some(Stored {
                id: manifest.id.clone(),
                location,
                object: manifest.object.clone(),
                plain_bytes: manifest.plain.bytes,
                stored_bytes: manifest.stored.bytes,
                tables: manifest.tables.len() as u64,
                rows: manifest.rows(),
                seconds: manifest.seconds.clone(),
                encrypted: manifest.encryption.is_some(),
                verified: manifest.verified,
            });
        }
        Err(error) => {
            record.state = if error::kind(error) == Kind::Busy { State::Skipped } else { State::Failed };
            record.problem = Some(Problem {
                message: format!("{error:#}"),
                hints: error::hints(error).into_iter().map(str::to_owned).collect(),
                exit_code: error::kind(error).exit_code(),
            });
        }
    }
}

fn tell(made: &[Manifest], location: &str, console: &Console) -> Result<()> {
    let reports = made.iter().map(|manifest| report(manifest, location)).collect::<Result<Vec<_>>>()?;
    match reports.as_slice() {
        [one] => console.result("", one),
        several => console.result("", &several),
    }
}

/// For people, after the work.
pub fn summary(manifest: &Manifest, location: &str) -> String {
    let seconds: f64 = manifest.seconds.values().sum();
    let method = manifest.compression.map_or("not compressed".to_owned(), |compression| {
        format!("{} {}", compression.method.name(), compression.level)
    });
    let cipher = if manifest.encryption.is_some() { "encrypted" } else { "not encrypted" };
    let checked = if manifest.verified { "read back" } else { "NOT read back" };
    let stages: Vec<String> =
        manifest.seconds.iter().map(|(stage, seconds)| format!("{stage} {seconds:.1} s")).collect();
    let mut text = format!(
        "{}\n  dump    {} {}\n  stored  {} ({method}, {cipher}, {checked})\n  time    {seconds:.1} s ({})\n  place   {location}/{}\n",
        manifest.id,
        bytes(manifest.plain.bytes),
        contents(manifest),
        bytes(manifest.stored.bytes),
        stages.join(", "),
        manifest.object,
    );
    if manifest.key.is_none() {
        text.push_str("  note    no key is set: damage will be noticed, but not forgery\n");
    }
    text
}

/// For machines: the manifest without its chunk tags, and where it went.
pub fn report(manifest: &Manifest, location: &str) -> Result<Value> {
    let mut value = serde_json::to_value(manifest)?;
    if let Some(map) = value.as_object_mut() {
        map.remove("chunks");
        map.insert("store".to_owned(), json!(location));
        map.insert("rows".to_owned(), json!(manifest.rows()));
    }
    Ok(value)
}
