//! Scans the store now and then: what is in it, whose it is, and what is missing.

use crate::base::error::Result;
use crate::base::progress::NullMonitor;
use crate::base::state_dir::StateDir;
use crate::base::subject::Subject;
use crate::format::run_record::series::by_series;
use crate::format::run_record::{Record, RunState, Task};
use crate::repository::Repository;
use crate::repository::catalog::Catalog;
use crate::repository::inventory::Inventory;
use crate::repository::newest::ServerIdentity;
use crate::runs::missing_backups::watch::{MissingWatch, SeriesChanges, SeriesName};
use crate::runs::missing_backups::{REMEDY, describe, describe_back};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Time between two scans of the store, each of which costs requests.
const BETWEEN: Duration = Duration::from_secs(180);
/// Rescan the store this often even without a run: other processes may add or prune backups.
const SELDOM: Duration = Duration::from_secs(3600);

/// A message to people about a database's backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub subject: Subject,
    pub text: String,
}

/// A store that is scanned for the backups of one variant.
pub struct WatchedStore {
    pub repository: Repository,
    pub watch: MissingWatch,
}

pub(crate) struct StoreScans {
    pub state: StateDir,
    pub stores: Vec<WatchedStore>,
    pub server: Box<dyn Fn() -> ServerIdentity + Send>,
    pub clock: fn() -> Timestamp,
    pub say: Sender<ScanRemark>,
    pub notice: Sender<Notice>,
    /// Whether a failure to keep the results has been reported. It is reported once.
    pub told: bool,
}

impl StoreScans {
    /// Scans at the start, after runs, and now and then. Returns when the scheduler has ended.
    pub fn go_on(mut self, ends: &Receiver<()>) {
        let mut good = self.look();
        while ends.recv_timeout(if good { SELDOM } else { BETWEEN }) != Err(RecvTimeoutError::Disconnected) {
            // One look sees what came of all of them.
            ends.try_iter().for_each(drop);
            good = self.look();
            thread::sleep(BETWEEN);
        }
    }

    /// Scans each store once. Returns whether all of them could be read.
    fn look(&mut self) -> bool {
        let now = (self.clock)();
        let server = (self.server)();
        let mut trouble = None;
        let mut inventories = Vec::new();
        for store in &self.stores {
            let catalog = store.repository.catalog(None);
            inventories.push(Inventory::look(&store.repository, &catalog, &server, &self.state, now));
            let missed = catalog.as_ref().map_or(Ok(()), |catalog| self.miss(store, catalog, &server, now));
            trouble = trouble.or(missed.err().map(|error| format!("{error:#}")));
        }
        let all_read = inventories.iter().all(|inventory| inventory.problem.is_none());
        let unwritten = Inventory::together(inventories).map(|inventory| inventory.write(&self.state));
        if let Some(Err(error)) = unwritten {
            trouble = Some(format!("what is in the store cannot be shown: {error:#}"));
        }
        if let Some(trouble) = trouble.filter(|_| !std::mem::replace(&mut self.told, true)) {
            self.say.send(ScanRemark::Warned(trouble)).ok();
        }
        all_read
    }

    /// Looks for missing backups of each series that was ever backed up to this store.
    fn miss(&self, store: &WatchedStore, catalog: &Catalog, server: &ServerIdentity, now: Timestamp) -> Result<()> {
        let WatchedStore { repository, watch } = store;
        let records = by_series(&watch.history.records(&NullMonitor)?);
        let location = repository.store.location();
        let done = |one: &&Record| one.task == Task::Backup && one.state == RunState::Done;
        let stored = records.iter().filter(done).filter_map(|one| one.backup.as_ref());
        let subjects: BTreeSet<&Subject> =
            stored.filter(|one| one.location == location).map(|one| one.id.subject()).collect();
        for subject in subjects.into_iter().filter(|subject| subject.variant() == repository.variant) {
            let newest = records.iter().filter(done).find(|one| one.database == *subject);
            let server = match server {
                ServerIdentity::Named(identifier) => Some(identifier.as_str()),
                ServerIdentity::Unnamed => None,
                ServerIdentity::Unasked => newest.and_then(|one| one.backup.as_ref()?.server.as_deref()),
            };
            let of = SeriesName { subject, server };
            let news = watch.look_at(repository, catalog, of, &records, now)?;
            self.tell(subject, &news, &location, now);
        }
        Ok(())
    }

    fn tell(&self, subject: &Subject, news: &SeriesChanges, location: &str, now: Timestamp) {
        let notice = |text: String| self.notice.send(Notice { subject: subject.clone(), text }).ok();
        if let Some(text) = describe(&news.gone, location) {
            let text = format!("{text}; {REMEDY}");
            self.say.send(ScanRemark::Warned(text.clone())).ok();
            notice(text);
        }
        if let Some(text) = describe_back(&news.back, location, now) {
            self.say.send(ScanRemark::Said(text.clone())).ok();
            notice(text);
        }
    }
}

pub enum ScanRemark {
    Said(String),
    Warned(String),
}
