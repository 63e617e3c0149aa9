//! `pgbk backup`

use super::{contents, stages};
use crate::alert::Alerts;
use crate::cli::{BackupArgs, RunArgs};
use crate::config::{self, Ways};
use crate::console::{Console, bytes, can_ask, error_document};
use crate::databases::Databases;
use crate::error::{Result, hints};
use crate::history::History;
use crate::jobs::backup::Plan;
use crate::keys::Key;
use crate::manifest::Manifest;
use crate::missed::Watch;
use crate::monitor::Monitor;
use crate::record::Cause;
use crate::run::{Backups, Ledger, Outcome, exit_code};
use crate::series::Series;
use crate::shown::Lines;
use crate::store::Store;
use crate::stream::codec::Fit;
use crate::upkeep::Upkeep;
use crate::vault::{Adopt, Vault};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cell::RefCell;

pub fn run(args: &BackupArgs, console: &Console) -> Result<u8> {
    let mut prepared = Prepared::new(&args.run, Told::of(args.alert), console)?;
    prepared.plan.adopt = adopt(args);
    prepared.plan.note.clone_from(&args.note);
    let done = backups(args, &prepared, console);
    prepared.alerts.close(console);
    done
}

fn adopt(args: &BackupArgs) -> Adopt {
    match args.adopt.as_deref() {
        None => Adopt::No,
        Some("") => Adopt::Only,
        Some(identifier) => Adopt::This(identifier.to_owned()),
    }
}

fn backups(args: &BackupArgs, prepared: &Prepared, console: &Console) -> Result<u8> {
    let databases = config::databases(&args.run, &prepared.plan.settings)?;
    let store = prepared.vault.store.as_ref();
    let alone = matches!(&databases, Databases::Named(names) if names.len() == 1);
    let untold = RefCell::new(None);
    let outcomes = prepared.backups(console).all(&databases, Cause::Manual, |outcome| match &outcome.result {
        Ok(manifest) if !args.json => {
            // No reason to stop; it is told at the end.
            if let Err(error) = console.text(&summary(manifest, store)) {
                untold.replace(Some(error));
            }
        }
        Err(error) if !alone => console.tell(error),
        _ => {}
    })?;
    let code = exit_code(&outcomes);
    if let Some(error) = untold.into_inner() {
        return Err(error.context("the backups are made, but what came of them cannot be written to stdout"));
    }
    if !alone {
        let documents = outcomes.iter().map(|outcome| document(outcome, store)).collect::<Result<Vec<_>>>()?;
        console.result(&Lines::new(), &documents)?;
        return Ok(code);
    }
    for outcome in outcomes {
        console.result(&Lines::new(), &report(&outcome.result?, store)?)?;
    }
    Ok(code)
}

/// Who hears how runs end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Everybody,
    Nobody,
}

impl Told {
    /// Returns who hears of a run that was not started by a schedule, where `alert` asks for everybody. Who started it by hand sees how it
    /// ends.
    pub fn of(alert: bool) -> Told {
        if alert || !can_ask() { Told::Everybody } else { Told::Nobody }
    }

    /// Opens the ways by which they hear. A way that the settings make a mistake of is warned of, and told by the other ways once: no run
    /// is given up for it.
    pub fn open(self, Ways { settings, mistakes }: Ways, monitor: &dyn Monitor) -> Alerts {
        let alerts = Alerts::open(&if self == Told::Nobody { settings.silent() } else { settings });
        for mistake in mistakes {
            let hint = hints(&mistake).first().map_or_else(String::new, |hint| format!(" ({hint})"));
            let text = format!("alerts: {mistake:#}{hint}; until that is mended, some of them reach nobody");
            monitor.warn(&text);
            alerts.notice_once(&text, Timestamp::now(), monitor);
        }
        alerts
    }
}

/// Everything that the settings say of a run.
pub struct Prepared<'a> {
    pub args: &'a RunArgs,
    pub vault: Vault,
    pub plan: Plan,
    /// What is backed up beside databases.
    pub beside: Vec<Series>,
    pub upkeep: Upkeep,
    pub alerts: Alerts,
    pub history: Option<History>,
    pub watch: Option<Watch>,
}

impl<'a> Prepared<'a> {
    /// All settings first: a mistake is told before any network is touched.
    pub fn new(args: &'a RunArgs, told: Told, console: &Console) -> Result<Prepared<'a>> {
        let plan = config::plan(args)?;
        let vault = config::vault(&args.store, &args.keys, &args.state)?;
        let upkeep = config::upkeep(&args.upkeep, &args.zone)?;
        if vault.encrypt && matches!(vault.key, Some(Key::Raw { iv: Some(_), .. })) {
            console.warn(
                "a fixed DB_BACKUP_ENCRYPT_IV shows which backups share a beginning; unset it to get a fresh IV for each",
            );
        }
        if let Some(remark) = plan.compression.and_then(|compression| Fit::of(compression).remark(compression)) {
            console.warn(&remark);
        }
        if !vault.verify {
            console.warn("DB_BACKUP_VERIFY=0: what is stored is not checked");
        }
        let history = config::history(&args.state).inspect_err(|error| console.warn(&format!("{error:#}"))).ok();
        let watch = history.clone().map(|history| Watch { history, policy: upkeep.policy() });
        let alerts = told.open(config::alerts(&args.alerts, &args.state, plan.settings.describe()), console);
        let prepared = Prepared { args, vault, plan, beside: config::beside(args)?, upkeep, alerts, history, watch };
        if told == Told::Everybody {
            prepared.ledger(console).tell_of_lost();
        }
        Ok(prepared)
    }

    pub fn backups<'b>(&'b self, monitor: &'b dyn Monitor) -> Backups<'b> {
        Backups {
            ledger: self.ledger(monitor),
            vault: &self.vault,
            plan: &self.plan,
            beside: &self.beside,
            upkeep: &self.upkeep,
            watch: self.watch.as_ref(),
        }
    }

    pub fn ledger<'b>(&'b self, monitor: &'b dyn Monitor) -> Ledger<'b> {
        Ledger {
            alerts: &self.alerts,
            history: self.history.as_ref(),
            limit: self.args.run_timeout,
            clock: Timestamp::now,
            monitor,
        }
    }
}

/// For people, after the work.
pub fn summary(manifest: &Manifest, store: &dyn Store) -> Lines {
    let seconds: f64 = manifest.seconds.values().sum();
    let method = manifest.compression.map_or("not compressed".to_owned(), |compression| {
        format!("{} {}", compression.method.name(), compression.level)
    });
    let cipher = if manifest.encryption.is_some() { "encrypted" } else { "not encrypted" };
    let checked = manifest.verified.describe();
    let mut text = Lines::of(&manifest.id)
        .and(format!("  dump    {} {}", bytes(manifest.plain.bytes), contents(manifest)))
        .and(format!("  stored  {} ({method}, {cipher}, {checked})", bytes(manifest.stored.bytes)))
        .and(format!("  time    {seconds:.1} s ({})", stages(&manifest.seconds)))
        .and(format!("  place   {}", store.place(&manifest.object)));
    if let Some(how) = &manifest.locked {
        text.push(format!("  locked  {how}"));
    }
    if manifest.is_upload() {
        text.push(format!(
            "  restore pgbk restore {}; \"latest\" means backups that were taken from a server",
            manifest.id
        ));
    }
    if manifest.key.is_none() {
        text.push(
            "  note    NOT ENCRYPTED: no DB_BACKUP_ENCRYPT_KEY or ENC_PASSWORD is set; who can read the store can read your data, \
             and who can write there can change it unnoticed",
        );
    }
    text
}

/// For machines: the manifest without its chunk tags, and where it went.
pub fn report(manifest: &Manifest, store: &dyn Store) -> Result<Value> {
    let mut value = serde_json::to_value(manifest)?;
    if let Some(map) = value.as_object_mut() {
        map.remove("chunks");
        map.insert("store".to_owned(), json!(store.location()));
        map.insert("place".to_owned(), json!(store.place(&manifest.object)));
        map.insert("rows".to_owned(), json!(manifest.rows()));
        map.insert("locked".to_owned(), json!(manifest.locked));
    }
    Ok(value)
}

/// One database of several, done or not.
fn document(outcome: &Outcome<Manifest>, store: &dyn Store) -> Result<Value> {
    let Outcome { record, result } = outcome;
    let mut value = match result {
        Ok(manifest) => report(manifest, store)?,
        Err(error) => json!({"database": record.database, "error": error_document(error)}),
    };
    value["state"] = json!(record.state);
    Ok(value)
}
