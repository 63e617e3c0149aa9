//! `pgbk capture`

use crate::base::cancel::Cancel;
use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, many};
use crate::base::threads;
use crate::cli::capture_args::CaptureArgs;
use crate::cli::console::{Console, bytes, can_ask};
use crate::commands::backup::{AlertAudience, BackupSetup};
use crate::config;
use crate::config::alerts::AlertChannels;
use crate::config::capture::CaptureSettings;
use crate::config::state::{records, state_dir};
use crate::format::changes::table_break::BreakReason;
use crate::format::lsn::Lsn;
use crate::format::sql::object_name::TableName;
use crate::jobs::capture::base_needs::{BaseRules, SharedNeeds};
use crate::jobs::capture::plan::CapturePlan;
use crate::jobs::capture::setup::{begin_generation, setup_statements, teardown};
use crate::jobs::capture::status::CaptureStatus;
use crate::repository::chain_tail::ChainTail;
use crate::runs::bases::BaseRuns;
use crate::runs::captures::capture_keeper::{CaptureKeeper, CaptureSetup};
use crate::runs::captures::record_file::forget;
use crate::runs::history::share;
use jiff::{Timestamp, Unit};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::thread;

pub fn run(args: &CaptureArgs, console: &Console) -> Result<u8> {
    let CaptureSettings { database, options, rules, runs } = config::capture::settings(args)?;
    let plan = options.plan(&database)?;
    if args.print_sql {
        return print_statements(&plan, console);
    }
    if args.teardown {
        teardown(&plan, console)?;
        if let Ok(state) = state_dir(&args.state) {
            forget(&state, &plan.subject(), &options.server.describe());
        }
        return Ok(0);
    }
    config::capture::require_names(&args.store)?;
    let repository = config::repository(&args.store, &args.keys, &args.state)?;
    if args.status {
        let status = CaptureStatus::ask(&repository, &plan, Timestamp::now())?;
        let text = text(&status, &plan).and(base(&status, rules.as_ref()));
        console.result(&waiting(&status, text), &document(&status, &plan, rules.as_ref()))?;
        return Ok(0);
    }
    let AlertChannels { settings, mistakes } =
        config::alerts::alerts(&args.alerts, &args.state, options.server.describe());
    share::look(repository.store.as_ref(), &records(&args.state))?;
    if args.new_generation {
        begin_generation(&repository, &plan, Timestamp::now(), console)?;
    }
    // The person at the terminal sees what happens.
    let settings = if can_ask() { settings.silent() } else { settings };
    let keeper = |state| {
        let setup = CaptureSetup { repository: repository.clone(), options };
        CaptureKeeper::new(setup, state, Timestamp::now, console)
    };
    if args.setup {
        keeper(None).set_up(&database)?;
        return Ok(0);
    }
    for mistake in &mistakes {
        console.warn(&format!("alerts: {mistake:#}"));
    }
    let state = state_dir(&args.state).inspect_err(|error| console.warn(&format!("{error:#}"))).ok();
    let (keeper, needs) = (keeper(state), Arc::new(SharedNeeds::default()));
    let captured = || keeper.one(&database, &settings, &needs);
    let Some(rules) = rules else { return Err(captured()) };
    let setup = BackupSetup::new(&runs, AlertAudience::of(false), console)?;
    let (needs, subject) = (&needs, plan.subject());
    let bases = move || {
        let backups = setup.backups(console);
        let ended = BaseRuns { backups, repository: &setup.repository, subject, rules, needs }.run();
        setup.alerts.close(console);
        ended
    };
    Err(beside(bases, captured))
}

/// Prints the statements that would set the capture up.
fn print_statements(plan: &CapturePlan, console: &Console) -> Result<u8> {
    let statements: Vec<String> =
        setup_statements(plan)?.into_iter().map(|statement| format!("{statement};")).collect();
    if statements.is_empty() {
        let (slot, database) = (&plan.slot, plan.subject());
        console.info(&format!("nothing is to be done: \"{database}\" has the publications and the slot \"{slot}\""));
    }
    let mut text = Lines::new();
    statements.iter().for_each(|statement| text.push(statement));
    console.result(&text, &json!({"statements": statements}))?;
    Ok(0)
}

/// Captures while another thread takes bases. It is stopped when the capture ends.
fn beside(bases: impl FnOnce() -> Result<Infallible> + Send, capture: impl FnOnce() -> anyhow::Error) -> anyhow::Error {
    let (limits, stopper) = Cancel::of_thread().stoppable();
    thread::scope(|scope| {
        let taking = threads::begin_in(scope, "bases", || {
            let _limits = limits.enter();
            bases()
        });
        let taking = match taking {
            Ok(taking) => taking,
            Err(error) => return error,
        };
        let ended = capture();
        drop(stopper);
        // It ends with the error that stopped it.
        let _ = taking.join();
        ended
    })
}

/// Describes the newest base, and when the next one is due.
fn base(status: &CaptureStatus, rules: Option<&BaseRules>) -> String {
    let newest = status.needs.base().map_or("none yet".to_owned(), |base| format!("{} of {}", base.id, base.taken_at));
    let next = match (rules, rules.and_then(|rules| status.needs.due(rules))) {
        (None, _) => "none is taken by the capture (CAPTURE_BASES=0)".to_owned(),
        (Some(_), None) => "the next one is due when something changes".to_owned(),
        (Some(_), Some(due)) if due.at <= Timestamp::now() => format!("the next one is due: {}", due.reason.describe()),
        (Some(_), Some(due)) => format!(
            "the next one is due at {}: {}",
            due.at.round(Unit::Second).unwrap_or(due.at),
            due.reason.describe()
        ),
    };
    format!("base      {newest}; {next}")
}

/// Adds the tables that wait for a base.
fn waiting(status: &CaptureStatus, mut text: Lines) -> Lines {
    let waiting = status.waiting();
    if !waiting.is_empty() {
        text.push(format!("captured anew, for which a new base is needed: {}", many(waiting.len() as u64, "table")));
    }
    for one in waiting {
        text.push_under("  ", &format!("{}: {}", one.table.text(), one.reason.describe()));
    }
    text
}

fn text(status: &CaptureStatus, plan: &CapturePlan) -> Lines {
    let subject = plan.subject();
    let Some(tail) = &status.tail else {
        return Lines::of(format!(
            "no changes of \"{subject}\" are captured into this store: pgbk capture --setup begins"
        ));
    };
    let runs = if status.is_running() { "a capture streams" } else { "NO CAPTURE STREAMS" };
    let mut text = Lines::of(format!("changes of \"{subject}\": {runs}, generation {}", tail.generation.id));
    let (segments, size) = (many(tail.segments, "segment"), bytes(tail.stored_bytes));
    text.push(format!("stored    {segments}, {}, {size}", many(tail.transactions, "transaction")));
    text.push(format!("          from {} to {}{}", tail.start, tail.end, last_commit(tail)));
    text.push(format!("slot      {}", slot(status, tail)));
    let uncovered = status.uncovered();
    if !uncovered.is_empty() {
        text.push(format!(
            "not captured, of which only backups have the rows: {}",
            many(uncovered.len() as u64, "table")
        ));
    }
    for (table, reason) in uncovered {
        text.push_under("  ", &format!("{}: {}", table.text(), reason.describe()));
    }
    let unread = status.unread_sequences();
    if !unread.is_empty() {
        let count = many(unread.len() as u64, "sequence");
        text.push(format!("not captured, because the role may not read them (GRANT SELECT): {count}"));
    }
    unread.iter().for_each(|name| text.push_under("  ", &name.text()));
    text
}

fn last_commit(tail: &ChainTail) -> String {
    tail.last_commit.map(|time| format!(", the last commit of {time}")).unwrap_or_default()
}

fn slot(status: &CaptureStatus, tail: &ChainTail) -> String {
    let name = &tail.generation.slot;
    let Some(slot) = &status.slot else {
        return format!("\"{name}\" IS NOT THERE: pgbk capture --new-generation begins anew");
    };
    let kept = slot.retained_bytes.and_then(|kept| u64::try_from(kept).ok()).map(bytes);
    let kept = kept.map(|kept| format!(", for which the server keeps {kept} of its log")).unwrap_or_default();
    let state = if slot.is_lost() { ", WHICH THE SERVER HAS GIVEN UP" } else { "" };
    format!("\"{name}\"{state}{kept}")
}

fn document(status: &CaptureStatus, plan: &CapturePlan, rules: Option<&BaseRules>) -> Value {
    let tail = status.tail.as_ref().map(|tail| {
        json!({
            "generation": tail.generation.id,
            "start": tail.start,
            "end": tail.end,
            "segments": tail.segments,
            "transactions": tail.transactions,
            "stored_bytes": tail.stored_bytes,
            "last_commit": tail.last_commit,
            "written_at": tail.written_at,
        })
    });
    let slot = status.slot.as_ref().map(|slot| {
        let confirmed: Option<Lsn> = slot.confirmed;
        json!({
            "active_pid": slot.active_pid,
            "confirmed": confirmed,
            "lost": slot.is_lost(),
            "wal_status": slot.wal_status,
            "retained_bytes": slot.retained_bytes,
        })
    });
    let tables = |tables: Vec<(TableName, BreakReason)>| -> Vec<Value> {
        tables.into_iter().map(|(table, reason)| json!({"table": table.text(), "reason": reason})).collect()
    };
    let newest = status.needs.base().map(|base| json!({"id": base.id, "taken_at": base.taken_at}));
    let next = rules.and_then(|rules| status.needs.due(rules));
    let next = next.map(|due| json!({"at": due.at, "why": due.reason.describe()}));
    json!({
        "database": plan.subject(),
        "running": status.is_running(),
        "chain": tail,
        "slot": slot,
        "uncovered": tables(status.uncovered()),
        "unread_sequences": status.unread_sequences(),
        "large_objects_as_of": status.needs.large_objects_as_of(),
        "base": newest,
        "waiting": status.waiting(),
        "next_base": next,
    })
}
