//! PID 1 of a container: starts pgbk, forwards signals and reaps orphans. So whatever else runs in the container, by `docker exec`
//! or by a `pg_dump` that is a script, leaves no zombie.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Returns whether this is PID 1, to which the kernel gives the orphans.
pub fn is_first() -> bool {
    rustix::process::getpid() == Pid::INIT
}

/// Runs a program to its end, with these variables and no others. Returns its exit code; 128 plus the signal if one
/// killed it.
pub fn supervise(program: &Path, arguments: &[OsString], variables: Vec<(OsString, OsString)>) -> Result<u8> {
    let heard = [SIGTERM, SIGINT, SIGHUP].into_iter().filter(|number| !cancel::is_ignored(*number));
    let mut signals = Signals::new(heard.chain([SIGCHLD]))?;
    // In a group of its own: what a terminal sends to its whole group would arrive twice.
    let child = Command::new(program).args(arguments).env_clear().envs(variables).process_group(0).spawn();
    let child = child.map_err(|error| Fault::failed(format!("cannot start \"{}\": {error}", program.display())))?;
    let child = Pid::from_child(&child);
    for number in signals.forever() {
        if number != SIGCHLD {
            // It may have ended just now.
            let _ = Signal::from_named_raw(number).map(|signal| kill_process(child, signal));
        } else if let Some(code) = bury(child)? {
            return Ok(code);
        }
    }
    Err(Fault::failed("no more signals can be received").into())
}

/// Reaps every process that has ended. Returns the exit code once `child` is among them; `None` until then.
fn bury(child: Pid) -> Result<Option<u8>> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == child => return Ok(Some(code(status))),
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
}

fn code(status: WaitStatus) -> u8 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128u8.saturating_add(signal as u8),
        (None, None) => 1,
    }
}
