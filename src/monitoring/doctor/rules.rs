//! Checks the rules of anonymising against a database.

use crate::base::error::Result;
use crate::jobs::backup::copy_plan::{AnonymiseRecipe, CopyPlan};
use crate::monitoring::doctor::DoctorFinding;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::session::control::Control;

const WHAT: &str = "anonymised: rules";

/// Reports whether a backup of this database could be anonymised by these rules.
pub fn look_at_rules(recipe: &AnonymiseRecipe, settings: &ConnectionSettings) -> DoctorFinding {
    let database = settings.database();
    let remedy = format!("see what they say: pgbk anonymise --check {database}");
    let mut control = match connected(settings) {
        Ok(control) => control,
        Err(error) => {
            let detail = format!("not compared with \"{database}\": {error:#}");
            return DoctorFinding::note(WHAT, detail, "what says so above comes first");
        }
    };
    match CopyPlan::of(recipe, &mut control) {
        Err(error) => {
            let finding = DoctorFinding::error(WHAT, &error, &remedy);
            DoctorFinding { detail: format!("\"{database}\": {}", finding.detail), ..finding }
        }
        Ok(plan) if plan.warnings.is_empty() => {
            DoctorFinding::ok(WHAT, format!("those in \"{}\" fit \"{database}\"", recipe.file))
        }
        Ok(plan) => DoctorFinding::note(WHAT, format!("\"{database}\": {}", plan.warnings.join("; ")), remedy),
    }
}

fn connected(settings: &ConnectionSettings) -> Result<Control> {
    let mut control = Control::open(settings)?;
    control.snapshot()?;
    Ok(control)
}
