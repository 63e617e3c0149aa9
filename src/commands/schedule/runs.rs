//! What the scheduler starts: runs, and word of them for whoever asks how backups go.

use super::late::Late;
use super::renewed::Renewed;
use crate::cli::ScheduleArgs;
use crate::commands::tables_and_rows;
use crate::console::{Console, bytes};
use crate::databases::Databases;
use crate::environment;
use crate::error::{Fault, Result};
use crate::jobs::schedule::{Start, Work, Worked};
use crate::jobs::verify::Finding;
use crate::manifest::Manifest;
use crate::monitor::Monitor;
use crate::record::Task;
use crate::roster::{EVERY, Entry, Post, Roster};
use crate::run::{Backups, Outcome, Proofs, exit_code};
use crate::shown::many;
use jiff::Timestamp;
use std::sync::mpsc::Sender;

pub struct Runs<'a> {
    pub args: &'a ScheduleArgs,
    /// None until a secret has changed since the start.
    pub renewed: Option<Renewed>,
    pub backups: Backups<'a>,
    /// None where nothing is scheduled for them.
    pub proofs: Option<Proofs<'a>>,
    pub console: &'a Console,
    /// Runs that did not take place because one of the same database was going, since the start.
    pub skipped: usize,
    pub word: Word,
    pub late: Late,
}

/// Word of what is going on, for others. A backup does not depend on it.
pub struct Word {
    pub post: Option<Post>,
    /// Rung when a run has ended.
    pub bell: Option<Sender<()>>,
    /// Whether it could not be left the last time.
    pub silent: bool,
}

impl Word {
    pub fn leave(&mut self, now: Timestamp, console: &Console, change: impl FnOnce(&mut Roster)) {
        let Some(post) = &mut self.post else { return };
        let left = post.update(now, change);
        let told = std::mem::replace(&mut self.silent, left.is_err());
        if let (Err(error), false) = (&left, told) {
            console.warn(&format!("{error:#}; backups go on"));
        }
    }

    fn leave_of(&mut self, start: &Start, now: Timestamp, console: &Console, change: impl FnOnce(&mut Entry)) {
        self.leave(now, console, |roster| roster.entries.get_mut(start.slot).map(change).unwrap_or_default());
    }
}

impl Work for Runs<'_> {
    fn ahead(&mut self, next: &[Option<Timestamp>], now: Timestamp) {
        self.word.leave(now, self.console, |roster| {
            for (entry, next) in roster.entries.iter_mut().zip(next) {
                entry.next = *next;
            }
        });
        self.late.tell(self.backups.ledger.alerts, now, self.console);
    }

    fn run(&mut self, start: &Start) -> Result<Worked> {
        let begun = Timestamp::now();
        self.word.leave_of(start, begun, self.console, |entry| entry.working = Some(begun));
        self.renew();
        let done = match (start.task, self.proofs) {
            (Task::Verify, Some(proofs)) => {
                let console = self.console;
                let proofs = self.renewed.as_ref().map_or(proofs, |renewed| renewed.proofs(proofs));
                proofs
                    .newest(&start.databases, start.cause, |outcome| tell(outcome, console))
                    .map(|done| Done::of(start, &done))
            }
            _ => self.backups(start).map(|done| Done::of(start, &done)),
        };
        let found = done.as_ref().ok().and_then(|done| done.found.clone());
        self.word.leave_of(start, Timestamp::now(), self.console, |entry| {
            entry.working = None;
            entry.found = found.unwrap_or(std::mem::take(&mut entry.found));
        });
        if let Some(bell) = &self.word.bell {
            // Nobody may listen.
            bell.send(()).ok();
        }
        done.map(|done| done.worked)
    }

    fn skipped(&mut self, start: &Start, count: usize) -> Result<()> {
        let message = format!("{} came due while the one before was going", many(count as u64, "run"));
        self.backups.ledger.skipped((start.task, start.cause), &start.databases, count, &message)?;
        self.console.warn(&format!("{}: {message}", start.databases));
        self.count(count);
        Ok(())
    }
}

impl Runs<'_> {
    /// Takes in secrets that were changed in their files. With ones that make no sense the run goes as before.
    fn renew(&mut self) {
        if !environment::renew() {
            return;
        }
        match Renewed::of(self.args, self.proofs.is_some()) {
            Ok(renewed) => {
                self.console.info("a secret was changed in its file, and is used from now on");
                self.renewed = Some(renewed);
            }
            Err(error) => self.console.warn(&format!("a secret was changed in its file, and is not used: {error:#}")),
        }
    }

    fn backups(&mut self, start: &Start) -> Result<Vec<Outcome<Manifest>>> {
        let console = self.console;
        let backups = self.renewed.as_ref().map_or(self.backups, |renewed| renewed.backups(self.backups));
        let outcomes = backups.all(&start.databases, start.cause, |outcome| match &outcome.result {
            Ok(manifest) => console.info(&line(manifest)),
            Err(error) => console.tell(error),
        })?;
        self.late.took(&outcomes);
        let busy = outcomes.iter().filter(|outcome| outcome.is_skipped()).count();
        self.count(busy);
        Ok(outcomes)
    }

    fn count(&mut self, more: usize) {
        self.skipped += more;
        if more > 0 {
            self.console.info(&format!("{} skipped since the start", many(self.skipped as u64, "run")));
        }
    }
}

/// What the scheduler wants to know of runs of either kind.
struct Done {
    worked: Worked,
    found: Option<Vec<String>>,
}

impl Done {
    fn of<T>(start: &Start, outcomes: &[Outcome<T>]) -> Done {
        let worked = Worked { again: again(start, outcomes), code: exit_code(outcomes) };
        Done { worked, found: found(start, outcomes) }
    }
}

/// Of all databases, those that failed are tried again by name; where not even their names could be had, all are.
fn again<T>(start: &Start, outcomes: &[Outcome<T>]) -> Option<Databases> {
    let again = outcomes.iter().filter(|one| one.is_worth_another_try());
    let failed: Vec<String> = again.map(|one| one.record.database.clone()).collect();
    match failed.is_empty() {
        true => None,
        false if start.databases == Databases::All && unnamed(outcomes) => Some(Databases::All),
        false => Some(Databases::Named(failed)),
    }
}

fn unnamed<T>(outcomes: &[Outcome<T>]) -> bool {
    outcomes.iter().any(|outcome| outcome.record.database == EVERY)
}

/// Which databases all of them were, where the run came to know it and to its end.
fn found<T>(start: &Start, outcomes: &[Outcome<T>]) -> Option<Vec<String>> {
    let known =
        start.databases == Databases::All && !unnamed(outcomes) && !outcomes.iter().any(Outcome::is_interrupted);
    known.then(|| outcomes.iter().map(|outcome| outcome.record.database.clone()).collect())
}

fn tell(outcome: &Outcome<Finding>, console: &Console) {
    match &outcome.result {
        Err(error) => console.tell(error),
        Ok(finding) => match &finding.error {
            Some(error) => console.tell(&Fault::damaged(error.as_str()).into()),
            None => {
                let id = &finding.id;
                console.info(&match outcome.record.proof.as_ref() {
                    Some(proof) => {
                        format!("{id} is proven by a restore: {}", tables_and_rows(proof.tables, proof.rows))
                    }
                    None => {
                        format!("{id} is intact: it was read to its end, as what is of no database is not restored")
                    }
                });
            }
        },
    }
}

fn line(manifest: &Manifest) -> String {
    let seconds: f64 = manifest.seconds.values().sum();
    let (plain, stored) = (bytes(manifest.plain.bytes), bytes(manifest.stored.bytes));
    let cipher = if manifest.encryption.is_some() { "encrypted" } else { "not encrypted" };
    format!("{} is stored: {plain} dumped, {stored} stored ({cipher}) in {seconds:.1} s", manifest.id)
}
