//! One run: a database is backed up, whatever comes of it is written down, and people are told.

use crate::alert::{Alerts, Round};
use crate::databases::Databases;
use crate::error::{self, Fault, Kind, Result};
use crate::history::History;
use crate::interrupt;
use crate::jobs::backup::{Plan, backup, files, globals};
use crate::manifest::Manifest;
use crate::monitor::{Monitor, Noting};
use crate::postgres::control;
use crate::record::{Cause, Problem, Record, State, Stored};
use crate::series::Series;
use crate::upkeep::Upkeep;
use crate::vault::Vault;
use jiff::Timestamp;
use std::time::Duration;

/// How databases are backed up, by hand and by schedule alike.
pub struct Run<'a> {
    pub vault: &'a Vault,
    /// For whichever database: its own settings are made from these.
    pub plan: &'a Plan,
    /// What is backed up beside all databases; a list of some names it itself.
    pub beside: &'a [Series],
    /// What follows each backup that succeeds.
    pub upkeep: &'a Upkeep,
    pub alerts: &'a Alerts,
    /// None where nothing can be written down.
    pub history: Option<&'a History>,
    /// `RUN_TIMEOUT`, for each database.
    pub limit: Option<Duration>,
    pub clock: fn() -> Timestamp,
    pub monitor: &'a dyn Monitor,
}

/// One thing to back up.
enum Item {
    Database(String),
    Beside(Series),
    /// A database that is called as this is.
    Clash(Series),
}

impl Item {
    fn named(name: &str) -> Item {
        Series::of(name).map_or_else(|| Item::Database(name.to_owned()), Item::Beside)
    }

    /// As the server has it.
    fn listed(name: String) -> Item {
        Series::of(&name).map_or(Item::Database(name), Item::Clash)
    }

    fn name(&self) -> &str {
        match self {
            Item::Database(name) => name,
            Item::Beside(series) | Item::Clash(series) => series.name(),
        }
    }
}

fn clash(series: Series) -> anyhow::Error {
    let name = series.name();
    Fault::failed(format!("the server has a database \"{name}\", a name that pgbk keeps for what is no database"))
        .hint("rename that database: a backup of it could not be told from one of the other")
        .into()
}

/// What became of one database.
pub struct Outcome {
    pub record: Record,
    pub result: Result<Manifest>,
}

impl Run<'_> {
    /// One database after the other; one that fails does not stop the others, a signal does.
    pub fn all(&self, databases: &Databases, cause: Cause, mut each: impl FnMut(&Outcome)) -> Result<Vec<Outcome>> {
        let mut round = self.alerts.round(self.monitor);
        let mut outcomes = Vec::new();
        let items = match self.items(databases) {
            Ok(items) => items,
            Err(error) => {
                let interrupted = is_interruption(&error);
                let outcome = self.written_down(&databases.to_string(), cause, &mut round, |_| Err(error))?;
                each(&outcome);
                outcomes.push(outcome);
                // Files need no server.
                if interrupted { Vec::new() } else { self.beside.iter().copied().map(Item::Beside).collect() }
            }
        };
        for item in items {
            let outcome = self.one(&item, cause, &mut round)?;
            each(&outcome);
            let interrupted = matches!(&outcome.result, Err(error) if is_interruption(error));
            outcomes.push(outcome);
            if interrupted {
                break;
            }
        }
        round.finish();
        Ok(outcomes)
    }

    fn items(&self, databases: &Databases) -> Result<Vec<Item>> {
        match databases {
            Databases::Named(names) => Ok(names.iter().map(|name| Item::named(name)).collect()),
            Databases::All => {
                let _limit = interrupt::limit(self.limit);
                let listed = control::databases(&self.plan.settings)?;
                let mut items: Vec<Item> = listed.into_iter().map(Item::listed).collect();
                let clashes =
                    |series: &Series| items.iter().any(|item| matches!(item, Item::Clash(other) if other == series));
                let beside: Vec<Item> =
                    self.beside.iter().filter(|series| !clashes(series)).copied().map(Item::Beside).collect();
                items.extend(beside);
                Ok(items)
            }
        }
    }

    /// An error here is one of the machine that pgbk runs on; that of the run is in the outcome.
    fn one(&self, item: &Item, cause: Cause, round: &mut Round) -> Result<Outcome> {
        self.written_down(item.name(), cause, round, |monitor| {
            let _limit = interrupt::limit(self.limit);
            let manifest = match item {
                Item::Database(name) => {
                    let plan = Plan { settings: self.plan.settings.for_database(name), ..self.plan.clone() };
                    backup(self.vault, &plan, monitor)?
                }
                Item::Beside(Series::Globals) => globals(self.vault, self.plan, monitor)?,
                Item::Beside(Series::Files) => files(self.vault, self.plan, (self.clock)(), monitor)?,
                Item::Clash(series) => return Err(clash(*series)),
            };
            self.upkeep.after(self.vault, &manifest.id, (self.clock)(), monitor);
            Ok(manifest)
        })
    }

    fn written_down(
        &self,
        database: &str,
        cause: Cause,
        round: &mut Round,
        work: impl FnOnce(&dyn Monitor) -> Result<Manifest>,
    ) -> Result<Outcome> {
        let monitor = Noting::new(self.monitor);
        let mut record = Record::begun(cause, database, (self.clock)())?;
        round.started(&record);
        let running = self.history.and_then(|history| self.told(history.begin(&record)));
        let result = work(&monitor);
        // A step that failed is over as well.
        monitor.end();
        self.conclude(&mut record, &result);
        record.warnings = monitor.warnings();
        if let Some(running) = running {
            self.told(running.end(&record));
        }
        round.ended(&record);
        Ok(Outcome { record, result })
    }

    fn conclude(&self, record: &mut Record, result: &Result<Manifest>) {
        record.ended = Some((self.clock)());
        match result {
            Ok(manifest) => {
                record.state = State::Done;
                record.backup = Some(stored(manifest, self.vault.store.location()));
            }
            Err(error) => {
                let busy = error::kind(error) == Kind::Busy;
                record.state = if busy { State::Skipped } else { State::Failed };
                record.problem = Some(problem(error));
            }
        }
    }

    /// Writes down so many runs that did not take place.
    pub fn skipped(&self, databases: &Databases, cause: Cause, times: usize, message: &str) -> Result<()> {
        let names = match databases {
            Databases::Named(names) => names.clone(),
            Databases::All => vec![databases.to_string()],
        };
        for name in names {
            let now = (self.clock)();
            let problem = Problem { message: message.to_owned(), hints: Vec::new(), exit_code: Kind::Busy.exit_code() };
            let record = Record {
                state: State::Skipped,
                times: times as u64,
                ended: Some(now),
                problem: Some(problem),
                ..Record::begun(cause, &name, now)?
            };
            if let Some(history) = self.history {
                self.told(history.add(&record));
            }
        }
        Ok(())
    }

    /// A run whose record cannot be written still backs up.
    fn told<T>(&self, written: Result<T>) -> Option<T> {
        written.inspect_err(|error| self.monitor.warn(&format!("{error:#}"))).ok()
    }
}

impl Outcome {
    /// Whether another run of the same database was going.
    pub fn is_skipped(&self) -> bool {
        self.record.state == State::Skipped
    }

    /// Whether trying again may help.
    pub fn is_worth_another_try(&self) -> bool {
        match &self.result {
            Ok(_) => false,
            Err(error) => !matches!(error::kind(error), Kind::Busy | Kind::Usage | Kind::Interrupted(_)),
        }
    }
}

/// The exit code of one outcome is its own; that of several is a signal's, else 1 when one failed, else 5 when one was skipped.
pub fn exit_code(outcomes: &[Outcome]) -> u8 {
    let kinds: Vec<Kind> = outcomes.iter().filter_map(|one| one.result.as_ref().err()).map(error::kind).collect();
    if let ([_], [kind]) = (outcomes, kinds.as_slice()) {
        return kind.exit_code();
    }
    let signal = kinds.iter().find(|kind| matches!(kind, Kind::Interrupted(_)));
    let worst = signal.copied().or_else(|| kinds.iter().any(|kind| *kind != Kind::Busy).then_some(Kind::Failed));
    worst.or(kinds.first().copied()).map_or(0, Kind::exit_code)
}

fn is_interruption(error: &anyhow::Error) -> bool {
    matches!(error::kind(error), Kind::Interrupted(_))
}

fn problem(error: &anyhow::Error) -> Problem {
    Problem {
        message: format!("{error:#}"),
        hints: error::hints(error).into_iter().map(str::to_owned).collect(),
        exit_code: error::kind(error).exit_code(),
    }
}

fn stored(manifest: &Manifest, location: String) -> Stored {
    Stored {
        id: manifest.id.clone(),
        location,
        object: manifest.object.clone(),
        plain_bytes: manifest.plain.bytes,
        stored_bytes: manifest.stored.bytes,
        tables: manifest.tables.len() as u64,
        rows: manifest.rows(),
        seconds: manifest.seconds.clone(),
        encrypted: manifest.encryption.is_some(),
        verified: manifest.verified,
    }
}
