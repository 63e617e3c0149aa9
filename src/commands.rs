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

use crate::cli::{self, Command};
use crate::console::Console;
use crate::environment::{self, value};
use crate::error::Result;
use crate::manifest::{Format, Manifest};
use clap::ArgMatches;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};

/// Runs one command; the code is for findings that are no errors, such as damage found by `verify`.
pub fn run(command: Command, console: &Console) -> Result<u8> {
    match command {
        Command::Backup(args) => backup::run(&args, console),
        Command::Restore(args) => restore::run(&args, console),
        Command::Download(args) => download::run(&args, console),
        Command::Upload(args) => upload::run(&args, console),
        Command::Verify(args) => verify::run(&args, console),
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

/// What a dump holds, as far as it was counted.
fn contents(manifest: &Manifest) -> String {
    match (manifest.rows(), manifest.dump.format) {
        (Some(rows), _) => format!("in {} tables, {rows} rows", manifest.tables.len()),
        (None, Format::Custom) => "as an archive".to_owned(),
        (None, Format::Tar) => "of files".to_owned(),
        (None, Format::Plain) => "of roles and tablespaces".to_owned(),
    }
}
