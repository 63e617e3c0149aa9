//! Looks at a store for what is missed there, and remembers in `STATE_DIR` what each look has seen.

use super::{Known, Look, Missed, Sight};
use crate::document;
use crate::error::{Fault, Kind, Result, kind};
use crate::history::{History, Past};
use crate::manifest::{BackupId, encode};
use crate::plain;
use crate::record::{Record, State, Task};
use crate::retention::Policy;
use crate::vault::{Catalog, Server, Vault};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A listing may lag behind by so much: what is younger is asked for by its name before it is missed.
const LAG: SignedDuration = SignedDuration::from_hours(1);

/// Looks by the rules of this host.
#[derive(Debug, Clone)]
pub struct Watch {
    pub history: History,
    /// None where there are none, or where the store removes by rules of its own.
    pub policy: Option<Policy>,
}

/// What a look has found that the one before had not, and what it still misses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    pub gone: Vec<Missed>,
    /// Missed before, and still.
    pub still: Vec<Missed>,
    /// Missed before, and there again.
    pub back: Vec<Missed>,
}

/// What the last look at one series has seen, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub location: String,
    pub database: String,
    pub looked: Timestamp,
    #[serde(flatten)]
    pub sight: Sight,
}

/// Whose backups of which database are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    pub database: &'a str,
    /// The server's system identifier; None where it does not tell, and then whatever this host has made counts.
    pub server: Option<&'a str>,
}

impl Watch {
    /// Looks in this listing for the backups that these records tell of, and remembers what it has seen.
    pub fn look_at(
        &self,
        vault: &Vault,
        catalog: &Catalog,
        of: Of,
        records: &[Record],
        now: Timestamp,
    ) -> Result<News> {
        let known = known(of, &vault.store.location(), records, &self.history.past());
        if known.is_empty() {
            return Ok(News::default());
        }
        let path = self.path(&vault.store.location(), of);
        // Two looks at a time would tell the same twice.
        let _lock = self.lock()?;
        let before = read(&path);
        let sight = self.sight(vault, catalog, (of, &known), before.as_ref(), now)?;
        let news = News::between(before.as_ref(), &sight);
        let seen = Seen { location: vault.store.location(), database: of.database.to_owned(), looked: now, sight };
        document::write(&path, &seen).map_err(|why| unwritable(&path, &why))?;
        Ok(news)
    }

    /// Returns what is missed now, and remembers nothing.
    pub fn glance(
        &self,
        vault: &Vault,
        catalog: &Catalog,
        of: Of,
        records: &[Record],
        now: Timestamp,
    ) -> Result<Vec<Missed>> {
        let known = known(of, &vault.store.location(), records, &self.history.past());
        let before = read(&self.path(&vault.store.location(), of));
        Ok(self.sight(vault, catalog, (of, &known), before.as_ref(), now)?.missed)
    }

    fn sight(
        &self,
        vault: &Vault,
        catalog: &Catalog,
        (of, known): (Of, &[Known]),
        before: Option<&Sight>,
        now: Timestamp,
    ) -> Result<Sight> {
        let removed = self.history.removed(&vault.store.location());
        let (mut there, bare) = listed(catalog, of.database);
        // Of what has a .meta there the payload does not lag behind: it was there before.
        let unseen = |one: &&Known| !there.contains(&one.id) && !bare.contains(&one.id) && !removed.contains(&one.id);
        let young: Vec<&Known> =
            known.iter().filter(unseen).filter(|one| now.duration_since(one.made).abs() < LAG).collect();
        let lagging: Vec<BackupId> =
            young.into_iter().filter(|one| !is_gone(vault, &one.id)).map(|one| one.id.clone()).collect();
        there.extend(lagging);
        let policy = self.policy.as_ref();
        // Whose the others are is asked only where it decides something, for each costs a request.
        let gone = Look { known, there: &there, bare: &bare, removed: &removed, policy, now }.oldest_newly_gone(before);
        let wanted = |id: &BackupId| policy.is_some() || gone.as_ref().is_some_and(|gone| id > gone);
        if gone.is_some() || policy.is_some() && before.is_some_and(|before| !before.missed.is_empty()) {
            drop_others(vault, of, known, &mut there, wanted)?;
        }
        Ok(Look { known, there: &there, bare: &bare, removed: &removed, policy, now }.after(before))
    }

    fn lock(&self) -> Result<fs::File> {
        let path = folder(self.history.state_dir()).join(".looking");
        let locked = document::make_folder(&path).and_then(|()| plain::lock_file(&path));
        let file = locked.map_err(|why| unwritable(&path, &why))?;
        // Where the file system knows no locks, the same may be told twice.
        file.lock().ok();
        Ok(file)
    }

    fn path(&self, location: &str, of: Of) -> PathBuf {
        let whose = format!("{location}\0{}", of.server.unwrap_or_default());
        let whose = blake2b_simd::Params::new().hash_length(8).hash(whose.as_bytes()).to_hex();
        folder(self.history.state_dir()).join(format!("{}-{whose}.json", encode(of.database)))
    }
}

impl News {
    fn between(before: Option<&Sight>, now: &Sight) -> News {
        let earlier = before.map(|before| before.missed.as_slice()).unwrap_or_default();
        let was = |one: &&Missed| earlier.iter().any(|other| other.id == one.id);
        let (still, gone): (Vec<&Missed>, Vec<&Missed>) = now.missed.iter().partition(was);
        let back = earlier.iter().filter(|one| now.standing.contains(&one.id));
        let owned = |some: Vec<&Missed>| some.into_iter().cloned().collect();
        News { gone: owned(gone), still: owned(still), back: back.cloned().collect() }
    }
}

/// Returns what the looks at all series have seen last.
pub fn sights(state_dir: &Path) -> Vec<Seen> {
    let entries = fs::read_dir(folder(state_dir)).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "json"));
    paths.filter_map(|path| document::read::<Seen>(&path).ok()).map(|found| found.value).collect()
}

fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("series")
}

fn read(path: &Path) -> Option<Sight> {
    document::read::<Seen>(path).ok().map(|found| found.value.sight)
}

/// What this host has stored of the series in that store, once each.
fn known(of: Of, location: &str, records: &[Record], past: &Past) -> Vec<Known> {
    let records = records.iter().chain(past.success(of.database));
    let mut seen = BTreeSet::new();
    let mut known = Vec::new();
    for record in
        records.filter(|one| one.task == Task::Backup && one.state == State::Done && one.database == of.database)
    {
        let Some(stored) = record.backup.as_ref().filter(|stored| stored.location == location) else { continue };
        let own = of.server.is_none() || stored.server.is_none() || stored.server.as_deref() == of.server;
        if own && seen.insert(&stored.id) {
            let made = record.ended.unwrap_or(record.started);
            let (sequence, previous) = (stored.sequence, stored.previous.clone());
            known.push(Known { id: stored.id.clone(), made, sequence, previous });
        }
    }
    known
}

/// The backups of the database that are listed: those that are whole, and those of which there is a `.meta` without payload.
fn listed(catalog: &Catalog, database: &str) -> (BTreeSet<BackupId>, BTreeSet<BackupId>) {
    let payloads: BTreeSet<BackupId> = catalog.keys().filter_map(BackupId::of_payload_key).collect();
    let ids = catalog.entries().iter().map(|entry| entry.id.clone()).filter(|id| id.database() == database);
    ids.partition(|id| payloads.contains(id))
}

/// Whether the store says that there is no such backup. What it does not answer is no proof.
fn is_gone(vault: &Vault, id: &BackupId) -> bool {
    vault.store.open(&id.meta_key(), None).is_err_and(|error| kind(&error) == Kind::NotFound)
}

/// Takes out what is not of this series: other servers' backups, and uploads, which rules count apart.
fn drop_others(
    vault: &Vault,
    of: Of,
    known: &[Known],
    there: &mut BTreeSet<BackupId>,
    wanted: impl Fn(&BackupId) -> bool,
) -> Result<()> {
    let own: BTreeSet<&BackupId> = known.iter().map(|one| &one.id).collect();
    let strange: Vec<BackupId> = there.iter().filter(|id| !own.contains(id) && wanted(id)).cloned().collect();
    let server = Server::of(of.server.map(str::to_owned));
    for (id, claims) in strange.iter().zip(vault.claims(&strange)?) {
        // What cannot be read is taken for its own: it may well be.
        if claims.is_ok_and(|claims| !server.owns(&claims.owner)) {
            there.remove(id);
        }
    }
    Ok(())
}

fn unwritable(path: &Path, why: &std::io::Error) -> Fault {
    Fault::failed(format!("what is missed in the store cannot be remembered in \"{}\": {why}", path.display()))
        .hint("STATE_DIR names a folder that pgbk may write to")
}
