//! One file per subcommand: settings in, one job, a report out.

mod backup;
mod completions;
mod doctor;
mod download;
mod history;
mod list;
mod pin;
mod prune;
mod restore;
mod schedule;
mod status;
mod table;
mod upload;
mod verify;
mod which;

use crate::cli::{self, Command, StateArgs, StoreArgs};
use crate::config;
use crate::console::Console;
use crate::environment::connection::Place;
use crate::environment::stray::{self, Stray};
use crate::environment::{self, value};
use crate::error::{Fault, Kind, Result, kind};
use crate::history::share;
use crate::manifest::{Format, Manifest};
use crate::monitor::{Monitor, Silent};
use crate::record::Record;
use crate::shown::{many, word};
use crate::vault::Catalog;
use crate::vault::doubletake::how_to_restore;
use clap::ArgMatches;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use std::collections::BTreeMap;

/// Runs one command; the code is for findings that are no errors, such as damage found by `verify`.
pub fn run(command: Command, console: &Console) -> Result<u8> {
    if does_work(&command)
        && let Some(told) = stray::describe(&strays())
    {
        console.warn(&told);
    }
    match command {
        Command::Backup(args) => backup::run(&args, console),
        Command::Restore(args) => found(restore::run(&args, console), &args.store, &args.state),
        Command::Download(args) => found(download::run(&args, console), &args.store, &args.state),
        Command::Upload(args) => upload::run(&args, console),
        Command::Verify(args) => found(verify::run(&args, console), &args.store, &args.state),
        Command::List(args) => list::run(&args, console),
        Command::Pin(args) => pin::pin(&args, console),
        Command::Unpin(args) => pin::unpin(&args, console),
        Command::Schedule(args) => schedule::run(&args, console),
        Command::History(args) => history::run(&args, console),
        Command::Status(args) => status::run(&args, console),
        Command::Prune(args) => prune::run(&args, console),
        Command::Doctor(args) => doctor::run(&args, console),
        Command::Completions { shell } => completions::run(shell, console),
    }
}

/// Returns how a command ended that reads backups. Where something was not found in a folder that holds none of the backups stored there
/// before, the error says that the share may not be mounted.
fn found(ended: Result<u8>, store: &StoreArgs, state: &StateArgs) -> Result<u8> {
    ended.map_err(|error| match kind(&error) {
        Kind::NotFound => instead(store, state, &error).err().unwrap_or(error),
        _ => error,
    })
}

/// Fails with what explains that nothing was found in a store, as far as something does.
fn instead(store: &StoreArgs, state: &StateArgs, missing: &anyhow::Error) -> Result<()> {
    let place = config::place(store, true)?;
    share::look(place.store.as_ref(), &records(state))?;
    // Whether there are others, who may not list cannot know.
    let catalog = place.store.list("").map(Catalog::of).unwrap_or_default();
    match how_to_restore(&catalog.old_backups()) {
        Some(how) => Err(Fault::not_found(format!("{missing:#}")).hint(how).into()),
        None => Ok(()),
    }
}

/// Returns what earlier runs on this host wrote down; nothing where that cannot be read.
fn records(state: &StateArgs) -> Vec<Record> {
    config::history(state).and_then(|history| history.records(&Silent)).unwrap_or_default()
}

/// Whether it depends on what is set; `doctor` makes a finding of it.
fn does_work(command: &Command) -> bool {
    use Command::{Backup, Prune, Restore, Schedule, Upload, Verify};
    matches!(command, Backup(_) | Prune(_) | Restore(_) | Schedule(_) | Upload(_) | Verify(_))
}

/// Variables that are called like settings and are none.
fn strays() -> Vec<Stray> {
    let secrets = cli::SECRET_VARIABLES.iter().map(|name| (*name).to_owned());
    environment::strays(&variables().into_iter().chain(secrets).collect::<Vec<_>>())
}

pub fn wants_json(command: &Command) -> bool {
    match command {
        Command::Backup(args) => args.json,
        Command::Restore(args) => args.json,
        Command::Upload(args) => args.json,
        Command::Verify(args) => args.json,
        Command::List(args) => args.json,
        Command::Pin(args) | Command::Unpin(args) => args.json,
        Command::Schedule(args) => args.json,
        Command::History(args) => args.json,
        Command::Status(args) => args.json,
        Command::Prune(args) => args.json,
        Command::Doctor(args) => args.json,
        Command::Download(_) | Command::Completions { .. } => false,
    }
}

/// Returns the environment variables that are settings and no secrets: those that the command line reads, and whom to become.
pub fn variables() -> Vec<String> {
    let account = cli::ACCOUNT_VARIABLES.iter().map(|name| (*name).to_owned());
    account.chain(variables_of(&cli::command())).collect()
}

fn variables_of(command: &clap::Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str().map(str::to_owned));
    let mut names: Vec<String> = own.chain(command.get_subcommands().flat_map(variables_of)).collect();
    names.sort();
    names.dedup();
    names
}

/// Returns what stands behind these arguments: where a connection URL may.
pub fn place(before: &[&str]) -> Place {
    let command = cli::command();
    let Some(command) = before.iter().skip(1).find_map(|word| command.find_subcommand(word)) else {
        return Place::Elsewhere;
    };
    let flag = before.last().and_then(|last| last.strip_prefix("--"));
    let flag = flag.and_then(|flag| command.get_arguments().find(|argument| argument.get_long() == Some(flag)));
    match flag.filter(|flag| flag.get_action().takes_values() && !flag.is_require_equals_set()) {
        Some(flag) => match flag.get_long() {
            Some("database" | "to") => Place::Database,
            Some("host") => Place::Server,
            _ => Place::Elsewhere,
        },
        None if command.get_positionals().any(|argument| argument.get_env() == Some("DB_NAME".as_ref())) => {
            Place::Database
        }
        None => Place::Elsewhere,
    }
}

/// Refuses a control character in the value of a flag that has a variable, as in the variable. A database may be called anything.
pub fn check_flags(matches: &ArgMatches, command: &clap::Command) -> Result<()> {
    for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
        let Some(name) = argument.get_env().and_then(|name| name.to_str()).filter(|name| *name != "DB_NAME") else {
            continue;
        };
        let values = matches.try_get_raw(argument.get_id().as_str()).ok().flatten();
        for value in values.into_iter().flatten() {
            value::no_control(name, &value.to_string_lossy())?;
        }
    }
    match matches.subcommand() {
        Some((name, matches)) => command.find_subcommand(name).map_or(Ok(()), |command| check_flags(matches, command)),
        None => Ok(()),
    }
}

/// Returns whether what clap quotes of the command line and of variables can be shown as it is.
pub fn all_is_plain() -> bool {
    let plain = |text: &str| word(text) == text;
    environment::arguments().iter().all(|argument| plain(&argument.to_string_lossy()))
        && variables().iter().all(|name| environment::plain(name).is_none_or(|value| plain(&value)))
}

/// Returns clap's error as one of pgbk's own, whose text is made fit to be shown.
pub fn told(error: clap::Error) -> anyhow::Error {
    let text = error.render().to_string();
    Fault::usage(text.trim_start_matches("error: ").trim_end()).into()
}

/// Clap names the flag of a wrong value; who set a variable knows only that.
pub fn naming_the_variable(mut error: clap::Error) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let flag = text(ContextKind::InvalidArg).split([' ', '[']).next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue);
    if flag.is_empty() || value.is_empty() {
        return error;
    }
    let guilty = |name: &String| environment::plain(name).is_some_and(|set| set == value);
    if let Some(name) = variable_of(flag, &cli::command()).filter(guilty) {
        let tip = StyledStr::from(format!("the value comes from the variable {name}"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

fn variable_of(flag: &str, command: &clap::Command) -> Option<String> {
    let named = command.get_arguments().find(|argument| {
        argument.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long)) && argument.get_env().is_some()
    });
    match named {
        Some(argument) => argument.get_env()?.to_str().map(str::to_owned),
        None => command.get_subcommands().find_map(|command| variable_of(flag, command)),
    }
}

/// Names the stages of a backup in their order, with the time that each took; those that took none are left out.
fn stages(seconds: &BTreeMap<String, f64>) -> String {
    const NOTHING: f64 = 0.05;
    let at = |stage: &str| ["dump", "commit", "check"].iter().position(|known| *known == stage).unwrap_or(usize::MAX);
    let mut stages: Vec<_> = seconds.iter().filter(|(stage, seconds)| **seconds >= NOTHING || at(stage) == 0).collect();
    stages.sort_by_key(|(stage, _)| (at(stage), stage.to_owned()));
    stages.iter().map(|(stage, seconds)| format!("{stage} {seconds:.1} s")).collect::<Vec<_>>().join(", ")
}

/// What a dump holds, as far as it was counted.
fn contents(manifest: &Manifest) -> String {
    match (manifest.rows(), manifest.dump.format) {
        (Some(rows), _) => format!("in {}", tables_and_rows(manifest.tables.len() as u64, rows)),
        (None, Format::Custom) => "as an archive".to_owned(),
        (None, Format::Tar) => "of files".to_owned(),
        (None, Format::Plain) => "of roles and tablespaces".to_owned(),
    }
}

/// Says what a dump holds, or what a restore has brought back.
fn tables_and_rows(tables: u64, rows: u64) -> String {
    format!("{}, {}", many(tables, "table"), many(rows, "row"))
}
