//! Runs statements that were put off, several at a time.

use crate::base::cancel::TICK;
use crate::base::error::{Fault, Result};
use crate::postgres::restore::load::build_batch::{BuildSchedule, BuildTask};
use crate::postgres::restore::load::failure;
use crate::postgres::restore::load::load_omissions::set_path_here;
use crate::postgres::restore::load::side_connection::{SideConnection, SideSession, on_each};
use crate::postgres::restore::load::skipped_statements::quote;
use postgres::error::SqlState;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How often a statement is tried that the server has ended because it and another one waited for each other: partitions lock their parent.
const TRIES: u32 = 5;

/// Counts what was run.
#[derive(Debug, Default)]
pub(crate) struct BuildReport {
    pub statements: u64,
    /// Beginnings of statements that name something which only the source's search path finds.
    pub unqualified: Vec<String>,
}

/// Runs all statements of a schedule on these connections. The first error ends it.
pub(crate) fn run(
    sides: &mut [SideConnection],
    schedule: BuildSchedule,
    session: &SideSession<'_>,
    stopped: &AtomicBool,
) -> Result<BuildReport> {
    let shared = SharedSchedule { schedule: Mutex::new(schedule), changed: Condvar::new() };
    let reports = on_each(sides, stopped, |side| {
        side.follow(session)?;
        let mut report = BuildReport::default();
        while let Some((number, task)) = shared.next(stopped)? {
            report.unqualified.extend(build(side, &task, session)?);
            report.statements += 1;
            shared.done(number);
        }
        Ok(report)
    })?;
    let mut all = BuildReport::default();
    for report in reports {
        all.statements += report.statements;
        all.unqualified.extend(report.unqualified);
    }
    Ok(all)
}

struct SharedSchedule {
    schedule: Mutex<BuildSchedule>,
    changed: Condvar,
}

impl SharedSchedule {
    /// Waits for the next statement. `None`: there is none any more.
    fn next(&self, stopped: &AtomicBool) -> Result<Option<(usize, BuildTask)>> {
        let mut schedule = self.lock();
        loop {
            if stopped.load(Ordering::Relaxed) {
                return Err(Fault::failed("the load was stopped").into());
            }
            if let Some(task) = schedule.take() {
                return Ok(Some(task));
            }
            if schedule.is_over() {
                return Ok(None);
            }
            let waited = self.changed.wait_timeout(schedule, TICK);
            schedule = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn done(&self, number: usize) {
        self.lock().done(number);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, BuildSchedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs one statement and commits it. Returns its beginning if only the source's search path finds what it names.
fn build(side: &mut SideConnection, task: &BuildTask, session: &SideSession<'_>) -> Result<Option<String>> {
    use_tablespace(side, task, session)?;
    let mut tries = 1;
    let error = loop {
        match attempt(side, task, session, None) {
            Ok(()) => return Ok(None),
            Err(error) if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) && tries < TRIES => tries += 1,
            Err(error) => break error,
        }
    };
    let path = session.options.source_path.as_deref().filter(|_| failure::is_about_a_name(&error));
    if path.is_some_and(|path| attempt(side, task, session, Some(path)).is_ok()) {
        return Ok(Some(quote(&task.text)));
    }
    Err(failure::of_statement(task.line, &task.text, &error))
}

/// Runs one statement in a transaction of its own, with this search path if there is one.
fn attempt(
    side: &mut SideConnection,
    task: &BuildTask,
    session: &SideSession<'_>,
    path: Option<&str>,
) -> std::result::Result<(), postgres::Error> {
    let mut transaction = side.client.transaction()?;
    if let Some(path) = path {
        transaction.batch_execute(&set_path_here(path))?;
    }
    task.encoding.run(&mut transaction, session.in_utf8, &task.text)?;
    transaction.commit()
}

/// Sets the tablespace that the script has set for the statement.
fn use_tablespace(side: &mut SideConnection, task: &BuildTask, session: &SideSession<'_>) -> Result<()> {
    let Some(statement) = task.tablespace.as_ref().filter(|wanted| side.tablespace.as_ref() != Some(wanted)) else {
        return Ok(());
    };
    let failed = |error| failure::of_statement(task.line, statement, &error);
    let mut transaction = side.client.transaction().map_err(failed)?;
    task.encoding.run(&mut transaction, session.in_utf8, statement).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    side.tablespace = Some(statement.clone());
    Ok(())
}
