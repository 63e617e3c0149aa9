//! Parses, runs one command, and turns its outcome into an exit code.

use clap::{CommandFactory, FromArgMatches};
use pgbk::cli::Cli;
use pgbk::console::Console;
use pgbk::{commands, environment, error, interrupt};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(failure) = environment::prepare(&commands::variables(&Cli::command())) {
        eprintln!("error: {failure:#}");
        return ExitCode::from(error::kind(&failure).exit_code());
    }
    let cli = match Cli::command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        // clap prints help to stdout with 0 and mistakes to stderr with 2.
        Err(error) => error.exit(),
    };
    let console = Console::new(&cli.log, commands::wants_json(&cli.command));
    match interrupt::install().and_then(|()| commands::run(cli.command, &console)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            console.failure(&failure);
            ExitCode::from(error::kind(&failure).exit_code())
        }
    }
}
