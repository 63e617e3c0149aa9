//! Parses the command line and the variables, and reports mistakes in them.

use crate::base::error::{Fault, Result};
use crate::base::shown::word;
use crate::cli::arguments::ScheduleArgs;
use crate::cli::variables::naming;
use crate::cli::{self, Cli, Command, setting};
use crate::config::environment::connection::ArgumentKind;
use crate::config::environment::stray_variables::StrayVariable;
use crate::config::environment::{self, value};
use clap::error::ErrorKind;
use clap::{ArgMatches, FromArgMatches};
use std::ffi::OsString;

type ParsedCommand<T> = std::result::Result<T, clap::Error>;

/// Returns the variables that are named like settings and are none.
pub(crate) fn strays() -> Vec<StrayVariable> {
    environment::strays(&setting::all().into_iter().map(|setting| setting.name).collect::<Vec<_>>())
}

/// Returns what kind of value the argument after these is, which decides whether it may be a connection URL.
pub fn place(before: &[&str]) -> ArgumentKind {
    let command = cli::command();
    let Some(command) = before.iter().skip(1).find_map(|word| command.find_subcommand(word)) else {
        return ArgumentKind::Elsewhere;
    };
    let flag = before.last().and_then(|last| last.strip_prefix("--"));
    let flag = flag.and_then(|flag| command.get_arguments().find(|argument| argument.get_long() == Some(flag)));
    match flag.filter(|flag| flag.get_action().takes_values() && !flag.is_require_equals_set()) {
        Some(flag) => match flag.get_long() {
            Some("database" | "to") => ArgumentKind::Database,
            Some("host") => ArgumentKind::Server,
            _ => ArgumentKind::Elsewhere,
        },
        None if command.get_positionals().any(|argument| argument.get_env() == Some("DB_NAME".as_ref())) => {
            ArgumentKind::Database
        }
        None => ArgumentKind::Elsewhere,
    }
}

/// Parses the command line and the variables, which clap does not read itself. The matches are kept to check them.
pub fn parse() -> ParsedCommand<(Cli, ArgMatches)> {
    parsed(&environment::arguments())
}

/// Returns what the variables alone say to `pgbk schedule`.
pub(crate) fn of_schedule() -> ParsedCommand<Box<ScheduleArgs>> {
    match parsed(&["pgbk", "schedule"].map(OsString::from))?.0.command {
        Command::Schedule(args) => Ok(args),
        _ => Err(cli::command().clone().error(ErrorKind::InvalidSubcommand, "\"schedule\" is no command")),
    }
}

fn parsed(arguments: &[OsString]) -> ParsedCommand<(Cli, ArgMatches)> {
    let parsed = cli::variables::parse(cli::command(), arguments, &environment::raw);
    let parsed = parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    parsed.map_err(naming_the_variable)
}

/// Refuses control characters in the values of flags that have a variable, as they are refused in the variable. A
/// database may have any name.
pub fn check_flags(matches: &ArgMatches) -> Result<()> {
    check(matches, cli::command())
}

fn check(matches: &ArgMatches, command: &clap::Command) -> Result<()> {
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
        Some((name, matches)) => command.find_subcommand(name).map_or(Ok(()), |command| check(matches, command)),
        None => Ok(()),
    }
}

/// Returns whether what clap quotes of the command line and of variables can be shown as it is.
pub fn all_is_plain() -> bool {
    let plain = |text: &str| word(text) == text;
    environment::arguments().iter().all(|argument| plain(&argument.to_string_lossy()))
        && setting::variables().iter().all(|name| environment::plain(name).is_none_or(|value| plain(&value)))
}

/// Returns clap's error as one of pgbk's own, whose text is safe to show.
pub fn told(error: clap::Error) -> anyhow::Error {
    let text = error.render().to_string();
    Fault::usage(text.trim_start_matches("error: ").trim_end()).into()
}

/// Adds the variable that a wrong value came from to clap's error.
fn naming_the_variable(error: clap::Error) -> clap::Error {
    naming(error, |long, value| {
        variable_of(long, cli::command()).filter(|name| environment::plain(name).is_some_and(|set| set == value))
    })
}

fn variable_of(long: &str, command: &clap::Command) -> Option<String> {
    let named =
        command.get_arguments().find(|argument| argument.get_long() == Some(long) && argument.get_env().is_some());
    match named {
        Some(argument) => argument.get_env()?.to_str().map(str::to_owned),
        None => command.get_subcommands().find_map(|command| variable_of(long, command)),
    }
}
