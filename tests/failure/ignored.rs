//! Signals that whoever started pgbk had ignored: `nohup`, and a shell's background.

use super::*;
use rustix::process::{Pid, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};

/// The arguments of the process, once it is pgbk.
fn is_pgbk(process: &Child) -> bool {
    fs::read_link(format!("/proc/{}/exe", process.id())).is_ok_and(|exe| exe.ends_with("pgbk"))
}

/// Sends the signals, again and again, from when it is pgbk to its end; gives its exit code as a shell has it, where a
/// process that a signal ended before it could heed one counts as 128 and the signal.
fn pestered(run: &Pgbk, ignored: &str, signals: &[Signal]) -> Option<i32> {
    let trap = format!("trap '' {ignored}; exec \"$@\"");
    let mut command = run.command_by(&["bash", "-c", &trap, "ignoring"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // One that is over by then was not stopped either.
    assert!(until(LONG, || is_pgbk(&child) || child.try_wait().unwrap().is_some()));
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        }
        for signal in signals {
            // Not reaped yet, so it is nobody else.
            kill_process(Pid::from_child(&child), *signal).unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_ignored_at_the_start_stops_no_command() {
    let (place, database) = (folder(), large());
    let base = |arguments: &[&str]| {
        pgbk(arguments.iter().copied()).server(cluster()).key().directory(&place.path().join("store"))
    };
    let out = place.path().join("out.sql").display().to_string();
    let target = format!("{database}_back");
    let commands: &[&[&str]] = &[
        &["backup", &database],
        &["restore", "latest", "--database", &database, "--to", &target, "--yes"],
        &["download", "latest", "--database", &database, "--output", &out],
        &["upload", &out, "--database", "uploaded"],
        &["verify", "latest", "--database", &database, "--level", "content"],
        &["verify", "latest", "--database", &database, "--level", "restore"],
        &["prune", &database, "--keep-last", "1"],
        &["doctor", &database],
    ];
    for command in commands {
        let run = base(command).set("DB_NAME", &database).set("STATE_DIR", place.path().join("state").display());
        assert_eq!(pestered(&run, "HUP", &[Signal::HUP]), Some(0), "{command:?}");
    }
    let run = base(&["schedule", "--once"]).set("DB_NAME", &database).set("CRON_SCHEDULE", "* * * * * *");
    assert_eq!(pestered(&run.set("STATE_DIR", place.path().join("state").display()), "HUP", &[Signal::HUP]), Some(0));
    // Where all three are ignored; where one is not, it counts.
    let run = base(&["backup", &database]);
    assert_eq!(pestered(&run, "HUP INT TERM", &[Signal::HUP, Signal::INT, Signal::TERM]), Some(0));
    assert_eq!(pestered(&run, "HUP", &[Signal::HUP, Signal::TERM]), Some(143));
    assert_eq!(pestered(&run, "TERM", &[Signal::INT]), Some(130));
}
