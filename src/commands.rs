//! One file per subcommand: settings in, one job, a report out.

pub(crate) mod anonymise;
pub(crate) mod backup;
pub(crate) mod capture;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod download;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod lookup;
pub(crate) mod pin;
pub(crate) mod prune;
pub(crate) mod restore;
pub(crate) mod schedule;
pub(crate) mod status;
pub(crate) mod summary;
pub(crate) mod upload;
pub(crate) mod verify;

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::cli::Command;
use crate::cli::console::Console;
use crate::cli::settings::{StateArgs, StoreArgs};
use crate::config;
use crate::config::arguments::strays;
use crate::config::environment::stray_variables;
use crate::config::state::records;
use crate::repository::catalog::Catalog;
use crate::repository::doubletake::how_to_restore;
use crate::runs::history::share;

/// Runs one command and returns its exit code. Codes other than 0 are for findings that are no errors, such as damage
/// found by `verify`.
pub fn run(command: Command, console: &Console) -> Result<u8> {
    if does_work(&command)
        && let Some(told) = stray_variables::describe(&strays())
    {
        console.warn(&told);
    }
    match command {
        Command::Backup(args) => backup::run(&args, console),
        Command::Capture(args) => capture::run(&args, console),
        // A journal's store need not be the one of the settings.
        Command::Restore(args) if args.journal.is_some() => restore::run(&args, console),
        Command::Restore(args) => found(restore::run(&args, console), &args.store, &args.state),
        Command::Download(args) => found(download::run(&args, console), &args.store, &args.state),
        Command::Upload(args) => upload::run(&args, console),
        Command::Verify(args) => found(verify::run(&args, console), &args.store, &args.state),
        Command::List(args) => list::run(&args, console),
        Command::Log(args) => log::run(&args, console),
        Command::Pin(args) => pin::pin(&args, console),
        Command::Unpin(args) => pin::unpin(&args, console),
        Command::Schedule(args) => schedule::run(&args, console),
        Command::History(args) => history::run(&args, console),
        Command::Status(args) => status::run(&args, console),
        Command::Prune(args) => prune::run(&args, console),
        Command::Doctor(args) => doctor::run(&args, console),
        Command::Anonymise(args) => anonymise::run(&args, console),
        Command::Completions { shell } => completions::run(shell, console),
    }
}

/// Returns the result of a command that reads backups. "Not found" is replaced by a better explanation if there is one.
fn found(ended: Result<u8>, store: &StoreArgs, state: &StateArgs) -> Result<u8> {
    ended.map_err(|error| match kind(&error) {
        Kind::NotFound => instead(store, state, &error).err().unwrap_or(error),
        _ => error,
    })
}

/// Fails with the reason why nothing was found in a store, if there is one: a share that is not mounted, or backups
/// of Doubletake only.
fn instead(store: &StoreArgs, state: &StateArgs, missing: &anyhow::Error) -> Result<()> {
    let store = config::store(store, true)?;
    share::look(store.as_ref(), &records(state))?;
    // Whether there are others, who may not list cannot know.
    let catalog = store.list("").map(Catalog::of).unwrap_or_default();
    match how_to_restore(&catalog.old_backups()) {
        Some(how) => Err(Fault::not_found(format!("{missing:#}")).hint(how).into()),
        None => Ok(()),
    }
}

/// Whether the command warns of variables that look like settings and are none. `doctor` makes a finding of them instead.
fn does_work(command: &Command) -> bool {
    use Command::{Backup, Capture, Prune, Restore, Schedule, Upload, Verify};
    matches!(command, Backup(_) | Capture(_) | Prune(_) | Restore(_) | Schedule(_) | Upload(_) | Verify(_))
}

pub fn wants_json(command: &Command) -> bool {
    match command {
        Command::Backup(args) => args.json,
        Command::Capture(args) => args.json,
        Command::Restore(args) => args.json,
        Command::Upload(args) => args.json,
        Command::Verify(args) => args.json,
        Command::List(args) => args.json,
        Command::Log(args) => args.json,
        Command::Pin(args) | Command::Unpin(args) => args.json,
        Command::Schedule(args) => args.json,
        Command::History(args) => args.json,
        Command::Status(args) => args.json,
        Command::Prune(args) => args.json,
        Command::Doctor(args) => args.json,
        Command::Anonymise(args) => args.json,
        Command::Download(_) | Command::Completions { .. } => false,
    }
}
