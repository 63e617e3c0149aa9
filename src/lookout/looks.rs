//! Looks into the store now and then: what is in it, whose it is, and what is missed.

use super::Remark;
use crate::missed::{News, Of, REMEDY, Watch, describe, describe_back};
use crate::monitor::Silent;
use crate::record::{Record, State, Task};
use crate::shelf::Shelf;
use crate::vault::{Catalog, Server, Vault};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// Between looks into the store, each of which costs requests.
const BETWEEN: Duration = Duration::from_secs(180);
/// Whoever else prunes or adds backups tells nobody.
const SELDOM: Duration = Duration::from_secs(3600);

/// What people are to be told of a database's backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub database: String,
    pub text: String,
}

pub(super) struct Looks {
    pub state_dir: PathBuf,
    pub vault: Vault,
    pub watch: Watch,
    pub server: Box<dyn Fn() -> Server + Send>,
    pub clock: fn() -> Timestamp,
    pub say: Sender<Remark>,
    pub notice: Sender<Notice>,
    /// Whether it was said that nothing can be left in `STATE_DIR`.
    pub told: bool,
}

impl Looks {
    /// Looks at the start, after runs, and now and then. Ends with the scheduler.
    pub fn go_on(mut self, ends: &Receiver<()>) {
        let mut good = self.look();
        while ends.recv_timeout(if good { SELDOM } else { BETWEEN }) != Err(RecvTimeoutError::Disconnected) {
            // One look sees what came of all of them.
            ends.try_iter().for_each(drop);
            good = self.look();
            thread::sleep(BETWEEN);
        }
    }

    /// Returns whether the store could be looked into.
    fn look(&mut self) -> bool {
        let now = (self.clock)();
        let server = (self.server)();
        let catalog = self.vault.catalog(None);
        let shelf = Shelf::look(&self.vault, &catalog, &server, &self.state_dir, now);
        let mut trouble =
            shelf.write(&self.state_dir).err().map(|error| format!("what is in the store cannot be shown: {error:#}"));
        if let Ok(catalog) = &catalog {
            trouble = trouble.or(self.miss(catalog, &server, now).err().map(|error| format!("{error:#}")));
        }
        if let Some(trouble) = trouble.filter(|_| !std::mem::replace(&mut self.told, true)) {
            self.say.send(Remark::Warned(trouble)).ok();
        }
        shelf.problem.is_none()
    }

    /// Looks for what is missed of each database that was ever backed up to there.
    fn miss(&self, catalog: &Catalog, server: &Server, now: Timestamp) -> crate::error::Result<()> {
        let records = self.watch.history.records(&Silent)?;
        let location = self.vault.store.location();
        let done = |one: &&Record| one.task == Task::Backup && one.state == State::Done;
        let stored = records.iter().filter(done).filter_map(|one| one.backup.as_ref());
        let databases: BTreeSet<&str> =
            stored.filter(|one| one.location == location).map(|one| one.id.database()).collect();
        for database in databases {
            let newest = records.iter().filter(done).find(|one| one.database == database);
            let server = match server {
                Server::Named(identifier) => Some(identifier.as_str()),
                Server::Unnamed => None,
                Server::Unasked => newest.and_then(|one| one.backup.as_ref()?.server.as_deref()),
            };
            let of = Of { database, server };
            let news = self.watch.look_at(&self.vault, catalog, of, &records, now)?;
            self.tell(database, &news, &location, now);
        }
        Ok(())
    }

    fn tell(&self, database: &str, news: &News, location: &str, now: Timestamp) {
        let notice = |text: String| self.notice.send(Notice { database: database.to_owned(), text }).ok();
        if let Some(text) = describe(&news.gone, location) {
            let text = format!("{text}; {REMEDY}");
            self.say.send(Remark::Warned(text.clone())).ok();
            notice(text);
        }
        if let Some(text) = describe_back(&news.back, location, now) {
            self.say.send(Remark::Said(text.clone())).ok();
            notice(text);
        }
    }
}
