//! Remembers what pgbk has removed from a store, so that it does not count as missed.

use crate::base::error::{Fault, Result};
use crate::base::state_dir::file::StateFile;
use crate::format::backup_id::BackupId;
use crate::runs::history::History;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;

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
            let file = self.state().removed();
            Fault::failed(format!("what was removed cannot be written down in \"{file}\": {why}"))
                .hint("STATE_DIR names a folder that pgbk may write to; else what was removed will be missed")
                .into()
        })
    }

    fn append_removed(&self, location: &str, ids: &[BackupId]) -> io::Result<()> {
        let file = self.state().removed();
        // Where the file system knows no locks, one of two writers may be forgotten.
        let _lock = self.state().removed_lock().lock()?;
        shorten(&file)?;
        let mut lines = String::new();
        for id in ids {
            lines.push_str(&serde_json::to_string(&Removal { location: location.to_owned(), id: id.clone() })?);
            lines.push('\n');
        }
        file.append(lines.as_bytes())
    }

    /// Returns the backups that pgbk removed from the store at `location`, as far as they are recorded.
    pub fn removed(&self, location: &str) -> BTreeSet<BackupId> {
        let text = self.state().removed().read_end(4 * LARGEST).unwrap_or_default();
        let lines = text.split(|byte| *byte == b'\n');
        let removals = lines.filter_map(|line| serde_json::from_slice::<Removal>(line).ok());
        removals.filter(|removal| removal.location == location).map(|removal| removal.id).collect()
    }
}

/// Drops the older half of a file that is too large. What is no file of ours is left as it is.
fn shorten(file: &StateFile) -> io::Result<()> {
    let Some(size) = file.size().filter(|size| *size > LARGEST) else { return Ok(()) };
    let Ok(half) = file.read_end(size / 2) else { return Ok(()) };
    let from = half.iter().position(|byte| *byte == b'\n').map_or(half.len(), |at| at + 1);
    file.write(&half[from..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::state_dir::StateDir;
    use jiff::Timestamp;

    fn ids(from: i64, count: i64) -> Vec<BackupId> {
        (from..from + count).map(|second| BackupId::new("shop", Timestamp::from_second(second).unwrap())).collect()
    }

    #[test]
    fn what_was_removed_is_known_by_its_place_and_the_newest_of_it_outlasts_the_oldest() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::of(StateDir::at(folder.path().join("new/state")));
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
