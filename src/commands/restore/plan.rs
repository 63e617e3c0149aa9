//! Makes the plan of a restore out of its arguments.

use crate::base::error::Result;
use crate::cli::arguments::RestoreArgs;
use crate::jobs::restore::plan::Plan;
use crate::jobs::restore::properties::own;
use crate::postgres::connect::settings::Settings;
use crate::postgres::properties::changes::Rules;
use crate::postgres::restore::load::leave::Leave;
use crate::repository::reader::BackupReader;

pub fn plan(args: &RestoreArgs, opened: &BackupReader, server: &Settings, database: String) -> Result<Plan> {
    Ok(Plan {
        settings: server.clone(),
        own: own(opened, &database, rules(args, opened))?,
        any_locale: args.any_locale,
        database,
        clean: args.clean,
        // On a terminal the source is said twice by typing it twice.
        over_source: args.over_source || !args.yes,
        no_owner: args.no_owner,
        no_privileges: args.no_privileges,
        leave: leave(args),
        jobs: args.jobs,
        loader: None,
        bin_dir: args.server.pg_bin_dir.clone(),
    })
}

fn leave(args: &RestoreArgs) -> Leave {
    let said = args.leave.clone();
    Leave {
        comments: said.no_comments,
        tablespaces: said.no_tablespaces,
        extensions: said.exclude_extension.into_iter().collect(),
        skip_failed: said.skip_failed,
        search_path: said.search_path,
        ..Leave::default()
    }
}

/// Returns which properties the database itself gets from the backup. None: no properties.
fn rules(args: &RestoreArgs, opened: &BackupReader) -> Option<Rules> {
    let loads = opened.derived_keys.is_some();
    (!args.no_properties).then_some(Rules { owner: !args.no_owner, privileges: !args.no_privileges, loads })
}
