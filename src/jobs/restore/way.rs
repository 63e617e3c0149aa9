//! Decides whether a restore is one transaction, or done by several connections.

use crate::format::manifest::{Format, Manifest};
use crate::jobs::restore::plan::RestorePlan;
use crate::postgres::restore::load::extension_notice::is_told;
use crate::postgres::restore::target::{RestoreTarget, TargetState};

/// Size of a dump in bytes below which there is nothing to win.
const SMALL: u64 = 64 << 20;
/// An encoding in which names may be any bytes, and tables are renamed for their rows.
const NO_ENCODING: &str = "SQL_ASCII";
/// Argument of pg_dump with which every object is made by another role, so that rows cannot be told from what is around them.
const AUTHORIZATION: &str = "--use-set-session-authorization";

/// How a restore is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreWay {
    /// Number of connections that load at a time; 1 is one transaction, or for an archive one process.
    pub jobs: u32,
    /// Whether several connections load rows, each table from its place in the payload. Otherwise one does.
    pub rows_beside: bool,
    /// Why several connections do not do all that was wanted, as the end of a sentence; `None`: they do, or one was wanted.
    pub because: Option<String>,
}

impl RestoreWay {
    pub(crate) fn single(because: Option<String>) -> RestoreWay {
        RestoreWay { jobs: 1, rows_beside: false, because }
    }

    /// Returns whether several connections load, and commit on the way.
    pub fn is_parallel(&self) -> bool {
        self.jobs > 1
    }

    /// Describes the way for people.
    pub fn describe(&self) -> String {
        let because = self.because.as_ref();
        match self.jobs {
            1 => because.map_or("one transaction".to_owned(), |because| format!("one transaction: {because}")),
            jobs => {
                let rows = because.map(|because| format!("; one of them loads the rows: {because}"));
                format!("{jobs} connections, which commit on the way{}", rows.unwrap_or_default())
            }
        }
    }
}

/// Returns how this restore of a whole database is carried out.
pub fn way(manifest: &Manifest, plan: &RestorePlan, target: &RestoreTarget) -> RestoreWay {
    let wanted = wanted(manifest, plan);
    if manifest.dump.format != Format::Plain {
        // pg_restore knows how.
        return RestoreWay { jobs: wanted, rows_beside: false, because: None };
    }
    // The role of a restore test may connect but once, and what it may not do is set aside within the transaction.
    if wanted == 1 || plan.single_transaction || plan.loader.is_some() {
        return RestoreWay::single(None);
    }
    if let Some(because) = needs_one_transaction(manifest, plan, target) {
        return RestoreWay::single(Some(because));
    }
    let because = one_reads(manifest);
    RestoreWay { jobs: wanted, rows_beside: because.is_none(), because }
}

fn wanted(manifest: &Manifest, plan: &RestorePlan) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    match plan.jobs {
        Some(jobs) => jobs,
        None if manifest.dump.format != Format::Plain || manifest.plain.bytes < SMALL || cores == 1 => 1,
        None => 2,
    }
}

/// Says why all of it must be one transaction; `None`: it need not.
fn needs_one_transaction(manifest: &Manifest, plan: &RestorePlan, target: &RestoreTarget) -> Option<String> {
    let leaves_extensions = !plan.leave.extensions.is_empty() || !target.unavailable.extensions.is_empty();
    let told = manifest.requires.extensions.iter().chain(&target.extensions).find(|name| is_told(name));
    let is_renamed = manifest.server.as_ref().is_some_and(|server| server.encoding.as_str() == NO_ENCODING);
    if plan.clean || matches!(target.state, TargetState::Holds(_)) {
        Some("--clean empties the target in it".to_owned())
    } else if plan.leave.skip_failed {
        Some("--skip-failed takes back each statement that fails within it".to_owned())
    } else if leaves_extensions {
        Some("an extension is left out, and with it the rows of its tables".to_owned())
    } else if let Some(name) = told {
        Some(format!("the extension \"{name}\" is told where it begins and ends"))
    } else if is_renamed {
        Some(format!("the encoding is {NO_ENCODING}"))
    } else if manifest.dump.arguments.iter().any(|argument| argument == AUTHORIZATION) {
        Some(format!("pg_dump was given {AUTHORIZATION}"))
    } else {
        None
    }
}

/// Says why one connection must load the rows; `None`: several can.
fn one_reads(manifest: &Manifest) -> Option<String> {
    let is_placed = manifest.tables.iter().all(|table| !table.at.is_empty());
    let is_one_stream = manifest.compression.is_some() && manifest.pieces.is_empty();
    // What pg_dump writes between the rows of two tables makes nothing; others may write anything there.
    (manifest.contents.is_none() || !is_placed || is_one_stream)
        .then(|| "the backup does not say where the rows of each table are".to_owned())
}
