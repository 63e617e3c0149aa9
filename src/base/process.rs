//! Child programs: their output is read, and how they ended is never lost.
//!
//! A child lives in its own process group, gets exactly the environment it is given, and does not outlive pgbk: the group is
//! killed when its reader is dropped, and the kernel kills the child when the thread that started it ends. So start
//! a child on a thread that lives as long as the child does.

pub(crate) mod child;
pub(crate) mod daemon;
pub(crate) mod environment;
pub(crate) mod fence;
pub(crate) mod init;
pub mod reader;
pub(crate) mod stderr_tail;

use crate::base::error::Result;
use crate::base::process::environment::ChildEnvironment;
use reader::ChildOutput;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// How long a program that should answer at once may be silent.
const ANSWER: Duration = Duration::from_secs(60);

/// How many bytes of a short answer are read.
const ANSWER_BYTES: u64 = 1 << 20;

/// Runs a program to its end and returns its stdout; an exit status other than 0 is an error that quotes its stderr.
pub(crate) fn run(program: &Path, arguments: &[String], environment: &ChildEnvironment) -> Result<String> {
    let mut reader = ChildOutput::spawn(program, arguments, environment, ANSWER)?;
    let mut bytes = Vec::new();
    reader.by_ref().take(ANSWER_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
