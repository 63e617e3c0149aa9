//! Parses, runs one command, and turns its outcome into an exit code.

use pgbk::base::{cancel, core_dumps, error, threads};
use pgbk::cli::console::{Console, tell_of_panics};
use pgbk::cli::{LogArgs, setting};
use pgbk::commands;
use pgbk::config::{arguments, environment, privileges};
use std::process::ExitCode;

fn main() -> ExitCode {
    tell_of_panics();
    threads::share_memory();
    let prepared = core_dumps::forbid()
        .and_then(|()| environment::prepare(&setting::variables(), &setting::secrets(), &arguments::place))
        .and_then(|()| privileges::give_up());
    let parsed = arguments::parse();
    let checked = parsed.as_ref().map_or(Ok(()), |(_, matches)| arguments::check_flags(matches));
    let parsed = parsed.map(|(cli, _)| cli);
    // clap prints help to stdout with 0 and mistakes to stderr with 2. Help comes even where a file of settings is missing.
    if let Err(error) = &parsed
        && (prepared.is_ok() && arguments::all_is_plain() || !error.use_stderr())
    {
        error.exit();
    }
    let console = match &parsed {
        Ok(cli) => Console::new(&cli.log, commands::wants_json(&cli.command)),
        Err(_) => Console::new(&LogArgs::default(), false),
    };
    let outcome = prepared.and(checked).and_then(|()| cancel::install());
    let outcome =
        outcome.and_then(|()| error::caught(|| commands::run(parsed.map_err(arguments::told)?.command, &console)));
    outcome.map_or_else(
        |failure| {
            console.failure(&failure);
            ExitCode::from(error::kind(&failure).exit_code())
        },
        ExitCode::from,
    )
}
