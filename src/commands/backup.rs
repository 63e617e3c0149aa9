//! `pgbk backup`

use super::contents;
use crate::cli::BackupArgs;
use crate::config;
use crate::console::{Console, bytes};
use crate::error::{Fault, Result};
use crate::jobs::backup::{Plan, backup};
use crate::keys::Key;
use crate::manifest::Manifest;
use crate::monitor::Monitor;
use jiff::Timestamp;
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
    let upkeep = config::upkeep(&args.upkeep, &args.zone)?;
    let server = config::server(&args.server)?;
    let databases = match args.databases.as_slice() {
        [] if !server.database().is_empty() => vec![server.database().to_owned()],
        [] => return Err(Fault::usage("no database is named").hint("name one, or set DB_NAME").into()),
        named => named.to_vec(),
    };
    let mut made = Vec::new();
    for database in &databases {
        let plan = Plan {
            settings: server.for_database(database),
            format: args.format,
            compression,
            arguments: arguments.clone(),
            bin_dir: args.server.pg_bin_dir.clone(),
            lock_wait: args.lock_timeout,
            stall: args.stall_timeout,
            expected: args.pipeline.size_estimate,
        };
        let manifest = backup(&vault, &plan, console)?;
        if !args.json {
            console.text(&summary(&manifest, &vault.store.location()))?;
        }
        upkeep.after(&vault, &manifest.id, Timestamp::now(), console)?;
        made.push(manifest);
    }
    let location = vault.store.location();
    let reports = made.iter().map(|manifest| report(manifest, &location)).collect::<Result<Vec<_>>>()?;
    if let ([one], true) = (reports.as_slice(), args.json) {
        console.result("", one)?;
    } else {
        console.result("", &reports)?;
    }
    Ok(0)
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
