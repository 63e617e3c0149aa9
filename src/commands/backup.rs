//! `pgbk backup`

use crate::alerts::Alerts;
use crate::base::databases::Databases;
use crate::base::error::{Result, hints};
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, many};
use crate::base::subject::Subject;
use crate::cli::arguments::BackupArgs;
use crate::cli::console::{Console, bytes, can_ask, error_document};
use crate::cli::settings::RunArgs;
use crate::commands::summary::{contents, stages};
use crate::config;
use crate::config::alerts::AlertChannels;
use crate::format::keys::Key;
use crate::format::manifest::Manifest;
use crate::format::run_record::Trigger;
use crate::jobs::backup::outputs::BackupsMade;
use crate::jobs::backup::plan::BackupPlan;
use crate::pipeline::codec::fit::Fit;
use crate::repository::Repository;
use crate::repository::new_backup::Adoption;
use crate::runs::after_backup::AfterBackup;
use crate::runs::backups::Backups;
use crate::runs::history::History;
use crate::runs::missing_backups::watch::MissingWatch;
use crate::runs::runner::{Outcome, Runner, exit_code};
use crate::store::Store;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::cell::RefCell;

pub fn run(args: &BackupArgs, console: &Console) -> Result<u8> {
    let mut prepared = BackupSetup::new(&args.run, AlertAudience::of(args.alert), console)?;
    prepared.plan.adopt = adopt(args);
    prepared.plan.note.clone_from(&args.note);
    let done = backups(args, &prepared, console);
    prepared.alerts.close(console);
    done
}

fn adopt(args: &BackupArgs) -> Adoption {
    match args.adopt.as_deref() {
        None => Adoption::No,
        Some("") => Adoption::Only,
        Some(identifier) => Adoption::This(identifier.to_owned()),
    }
}

fn backups(args: &BackupArgs, prepared: &BackupSetup, console: &Console) -> Result<u8> {
    let databases = config::runs::databases(&args.run, &prepared.plan.settings)?;
    let alone = matches!(&databases, Databases::Named(names) if names.len() == 1);
    let untold = RefCell::new(None);
    let outcomes = prepared.backups(console).all(&databases, Trigger::Manual, |outcome| match &outcome.result {
        Ok(made) if !args.json => {
            for manifest in made.all() {
                // No reason to stop; it is told at the end.
                if let Err(error) = console.text(&summary(manifest, prepared.store_of(manifest))) {
                    untold.replace(Some(error));
                }
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
        let documents = outcomes.iter().map(|outcome| document(outcome, prepared)).collect::<Result<Vec<_>>>()?;
        console.result(&Lines::new(), &documents)?;
        return Ok(code);
    }
    for outcome in outcomes {
        console.result(&Lines::new(), &reports(&outcome.result?, prepared)?)?;
    }
    Ok(code)
}

/// Says who is alerted when runs end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertAudience {
    Everybody,
    Nobody,
}

impl AlertAudience {
    /// Returns who is alerted of a run that no schedule started: everybody, if `alert` is set or there is no
    /// terminal. Else nobody: the person at the terminal sees how the run ends.
    pub fn of(alert: bool) -> AlertAudience {
        if alert || !can_ask() { AlertAudience::Everybody } else { AlertAudience::Nobody }
    }

    /// Opens the alert channels. A mistake in one stops no run: it is logged as a warning, and sent once through the
    /// other channels.
    pub fn open(self, AlertChannels { settings, mistakes }: AlertChannels, monitor: &dyn Monitor) -> Alerts {
        let alerts = Alerts::open(&if self == AlertAudience::Nobody { settings.silent() } else { settings });
        for mistake in mistakes {
            let hint = hints(&mistake).first().map_or_else(String::new, |hint| format!(" ({hint})"));
            let text = format!("alerts: {mistake:#}{hint}; until that is mended, some of them reach nobody");
            monitor.warn(&text);
            alerts.notice_once(&text, Timestamp::now(), monitor);
        }
        alerts
    }
}

/// Holds everything that the settings say of a run.
pub struct BackupSetup<'a> {
    pub args: &'a RunArgs,
    pub repository: Repository,
    pub plan: BackupPlan,
    /// The subjects that are backed up besides databases: globals and files.
    pub beside: Vec<Subject>,
    pub upkeep: AfterBackup,
    /// Work that follows each anonymised backup.
    pub copy_upkeep: AfterBackup,
    pub alerts: Alerts,
    pub history: Option<History>,
    pub watch: Option<MissingWatch>,
}

impl<'a> BackupSetup<'a> {
    /// Reads all settings before it touches any network, so that a mistake is reported first.
    pub fn new(args: &'a RunArgs, told: AlertAudience, console: &Console) -> Result<BackupSetup<'a>> {
        let plan = config::runs::plan(args)?;
        let repository = config::repository(&args.store, &args.keys, &args.state)?;
        let upkeep = config::retention::upkeep(&args.upkeep, &args.zone)?;
        if repository.encrypt && matches!(repository.key, Some(Key::Raw { iv: Some(_), .. })) {
            console.warn(
                "a fixed DB_BACKUP_ENCRYPT_IV shows which backups share a beginning; unset it to get a fresh IV for each",
            );
        }
        if let Some(remark) = plan.compression.and_then(|compression| Fit::of(compression).remark(compression)) {
            console.warn(&remark);
        }
        if !repository.verify {
            console.warn("DB_BACKUP_VERIFY=0: what is stored is not checked");
        }
        let history = config::state::history(&args.state).inspect_err(|error| console.warn(&format!("{error:#}"))).ok();
        let copy_upkeep = config::retention::copy_upkeep(&upkeep)?;
        if let Some(remark) = config::outputs::remark(&plan.outputs)? {
            console.warn(remark);
        }
        let watch = history.clone().map(|history| MissingWatch { history, policy: upkeep.policy() });
        let alerts = told.open(config::alerts::alerts(&args.alerts, &args.state, plan.settings.describe()), console);
        let beside = config::runs::extras(args)?;
        let prepared = BackupSetup { args, repository, plan, beside, upkeep, copy_upkeep, alerts, history, watch };
        if told == AlertAudience::Everybody {
            prepared.runner(console).tell_of_lost();
        }
        Ok(prepared)
    }

    pub fn backups<'b>(&'b self, monitor: &'b dyn Monitor) -> Backups<'b> {
        Backups {
            runner: self.runner(monitor),
            repository: &self.repository,
            plan: &self.plan,
            beside: &self.beside,
            upkeep: &self.upkeep,
            copy_upkeep: &self.copy_upkeep,
            watch: self.watch.as_ref(),
        }
    }

    /// Returns the store that this backup is in.
    pub fn store_of(&self, manifest: &Manifest) -> &dyn Store {
        let further = self.plan.outputs.repository(manifest.subject.variant());
        further.unwrap_or(&self.repository).store.as_ref()
    }

    pub fn runner<'b>(&'b self, monitor: &'b dyn Monitor) -> Runner<'b> {
        Runner {
            alerts: &self.alerts,
            history: self.history.as_ref(),
            limit: self.args.run_timeout,
            clock: Timestamp::now,
            monitor,
        }
    }
}

/// Returns the report of a finished backup for people.
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
        .and(format!("  place   {}", place(manifest, store)));
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

/// Returns where the payload is, for people.
fn place(manifest: &Manifest, store: &dyn Store) -> String {
    let first = store.place(&manifest.object);
    match manifest.further_objects.len() {
        0 => first,
        further => format!("{first} and {} behind it: .part0002 to .part{:04}", many(further, "object"), further + 1),
    }
}

/// Returns the report of a finished backup for machines: the manifest without what only a restore needs, and where it is stored.
pub fn report(manifest: &Manifest, store: &dyn Store) -> Result<Value> {
    let mut value = serde_json::to_value(manifest)?;
    if let Some(map) = value.as_object_mut() {
        ["chunks", "pieces", "contents"].into_iter().for_each(|member| drop(map.remove(member)));
        map.insert("store".to_owned(), json!(store.location()));
        map.insert("place".to_owned(), json!(store.place(&manifest.object)));
        map.insert("rows".to_owned(), json!(manifest.rows()));
        map.insert("locked".to_owned(), json!(manifest.locked));
    }
    Ok(value)
}

/// Returns the report of all backups of one run: that of the plain one, with the others in it.
fn reports(made: &BackupsMade, prepared: &BackupSetup) -> Result<Value> {
    let of = |manifest: &Manifest| report(manifest, prepared.store_of(manifest));
    let mut value = of(&made.plain)?;
    if !made.further.is_empty() {
        value["outputs"] = made.further.iter().map(of).collect::<Result<Vec<Value>>>()?.into();
    }
    Ok(value)
}

/// Returns the document of one run among several, whether it succeeded or failed.
fn document(outcome: &Outcome<BackupsMade>, prepared: &BackupSetup) -> Result<Value> {
    let Outcome { record, result } = outcome;
    let mut value = match result {
        Ok(made) => reports(made, prepared)?,
        Err(error) => json!({"database": record.database, "error": error_document(error)}),
    };
    value["state"] = json!(record.state);
    Ok(value)
}
