//! Splits the records of runs by series: a run with several outputs makes a backup in each.

use crate::format::run_record::{Record, RunState};

impl Record {
    /// Returns what the run came to in each series that it is about, the plain one first: as if it were a run of that series alone. A run
    /// that stored the plain backup is done in that series, whatever became of the others.
    pub(crate) fn by_series(&self) -> Vec<Record> {
        let bare = || Record { outputs: Vec::new(), outputs_missing: Vec::new(), ..self.clone() };
        if self.outputs.is_empty() && self.outputs_missing.is_empty() {
            return vec![self.clone()];
        }
        let mut split = vec![match self.backup {
            Some(_) if self.state == RunState::Failed => Record { state: RunState::Done, problem: None, ..bare() },
            _ => bare(),
        }];
        split.extend(self.outputs.iter().map(|made| Record {
            database: made.id.subject().clone().into(),
            backup: Some(made.clone()),
            state: RunState::Done,
            problem: None,
            ..bare()
        }));
        split.extend(self.database.in_variants(&self.outputs_missing).into_iter().map(|database| Record {
            database,
            backup: None,
            state: if self.state == RunState::Done { RunState::Failed } else { self.state },
            ..bare()
        }));
        split
    }
}

/// Splits the records of runs, and keeps their order.
pub(crate) fn by_series(records: &[Record]) -> Vec<Record> {
    records.iter().flat_map(Record::by_series).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::databases::Selection;
    use crate::base::variant::Variant;
    use crate::format::backup_id::BackupId;
    use crate::format::run_record::{ErrorInfo, StoredBackup, Trigger};
    use jiff::Timestamp;

    fn stored(variant: Variant) -> StoredBackup {
        let Selection::One(subject) = Selection::from("shop") else { panic!("one is meant") };
        StoredBackup::example(BackupId::new(subject.in_variant(variant), Timestamp::UNIX_EPOCH))
    }

    fn record(state: RunState, plain: bool, made: &[Variant], missing: &[Variant]) -> Record {
        let begun = Record::begun(Trigger::Schedule, &"shop".into(), Timestamp::UNIX_EPOCH).unwrap();
        let problem = ErrorInfo { message: "it broke".to_owned(), hints: Vec::new(), exit_code: 1 };
        Record {
            state,
            backup: plain.then(|| stored(Variant::Plain)),
            outputs: made.iter().map(|variant| stored(*variant)).collect(),
            outputs_missing: missing.to_vec(),
            problem: (state == RunState::Failed).then_some(problem),
            ..begun
        }
    }

    #[test]
    fn each_series_has_its_own_end_of_one_run() {
        use RunState::{Done, Failed, Running, Skipped};
        use Variant::{Anonymised, Custom};
        let (shop, custom, copy) = ("shop", "shop@custom", "shop@anonymised");
        for (run, expected) in [
            (record(Done, true, &[], &[]), vec![(shop, Done)]),
            (record(Failed, true, &[], &[]), vec![(shop, Failed)]),
            (record(Done, true, &[Custom, Anonymised], &[]), vec![(shop, Done), (custom, Done), (copy, Done)]),
            (record(Failed, true, &[Custom], &[Anonymised]), vec![(shop, Done), (custom, Done), (copy, Failed)]),
            (record(Failed, false, &[], &[Anonymised]), vec![(shop, Failed), (copy, Failed)]),
            (record(Running, false, &[], &[Anonymised]), vec![(shop, Running), (copy, Running)]),
            (record(Skipped, false, &[], &[Anonymised]), vec![(shop, Skipped), (copy, Skipped)]),
        ] {
            let split = run.by_series();
            let told: Vec<(String, RunState)> = split.iter().map(|one| (one.database.to_string(), one.state)).collect();
            let expected: Vec<(String, RunState)> =
                expected.into_iter().map(|(name, state)| (name.to_owned(), state)).collect();
            assert_eq!(told, expected);
            assert!(split.iter().all(|one| one.run == run.run && one.outputs.is_empty()));
            for one in &split {
                assert_eq!(
                    (one.problem.is_some(), one.backup.is_some()),
                    match one.state {
                        Failed => (true, run.outputs_missing.is_empty() && run.backup.is_some()),
                        Done => (false, true),
                        Running | Skipped => (false, false),
                    }
                );
            }
        }
    }
}
