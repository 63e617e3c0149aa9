//! Says which bases are due beside a schedule. Its backups are bases as well; these come in between, where the captured changes need one.

use super::{FIRST_PAUSE, LAST_PAUSE};
use crate::base::progress::Monitor;
use crate::base::subject::Subject;
use crate::format::manifest::Manifest;
use crate::jobs::capture::base_needs::{BaseRules, KnownBase, SharedNeeds, locked, look_for_base};
use crate::repository::Repository;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

pub struct DueBases {
    rules: BaseRules,
    /// Databases whose last backup failed, or was no base.
    pauses: BTreeMap<Subject, BasePause>,
}

struct BasePause {
    until: Timestamp,
    length: Duration,
}

impl DueBases {
    pub fn new(rules: BaseRules) -> DueBases {
        DueBases { rules, pauses: BTreeMap::new() }
    }

    /// Returns whether a base of this database is due now, which is said then. No base that is stored meanwhile is overlooked.
    pub fn is_due(
        &mut self,
        subject: &Subject,
        needs: &SharedNeeds,
        repository: &Repository,
        now: Timestamp,
        monitor: &dyn Monitor,
    ) -> bool {
        let due = || locked(needs).due(&self.rules).filter(|due| due.at <= now);
        if self.pauses.get(subject).is_some_and(|pause| now < pause.until) || due().is_none() {
            return false;
        }
        let Some(generation) = locked(needs).generation() else { return false };
        if let Err(error) = look_for_base(repository, subject, generation, needs) {
            self.put_off(subject, now);
            monitor.warn(&format!("it cannot be told whether a base of \"{subject}\" is due: {error:#}"));
            return false;
        }
        let due = locked(needs).due(&self.rules).filter(|due| due.at <= now);
        if let Some(due) = &due {
            monitor.info(&format!("a base of \"{subject}\" is taken: {}", due.reason.describe()));
        }
        due.is_some()
    }

    /// Takes the result of a backup of this database. `None`: it failed.
    pub fn backed_up(&mut self, subject: &Subject, made: Option<&Manifest>, needs: &SharedNeeds, now: Timestamp) {
        let generation = locked(needs).generation();
        let base = generation.zip(made).and_then(|(generation, made)| KnownBase::of(made, generation));
        match base {
            Some(base) => {
                locked(needs).set_base(base);
                self.pauses.remove(subject);
            }
            // There is no chain yet to which it could belong.
            None if generation.is_none() => {}
            None => self.put_off(subject, now),
        }
    }

    /// Lets time pass before the next try, longer each time.
    fn put_off(&mut self, subject: &Subject, now: Timestamp) {
        let before = self.pauses.get(subject).map(|pause| pause.length);
        let length = before.map_or(FIRST_PAUSE, |before| (before * 2).min(LAST_PAUSE));
        let until = now.checked_add(length).unwrap_or(Timestamp::MAX);
        self.pauses.insert(subject.clone(), BasePause { until, length });
    }
}
