//! Sends the alerts that come between runs: backups that are overdue because another run is always going, and notices
//! from the scans of the store.

use crate::alerts::Alerts;
use crate::base::databases::Selection;
use crate::base::progress::Monitor;
use crate::format::run_record::{ErrorInfo, Record, RunState};
use crate::jobs::backup::outputs::BackupsMade;
use crate::monitoring::publisher::scans::Notice;
use crate::monitoring::source::StatusSource;
use crate::runs::runner::Outcome;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

pub struct OverdueAlerts {
    /// None: there is no state directory, and so no way to know what is overdue.
    source: Option<StatusSource>,
    /// Notices from the scans of the store. None: nothing scans it.
    notices: Option<Receiver<Notice>>,
    /// The newest skipped run of each database that has not been reported. A run with any other outcome removes its entry.
    skipped: BTreeMap<Selection, Record>,
}

impl OverdueAlerts {
    pub fn new(source: Option<StatusSource>, notices: Option<Receiver<Notice>>) -> OverdueAlerts {
        OverdueAlerts { source, notices, skipped: BTreeMap::new() }
    }

    /// Records how runs ended.
    pub fn took(&mut self, outcomes: &[Outcome<BackupsMade>]) {
        for Outcome { record, .. } in outcomes {
            match record.state {
                RunState::Skipped => self.skipped.insert(record.database.clone(), record.clone()),
                _ => self.skipped.remove(&record.database),
            };
        }
    }

    /// Sends the alerts that are due now. Each overdue database is reported once.
    pub fn tell(&mut self, alerts: &Alerts, now: Timestamp, monitor: &dyn Monitor) {
        for notice in self.notices.iter().flat_map(Receiver::try_iter) {
            alerts.notice(&Selection::One(notice.subject), &notice.text, now, monitor);
        }
        let OverdueAlerts { source: Some(source), skipped, .. } = self else { return };
        skipped.retain(|database, record| match source.overdue(database, now, monitor) {
            Ok(Some(why)) => {
                monitor.warn(&format!("{database}: {why}"));
                alerts.round(monitor).overdue(&overdue(record, why));
                false
            }
            Ok(None) => true,
            // It is told by whoever writes there.
            Err(_) => true,
        });
    }
}

/// Returns the record of the skipped run, with the reason why its database is overdue as the error.
fn overdue(skipped: &Record, why: String) -> Record {
    let before = skipped.problem.as_ref();
    let message = before.map_or(why.clone(), |problem| format!("{why}; the last run was skipped: {}", problem.message));
    let hints = before.map(|problem| problem.hints.clone()).unwrap_or_default();
    let exit_code = before.map_or(0, |problem| problem.exit_code);
    Record { problem: Some(ErrorInfo { message, hints, exit_code }), ..skipped.clone() }
}
