//! The environment of a child process, and the account it runs as.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// The variables of a child, and no others, and the files it inherits besides stdin, stdout and stderr.
#[derive(Debug, Clone, Default)]
pub struct ChildEnvironment {
    pub variables: Vec<(String, OsString)>,
    pub(crate) files: Vec<Arc<File>>,
}

impl ChildEnvironment {
    pub fn of(variables: Vec<(String, OsString)>) -> ChildEnvironment {
        ChildEnvironment { variables, files: Vec::new() }
    }

    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.into()));
    }

    /// Passes an open file on, which needs no name. The variable holds the path under `/proc/self/fd` by which the child and its
    /// own children open it again.
    pub fn hand_on(&mut self, name: &str, file: File) {
        self.set(name, format!("/proc/self/fd/{}", file.as_raw_fd()));
        self.files.push(Arc::new(file));
    }
}

/// The user and group that a child runs as, where they are not pgbk's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub user: u32,
    pub group: u32,
}
