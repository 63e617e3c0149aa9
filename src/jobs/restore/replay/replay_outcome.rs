//! Holds what came of a replay.

use crate::base::error::Result;
use crate::jobs::restore::replay::replay_plan::ReplayPlan;
use crate::postgres::restore::load::options::LoadReport;
use crate::postgres::restore::replay::ReplayCounts;
use crate::postgres::restore::replay::sequence_setting::set_sequences;
use postgres::GenericClient;

#[derive(Debug, Clone, Default)]
pub(crate) struct ReplayOutcome {
    pub counts: ReplayCounts,
    /// Sequences that were not set, each with the reason, in words.
    pub unset: Vec<String>,
}

impl ReplayOutcome {
    /// Ends a replay by setting the sequences of the plan, now that all rows are there.
    pub fn of<C: GenericClient>(counts: ReplayCounts, changes: &ReplayPlan, client: &mut C) -> Result<ReplayOutcome> {
        let Some(goals) = &changes.sequences else { return Ok(ReplayOutcome { counts, unset: Vec::new() }) };
        let set = set_sequences(client, changes.encoding, &goals.goals)?;
        Ok(ReplayOutcome { counts: ReplayCounts { sequences: set.count, ..counts }, unset: set.left })
    }

    /// Adds to the report of a load what was not set, and returns the counts.
    pub fn told_in(self, report: &mut LoadReport) -> ReplayCounts {
        report.skipped.extend(self.unset);
        self.counts
    }
}
