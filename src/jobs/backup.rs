//! Backs up one database, and in its submodules what is no database: globals and files.
//!
//! A database is dumped from one snapshot, through the pipeline into the repository; into several backups where the settings name several
//! outputs.

pub(crate) mod alignment;
pub(crate) mod anonymised_copy;
pub(crate) mod backup_facts;
pub(crate) mod copy_plan;
pub(crate) mod dump_source;
pub(crate) mod files;
pub(crate) mod globals;
pub mod outputs;
pub(crate) mod parallel;
pub(crate) mod plan;
pub(crate) mod row_readers;
pub(crate) mod store;
pub(crate) mod watch;

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::base::progress::{Monitor, Progress};
use crate::base::subject::Subject;
use crate::base::variant::Variant;
use crate::format::manifest::origin::Origin;
use crate::format::manifest::{Format, Manifest, ServerNote, SnapshotNote};
use crate::jobs::backup::alignment::{AlignedGeneration, alignment};
use crate::jobs::backup::anonymised_copy::AnonymisedCopy;
use crate::jobs::backup::backup_facts::{server_note, taking};
use crate::jobs::backup::copy_plan::{AnonymiseRecipe, CopyPlan};
use crate::jobs::backup::dump_source::{DumpResult, DumpSource, TRIES};
use crate::jobs::backup::outputs::OutputResults;
use crate::jobs::backup::plan::BackupPlan;
use crate::postgres::restore::load;
use crate::postgres::session::control::{AdvisoryLock, Control, Snapshot};
use crate::postgres::tools;
use crate::repository::Repository;
use crate::repository::writer::{BackupWriter, ManifestDetails};
use jiff::Timestamp;

/// Backs up one database. `now` is the time by this host's clock. An error means that there is no plain backup; what is wrong with an
/// output beside it is in the results.
pub fn backup(
    repository: &Repository,
    plan: &BackupPlan,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<OutputResults> {
    let mut control = Control::open(&plan.settings)?;
    control.lock(AdvisoryLock::Database)?;
    let pg_dump = tools::find("pg_dump", control.server().major, plan.bin_dir.as_deref())?;
    let expected = plan.expected.map_or_else(|| control.size(), Ok)?;
    let settings = control.for_dump()?;
    let omitted = omitted(&mut control, monitor);
    let generation = AlignedGeneration::find(repository, &mut control, plan.settings.database(), monitor);
    let dump = DumpSource { plan, pg_dump, settings, expected };
    let from = DatabaseBackup { dump, repository, now, omitted, generation };
    let mut tries = 1;
    loop {
        let why = match from.take(&mut control, tries, monitor)? {
            SnapshotResult::Whole(results) => return Ok(*results),
            SnapshotResult::Anew(why) => why,
        };
        if tries == TRIES {
            return Err(Fault::failed(format!("{why}, at each of {TRIES} tries"))
                .hint("back up when nobody changes tables, types, functions and their like; tables can be left out: PG_DUMP_USER_ARGS=--exclude-table=…")
                .into());
        }
        monitor.warn(&format!("{why}; the dump is taken anew"));
        tries += 1;
    }
}

/// The result of one snapshot.
enum SnapshotResult {
    Whole(Box<OutputResults>),
    /// Says, as the beginning of a sentence, why the dump must begin anew in another snapshot. Nothing is stored.
    Anew(String),
}

struct DatabaseBackup<'a> {
    dump: DumpSource<'a>,
    repository: &'a Repository,
    /// Time by this host's clock.
    now: Timestamp,
    /// Descriptions of what the dump leaves out.
    omitted: Vec<String>,
    /// The generation that it is a base of; `None`: no changes are captured.
    generation: Option<AlignedGeneration>,
}

/// Holds what the backups of one snapshot have in common.
struct SnapshotFacts {
    snapshot: Snapshot,
    server: ServerNote,
}

impl<'a> DatabaseBackup<'a> {
    /// Dumps one snapshot. `number` says how many have been tried, with this one.
    fn take(&self, control: &mut Control, number: u32, monitor: &dyn Monitor) -> Result<SnapshotResult> {
        let DumpSource { plan, expected, .. } = &self.dump;
        let snapshot = control.snapshot()?;
        let properties = control.properties();
        if let Err(error) = &properties {
            monitor.warn(&format!(
                "what belongs to the database itself (owner, privileges, settings, locale) is not in the backup: {error:#}"
            ));
        }
        let facts = SnapshotFacts { snapshot, server: server_note(control.server())? };
        let mut writer = self.begin(self.repository, plan.format, &facts, monitor)?;
        let mut copy = self.begin_copy(control, &facts, monitor);
        let outer = monitor;
        let monitor = &Progress::begin(monitor, &format!("backup {}", writer.id()), Some(*expected));
        let dumped = self.dump.dump(control, &facts.snapshot.name, number, &mut writer, copy.as_mut(), monitor)?;
        let (warnings, contents) = match dumped {
            DumpResult::Whole(remarks, contents) => {
                (self.omitted.iter().cloned().chain(remarks.tell(monitor)).collect(), contents)
            }
            DumpResult::Anew(why) => return Ok(SnapshotResult::Anew(why)),
        };
        control.alive()?;
        let changes = self.generation.as_ref().and_then(|of| alignment(of, &facts.snapshot, control, outer));
        let about =
            ManifestDetails { properties: properties.ok(), warnings, contents, changes, ..self.details(&facts) };
        let manifest = writer.finish(about, monitor)?;
        if plan.format == Format::Plain && plan.arguments.is_empty() && manifest.tables.is_empty() {
            monitor.warn(&format!("\"{}\" holds no tables: is it the database that is meant?", manifest.subject));
        }
        explain(&manifest, monitor);
        let mut results = OutputResults::from(manifest);
        self.further(control, &facts, copy, &mut results, outer);
        Ok(SnapshotResult::Whole(Box::new(results)))
    }

    /// Begins a backup in its repository, whose variant it is of.
    fn begin<'r>(
        &self,
        repository: &'r Repository,
        format: Format,
        facts: &SnapshotFacts,
        monitor: &dyn Monitor,
    ) -> Result<BackupWriter<'r>> {
        let DumpSource { plan, expected, .. } = &self.dump;
        let subject = Subject::from(plan.settings.database()).in_variant(repository.variant);
        let taking = taking(plan, subject, Some(&facts.server), facts.snapshot.taken_at, self.now);
        let name = repository.name(&taking, monitor)?;
        if repository.variant == Variant::Plain {
            monitor.names(&name.id.to_string());
        }
        repository.begin(name, format, plan.compression, *expected)
    }

    /// Begins the anonymised backup; `None`: none is wanted. Rules that do not fit are told at its end.
    fn begin_copy(
        &self,
        control: &mut Control,
        facts: &SnapshotFacts,
        monitor: &dyn Monitor,
    ) -> Option<AnonymisedCopy<'a>> {
        let output = self.dump.plan.outputs.anonymised.as_ref()?;
        let begun = self.copy_plan(&output.recipe, control).and_then(|plan| {
            let writer = self.begin(&output.repository, Format::Plain, facts, monitor)?;
            Ok((plan, writer))
        });
        Some(AnonymisedCopy::begin(&output.recipe, begun, monitor))
    }

    fn copy_plan(&self, recipe: &AnonymiseRecipe, control: &mut Control) -> Result<CopyPlan> {
        match parallel::unfit(self.dump.plan) {
            Some(why) => {
                Err(Fault::usage(format!("its rows must be read by pgbk itself, and cannot be: {why}")).into())
            }
            None => CopyPlan::of(recipe, control),
        }
    }

    /// Returns what the manifests of all outputs say.
    fn details(&self, facts: &SnapshotFacts) -> ManifestDetails {
        let DumpSource { plan, pg_dump, .. } = &self.dump;
        let SnapshotFacts { snapshot, server } = facts;
        ManifestDetails {
            server: Some(server.clone()),
            pg_dump: Some(pg_dump.version.clone()),
            arguments: plan.arguments.clone(),
            snapshot: Some(SnapshotNote { snapshot: snapshot.pg_snapshot.clone(), lsn: snapshot.lsn.clone() }),
            taken_at: Some(snapshot.taken_at),
            origin: Some(Origin::Backup),
            note: plan.note.clone(),
            must_be_whole: true,
            ..ManifestDetails::default()
        }
    }

    /// Makes the outputs beside the plain one, which is stored by now.
    fn further(
        &self,
        control: &mut Control,
        facts: &SnapshotFacts,
        copy: Option<AnonymisedCopy<'_>>,
        results: &mut OutputResults,
        monitor: &dyn Monitor,
    ) {
        if let Some(repository) = &self.dump.plan.outputs.custom {
            results.add(Variant::Custom, self.custom(repository, control, facts, monitor));
        }
        if let Some(mut copy) = copy {
            if copy.is_wanted() {
                copy.attempt(|copy| self.dump.copy(control, &facts.snapshot.name, copy, monitor));
            }
            let alive = cancel::check().and_then(|()| control.alive());
            copy.attempt(|_| alive);
            let about = ManifestDetails { warnings: self.omitted.clone(), ..self.details(facts) };
            results.add(Variant::Anonymised, copy.finish(about, monitor));
        }
    }

    /// Makes an archive of the same snapshot.
    fn custom(
        &self,
        repository: &Repository,
        control: &mut Control,
        facts: &SnapshotFacts,
        monitor: &dyn Monitor,
    ) -> Result<Manifest> {
        let mut writer = self.begin(repository, Format::Custom, facts, monitor)?;
        let monitor = &Progress::begin(monitor, &format!("backup {}", writer.id()), Some(self.dump.expected));
        let properties = control.properties().ok();
        match self.dump.by_pg_dump(Format::Custom, control, &facts.snapshot.name, TRIES, &mut writer, monitor)? {
            DumpResult::Whole(remarks, _) => {
                control.alive()?;
                let warnings = self.omitted.iter().cloned().chain(remarks.tell(monitor)).collect();
                writer.finish(ManifestDetails { properties, warnings, ..self.details(facts) }, monitor)
            }
            DumpResult::Anew(why) => Err(Fault::failed(why).into()),
        }
    }
}

/// Warns of what the dump leaves out although pg_dump does not say so, and returns these warnings for the manifest.
fn omitted(control: &mut Control, monitor: &dyn Monitor) -> Vec<String> {
    let omitted = control
        .omitted(false)
        .unwrap_or_else(|error| vec![format!("what the dump leaves out cannot be told: {error:#}")]);
    omitted.iter().for_each(|what| monitor.warn(what));
    omitted
}

/// Explains pg_dump's warning of circular keys if the tables belong to an extension that pgbk prepares for a restore.
fn explain(manifest: &Manifest, monitor: &dyn Monitor) {
    let circular = manifest.warnings.iter().any(|warning| warning.contains("circular foreign-key"));
    if let Some(extension) =
        manifest.requires.extensions.iter().find(|name| circular && load::extension_notice::is_told(name))
    {
        monitor.info(&format!(
            "circular keys are as they should be in the tables of the extension \"{extension}\": a restore by pgbk tells it, and fills them"
        ));
    }
}
