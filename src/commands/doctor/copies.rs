//! Checks what `OUTPUTS` asks for beside the plain backups: where it is kept, its key, and the rules of anonymising.

use crate::base::error::Result;
use crate::base::variant::Variant;
use crate::cli::arguments::{DoctorArgs, ScheduleArgs};
use crate::commands::doctor::comparison::Comparison;
use crate::commands::doctor::databases::named_databases;
use crate::config::outputs::{CopyKey, check, of_variant, place};
use crate::config::{self, arguments};
use crate::format::backup_id::BackupId;
use crate::format::run_record::Record;
use crate::monitoring::doctor::DoctorFinding;
use crate::monitoring::doctor::rules::look_at_rules;
use crate::monitoring::doctor::store::{Cleaning, look_at_leftovers, look_at_store};
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::runs::history::share;
use crate::store::{ObjectInfo, Store};
use jiff::Timestamp;
use std::sync::Arc;

/// Looks at the outputs beside the plain one.
pub(crate) struct CopyLook<'a> {
    args: &'a DoctorArgs,
    settings: Box<ScheduleArgs>,
    /// The store of anonymised backups, if it is not that of the others; an error if its settings are wrong.
    own: Option<Result<Arc<dyn Store>>>,
}

/// Returns the settings of runs; `None`: they make plain backups alone, or are wrong, which is told elsewhere.
fn settings() -> Option<Box<ScheduleArgs>> {
    let settings = arguments::of_schedule().ok()?;
    settings.run.outputs.outputs.iter().any(|variant| !variant.is_plain()).then_some(settings)
}

fn makes(settings: &ScheduleArgs, variant: Variant) -> bool {
    settings.run.outputs.outputs.contains(&variant)
}

/// Makes the folder of anonymised backups, if they have one of their own.
pub(crate) fn make_place(args: &DoctorArgs) -> Result<()> {
    let settings = settings().filter(|settings| makes(settings, Variant::Anonymised));
    let Some(settings) = settings else { return Ok(()) };
    let places = &settings.run.outputs.place;
    match places.anon_store_dir {
        Some(_) => config::make_store(&place(Variant::Anonymised, places, &args.store)?),
        None => Ok(()),
    }
}

/// Checks the rules of anonymising against each database; nothing if no run anonymises.
pub(crate) fn rules(args: &DoctorArgs) -> Vec<DoctorFinding> {
    let Some(settings) = settings().filter(|settings| makes(settings, Variant::Anonymised)) else { return Vec::new() };
    let recipe = match config::anonymise::recipe(&settings.run.outputs.anonymise) {
        Ok(recipe) => recipe,
        Err(error) => {
            return vec![DoctorFinding::error("anonymised: rules", &error, "check the file of ANONYMISE_RULES")];
        }
    };
    // Where the server's settings are wrong, that is told already.
    let Ok(server) = config::server::server(&args.server) else { return Vec::new() };
    let databases = named_databases(args, &server).unwrap_or_default();
    databases.iter().map(|database| look_at_rules(&recipe, &server.for_database(database))).collect()
}

impl CopyLook<'_> {
    /// Returns what is to be looked at; `None`: runs make plain backups alone. `store` is that of the plain ones.
    pub fn of<'a>(args: &'a DoctorArgs, store: &Arc<dyn Store>) -> Option<CopyLook<'a>> {
        let settings = settings()?;
        let own = makes(&settings, Variant::Anonymised).then(|| {
            let place = place(Variant::Anonymised, &settings.run.outputs.place, &args.store)?;
            config::store(&place, args.keys.check)
        });
        let is_other =
            |own: &Result<Arc<dyn Store>>| own.as_ref().map_or(true, |own| own.location() != store.location());
        Some(CopyLook { args, own: own.filter(is_other), settings })
    }

    /// Returns whether the document with this key is in the copies' own store.
    pub fn holds(&self, key: &str) -> bool {
        let is_copy = BackupId::of_meta_key(key).is_some_and(|id| id.subject().variant() == Variant::Anonymised);
        is_copy && matches!(self.own, Some(Ok(_)))
    }

    /// Looks at each output. `listed` holds what is in the store of the plain backups; `None`: it could not be listed. `cleaning` is about
    /// the copies' own store. The records are those of whole runs.
    pub fn findings(
        &self,
        listed: Option<&[ObjectInfo]>,
        cleaning: &Cleaning,
        (comparison, records): (&Comparison, &[Record]),
        now: Timestamp,
    ) -> Result<Vec<DoctorFinding>> {
        let wrong = check(&self.settings.run).err();
        let mut findings: Vec<DoctorFinding> =
            wrong.iter().map(|error| DoctorFinding::error("outputs", error, "check OUTPUTS")).collect();
        let beside = |variant| listed.map(|listed| Catalog::of(listed.to_vec()).in_variant(variant));
        if makes(&self.settings, Variant::Custom) {
            findings.extend(self.compared(Variant::Custom, beside(Variant::Custom).as_ref(), comparison));
        }
        if !makes(&self.settings, Variant::Anonymised) {
            return Ok(findings);
        }
        findings.push(of_copies(self.key()));
        let catalog = match &self.own {
            None => beside(Variant::Anonymised),
            Some(Err(error)) => {
                findings.push(DoctorFinding::error(
                    "anonymised: store",
                    error,
                    "check ANON_STORE_DIR and ANON_S3_FOLDER",
                ));
                return Ok(findings);
            }
            Some(Ok(store)) => {
                if let Err(error) = share::look(store.as_ref(), records) {
                    findings.push(DoctorFinding::error("anonymised: store", &error, "mount it"));
                    return Ok(findings);
                }
                findings.extend(look_at_store(store.as_ref(), now).into_iter().map(of_copies));
                comparison.note_going(&cleaning.metas, &store.location());
                let listed = store.list("");
                let catalog =
                    listed.as_ref().ok().map(|listed| Catalog::of(listed.clone()).in_variant(Variant::Anonymised));
                let left = look_at_leftovers(store.as_ref(), listed, cleaning, now, comparison.console)?;
                findings.extend(left.into_iter().map(of_copies));
                catalog
            }
        };
        findings.extend(self.compared(Variant::Anonymised, catalog.as_ref(), comparison));
        Ok(findings)
    }

    /// Compares the listing of one output with its key, the server and the history.
    fn compared(&self, variant: Variant, catalog: Option<&Catalog>, comparison: &Comparison) -> Vec<DoctorFinding> {
        let DoctorArgs { store, keys, state, .. } = self.args;
        // A mistake in the key or in the place of the store is told already.
        let repository = of_variant(variant, &self.settings.run.outputs.place, store, keys, state);
        let Ok(repository) = repository else { return Vec::new() };
        let repository = Repository { allow_unauthenticated: true, ..repository };
        let findings = comparison.findings(&repository, true, catalog).into_iter();
        findings.map(|finding| named(variant, finding)).collect()
    }

    /// Says what the key of anonymised backups means.
    fn key(&self) -> DoctorFinding {
        let own_place = self.own.is_some();
        let more = if own_place { "" } else { ", and a folder of their own: ANON_S3_FOLDER or ANON_STORE_DIR" };
        let remedy =
            format!("give them a key of their own: ANON_ENCRYPT_KEY (openssl rand -hex 32) or ANON_ENC_PASSWORD{more}");
        let shared = |how: &str| {
            let place = if own_place { "wherever those are found" } else { "which are in the same folder" };
            let detail = format!("{how}: who has it to read copies reads the backups of production, too, {place}");
            DoctorFinding::note("key", detail, remedy.clone())
        };
        match CopyKey::of_settings() {
            Err(error) => DoctorFinding::error("key", &error, "openssl rand -hex 32"),
            Ok(CopyKey::Unset) => {
                DoctorFinding::note("key", "none: they are not encrypted, as the others are not", remedy)
            }
            Ok(CopyKey::Shared) => shared("that of the other backups"),
            Ok(CopyKey::Equal) => shared("the one that is set for them is that of the other backups"),
            Ok(CopyKey::Own) if own_place => DoctorFinding::ok("key", "their own, in a place of their own"),
            Ok(CopyKey::Own) => DoctorFinding::note(
                "key",
                "their own, in the folder of the other backups: who may read copies there may fetch the others, which that key does not open",
                "give them a folder of their own: ANON_S3_FOLDER or ANON_STORE_DIR",
            ),
        }
    }
}

fn of_copies(finding: DoctorFinding) -> DoctorFinding {
    named(Variant::Anonymised, finding)
}

/// Puts the output's name before what is found of it.
fn named(variant: Variant, finding: DoctorFinding) -> DoctorFinding {
    DoctorFinding { what: format!("{}: {}", variant.name(), finding.what), ..finding }
}
