//! The settings as read again after a secret was changed in its file.

use crate::base::error::Result;
use crate::cli::arguments::ScheduleArgs;
use crate::commands::schedule::captures;
use crate::config;
use crate::jobs::backup::plan::BackupPlan;
use crate::jobs::restore_test;
use crate::repository::Repository;
use crate::runs::backups::Backups;
use crate::runs::captures::capture_keeper::CaptureSetup;
use crate::runs::restore_tests::RestoreTests;

pub struct RenewedSettings {
    plan: BackupPlan,
    repository: Repository,
    proof: Option<restore_test::RestoreTestPlan>,
}

impl RenewedSettings {
    pub fn of(args: &ScheduleArgs, proves: bool) -> Result<RenewedSettings> {
        Ok(RenewedSettings {
            plan: config::runs::plan(&args.run)?,
            repository: config::repository(&args.run.store, &args.run.keys, &args.run.state)?,
            proof: proves.then(|| config::restore_test::proof(&args.scratch, &args.run.server)).transpose()?,
        })
    }

    pub fn backups<'a>(&'a self, before: Backups<'a>) -> Backups<'a> {
        Backups { repository: &self.repository, plan: &self.plan, ..before }
    }

    /// Returns how changes are captured.
    pub fn captures(&self, args: &ScheduleArgs) -> Result<CaptureSetup> {
        captures::setup(args, self.plan.settings.clone(), self.repository.clone())
    }

    pub fn proofs<'a>(&'a self, before: RestoreTests<'a>) -> RestoreTests<'a> {
        let plan = self.proof.as_ref().unwrap_or(before.plan);
        RestoreTests {
            repository: &self.repository,
            further: &self.plan.outputs,
            plan,
            server: &self.plan.settings,
            ..before
        }
    }
}
