//! `pgbk capture`

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, many};
use crate::cli::capture_args::CaptureArgs;
use crate::cli::console::{Console, bytes, can_ask};
use crate::config;
use crate::config::alerts::AlertChannels;
use crate::config::state::{records, state_dir};
use crate::format::lsn::Lsn;
use crate::jobs::capture::plan::CapturePlan;
use crate::jobs::capture::setup::{begin_generation, setup_statements, teardown};
use crate::jobs::capture::status::CaptureStatus;
use crate::repository::chain_tail::ChainTail;
use crate::runs::captures::capture_keeper::{CaptureKeeper, CaptureSetup};
use crate::runs::captures::record_file::forget;
use crate::runs::history::share;
use jiff::Timestamp;
use serde_json::{Value, json};

pub fn run(args: &CaptureArgs, console: &Console) -> Result<u8> {
    let server = config::server::server(&args.server)?;
    let database = config::capture::database(args, &server)?;
    let options = config::capture::options(&args.options, &args.pipeline, server)?;
    let plan = options.plan(&database)?;
    if args.print_sql {
        let statements: Vec<String> =
            setup_statements(&plan)?.into_iter().map(|statement| format!("{statement};")).collect();
        let mut text = Lines::new();
        statements.iter().for_each(|statement| text.push(statement));
        console.result(&text, &json!({"statements": statements}))?;
        return Ok(0);
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
        let status = CaptureStatus::ask(&repository, &plan)?;
        console.result(&text(&status, &plan), &document(&status, &plan))?;
        return Ok(0);
    }
    share::look(repository.store.as_ref(), &records(&args.state))?;
    if args.new_generation {
        begin_generation(&repository, &plan, Timestamp::now(), console)?;
    }
    let AlertChannels { settings, mistakes } =
        config::alerts::alerts(&args.alerts, &args.state, options.server.describe());
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
    Err(keeper(state).one(&database, &settings))
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

fn document(status: &CaptureStatus, plan: &CapturePlan) -> Value {
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
    let uncovered: Vec<Value> = status
        .uncovered()
        .into_iter()
        .map(|(table, reason)| json!({"table": table.text(), "reason": reason}))
        .collect();
    json!({
        "database": plan.subject(),
        "running": status.is_running(),
        "chain": tail,
        "slot": slot,
        "uncovered": uncovered,
    })
}
