//! What the settings say since a secret was changed in its file.

use crate::cli::ScheduleArgs;
use crate::config;
use crate::error::Result;
use crate::jobs::backup::Plan;
use crate::run::{Backups, ProofPlan, Proofs};
use crate::vault::Vault;

pub struct Renewed {
    plan: Plan,
    vault: Vault,
    proof: Option<ProofPlan>,
}

impl Renewed {
    pub fn of(args: &ScheduleArgs, proves: bool) -> Result<Renewed> {
        Ok(Renewed {
            plan: config::plan(&args.run)?,
            vault: config::vault(&args.run.store, &args.run.keys, &args.run.state)?,
            proof: proves.then(|| config::proof(&args.scratch, &args.run.server)).transpose()?,
        })
    }

    pub fn backups<'a>(&'a self, before: Backups<'a>) -> Backups<'a> {
        Backups { vault: &self.vault, plan: &self.plan, ..before }
    }

    pub fn proofs<'a>(&'a self, before: Proofs<'a>) -> Proofs<'a> {
        let plan = self.proof.as_ref().unwrap_or(before.plan);
        Proofs { vault: &self.vault, plan, server: &self.plan.settings, ..before }
    }
}
