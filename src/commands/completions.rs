//! `pgbk completions`: the files under `completions/` are its output.

use crate::base::error::Result;
use crate::base::shown::Lines;
use crate::cli;
use crate::cli::console::Console;
use clap_complete::Shell;

pub fn run(shell: Shell, console: &Console) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut offering(cli::command().clone()), "pgbk", &mut script);
    let mut text = Lines::new();
    String::from_utf8(script)?.lines().for_each(|line| text.push(line));
    console.text(&text)?;
    Ok(0)
}

/// Makes the shell complete `latest` where a backup id is expected, instead of file names.
fn offering(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| match argument.get_id().as_str() {
            "which" => argument.value_parser(["latest"]),
            _ => argument,
        })
        .mut_subcommands(offering)
}
