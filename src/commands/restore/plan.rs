//! Makes the plan of a restore out of its arguments.

use crate::base::error::Result;
use crate::cli::arguments::RestoreArgs;
use crate::format::manifest::Format;
use crate::jobs::restore::plan::RestorePlan;
use crate::jobs::restore::properties::own;
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::properties::changes::PropertyRules;
use crate::postgres::restore::load::load_omissions::LoadOmissions;
use crate::repository::reader::BackupReader;

pub fn plan(
    args: &RestoreArgs,
    opened: &BackupReader,
    server: &ConnectionSettings,
    database: String,
) -> Result<RestorePlan> {
    Ok(RestorePlan {
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
        processes: if opened.manifest.dump.format == Format::Custom { args.jobs.unwrap_or(1) } else { 1 },
        until_keys: false,
        into_new: args.at.is_some() || args.journal.is_some(),
        single_transaction: args.single_transaction,
        loader: None,
        bin_dir: args.server.pg_bin_dir.clone(),
    })
}

fn leave(args: &RestoreArgs) -> LoadOmissions {
    let said = args.leave.clone();
    LoadOmissions {
        comments: said.no_comments,
        tablespaces: said.no_tablespaces,
        extensions: said.exclude_extension.into_iter().collect(),
        skip_failed: said.skip_failed,
        search_path: said.search_path,
        ..LoadOmissions::default()
    }
}

/// Returns which properties the database itself gets from the backup. None: no properties.
fn rules(args: &RestoreArgs, opened: &BackupReader) -> Option<PropertyRules> {
    let loads = opened.derived_keys.is_some();
    (!args.no_properties).then_some(PropertyRules { owner: !args.no_owner, privileges: !args.no_privileges, loads })
}
