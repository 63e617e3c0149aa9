//! What people hear between runs: that backups are overdue because another run is always at work, and what looks at the store found.

use crate::alert::Alerts;
use crate::lookout::Notice;
use crate::manifest::Manifest;
use crate::monitor::Monitor;
use crate::record::{Problem, Record, State};
use crate::run::Outcome;
use crate::status::Source;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

pub struct Late {
    /// None where nothing can be remembered: then nobody knows what is overdue.
    source: Option<Source>,
    /// None where nobody looks.
    notices: Option<Receiver<Notice>>,
    /// The newest skipped run of each database that was not told yet, since anything else came of one.
    skipped: BTreeMap<String, Record>,
}

impl Late {
    pub fn new(source: Option<Source>, notices: Option<Receiver<Notice>>) -> Late {
        Late { source, notices, skipped: BTreeMap::new() }
    }

    /// Takes in how runs ended.
    pub fn took(&mut self, outcomes: &[Outcome<Manifest>]) {
        for Outcome { record, .. } in outcomes {
            match record.state {
                State::Skipped => self.skipped.insert(record.database.clone(), record.clone()),
                _ => self.skipped.remove(&record.database),
            };
        }
    }

    /// Tells people what there is to tell now.
    pub fn tell(&mut self, alerts: &Alerts, now: Timestamp, monitor: &dyn Monitor) {
        for notice in self.notices.iter().flat_map(Receiver::try_iter) {
            alerts.notice(&notice.database, &notice.text, now, monitor);
        }
        let Late { source: Some(source), skipped, .. } = self else { return };
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

/// The skipped run, with what came of it.
fn overdue(skipped: &Record, why: String) -> Record {
    let before = skipped.problem.as_ref();
    let message = before.map_or(why.clone(), |problem| format!("{why}; the last run was skipped: {}", problem.message));
    let hints = before.map(|problem| problem.hints.clone()).unwrap_or_default();
    let exit_code = before.map_or(0, |problem| problem.exit_code);
    Record { problem: Some(Problem { message, hints, exit_code }), ..skipped.clone() }
}
