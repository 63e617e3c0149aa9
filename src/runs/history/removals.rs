//! Remembers what pgbk has removed from a store, so that it does not count as missed.

use crate::base::error::{Fault, Result};
use crate::base::locked_json;
use crate::base::plain::{self, Whose};
use crate::format::backup_id::BackupId;
use crate::runs::history::History;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

/// Size in bytes from which the older half is forgotten: records of runs do not reach back so far.
const LARGEST: u64 = 1 << 20;

/// One line of the file.
#[derive(Serialize, Deserialize)]
struct Removal {
    location: String,
    id: BackupId,
}

impl History {
    /// Records that pgbk removed these backups from the store at `location`, or that a person knows them to be gone.
    pub fn note_removed(&self, location: &str, ids: &[BackupId]) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        self.append_removed(location, ids).map_err(|why| {
            let path = self.removals_path();
            Fault::failed(format!("what was removed cannot be written down in \"{}\": {why}", path.display()))
                .hint("STATE_DIR names a folder that pgbk may write to; else what was removed will be missed")
                .into()
        })
    }

    fn append_removed(&self, location: &str, ids: &[BackupId]) -> io::Result<()> {
        let path = self.removals_path();
        locked_json::make_folder(&path)?;
        let lock = plain::lock_file(&path.with_extension("lock"))?;
        // Where the file system knows no locks, one of two writers may be forgotten.
        lock.lock().ok();
        self.shorten_removed()?;
        let mut lines = String::new();
        for id in ids {
            lines.push_str(&serde_json::to_string(&Removal { location: location.to_owned(), id: id.clone() })?);
            lines.push('\n');
        }
        // What is no file of ours is not written to.
        drop(plain::lock_file(&path)?);
        let mut file = OpenOptions::new().append(true).open(&path)?;
        file.write_all(lines.as_bytes())?;
        file.sync_all()
    }

    fn shorten_removed(&self) -> io::Result<()> {
        let path = self.removals_path();
        let text = match plain::read(&path, Whose::OfItsFolder, u64::MAX) {
            Ok(text) if text.len() as u64 > LARGEST => text,
            _ => return Ok(()),
        };
        let half = &text[text.len() / 2..];
        let from = half.iter().position(|byte| *byte == b'\n').map_or(half.len(), |at| at + 1);
        let mut partial = tempfile::Builder::new().prefix(".").tempfile_in(path.parent().unwrap_or(&path))?;
        partial.write_all(&half[from..])?;
        partial.persist(&path).map(drop).map_err(|error| error.error)
    }

    /// Returns the backups that pgbk removed from the store at `location`, as far as they are recorded.
    pub fn removed(&self, location: &str) -> BTreeSet<BackupId> {
        let text = plain::read(&self.removals_path(), Whose::OfItsFolder, 4 * LARGEST).unwrap_or_default();
        let lines = text.split(|byte| *byte == b'\n');
        let removals = lines.filter_map(|line| serde_json::from_slice::<Removal>(line).ok());
        removals.filter(|removal| removal.location == location).map(|removal| removal.id).collect()
    }

    fn removals_path(&self) -> PathBuf {
        self.state_dir().join("removed.jsonl")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn ids(from: i64, count: i64) -> Vec<BackupId> {
        (from..from + count).map(|second| BackupId::new("shop", Timestamp::from_second(second).unwrap())).collect()
    }

    #[test]
    fn what_was_removed_is_known_by_its_place_and_the_newest_of_it_outlasts_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(&folder.path().join("new/state"));
        assert_eq!(history.removed("here"), BTreeSet::new());
        history.note_removed("here", &ids(0, 3)).unwrap();
        history.note_removed("there", &ids(3, 1)).unwrap();
        history.note_removed("here", &[]).unwrap();
        assert_eq!(history.removed("here"), ids(0, 3).into_iter().collect());
        assert_eq!(history.removed("there"), ids(3, 1).into_iter().collect());
        history.note_removed("here", &ids(10, 40_000)).unwrap();
        history.note_removed("here", &ids(100_000, 1)).unwrap();
        let kept = history.removed("here");
        assert!(kept.len() > 10_000 && kept.len() < 30_000, "{}", kept.len());
        assert!(
            kept.contains(&ids(100_000, 1)[0]) && kept.contains(&ids(40_009, 1)[0]) && !kept.contains(&ids(0, 1)[0])
        );
    }
}
