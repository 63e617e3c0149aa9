//! Finds the databases that `pgbk doctor` looks at.

use crate::base::databases::Databases;
use crate::base::error::Result;
use crate::base::subject::Subject;
use crate::cli::arguments::DoctorArgs;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::session::control;

/// Returns the names of the databases that are named, else of the one that the settings lead to.
pub(crate) fn named_databases(args: &DoctorArgs, server: &ConnectionSettings) -> Result<Vec<String>> {
    match Databases::of(&args.databases)? {
        Some(Databases::Named(subjects)) => {
            Ok(subjects.iter().filter_map(Subject::database).map(|database| database.name().to_owned()).collect())
        }
        Some(Databases::All) => control::databases(server),
        None => Ok(vec![server.database().to_owned()]),
    }
}
