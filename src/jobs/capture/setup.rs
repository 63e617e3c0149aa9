//! Begins a generation: publications first, then a slot, and the document of the generation last.

use crate::base::error::{Fault, Kind, Result};
use crate::base::progress::Monitor;
use crate::format::changes::chain_document::CHAIN_FORMAT;
use crate::format::changes::generation::{Generation, ServerIdentifier};
use crate::format::changes::generation_id::GenerationId;
use crate::format::keys::Key;
use crate::format::lsn::Lsn;
use crate::format::manifest::encoding::EncodingName;
use crate::jobs::capture::plan::CapturePlan;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::replication::capture_candidate::CaptureCandidate;
use crate::postgres::replication::conditions::ReplicationConditions;
use crate::postgres::replication::publication::{PublishedTables, removal, require_owned, run, statements};
use crate::postgres::replication::replication_connection::{ReplicationConnection, ReplicationIdentity, SlotOptions};
use crate::postgres::replication::slot::{FAILOVER_SINCE, SlotState, probe};
use crate::postgres::session::connection::TimedConnection;
use crate::postgres::session::query::text;
use crate::repository::Repository;
use crate::store::{ObjectKind, write_as};
use jiff::Timestamp;
use std::time::Duration;

/// Longest wait for the transactions that write while a slot is made.
const SLOT_LIMIT: Duration = Duration::from_secs(600);
/// Longest wait for a process to leave a slot.
const LEAVE_LIMIT: Duration = Duration::from_secs(30);
/// How often a slot is made that cannot be read: one whose making met a TRUNCATE is of no use.
const TRIES: u32 = 3;
const APPLICATION: &str = "pgbk";

/// Holds what the server has of a capture, and what it lacks.
struct SetupState {
    statements: Vec<String>,
    tables: Vec<CaptureCandidate>,
    slot: Option<SlotState>,
    server_version: String,
    conditions: ReplicationConditions,
}

impl SetupState {
    fn ask(plan: &CapturePlan, settings: &ConnectionSettings) -> Result<SetupState> {
        let (client, plan) = (settings.connect(APPLICATION)?, plan.clone());
        TimedConnection::new(client).ask(move |client| {
            let tables = CaptureCandidate::list(client)?;
            let published = PublishedTables::ask(client, &plan.publications)?;
            Ok(SetupState {
                statements: statements(&plan.publications, &tables, &published),
                tables,
                slot: SlotState::find(client, &plan.slot)?,
                server_version: text(client, "SHOW server_version")?,
                conditions: ReplicationConditions::ask(client)?,
            })
        })
    }
}

/// Returns the statements that would set a capture up, in their order. None are needed where all is there.
pub fn setup_statements(plan: &CapturePlan) -> Result<Vec<String>> {
    let SetupState { mut statements, slot, conditions, .. } = SetupState::ask(plan, &plan.settings)?;
    if slot.is_none() {
        statements.push(SlotState::create_statement(&plan.slot, conditions.version_num));
    }
    Ok(statements)
}

/// Begins a generation. A slot that is there is taken over, if it can be read; one that the server has given up is replaced.
pub fn begin_generation(
    repository: &Repository,
    plan: &CapturePlan,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<Generation> {
    let mut connection = plan.settings.open_for_replication(APPLICATION)?;
    let settings = connection.settings().clone();
    let identity = connection.identify()?;
    let state = SetupState::ask(plan, &settings)?;
    state.conditions.require(state.slot.is_some())?;
    publish(&state, &settings, monitor)?;
    let (start, is_new) = match usable(plan, state.slot.as_ref())? {
        Some(confirmed) => (confirmed, false),
        None => {
            if state.slot.is_some() {
                connection.drop_slot(&plan.slot, LEAVE_LIMIT)?;
            }
            (create(plan, &mut connection, &settings)?, true)
        }
    };
    let generation = generation(plan, &connection, &identity, &state, (start, now))?;
    store(repository, &generation).inspect_err(|_| {
        if is_new && let Err(error) = connection.drop_slot(&plan.slot, LEAVE_LIMIT) {
            monitor.warn(&format!("the slot stays, and the server keeps its log for it: {error:#}"));
        }
    })?;
    monitor.info(&format!(
        "changes of \"{}\" are captured from {start} on: generation {}, slot \"{}\"",
        plan.subject(),
        generation.id,
        plan.slot
    ));
    Ok(generation)
}

/// Removes publications and slot. What is stored stays.
pub fn teardown(plan: &CapturePlan, monitor: &dyn Monitor) -> Result<()> {
    let mut connection = plan.settings.open_for_replication(APPLICATION)?;
    let settings = connection.settings().clone();
    let state = SetupState::ask(plan, &settings)?;
    match &state.slot {
        Some(SlotState { active_pid: Some(process), .. }) => {
            return Err(Fault::new(
                Kind::Busy,
                format!("server process {process} streams from slot \"{}\"", plan.slot),
            )
            .hint("stop the capture first")
            .into());
        }
        Some(_) => {
            connection.drop_slot(&plan.slot, LEAVE_LIMIT)?;
            monitor.info(&format!("replication slot \"{}\" dropped", plan.slot));
        }
        None => monitor.info(&format!("there is no replication slot \"{}\"", plan.slot)),
    }
    execute(&settings, removal(&plan.publications), monitor)
}

/// Makes the publications, or changes them to what they should list.
fn publish(state: &SetupState, settings: &ConnectionSettings, monitor: &dyn Monitor) -> Result<()> {
    if state.statements.is_empty() {
        return Ok(());
    }
    require_owned(&state.tables)?;
    execute(settings, state.statements.clone(), monitor)
}

fn execute(settings: &ConnectionSettings, statements: Vec<String>, monitor: &dyn Monitor) -> Result<()> {
    for statement in &statements {
        monitor.info(statement);
    }
    TimedConnection::new(settings.connect(APPLICATION)?).ask(move |client| run(client, &statements))
}

/// Returns where a slot that is there goes on. `None`: there is none, or the server has given it up.
fn usable(plan: &CapturePlan, slot: Option<&SlotState>) -> Result<Option<Lsn>> {
    let Some(slot) = slot else { return Ok(None) };
    slot.require_ours(&plan.slot, plan.settings.database())?;
    if let Some(process) = slot.active_pid {
        return Err(Fault::new(Kind::Busy, format!("server process {process} streams from slot \"{}\"", plan.slot))
            .hint("one capture at a time reads a slot: stop the other one, or set CAPTURE_SLOT to another name")
            .into());
    }
    Ok(slot.confirmed.filter(|_| !slot.is_lost()))
}

/// Makes a slot that can be read, and returns where it begins.
fn create(plan: &CapturePlan, connection: &mut ReplicationConnection, settings: &ConnectionSettings) -> Result<Lsn> {
    let mut tries = 1;
    loop {
        // A standby that synchronises slots takes over those alone that were made for it.
        let options = SlotOptions { failover: connection.version_num() >= FAILOVER_SINCE, export_snapshot: false };
        let created = connection.create_slot(&plan.slot, options, SLOT_LIMIT)?;
        let (slot, published) = (plan.slot.clone(), plan.published());
        let client = settings.connect(APPLICATION)?;
        match TimedConnection::new(client).ask(move |client| probe(client, &slot, &published)) {
            Ok(()) => return Ok(created.consistent),
            Err(error) => {
                connection.drop_slot(&plan.slot, LEAVE_LIMIT)?;
                if tries == TRIES {
                    return Err(error);
                }
            }
        }
        tries += 1;
    }
}

fn generation(
    plan: &CapturePlan,
    connection: &ReplicationConnection,
    identity: &ReplicationIdentity,
    state: &SetupState,
    (start, now): (Lsn, Timestamp),
) -> Result<Generation> {
    let unknown = |what: &str| Fault::failed(format!("the server's {what} is none that pgbk knows"));
    let identifier = identity.system_identifier.parse().map_err(|_| unknown("system identifier"))?;
    Ok(Generation {
        pgbk_changes: CHAIN_FORMAT,
        id: GenerationId::new(now)?,
        database: plan.subject(),
        start,
        created_at: now,
        system_identifier: ServerIdentifier(identifier),
        timeline: identity.timeline,
        server_version: state.server_version.split_whitespace().next().unwrap_or_default().to_owned(),
        server_version_num: connection.version_num(),
        encoding: EncodingName::named(connection.encoding()).ok_or_else(|| unknown("encoding"))?,
        slot: plan.slot.clone(),
        publications: plan.published(),
        key: None,
    })
}

fn store(repository: &Repository, generation: &Generation) -> Result<()> {
    let derived_keys = repository.key.as_ref().map(Key::begin).transpose()?;
    let key = derived_keys.as_ref().map(|derived_keys| derived_keys.note.clone());
    let document = Generation { key, ..generation.clone() }.seal(derived_keys.as_ref())?;
    write_as(repository.store.as_ref(), &generation.key_name(), &document, ObjectKind::Meta)?;
    repository.put_restore_script(generation)
}
