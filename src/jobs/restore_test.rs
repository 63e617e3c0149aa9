//! Restore test: restores a backup into a scratch database and compares that with the `.meta`, table by table.

pub mod chain_proof;
pub(crate) mod comparable_tables;
pub(crate) mod compare_rows;
#[cfg(test)]
mod tests;
pub mod verify_changes;

use crate::base::cancel;
use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::base::shown::{agree, many};
use crate::base::verify_level::Level;
use crate::format::backup_id::BackupId;
use crate::format::manifest::table_diff::{TableComparison, compare};
use crate::format::manifest::{Format, Manifest, Table};
use crate::format::sql::requirements::Requirements;
use crate::format::sql::schema::Differences;
use crate::jobs::restore::execute::major;
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::properties::own;
use crate::jobs::restore::{admit, restore};
use crate::jobs::verify::{RestoreTestReport, VerifyFinding, verify};
use crate::pipeline::table_counter::{TableCounter, as_tables};
use crate::postgres::properties::changes::PropertyRules;
use crate::postgres::properties::own_properties::OwnProperties;
use crate::postgres::restore::load::load_omissions::LoadOmissions;
use crate::postgres::restore::load::skipped_statements::UntriedStatements;
use crate::postgres::restore::target::RestoreTarget;
use crate::postgres::scratch::{ScratchDatabase, ScratchServer};
use crate::postgres::shape::Shape;
use crate::postgres::tools::dump::second_dump::again;
use crate::repository::Repository;
use crate::repository::reader::BackupReader;
use compare_rows::{TableRecount, recount};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

const APPLICATION: &str = "pgbk verify";
/// Most names of tables in one message.
const NAMED: usize = 5;

/// Says where to restore, and with which tools.
#[derive(Clone)]
pub struct RestoreTestPlan {
    pub place: ScratchServer,
    pub bin_dir: Option<PathBuf>,
}

/// Proves a backup by a restore test. A backup that is not as it should be is a finding; an error says why the test could not be made.
pub fn prove(
    repository: &Repository,
    id: &BackupId,
    plan: &RestoreTestPlan,
    monitor: &dyn Monitor,
) -> Result<VerifyFinding> {
    if id.subject().database().is_none() {
        monitor.info(&format!("{id} is of no database: it is read to its end instead of restored"));
        return verify(repository, id, Level::Content, monitor);
    }
    let mut finding = VerifyFinding::of(id, Level::Restore);
    let (manifest, _) = match repository.manifest(id) {
        Err(error) => return finding.judged(Err(error)),
        Ok(read) => read,
    };
    let mut extensions = manifest.requires.extensions;
    if manifest.dump.format == Format::Custom {
        // Nothing else would tell a damaged archive from a pg_restore that broke down.
        let content = verify(repository, id, Level::Content, monitor)?;
        if !content.ok {
            return Ok(VerifyFinding { level: Level::Restore, ..content });
        }
        extensions = content.extensions;
    }
    let proven = repository.open(id).and_then(|opened| {
        finding.describe(&opened.manifest);
        // Looked at before anything is restored: such a restore would do harm.
        again(&opened.manifest.dump.arguments)?;
        let proof = restored(opened, &extensions, plan, monitor)?;
        finding.count(&proof);
        let proof = finding.proof.insert(proof);
        verdict(id, &proof.tables)?;
        meaning(id, &proof.schema)
    });
    finding.judged(proven)
}

/// Restores into a scratch database and compares.
fn restored(
    opened: BackupReader,
    extensions: &BTreeSet<String>,
    plan: &RestoreTestPlan,
    monitor: &dyn Monitor,
) -> Result<RestoreTestReport> {
    let fill = |opened: BackupReader, scratch: &ScratchDatabase| filled(opened, scratch, plan, monitor);
    let (contents, stay) = in_scratch(opened, extensions, plan, monitor, fill)?;
    let ScratchContents { tables, properties, untried, schema } = contents;
    let not_tried = untried.lines("the table is an extension's");
    let ScratchStay { place, with_owners, seconds } = stay;
    Ok(RestoreTestReport { scratch: place, seconds, with_owners, tables, properties, not_tried, schema })
}

/// Says where something was restored, and how long that took.
struct ScratchStay {
    place: String,
    with_owners: bool,
    seconds: f64,
}

/// Makes a scratch database for a backup and has `fill` fill it. It is dropped however this ends.
fn in_scratch<T>(
    opened: BackupReader,
    extensions: &BTreeSet<String>,
    plan: &RestoreTestPlan,
    monitor: &dyn Monitor,
    fill: impl FnOnce(BackupReader, &ScratchDatabase) -> Result<T>,
) -> Result<(T, ScratchStay)> {
    let begun = Instant::now();
    let held = opened.properties()?;
    let server = opened.manifest.server.clone();
    // Where the files of a database lie is not among what is proven.
    let shape = Shape { tablespace: None, ..Shape::of(server.as_ref(), held.as_ref()) };
    let scratch = ScratchDatabase::make(&plan.place, server.as_ref(), shape, extensions, monitor)?;
    let (place, with_owners) = (scratch.describe(), scratch.is_alone());
    let filled = fill(opened, &scratch);
    if let Err(left) = scratch.remove() {
        monitor.warn(&format!("{left:#}; the next proof on this server tries again"));
    }
    // With a signal the database goes at once, and whatever was going on in it fails for that.
    let filled = filled.map_err(|error| cancel::check().err().unwrap_or(error))?;
    Ok((filled, ScratchStay { place, with_owners, seconds: begun.elapsed().as_secs_f64() }))
}

/// Describes what was loaded into a scratch database, and how it compares.
struct ScratchContents {
    tables: Vec<TableComparison>,
    properties: Vec<String>,
    untried: UntriedStatements,
    schema: Differences,
}

fn filled(
    opened: BackupReader,
    scratch: &ScratchDatabase,
    plan: &RestoreTestPlan,
    monitor: &dyn Monitor,
) -> Result<ScratchContents> {
    let manifest = opened.manifest.clone();
    let loads = opened.derived_keys.is_some();
    let tables = TableCounter::of(opened.derived_keys.as_ref(), manifest.pgbk);
    let into = scratch_plan(&opened, scratch, plan)?;
    let target = admit(&manifest, &into)?;
    not_older(&manifest, target.server_major)?;
    let other_locale = scratch.lacking().locale.as_deref();
    let mut properties: Vec<String> =
        other_locale.map(|locale| format!("the server lacks the locale {locale}")).into_iter().collect();
    // First of all: once something of the dump is there, nobody who may more than it connects.
    if let Some(own) = into.own.clone() {
        let own = OwnProperties { rules: Some(PropertyRules { owner: true, privileges: true, loads }), ..own };
        properties.extend(tried(&own, scratch, &target)?);
    }
    let done = restore(opened, &into, &target, monitor)
        .map_err(|error| not_taken(&manifest, target.server_major, other_locale, error))?;
    let (untried, tables) = (done.untried, tables.in_order(done.columns).with_statements());
    all_made(&manifest.id, &untried)?;
    let bin_dir = plan.bin_dir.as_deref();
    let TableRecount { found, is_worded_alike } =
        recount(&manifest, tables, &scratch.loader().reader()?, target.server_major, bin_dir, monitor)?;
    let schema = match is_worded_alike {
        true => done.schema.differences(&found.schema),
        false => Differences::default(),
    };
    let foreign = manifest.tools.pg_dump.is_none();
    // Rows that are statements are in no document, but in the script, which the document vouches for. Who knows how others write them.
    let inserted = if foreign { Vec::new() } else { as_tables(done.inserted) };
    let tried = |table: &Table| !untried.tables.contains(&table.name);
    let stated: Vec<Table> = manifest.tables.into_iter().chain(inserted).filter(tried).collect();
    let found: Vec<Table> = found.tables.into_iter().chain(found.inserted).filter(tried).collect();
    let stated = (manifest.dump.format == Format::Plain).then_some(stated.as_slice());
    Ok(ScratchContents { tables: compare(stated, &found, foreign), properties, untried, schema })
}

/// Returns the plan of a restore into a scratch database.
fn scratch_plan(opened: &BackupReader, scratch: &ScratchDatabase, plan: &RestoreTestPlan) -> Result<RestorePlan> {
    Ok(RestorePlan {
        settings: scratch.settings().clone(),
        database: scratch.name().to_owned(),
        clean: false,
        over_source: false,
        // Roles that others know have rights somewhere. Those of a server that goes with the proof have none but what the dump gives.
        no_owner: !scratch.is_alone(),
        no_privileges: !scratch.is_alone(),
        leave: LoadOmissions::default(),
        own: own(opened, scratch.name(), None)?,
        any_locale: true,
        jobs: Some(1),
        processes: 1,
        until_keys: false,
        into_new: false,
        single_transaction: true,
        loader: Some(scratch.loader().clone()),
        bin_dir: plan.bin_dir.clone(),
    })
}

/// Gives the scratch database the source's properties, checks them, and takes them back: a limit
/// or a setting must not disturb the test itself.
fn tried(own: &OwnProperties, scratch: &ScratchDatabase, target: &RestoreTarget) -> Result<Vec<String>> {
    if scratch.is_alone() {
        let wanted = Requirements { roles: own.roles(), ..Requirements::default() };
        scratch.loader().make_roles(&target.lacks(scratch.settings(), &wanted)?.roles)?;
    }
    own.rehearse(&mut scratch.settings().connect(APPLICATION)?)
}

/// Fails if tables of the dump could not be made: then nothing is known of their rows.
fn all_made(id: &BackupId, untried: &UntriedStatements) -> Result<()> {
    if untried.unmade.is_empty() {
        return Ok(());
    }
    let names = untried.unmade.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let why = untried.statements.first().cloned().unwrap_or_default();
    Err(Fault::failed(format!("{id} cannot be proven here: tables could not be made ({names}); first of all: {why}"))
        .hint("a proof restores as a role without SUPERUSER; restore it as a superuser by hand, into a server that holds nothing else")
        .into())
}

/// Refuses a server older than the source's: it may reject what a newer one wrote, which says nothing about the backup.
fn not_older(manifest: &Manifest, server_major: u32) -> Result<()> {
    match major(manifest) {
        Some(theirs) if theirs > server_major => Err(Fault::usage(format!(
            "{} is from a server of version {theirs}, and the scratch database is on one of version {server_major}",
            manifest.id
        ))
        .hint("prove it on a server that is not older: VERIFY_DB_HOST, VERIFY_SCRATCH")
        .into()),
        _ => Ok(()),
    }
}

/// Turns a refusal by the server into damage: a backup whose bytes are intact but that no server takes is as lost as a damaged one. Under
/// another locale or on another major version that is not certain, and the error says so.
fn not_taken(
    manifest: &Manifest,
    server_major: u32,
    other_locale: Option<&str>,
    error: anyhow::Error,
) -> anyhow::Error {
    let id = &manifest.id;
    if kind(&error) != Kind::Refused {
        return error;
    }
    if let Some(locale) = other_locale {
        let message =
            format!("{id} could not be tried under its own locale, {locale}, which the server lacks: {error:#}");
        return Fault::like(&error, message)
            .with_kind(Kind::Failed)
            .hint("install the locale for the server, or prove on one that has it: VERIFY_DB_HOST, VERIFY_SCRATCH")
            .into();
    }
    match major(manifest) {
        Some(theirs) if theirs != server_major => Fault::like(
            &error,
            format!("{id} is from PostgreSQL {theirs} and could not be tried on {server_major}: {error:#}"),
        )
        .with_kind(Kind::Failed)
        .hint("prove on a server of the same major version: VERIFY_DB_HOST, VERIFY_SCRATCH")
        .into(),
        _ => Fault::like(&error, format!("{id} cannot be restored: {error:#}")).with_kind(Kind::Damaged).into(),
    }
}

/// Fails if something in the copy compares by another operator than at the source.
fn meaning(id: &BackupId, schema: &Differences) -> Result<()> {
    let Some(first) = schema.meaning.first() else { return Ok(()) };
    let message = format!(
        "the rows of {id} are as its .meta states, and its schema means something else in the copy: {first} compares by another operator there, as pg_dump does not say which ({} in all); a restore finds it with --search-path and the schemas of the source",
        schema.meaning.len()
    );
    Err(Fault::damaged(message).into())
}

fn verdict(id: &BackupId, tables: &[TableComparison]) -> Result<()> {
    let wrong: Vec<&str> = tables.iter().filter(|one| one.is_wrong()).map(|one| one.name.as_str()).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let names = wrong.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = if wrong.len() > NAMED { ", …" } else { "" };
    let (all, are) = (many(tables.len(), "table"), agree(&tables.len(), "is", "are"));
    let message = format!("{} of {all} of {id} {are} not as its .meta states: {names}{more}", wrong.len());
    Err(Fault::damaged(message).into())
}
