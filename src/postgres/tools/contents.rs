//! Asks pg_dump what it would dump: it writes an archive, which is read as far as its table of contents. No other way tells exactly, for
//! every argument and version.

use crate::base::error::Result;
use crate::base::process::environment::ChildEnvironment;
use crate::base::process::reader::ChildReader;
use crate::base::process::stderr_tail::StderrTail;
use crate::format::archive::contents::DumpContents;
use std::path::Path;
use std::time::Duration;

/// Returns the table of contents of an archive that pg_dump begins to write, and its warnings. It is ended before it writes any data.
pub(crate) fn contents(
    pg_dump: &Path,
    arguments: &[String],
    environment: &ChildEnvironment,
    stall: Duration,
) -> Result<(DumpContents, StderrTail)> {
    ChildReader::spawn(pg_dump, arguments, environment, stall)?.beginning(DumpContents::read)
}
