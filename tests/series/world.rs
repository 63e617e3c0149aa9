//! Servers that back up into one folder, under clocks that go wrong: what they did, so that what is stored can be compared with it.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use pgbk::base::error::Result;
use pgbk::base::progress::NullMonitor;
use pgbk::format::backup_id::BackupId;
use pgbk::format::manifest::encoding::EncodingName;
use pgbk::format::manifest::origin::{Origin, Origins};
use pgbk::format::manifest::session::SessionSettings;
use pgbk::format::manifest::{Format, Manifest, ServerNote};
use pgbk::jobs::prune::scope::PruneScope;
use pgbk::jobs::prune::{PruneMode, PruneOrder, prune};
use pgbk::repository::Repository;
use pgbk::repository::catalog::Catalog;
use pgbk::repository::name::BackupName;
use pgbk::repository::new_backup::{Adoption, NewBackup};
use pgbk::repository::newest::{NewestQuery, ServerIdentity};
use pgbk::repository::retention::{Policy, RetentionRules};
use pgbk::repository::writer::ManifestDetails;
use pgbk::runs::after_backup::AfterBackup;
use pgbk::store::capabilities::{Capabilities, Integrity, Medium};
use pgbk::store::memory::Memory;
use pgbk::store::{Object, ObjectInfo, PendingUpload, PutOptions, Store, Upload};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};
use support::random::Random;

pub const DATABASE: &str = "shop";
const BEGINNING: &str = "2026-11-21T12:00:00Z";
/// By so many seconds clocks are off.
const OFF: [i64; 13] = [
    0,
    -1,
    1,
    -59,
    -3_599,
    3_599,
    3_601,
    -5 * 86_400,
    5 * 86_400,
    -400 * 86_400,
    1_300 * 86_400,
    -20 * 365 * 86_400,
    20 * 365 * 86_400,
];

/// A store whose times are by a clock that the test sets.
#[derive(Debug, Clone, Default)]
pub struct Dated {
    memory: Memory,
    times: Arc<Mutex<BTreeMap<String, Timestamp>>>,
    /// As a folder has them by the clock of whoever writes; else they are a host's own.
    folder: bool,
}

impl Dated {
    /// Says when whatever is new was written.
    fn date(&self, now: Timestamp) {
        let mut times = self.times.lock().expect("the times");
        for listed in self.memory.list("").expect("list") {
            times.entry(listed.key).or_insert(now);
        }
    }
}

impl Store for Dated {
    fn location(&self) -> String {
        "dated".to_owned()
    }
    fn capabilities(&self) -> Capabilities<'_> {
        let medium = if self.folder { Medium::Folder } else { Medium::Memory };
        Capabilities { integrity: Integrity::Synced, medium, ..Capabilities::default() }
    }
    fn create(&self, key: &str, creation: &PutOptions) -> Result<Box<dyn Upload>> {
        self.memory.create(key, creation)
    }
    fn open(&self, key: &str, version: Option<&str>) -> Result<Box<dyn Object>> {
        self.memory.open(key, version)
    }
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let times = self.times.lock().expect("the times");
        let dated =
            |listed: ObjectInfo| ObjectInfo { modified: times.get(&listed.key).copied().or(listed.modified), ..listed };
        Ok(self.memory.list(prefix)?.into_iter().map(dated).collect())
    }
    fn remove(&self, key: &str, version: Option<&str>) -> Result<()> {
        self.times.lock().expect("the times").remove(key);
        self.memory.remove(key, version)
    }
    fn unfinished(&self, prefix: &str) -> Result<Vec<PendingUpload>> {
        self.memory.unfinished(prefix)
    }
    fn discard(&self, unfinished: &PendingUpload) -> Result<()> {
        self.memory.discard(unfinished)
    }
}

/// Who made a backup, as the test knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Maker {
    Server(usize),
    /// Of format 1, without a server's name.
    Old,
    Upload,
}

#[derive(Debug, Clone)]
pub struct Made {
    pub id: BackupId,
    pub maker: Maker,
    pub sequence: u64,
}

pub struct World {
    pub random: Random,
    store: Dated,
    pub repository: Repository,
    /// What really is the time.
    time: Timestamp,
    /// By how much the clock of each server's host is off, and that of the server.
    off: Vec<(i64, i64)>,
    writes: i64,
    /// In the order in which they were made.
    pub made: Vec<Made>,
    pub pinned: BTreeSet<BackupId>,
    pub proven: BTreeSet<BackupId>,
    /// Which servers one has adopted.
    pub adopted: Vec<BTreeSet<usize>>,
    /// What happened, for whoever has to find out.
    pub told: Vec<String>,
}

fn second(time: Timestamp, off: i64) -> Timestamp {
    time + SignedDuration::from_secs(off)
}

fn note(identifier: Option<String>) -> ServerNote {
    ServerNote {
        version: "15.18".to_owned(),
        version_num: 150_018,
        encoding: EncodingName::named("UTF8").expect("an encoding"),
        system_identifier: identifier,
        timeline: None,
        in_recovery: false,
        session: SessionSettings::default(),
    }
}

pub fn identifier(server: usize) -> String {
    format!("70000000000000000{server:02}")
}

pub fn rules(random: &mut Random) -> RetentionRules {
    let mut rule = || [0, 0, 1, 2, 3][random.below(5)];
    let mut rules =
        RetentionRules { last: rule(), daily: rule(), yearly: rule(), hourly: rule(), ..RetentionRules::default() };
    if rules.last + rules.daily + rules.yearly + rules.hourly == 0 {
        rules.last = 1;
    }
    rules
}

impl World {
    pub fn new(servers: usize, folder: bool, random: Random) -> World {
        let store = Dated { folder, ..Dated::default() };
        let repository = Repository {
            store: Arc::new(store.clone()),
            variant: Default::default(),
            key: None,
            encrypt: false,
            verify: false,
            allow_unauthenticated: false,
        };
        World {
            random,
            store,
            repository,
            time: BEGINNING.parse().expect("a time"),
            off: vec![(0, 0); servers],
            writes: 0,
            made: Vec::new(),
            pinned: BTreeSet::new(),
            proven: BTreeSet::new(),
            adopted: vec![BTreeSet::new(); servers],
            told: Vec::new(),
        }
    }

    pub fn servers(&self) -> usize {
        self.off.len()
    }

    /// By the clock of a server's host.
    pub fn now(&self, server: usize) -> Timestamp {
        second(self.time, self.off[server].0)
    }

    pub fn stored(&self) -> BTreeSet<BackupId> {
        self.repository.catalog(None).expect("list").ids().into_iter().collect()
    }

    pub fn of(&self, maker: Maker) -> impl Iterator<Item = &Made> {
        self.made.iter().filter(move |made| made.maker == maker)
    }

    pub fn maker(&self, id: &BackupId) -> Maker {
        self.made.iter().find(|made| made.id == *id).unwrap_or_else(|| panic!("{id} is nobody's")).maker
    }

    fn write(&self, name: BackupName, about: ManifestDetails) -> Result<Manifest> {
        let mut writer = self.repository.begin(name, Format::Plain, None, 0)?;
        writer.write_all(b"SELECT 1;\n").expect("write");
        writer.finish(about, &NullMonitor)
    }

    /// A document of format 1, which was there before.
    pub fn old(&mut self, days_ago: i64) {
        let id = BackupId::new(DATABASE, second(self.time, -days_ago * 86_400));
        if self.stored().contains(&id) {
            return;
        }
        self.write(id.clone().into(), ManifestDetails { server: Some(note(None)), ..ManifestDetails::default() })
            .expect("an old backup");
        self.noted(id, Maker::Old, 0, second(self.time, -days_ago * 86_400));
    }

    fn noted(&mut self, id: BackupId, maker: Maker, sequence: u64, by: Timestamp) {
        // A host has its own clock, which never stands.
        self.writes += 10;
        let host = second(BEGINNING.parse().expect("a time"), self.writes);
        self.store.date(if self.store.folder { by } else { host });
        // The name of one that is gone may come again within its second.
        self.made.retain(|made| made.id != id);
        self.made.push(Made { id, maker, sequence });
    }

    pub fn taking<'a>(&self, server: usize, named: &'a str, adopt: &'a Adoption) -> NewBackup<'a> {
        let (host, own) = self.off[server];
        NewBackup {
            subject: DATABASE.into(),
            origin: Origin::Backup,
            server: Some(named),
            taken_at: second(self.time, host + own),
            now: self.now(server),
            adopt,
        }
    }

    /// None: it failed.
    pub fn backup(&mut self, server: usize, adopt: &Adoption, fails: bool) -> Option<Manifest> {
        let named = identifier(server);
        let taking = self.taking(server, &named, adopt);
        let name = match self.repository.name(&taking, &NullMonitor) {
            Ok(name) => name,
            Err(error) => {
                assert_ne!(*adopt, Adoption::No, "{error:#}: {:#?}", self.told);
                return None;
            }
        };
        if fails {
            let mut writer = self.repository.begin(name, Format::Plain, None, 0).expect("begin");
            writer.write_all(b"SELECT").expect("write");
            return None;
        }
        let about = ManifestDetails {
            server: Some(note(Some(named.clone()))),
            origin: Some(Origin::Backup),
            ..ManifestDetails::default()
        };
        let manifest = self.write(name, about).expect("a backup");
        let of = |name: &String| (0..self.servers()).find(|one| identifier(*one) == *name).expect("a server");
        self.adopted[server] = manifest.adopted.iter().map(of).collect();
        self.noted(manifest.id.clone(), Maker::Server(server), manifest.sequence, self.now(server));
        Some(manifest)
    }

    pub fn upload(&mut self, server: usize) {
        let now = self.now(server);
        let adopt = Adoption::No;
        let taking = NewBackup {
            subject: DATABASE.into(),
            origin: Origin::Upload,
            server: None,
            taken_at: now,
            now,
            adopt: &adopt,
        };
        let name = self.repository.name(&taking, &NullMonitor).expect("a name");
        let made = self
            .write(name, ManifestDetails { origin: Some(Origin::Upload), ..ManifestDetails::default() })
            .expect("an upload");
        self.noted(made.id, Maker::Upload, made.sequence, now);
    }

    pub fn prune(&self, scope: PruneScope, rules: RetentionRules, now: Timestamp) -> bool {
        let policy = Policy::new(rules, TimeZone::UTC).expect("a policy");
        let order =
            PruneOrder { policy: &policy, mode: PruneMode::Force, scope, made: None, proven: &self.proven, now };
        prune(&self.repository, &self.catalog(), &DATABASE.into(), &order, &|_| (), &NullMonitor).is_ok()
    }

    /// What follows a run.
    pub fn upkeep(&self, made: &Manifest, rules: RetentionRules, now: Timestamp) {
        let retention = Some(Policy::new(rules, TimeZone::UTC).expect("a policy"));
        let upkeep = AfterBackup { tags: true, retention, zone: TimeZone::UTC };
        upkeep.after(&self.repository, &Ok(self.catalog()), (made, now), &self.proven, &|_| (), &NullMonitor);
    }

    pub fn catalog(&self) -> Catalog {
        self.repository.catalog(Some(&DATABASE.into())).expect("list")
    }

    pub fn asker(&self, server: usize) -> NewestQuery {
        NewestQuery {
            server: ServerIdentity::Named(identifier(server)),
            origins: Origins::Backup,
            now: self.now(server),
        }
    }

    /// Time goes on, or stands: two runs come in one second.
    pub fn wait(&mut self) {
        let seconds = [0, 0, 1, 60, 3_600, 86_400, 40 * 86_400][self.random.below(7)];
        self.time = second(self.time, seconds);
    }

    pub fn jump(&mut self) {
        let server = self.random.below(self.servers());
        let host = OFF[self.random.below(OFF.len())];
        let own = if self.random.below(3) == 0 { OFF[self.random.below(OFF.len())] } else { 0 };
        self.off[server] = (host, own);
        self.told.push(format!("server {server}: host off by {host} s, server by {own} s more"));
    }

    pub fn right_clocks(&mut self) {
        self.off.fill((0, 0));
    }
}
