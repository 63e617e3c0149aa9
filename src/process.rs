//! Programs that pgbk runs: what they write is read, and how they end is never lost.
//!
//! A child lives in its own process group, gets exactly the environment it is given, and does not outlive pgbk: the group is
//! killed when its reader is dropped, and the kernel kills the child when the thread that started it ends. So start
//! a child on a thread that lives as long as the child does.

mod child;
mod fence;
pub mod init;
mod reader;
mod remarks;
mod service;

pub use fence::Fence;
pub use reader::ChildReader;
pub use remarks::Remarks;
pub use service::Service;

use crate::error::Result;
use reader::Running;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a child has of pgbk's: these variables and no others, and these files beside its stdin, stdout and stderr.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub variables: Vec<(String, OsString)>,
    files: Vec<Arc<File>>,
}

impl Environment {
    pub fn of(variables: Vec<(String, OsString)>) -> Environment {
        Environment { variables, files: Vec::new() }
    }

    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Hands an open file on, which needs no name: the variable has the path by which the child, and whoever it starts, opens it anew.
    pub fn hand_on(&mut self, name: &str, file: File) {
        self.set(name, format!("/proc/self/fd/{}", file.as_raw_fd()));
        self.files.push(Arc::new(file));
    }
}

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
    let mut reader = Running::spawn(program, arguments, environment, ANSWER)?;
    let mut bytes = Vec::new();
    reader.by_ref().take(ANSWER_BYTES).read_to_end(&mut bytes)?;
    Ok(Output { stdout: String::from_utf8_lossy(&bytes).into_owned(), stderr: reader.remarks() })
}
