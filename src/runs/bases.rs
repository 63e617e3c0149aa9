//! Takes bases while changes are captured: whenever one is due, by the same runs as any other backup.

pub(crate) mod due_bases;

use crate::base::cancel;
use crate::base::databases::Databases;
use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::shown::many;
use crate::base::subject::Subject;
use crate::format::changes::generation_id::GenerationId;
use crate::format::run_record::Trigger;
use crate::jobs::capture::base_needs::{BaseDue, BaseRules, KnownBase, SharedNeeds, locked, look_for_base};
use crate::repository::Repository;
use crate::runs::backups::Backups;
use std::convert::Infallible;
use std::time::Duration;

/// How often it is looked whether a base is due.
const LOOK: Duration = Duration::from_secs(1);
/// First and longest pause after a base that failed.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LAST_PAUSE: Duration = Duration::from_secs(3600);

/// Takes the bases of one database that no schedule backs up.
pub struct BaseRuns<'a> {
    pub backups: Backups<'a>,
    pub repository: &'a Repository,
    pub subject: Subject,
    pub rules: BaseRules,
    /// Holds what the capture has stored.
    pub needs: &'a SharedNeeds,
}

impl BaseRuns<'_> {
    /// Takes bases until this thread's work is stopped, or a signal comes; so it never returns well. A base that fails is told, and tried
    /// again after a pause.
    pub fn run(&self) -> Result<Infallible> {
        let mut pause = FIRST_PAUSE;
        loop {
            cancel::rest(LOOK)?;
            let Some(generation) = self.due().and_then(|_| locked(self.needs).generation()) else { continue };
            let Err(error) = self.take(generation) else {
                pause = FIRST_PAUSE;
                continue;
            };
            cancel::check()?;
            let time = many(pause.as_secs(), "second");
            let monitor = self.backups.runner.monitor;
            monitor.warn(&format!("no base of \"{}\" is made: {error:#}; it is tried again in {time}", self.subject));
            cancel::rest(pause)?;
            // Another run that goes on is no failure.
            if kind(&error) != Kind::Busy {
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
    }

    /// Returns the base that is due by now. `None`: none is.
    fn due(&self) -> Option<BaseDue> {
        let now = (self.backups.runner.clock)();
        locked(self.needs).due(&self.rules).filter(|due| due.at <= now)
    }

    /// Takes a base, unless somebody else has taken one meanwhile.
    fn take(&self, generation: GenerationId) -> Result<()> {
        look_for_base(self.repository, &self.subject, generation, self.needs)?;
        let Some(due) = self.due() else { return Ok(()) };
        let monitor = self.backups.runner.monitor;
        monitor.info(&format!("a base of \"{}\" is taken: {}", self.subject, due.reason.describe()));
        let databases = Databases::Named(vec![self.subject.clone()]);
        let outcomes = self.backups.all(&databases, Trigger::Schedule, |_| {})?;
        for outcome in outcomes {
            let made = outcome.result?;
            let base = KnownBase::of(&made.plain, generation).ok_or_else(|| {
                Fault::failed(format!("{} is no base of generation {generation}", made.plain.id))
                    .hint("the warnings of the backup say why")
            })?;
            monitor.info(&format!("{} is the newest base of \"{}\"", base.id, self.subject));
            locked(self.needs).set_base(base);
        }
        Ok(())
    }
}
