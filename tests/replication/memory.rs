//! How much memory a stream takes, seen from a process that does nothing else: this program runs itself.

use super::excess::{Lie, liar};
use super::{SECOND, Source, at_port, logical};
use pgbk::format::lsn::Lsn;
use pgbk::postgres::replication::stream_message::StreamMessage;
use std::fs;
use std::process::Command;

/// Set for the process that only streams: the port, and the name of database and slot.
const CHILD: &str = "PGBK_TEST_STREAM";
const LIMIT: u64 = 32 << 20;

/// The most memory that this process has had, in bytes, and what it has now.
fn peak_and_now() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    };
    (value("VmHWM:"), value("VmRSS:"))
}

/// Reads one transaction, or for two seconds if none comes, and prints the messages and the memory that they took.
fn child(port: u16, name: &str) {
    let publications = ["changes".parse().unwrap()];
    let connection = at_port(port, name).open_for_replication("pgbk test").unwrap();
    let (_, before) = peak_and_now();
    let mut stream = connection.stream(&name.parse().unwrap(), Lsn(0), &publications).unwrap();
    let (mut messages, mut quiet) = (0, 0);
    while quiet < 2 {
        match stream.next(SECOND).unwrap() {
            StreamMessage::Data { bytes, .. } => {
                messages += 1;
                if bytes[0] == b'C' {
                    break;
                }
            }
            StreamMessage::Quiet if port != logical_port() => quiet += 1,
            _ => {}
        }
    }
    println!("measured {messages} {}", peak_and_now().0 - before);
}

/// The real server's port, which the child is told.
fn logical_port() -> u16 {
    std::env::var(format!("{CHILD}_REAL")).unwrap().parse().unwrap()
}

/// The messages that a process of its own received, and the bytes that they took.
fn measured(port: u16, name: &str) -> (u64, u64) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "replication::memory::a_stream_takes_little_memory", "--nocapture"]);
    command.env(CHILD, format!("{port} {name}")).env(format!("{CHILD}_REAL"), logical().port.to_string());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("measured ")).map(|(_, numbers)| numbers);
    let numbers = line.unwrap_or_else(|| panic!("{text} {}", String::from_utf8_lossy(&output.stderr)));
    let (messages, bytes) = numbers.split_once(' ').unwrap();
    (messages.parse().unwrap(), bytes.parse().unwrap())
}

#[test]
fn a_stream_takes_little_memory() {
    if let Ok(told) = std::env::var(CHILD) {
        let (port, name) = told.split_once(' ').unwrap();
        return child(port.parse().unwrap(), name);
    }
    let source = Source::new("million");
    // A message that is said to be as long as there can be, and does not come.
    let (messages, bytes) = measured(liar(Lie::Long(0x3fff_ffff)), &source.name);
    assert_eq!((messages, bytes < LIMIT), (0, true), "{bytes}");
    assert!(support::process::until(support::cluster::PATIENCE, || source.is_idle()));
    source.sql("INSERT INTO t SELECT i, 'value ' || i FROM generate_series(1, 1000000) i");
    let (messages, bytes) = measured(logical().port, &source.name);
    assert_eq!((messages, bytes < LIMIT), (1_000_003, true), "{bytes}");
}
