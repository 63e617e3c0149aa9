//! Captures one or several databases, each on a thread of its own, and shows how far each is.

use crate::alerts::{AlertSettings, Alerts};
use crate::base::cancel::{self, Cancel, Stopper};
use crate::base::databases::Databases;
use crate::base::error::{Fault, Result};
use crate::base::progress::{Monitor, ProgressId, Update};
use crate::base::state_dir::StateDir;
use crate::base::subject::Subject;
use crate::base::threads;
use crate::format::capture_record::CaptureRecord;
use crate::jobs::capture::base_needs::SharedNeeds;
use crate::jobs::capture::capture_progress::CaptureProgress;
use crate::jobs::capture::plan::{CaptureOptions, CapturePlan};
use crate::jobs::capture::{self, Capture};
use crate::postgres::session::control;
use crate::repository::Repository;
use crate::runs::captures::capture_loop::CaptureLoop;
use crate::runs::captures::record_file::forget;
use crate::runs::captures::watched_capture::WatchedCapture;
use crate::runs::history::{History, share};
use jiff::{SignedDuration, Timestamp};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// How often it is looked which databases there are, where all are meant.
const LIST: Duration = Duration::from_secs(60);
/// How often records and alerts are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Holds where changes come from and where they go. Secrets in it may be renewed.
#[derive(Clone)]
pub struct CaptureSetup {
    pub repository: Repository,
    pub options: CaptureOptions,
}

/// Keeps captures going.
pub struct CaptureKeeper<'a> {
    setup: Mutex<CaptureSetup>,
    /// The server, as its settings say.
    server: String,
    lag_limit: SignedDuration,
    /// `None`: nothing can be remembered.
    state: Option<StateDir>,
    clock: fn() -> Timestamp,
    monitor: &'a dyn Monitor,
    /// For each database that is captured now: what has come behind its newest base.
    needs: Mutex<BTreeMap<Subject, Arc<SharedNeeds>>>,
}

/// A capture that is going on.
struct RunningCapture {
    watched: WatchedCapture,
    _stopper: Stopper,
}

impl<'a> CaptureKeeper<'a> {
    pub fn new(
        setup: CaptureSetup,
        state: Option<StateDir>,
        clock: fn() -> Timestamp,
        monitor: &'a dyn Monitor,
    ) -> CaptureKeeper<'a> {
        let server = setup.options.server.describe();
        let lag_limit = SignedDuration::try_from(setup.options.lag_limit).unwrap_or(SignedDuration::MAX);
        CaptureKeeper { setup: Mutex::new(setup), server, lag_limit, state, clock, monitor, needs: Mutex::default() }
    }

    /// Takes settings with changed secrets, for whatever begins from now on.
    pub fn renew(&self, setup: CaptureSetup) {
        *self.locked_setup() = setup;
    }

    /// Returns where changes go.
    pub fn repository(&self) -> Repository {
        self.locked_setup().repository.clone()
    }

    /// Returns what has come behind the newest base of each database that is captured now.
    pub fn needs(&self) -> BTreeMap<Subject, Arc<SharedNeeds>> {
        self.locked_needs().clone()
    }

    fn locked_needs(&self) -> MutexGuard<'_, BTreeMap<Subject, Arc<SharedNeeds>>> {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a generation of this database if there is none, and stores its first segment.
    pub fn set_up(&self, database: &str) -> Result<()> {
        let CaptureSetup { repository, options } = self.setup();
        let (plan, progress) = (options.plan(database)?, self.progress(database));
        let (clock, monitor) = (self.clock, self.monitor);
        let (repository, plan, progress, needs) = (&repository, &plan, &progress, &SharedNeeds::default());
        capture::set_up(&Capture { repository, plan, progress, needs, clock, monitor })
    }

    /// Captures one database until a signal comes, or it cannot go on. Returns why it ended. `needs` is told of each segment.
    pub fn one(&self, database: &str, alerts: &AlertSettings, needs: &Arc<SharedNeeds>) -> anyhow::Error {
        let (progress, over) = (Arc::new(self.progress(database)), AtomicBool::new(false));
        thread::scope(|scope| {
            let shown = (Arc::clone(&progress), Arc::clone(needs));
            let watch = threads::begin_in(scope, "keeper", || {
                let alerts = Alerts::open(alerts);
                let mut watched = WatchedCapture::new(shown, self.state.as_ref(), &alerts);
                while !over.load(Ordering::Relaxed) {
                    watched.show(&alerts, (self.clock)(), self.monitor);
                    thread::sleep(LOOK);
                }
                watched.end(&alerts, (self.clock)(), self.monitor);
                alerts.close(self.monitor);
            });
            if let Err(error) = watch {
                return error;
            }
            let ended = self.capture(database, (&progress, needs), self.monitor, false);
            over.store(true, Ordering::Relaxed);
            ended
        })
    }

    /// Captures these databases until this thread's work is stopped. One that cannot go on is tried again later.
    pub fn all(&self, databases: &Databases, alerts: &AlertSettings) {
        let alerts = Alerts::open(alerts);
        thread::scope(|scope| {
            let mut running = BTreeMap::new();
            let mut listed = None::<Instant>;
            while cancel::check().is_ok() {
                if listed.is_none_or(|listed| listed.elapsed() >= LIST) {
                    listed = Some(Instant::now());
                    self.follow(scope, databases, &mut running, &alerts);
                }
                for one in running.values_mut() {
                    one.watched.show(&alerts, (self.clock)(), self.monitor);
                }
                cancel::wait(LOOK);
            }
            for (_, one) in running {
                one.watched.end(&alerts, (self.clock)(), self.monitor);
            }
        });
        alerts.close(self.monitor);
    }

    /// Begins captures of databases that are new, and ends those of databases that are gone.
    fn follow<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        databases: &Databases,
        running: &mut BTreeMap<Subject, RunningCapture>,
        alerts: &Alerts,
    ) {
        let wanted = match self.wanted(databases) {
            Ok(wanted) => wanted,
            Err(error) => {
                self.monitor.warn(&format!("which databases are to be captured cannot be told now: {error:#}"));
                return;
            }
        };
        running.retain(|subject, _| {
            let stays = wanted.contains(subject);
            if let (false, Some(state)) = (stays, &self.state) {
                self.monitor.info(&format!("{subject} is gone, and is captured no longer"));
                forget(state, subject, &self.server);
            }
            if !stays {
                self.locked_needs().remove(subject);
            }
            stays
        });
        for subject in wanted {
            let Entry::Vacant(vacant) = running.entry(subject) else { continue };
            match self.begin(scope, vacant.key(), alerts) {
                Ok(begun) => {
                    vacant.insert(begun);
                }
                Err(error) => self.monitor.warn(&format!("{} is not captured yet: {error:#}", vacant.key())),
            }
        }
    }

    fn wanted(&self, databases: &Databases) -> Result<BTreeSet<Subject>> {
        Ok(match databases {
            Databases::Named(subjects) => {
                subjects.iter().filter(|subject| subject.database().is_some()).cloned().collect()
            }
            Databases::All => {
                let server = self.setup().options.server;
                control::databases(&server)?.into_iter().map(Subject::from).collect()
            }
        })
    }

    fn begin<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        subject: &Subject,
        alerts: &Alerts,
    ) -> Result<RunningCapture> {
        let name = subject.database().ok_or_else(|| Fault::failed("no database"))?.name().to_owned();
        let progress = Arc::new(self.progress(&name));
        let needs = Arc::new(SharedNeeds::default());
        let shown = (Arc::clone(&progress), Arc::clone(&needs));
        let watched = WatchedCapture::new(shown, self.state.as_ref(), alerts);
        let (cancel, stopper) = Cancel::of_thread().stoppable();
        let told = Arc::clone(&needs);
        threads::begin_in(scope, "capture", move || {
            let _limits = cancel.enter();
            let monitor = NamedMonitor { database: name.clone(), inner: self.monitor };
            self.capture(&name, (&progress, &told), &monitor, true);
        })?;
        self.locked_needs().insert(subject.clone(), needs);
        Ok(RunningCapture { watched, _stopper: stopper })
    }

    fn capture(
        &self,
        database: &str,
        (progress, needs): (&CaptureProgress, &SharedNeeds),
        monitor: &dyn Monitor,
        is_patient: bool,
    ) -> anyhow::Error {
        let settings = || -> Result<(Repository, CapturePlan)> {
            let CaptureSetup { repository, options } = self.setup();
            let history = self.state.clone().map(History::of);
            let records = history.map(|history| history.records(monitor)).transpose()?.unwrap_or_default();
            share::look(repository.store.as_ref(), &records)?;
            Ok((repository, options.plan(database)?))
        };
        CaptureLoop { settings: &settings, progress, needs, clock: self.clock, monitor, is_patient }.run()
    }

    fn progress(&self, database: &str) -> CaptureProgress {
        let setup = self.setup();
        let slot = setup.options.plan(database).map(|plan| plan.slot.to_string());
        CaptureProgress::new(CaptureRecord {
            database: Subject::from(database),
            server: self.server.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            started: (self.clock)(),
            streaming: false,
            slot: slot.unwrap_or_default(),
            generation: None,
            recoverable: None,
            last_segment: None,
            segments: 0,
            transactions: 0,
            stored_bytes: 0,
            retained_bytes: None,
            wal_limit: None,
            lag_limit: self.lag_limit,
            uncovered: Vec::new(),
            large_objects_as_of: None,
            no_base_since: None,
            problem: None,
        })
    }

    fn setup(&self) -> CaptureSetup {
        self.locked_setup().clone()
    }

    fn locked_setup(&self) -> MutexGuard<'_, CaptureSetup> {
        self.setup.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the database before each message: the captures of several share a log.
struct NamedMonitor<'a> {
    database: String,
    inner: &'a dyn Monitor,
}

impl NamedMonitor<'_> {
    fn named(&self, message: &str) -> String {
        format!("capture of \"{}\": {message}", self.database)
    }
}

impl Monitor for NamedMonitor<'_> {
    fn begin(&self, name: &str, total: Option<u64>) -> ProgressId {
        self.inner.begin(name, total)
    }
    fn update(&self, of: ProgressId, update: Update<'_>) {
        self.inner.update(of, update);
    }
    fn warn(&self, message: &str) {
        self.inner.warn(&self.named(message));
    }
    fn announce(&self, message: &str) {
        self.warn(message);
    }
    fn info(&self, message: &str) {
        self.inner.info(&self.named(message));
    }
    fn note(&self, message: &str) {
        self.inner.note(&self.named(message));
    }
}
