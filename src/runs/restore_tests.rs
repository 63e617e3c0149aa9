//! Runs that test backups by restoring them, by hand and by schedule alike.

use crate::base::databases::{Databases, Selection};
use crate::base::error::{Kind, Result};
use crate::base::progress::Monitor;
use crate::base::subject::Subject;
use crate::base::verify_level::Level;
use crate::format::backup_id::BackupId;
use crate::format::manifest::origin::Origins;
use crate::format::run_record::{ErrorInfo, Record, RestoreTest, Task, Trigger};
use crate::jobs::backup::outputs::FurtherOutputs;
use crate::jobs::restore_test::verify_changes::chain_finding::ChainFinding;
use crate::jobs::restore_test::verify_changes::{ChainDepth, verify_changes};
use crate::jobs::restore_test::{RestoreTestPlan, prove};
use crate::jobs::verify::VerifyFinding;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::session::identity;
use crate::repository::Repository;
use crate::repository::newest::{NewestQuery, ServerIdentity};
use crate::runs::runner::{Assignment, Outcome, Runner};

/// Most tries of one restore test, which begins again if its backup was removed meanwhile.
const TRIES: usize = 3;

#[derive(Clone, Copy)]
pub struct RestoreTests<'a> {
    pub runner: Runner<'a>,
    pub repository: &'a Repository,
    /// The outputs that are made beside the plain backups.
    pub further: &'a FurtherOutputs,
    pub plan: &'a RestoreTestPlan,
    /// Settings of the server whose backups are tested.
    pub server: &'a ConnectionSettings,
}

impl RestoreTests<'_> {
    /// Tests these backups, one after the other. `each` is called with every outcome.
    pub fn of(
        &self,
        ids: &[BackupId],
        cause: Trigger,
        mut each: impl FnMut(&Outcome<VerifyFinding>),
    ) -> Result<Vec<Outcome<VerifyFinding>>> {
        let work = |id: &BackupId, monitor: &dyn Monitor| {
            monitor.names(&id.to_string());
            prove(self.repository, id, self.plan, monitor)
        };
        let named = ids.iter().map(|id| (Selection::One(id.subject().clone()), id));
        self.one_by_one((Task::Verify, cause), named, &mut each, work, note)
    }

    /// Tests the newest backup of each database, and of each output that is made beside it. For all databases, those count that have
    /// backups.
    pub fn newest(
        &self,
        databases: &Databases,
        cause: Trigger,
        mut each: impl FnMut(&Outcome<VerifyFinding>),
    ) -> Result<Vec<Outcome<VerifyFinding>>> {
        match self.subjects(databases) {
            Ok(subjects) => self.again(&subjects, cause, each),
            Err(error) => {
                let all = [(Selection::Every, error)];
                self.one_by_one((Task::Verify, cause), all, &mut each, |error, _| Err(error), note)
            }
        }
    }

    /// Tests the newest backup of each of these subjects and of nothing beside them.
    pub fn again(
        &self,
        subjects: &[Subject],
        cause: Trigger,
        mut each: impl FnMut(&Outcome<VerifyFinding>),
    ) -> Result<Vec<Outcome<VerifyFinding>>> {
        let named = subjects.iter().map(|subject| (Selection::One(subject.clone()), subject));
        self.one_by_one(
            (Task::Verify, cause),
            named,
            &mut each,
            |subject, monitor| self.newest_of(subject, monitor),
            note,
        )
    }

    /// Tests the changes of each of these databases of which some are stored.
    pub fn changes(
        &self,
        databases: &Databases,
        segments: Level,
        cause: Trigger,
        mut each: impl FnMut(&Outcome<Vec<ChainFinding>>),
    ) -> Result<Vec<Outcome<Vec<ChainFinding>>>> {
        // Why backups cannot be listed has been told of those.
        let subjects = self.subjects(databases).unwrap_or_default();
        let captured: Vec<Subject> = subjects.into_iter().filter(|subject| self.has_changes(subject)).collect();
        let named = captured.iter().map(|subject| (Selection::One(subject.clone()), subject));
        let depth = ChainDepth { segments, proof: Some(self.plan) };
        let work = |subject: &Subject, monitor: &dyn Monitor| {
            verify_changes(self.repository, subject, &self.asker().server, depth, monitor)
        };
        self.one_by_one((Task::VerifyChanges, cause), named, &mut each, work, |found, record| {
            note_changes(found, record)
        })
    }

    fn has_changes(&self, subject: &Subject) -> bool {
        let is_plain = subject.database().is_some() && subject.variant().is_plain();
        let listed = || self.repository.generations(subject);
        is_plain && listed().is_ok_and(|generations| !generations.is_empty())
    }

    /// Returns what is tested of these databases: the plain backups first, then those of each other output.
    fn subjects(&self, databases: &Databases) -> Result<Vec<Subject>> {
        let plain: Vec<Subject> = match databases {
            Databases::Named(names) => names.clone(),
            Databases::All => stored(self.repository)?,
        };
        let mut all = plain.clone();
        for copies in self.further.repositories() {
            // One that is tried again may be of another output already.
            let is_plain = |subject: &&Subject| subject.database().is_some() && subject.variant().is_plain();
            let named = plain.iter().filter(is_plain).cloned();
            let named = || named.map(|subject| subject.in_variant(copies.variant)).collect();
            all.extend(match databases {
                Databases::Named(_) => named(),
                // Why they cannot be listed is told of each.
                Databases::All => stored(copies).unwrap_or_else(|_| named()),
            });
        }
        Ok(all)
    }

    /// Tests the newest backup of one database. Another host may prune it while it is read: then
    /// there is a newer one, which is tested instead.
    fn newest_of(&self, subject: &Subject, monitor: &dyn Monitor) -> Result<VerifyFinding> {
        let repository = self.further.repository(subject.variant()).unwrap_or(self.repository);
        let mut tries = 1;
        // Not that of the names: proofs of others may have taken hours since.
        let mut catalog = repository.catalog(Some(subject))?;
        loop {
            let latest = repository.latest(&catalog, subject, &self.asker())?;
            if let Some(remark) = &latest.remark {
                monitor.info(remark);
            }
            let id = latest.id;
            monitor.names(&id.to_string());
            let found = prove(repository, &id, self.plan, monitor);
            let well = found.as_ref().is_ok_and(|finding| finding.ok);
            if well || tries == TRIES {
                return found;
            }
            // Listed again, as the proof took its time; the next try is of this listing.
            match repository.catalog(Some(subject)) {
                Ok(now) if !now.entries().is_empty() && now.get(&id).is_none() => catalog = now,
                _ => return found,
            }
            monitor.info(&format!("{id} was removed while it was proven, and a newer one takes its place"));
            tries += 1;
        }
    }

    /// Returns the server to test for. It is asked each time, because it may have been replaced.
    fn asker(&self) -> NewestQuery {
        let server = identity::of_server(self.server).map_or(ServerIdentity::Unasked, ServerIdentity::of);
        NewestQuery { server, origins: Origins::Backup, now: (self.runner.clock)() }
    }

    /// Does the work for one item after the other, each as a run of its own. `note` adds what was found to the record.
    fn one_by_one<T, F>(
        &self,
        (task, cause): (Task, Trigger),
        items: impl IntoIterator<Item = (Selection, T)>,
        each: &mut dyn FnMut(&Outcome<F>),
        mut work: impl FnMut(T, &dyn Monitor) -> Result<F>,
        note: impl Fn(&F, &mut Record),
    ) -> Result<Vec<Outcome<F>>> {
        let Runner { alerts, monitor, .. } = self.runner;
        let mut round = alerts.round(monitor);
        let assignment = Assignment { task, cause, outputs: &[] };
        let mut outcomes = Vec::new();
        for (database, item) in items {
            let outcome = self.runner.written(assignment, &database, &mut round, |monitor, record| {
                let finding = work(item, monitor)?;
                note(&finding, record);
                Ok(finding)
            })?;
            each(&outcome);
            outcomes.push(outcome);
            if outcomes.last().is_some_and(Outcome::is_interrupted) {
                break;
            }
        }
        monitor.about(None);
        round.finish();
        Ok(outcomes)
    }
}

/// Returns what has backups there.
fn stored(repository: &Repository) -> Result<Vec<Subject>> {
    Ok(repository.catalog(None)?.subjects().into_iter().cloned().collect())
}

fn note(finding: &VerifyFinding, record: &mut Record) {
    if let Some(proof) = &finding.proof {
        record.proof = Some(RestoreTest {
            id: finding.id.clone(),
            upload: finding.upload,
            scratch: proof.scratch.clone(),
            with_owners: proof.with_owners,
            tables: proof.tables.len() as u64,
            rows: proof.tables.iter().filter_map(|table| table.found.as_ref()).map(|found| found.rows).sum(),
        });
    }
    record.problem = finding.error.as_ref().map(|message| ErrorInfo {
        message: message.clone(),
        hints: Vec::new(),
        exit_code: finding.kind.unwrap_or(Kind::Failed).exit_code(),
    });
}

fn note_changes(findings: &[ChainFinding], record: &mut Record) {
    if let Some(proof) = findings.iter().find_map(|finding| finding.proof.as_ref()) {
        record.proof = Some(RestoreTest {
            id: proof.reached.clone(),
            upload: false,
            scratch: proof.scratch.clone(),
            with_owners: false,
            tables: proof.tables.len() as u64,
            rows: proof.tables.iter().filter_map(|table| table.found.as_ref()).map(|found| found.rows).sum(),
        });
    }
    let failed = findings.iter().find_map(|finding| Some((finding.kind?, finding.errors.first()?)));
    record.problem = failed.map(|(kind, message)| ErrorInfo {
        message: message.clone(),
        hints: Vec::new(),
        exit_code: kind.exit_code(),
    });
}
