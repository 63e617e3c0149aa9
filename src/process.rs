//! Programs that pgbk runs: what they write is read, what they read is written, and how they end is never lost.
//!
//! A child lives in its own process group, gets exactly the environment it is given, and does not outlive pgbk: the group is
//! killed when its reader or writer is dropped, and the kernel kills the child when the thread that started it ends. So start
//! a child on a thread that lives as long as the child does.

mod child;
pub mod init;
mod reader;
mod remarks;
mod service;
mod writer;

pub use reader::ChildReader;
pub use service::Service;
pub use writer::ChildWriter;

use crate::error::Result;
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// A child's whole environment.
pub type Environment = [(String, OsString)];

/// Whom a child runs as, where that is somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub user: u32,
    pub group: u32,
}

/// What a short-lived program wrote.
#[derive(Debug)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
}

/// How long a program that should answer at once may be silent.
const ANSWER: Duration = Duration::from_secs(60);

/// How much of a short answer is read.
const ANSWER_BYTES: u64 = 1 << 20;

/// Runs a program to its end; an exit status other than 0 is an error that quotes its stderr.
pub fn run(program: &Path, arguments: &[String], environment: &Environment) -> Result<Output> {
    let mut reader = ChildReader::spawn(program, arguments, environment, ANSWER)?;
    let mut bytes = Vec::new();
    reader.by_ref().take(ANSWER_BYTES).read_to_end(&mut bytes)?;
    Ok(Output { stdout: String::from_utf8_lossy(&bytes).into_owned(), stderr: reader.remarks() })
}
