//! Checks captures: those that `CAPTURE=1` asks for, and databases that have a slot of pgbk's.

use crate::cli::arguments::DoctorArgs;
use crate::commands::doctor::databases::named_databases;
use crate::config;
use crate::config::arguments::of_schedule;
use crate::monitoring::doctor::DoctorFinding;
use crate::monitoring::doctor::capture::look_at_capture;

pub fn look(args: &DoctorArgs) -> Vec<DoctorFinding> {
    // Where the settings of the scheduler or of the server are wrong, that is told already.
    let (Ok(settings), Ok(server)) = (of_schedule(), config::server::server(&args.server)) else { return Vec::new() };
    let options = config::capture::options(&settings.capture_options, &settings.run.pipeline, server.clone());
    let options = match options {
        Ok(options) => options,
        Err(error) if settings.capture => {
            return vec![DoctorFinding::error("capture", &error, "check the settings that begin with CAPTURE")];
        }
        Err(_) => return Vec::new(),
    };
    let databases = named_databases(args, &server).unwrap_or_default();
    let plans = databases.iter().filter_map(|database| options.plan(database).ok());
    plans.flat_map(|plan| look_at_capture(&plan, settings.capture)).collect()
}
