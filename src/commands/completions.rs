//! `pgbk completions`: the files under `completions/` are its output.

use crate::cli;
use crate::console::Console;
use crate::error::Result;
use crate::shown::Lines;
use clap_complete::Shell;

pub fn run(shell: Shell, console: &Console) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "pgbk", &mut script);
    let mut text = Lines::new();
    String::from_utf8(script)?.lines().for_each(|line| text.push(line));
    console.text(&text)?;
    Ok(0)
}
