//! Names every file of the state directory, which holds what pgbk remembers between runs.
//!
//! No other file of the source knows these names. `docs/architecture.md` lists them. All of it may be lost: backups and restores go on
//! without it.

pub(crate) mod file;
pub(crate) mod folder;
#[cfg(test)]
mod tests;

use crate::base::plain_file::AcceptedOwner;
use file::StateFile;
use folder::StateFolder;
use jiff::Timestamp;
use std::fmt;
use std::path::PathBuf;

/// Largest size of a document that pgbk writes here, in bytes.
const DOCUMENT: u64 = 16 << 20;
/// Largest size of a file of alerts and of the keyring, in bytes.
const SMALL: u64 = 1 << 20;
/// Largest size of a copy of a stored document, in bytes: more than any manifest that pgbk reads.
const COPY: u64 = 65 << 20;

/// The state directory. It need not exist: whatever is written first creates it, for its owner alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    path: PathBuf,
}

/// Returns what tells files of the same database apart in their names, such as those of several servers.
pub(crate) fn name_hash(text: &str) -> String {
    blake2b_simd::Params::new().hash_length(8).hash(text.as_bytes()).to_hex().to_string()
}

/// The files of runs.
impl StateDir {
    /// Returns the record of one run. Its process keeps it locked while it runs. Written by `runs/history.rs`.
    pub fn record(&self, run: &str) -> StateFile {
        self.records().file(run)
    }

    /// Returns the folder of the records.
    pub fn records(&self) -> StateFolder {
        self.folder("runs", ".json", DOCUMENT)
    }

    /// Returns the totals of runs whose records were removed. Written by `runs/history.rs`.
    pub fn totals(&self) -> StateFile {
        self.records().file("past")
    }

    /// Returns the lock under which records are summed up and removed. Held by `runs/history.rs`.
    pub fn forgetting(&self) -> StateFile {
        self.folder("runs", "", DOCUMENT).file(".forgetting")
    }

    /// Returns the list of backups that pgbk removed, one in a line. Written by `runs/history/removals.rs`.
    pub fn removed(&self) -> StateFile {
        self.own("removed.jsonl", DOCUMENT)
    }

    /// Returns the lock under which that list is written. Held by `runs/history/removals.rs`.
    pub fn removed_lock(&self) -> StateFile {
        self.own("removed.lock", DOCUMENT)
    }

    /// Returns the scheduler's heartbeat. The scheduler keeps it locked. Written by `runs/schedule/heartbeat.rs`.
    pub fn heartbeat(&self) -> StateFile {
        self.own("schedule.json", DOCUMENT)
    }

    /// Returns the lock of the only scheduler. Held by `runs/schedule/heartbeat.rs`.
    pub fn scheduler_lock(&self) -> StateFile {
        self.own("schedule.lock", DOCUMENT)
    }
}

/// The files of captures.
impl StateDir {
    /// Returns the record of a capture. `database` is encoded; `hash` is of the server. Its process keeps it locked. Written by
    /// `runs/captures/record_file.rs`.
    pub fn capture(&self, database: &str, hash: &str) -> StateFile {
        self.captures().file(&format!("{database}-{hash}"))
    }

    /// Returns the folder of these records.
    pub fn captures(&self) -> StateFolder {
        self.folder("captures", ".json", SMALL)
    }
}

/// The files about stores.
impl StateDir {
    /// Returns the inventory of the store. Written by `repository/inventory.rs`.
    pub fn inventory(&self) -> StateFile {
        self.own("store.json", DOCUMENT)
    }

    /// Returns the list of which server each scanned backup belongs to. Written by `repository/inventory/owners.rs`.
    pub fn owners(&self) -> StateFile {
        self.own("owners.json", DOCUMENT)
    }

    /// Returns the same list of another output. Written by `repository/inventory/owners.rs`.
    pub fn owners_of(&self, output: &str) -> StateFile {
        self.own(&format!("owners-{output}.json"), DOCUMENT)
    }

    /// Returns the result of the last look at one series. `database` is encoded; `hash` is of the store and the server. Written by
    /// `runs/missed/watch.rs`.
    pub fn sight(&self, database: &str, hash: &str) -> StateFile {
        self.sights().file(&format!("{database}-{hash}"))
    }

    /// Returns the folder of these results.
    pub fn sights(&self) -> StateFolder {
        self.folder("series", ".json", DOCUMENT)
    }

    /// Returns the lock under which they are compared. Held by `runs/missed/watch.rs`.
    pub fn looking(&self) -> StateFile {
        self.folder("series", "", DOCUMENT).file(".looking")
    }

    /// Returns the copy of a document that was read of a store; all three names are hashes. Written by `store/remembered.rs`. No copy
    /// of another user's is read.
    pub fn copy(&self, store: &str, folder: &str, object: &str) -> StateFile {
        self.copies(store).folder(folder).file(object)
    }

    /// Returns the folder of the copies of one store's documents, in folders.
    pub fn copies(&self, store: &str) -> StateFolder {
        StateFolder::new(self.path.join("documents").join(store), "", AcceptedOwner::Ours, COPY)
    }

    /// Returns the journal of captured changes. `name` is of the database and the generation. Written by `jobs/capture/journal_keeper.rs`.
    pub fn journal(&self, name: &str) -> StateFile {
        self.folder("journals", ".meta", DOCUMENT).file(name)
    }

    /// Returns which journal was mailed last, named as [`StateDir::journal`]. Written by `jobs/capture/journal_keeper.rs`.
    pub fn mailed_journal(&self, name: &str) -> StateFile {
        self.folder("journals", ".mailed.json", SMALL).file(name)
    }

    /// Returns the keys that were derived from passwords, sealed. Written by `format/keys/ring.rs`.
    pub fn keyring(&self) -> StateFile {
        self.own("keyring", SMALL)
    }
}

/// The files of alerts.
impl StateDir {
    /// Returns the folder of all that alerts remember.
    pub fn alerts(&self) -> StateFolder {
        self.folder("alerts", "", SMALL)
    }

    /// Returns the outage of a database's backups. `database` is encoded; `hash` is of the server. Written by `alerts/outage.rs`.
    pub fn outage(&self, database: &str, hash: &str) -> StateFile {
        self.alerts().file(&format!("{database}-{hash}.json"))
    }

    /// Returns the outage of a database's restore tests, named as [`StateDir::outage`]. Written by `alerts/outage.rs`.
    pub fn restore_test_outage(&self, database: &str, hash: &str) -> StateFile {
        self.alerts().file(&format!("{database}-{hash}-verify.json"))
    }

    /// Returns what people have heard of a capture, named as [`StateDir::outage`]. Written by `alerts/capture_outage.rs`.
    pub fn capture_outage(&self, database: &str, hash: &str) -> StateFile {
        self.alerts().file(&format!("{database}-{hash}-capture.json"))
    }

    /// Returns the outage of the proofs of a database's changes, named as [`StateDir::outage`]. Written by `alerts/outage.rs`.
    pub fn change_proof_outage(&self, database: &str, hash: &str) -> StateFile {
        self.alerts().file(&format!("{database}-{hash}-verify-changes.json"))
    }

    /// Returns a message that has not arrived. Written by `alerts/queue.rs`.
    pub fn unsent(&self, run: &str, channel: &str) -> StateFile {
        self.all_unsent(channel).file(run)
    }

    /// Returns the folder of one channel's messages.
    pub fn all_unsent(&self, channel: &str) -> StateFolder {
        self.folder("alerts/unsent", &format!(".{channel}.json"), SMALL)
    }

    /// Returns a notice that people have heard, by its hash. Written by `alerts/outage.rs`.
    pub fn told(&self, hash: &str) -> StateFile {
        self.folder("alerts/told", "", SMALL).file(hash)
    }

    /// Returns the file that `doctor` writes and removes, to see whether it can. Written by `alerts.rs`.
    pub fn trial(&self) -> StateFile {
        self.alerts().file(".try")
    }
}

impl StateDir {
    /// Returns the state directory at this path. Only `config/state.rs` chooses which that is.
    pub fn at(path: impl Into<PathBuf>) -> StateDir {
        StateDir { path: path.into() }
    }

    /// Removes what killed writers left. What cannot be removed now is removed another time.
    pub fn sweep(&self, now: Timestamp) {
        let folders = ["", "runs", "captures", "series", "journals", "alerts", "alerts/unsent", "alerts/told"];
        folders.iter().for_each(|name| self.folder(name, "", DOCUMENT).sweep(now));
    }

    fn own(&self, name: &str, limit: u64) -> StateFile {
        StateFolder::new(self.path.clone(), "", AcceptedOwner::OfItsFolder, limit).file(name)
    }

    fn folder(&self, name: &str, end: &str, limit: u64) -> StateFolder {
        StateFolder::new(self.path.join(name), end, AcceptedOwner::OfItsFolder, limit)
    }
}

impl fmt::Display for StateDir {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.path.display().fmt(f)
    }
}
