//! Asks pg_dump what it would dump: it writes an archive, which is read as far as its table of contents. No other way tells exactly, for
//! every argument and version.

use crate::base::cancel::{Cancel, Stopper};
use crate::base::error::Result;
use crate::base::process::environment::ChildEnvironment;
use crate::base::process::reader::ChildReader;
use crate::base::process::stderr_tail::StderrTail;
use crate::base::threads;
use crate::format::archive::contents::DumpContents;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

/// The table of contents that a thread reads. Dropping it ends the thread and its pg_dump.
pub(crate) struct ContentsInquiry {
    thread: JoinHandle<Result<DumpContents>>,
    _stopper: Stopper,
}

impl ContentsInquiry {
    /// Starts pg_dump beside another one. Its arguments must be those of the other, but for the format.
    pub fn begin(
        pg_dump: PathBuf,
        arguments: Vec<String>,
        environment: ChildEnvironment,
        stall: Duration,
    ) -> Result<ContentsInquiry> {
        let (limits, stopper) = Cancel::of_thread().stoppable();
        let thread = threads::begin("contents", move || {
            let _limits = limits.enter();
            contents(&pg_dump, &arguments, &environment, stall).map(|(contents, _)| contents)
        })?;
        Ok(ContentsInquiry { thread, _stopper: stopper })
    }

    /// Waits for the table of contents.
    pub fn end(self) -> Result<DumpContents> {
        self.thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the thread that reads the table of contents died")))
    }
}

/// Returns the table of contents of an archive that pg_dump begins to write, and its warnings. It is ended before it writes any data.
pub(crate) fn contents(
    pg_dump: &Path,
    arguments: &[String],
    environment: &ChildEnvironment,
    stall: Duration,
) -> Result<(DumpContents, StderrTail)> {
    ChildReader::spawn(pg_dump, arguments, environment, stall)?.beginning(DumpContents::read)
}
