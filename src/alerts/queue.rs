//! Keeps messages that have not arrived, one file each. Several processes may share the folder.

use crate::alerts::message::AlertMessage;
use crate::alerts::storage_errors::write;
use crate::base::error::Result;
use crate::base::state_dir::StateDir;
use crate::base::state_dir::file::StateFile;
use serde::{Deserialize, Serialize};
use std::fs::File;

/// How many messages are kept for each channel, the newest: after a receiver was wrong for a year, the older ones are of no use.
const KEPT: usize = 20;

#[derive(Debug, Clone)]
pub struct Queue {
    state: StateDir,
}

/// A message that only this process delivers now.
pub struct ClaimedMessage {
    file: StateFile,
    /// Locked until it is dropped.
    _held: File,
    pub message: AlertMessage,
    /// Recipients who have it or will never be tried again, while others still lack it.
    pub settled: Vec<String>,
}

/// A message as it is in its file.
#[derive(Serialize, Deserialize)]
struct QueuedMessage {
    #[serde(flatten)]
    message: AlertMessage,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    settled: Vec<String>,
}

impl Queue {
    pub fn new(state: StateDir) -> Queue {
        Queue { state }
    }

    pub fn put(&self, channel: &str, message: &AlertMessage) -> Result<()> {
        // Names of runs, which they begin with, sort by time.
        write(&self.state.unsent(&message.id(), channel), &serde_json::to_vec_pretty(message)?)?;
        for file in self.waiting(channel).iter().rev().skip(KEPT) {
            file.remove().ok();
        }
        Ok(())
    }

    /// Returns the files of one channel's messages, the oldest first.
    pub fn waiting(&self, channel: &str) -> Vec<StateFile> {
        self.state.all_unsent(channel).files()
    }

    /// Claims a message for delivery. `None`: another process delivers it or has done so, or the file cannot be read.
    pub fn claim(&self, file: &StateFile) -> Option<ClaimedMessage> {
        let held = file.claim().ok()??;
        let QueuedMessage { message, settled } = serde_json::from_reader(&held).ok()?;
        Some(ClaimedMessage { file: file.clone(), _held: held, message, settled })
    }
}

impl ClaimedMessage {
    /// Removes the message, which every recipient has by now.
    pub fn delivered(self) -> Result<()> {
        Ok(self.file.remove()?)
    }

    /// Keeps the message for the others, now that the `settled` recipients have it.
    pub fn keep(self) -> Result<()> {
        write(&self.file, &serde_json::to_vec_pretty(&QueuedMessage { message: self.message, settled: self.settled })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::tests::{origin, record};
    use crate::format::run_record::RunState;

    fn queue() -> (tempfile::TempDir, Queue) {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::new(StateDir::at(folder.path()));
        (folder, queue)
    }

    fn message(number: u32) -> AlertMessage {
        AlertMessage::failed(&record(number, RunState::Failed), &origin(), None)
    }

    #[test]
    fn messages_wait_in_order_for_their_own_channel_until_they_are_delivered() {
        let (_folder, queue) = queue();
        for number in [2, 1] {
            queue.put("mail", &message(number)).unwrap();
        }
        assert!(queue.waiting("webhook").is_empty());
        let waiting = queue.waiting("mail");
        let first = queue.claim(&waiting[0]).unwrap();
        assert_eq!(first.message, message(1));
        first.delivered().unwrap();
        assert_eq!(queue.waiting("mail"), waiting[1..]);
    }

    #[test]
    fn one_that_is_being_delivered_is_nobody_elses() {
        let (_folder, queue) = queue();
        queue.put("mail", &message(1)).unwrap();
        let path = queue.waiting("mail").remove(0);
        let claim = queue.claim(&path).unwrap();
        assert!(queue.claim(&path).is_none());
        drop(claim);
        assert!(queue.claim(&path).is_some());
    }

    #[test]
    fn one_that_some_recipients_have_is_kept_for_the_others() {
        let (_folder, queue) = queue();
        queue.put("mail", &message(1)).unwrap();
        let path = queue.waiting("mail").remove(0);
        let mut claim = queue.claim(&path).unwrap();
        assert_eq!(claim.settled, [""; 0]);
        claim.settled.push("a@example.org".to_owned());
        claim.keep().unwrap();
        let claim = queue.claim(&path).unwrap();
        assert_eq!((claim.message, claim.settled), (message(1), vec!["a@example.org".to_owned()]));
    }

    #[test]
    fn the_newest_are_kept() {
        let (_folder, queue) = queue();
        for number in 1..=25 {
            queue.put("mail", &message(number)).unwrap();
        }
        let waiting = queue.waiting("mail");
        assert_eq!(waiting.len(), KEPT);
        assert_eq!(queue.claim(&waiting[0]).unwrap().message, message(6));
    }
}
