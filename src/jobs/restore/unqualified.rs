//! Finds names that a dump does not qualify: operators in `IS DISTINCT FROM`, what the bodies of functions name.
//!
//! `pg_dump` empties the search path, so that a restore calls nothing by accident. Where the server then does not find a name, the
//! restore is made once more with the search path that sessions have at the source. `pg_catalog` comes first in any path.

use crate::base::error::{Result, sqlstate};
use crate::base::progress::Monitor;
use crate::postgres::restore::load::leave::Leave;
use crate::repository::reader::BackupReader;
use postgres::error::SqlState;

/// Search path of a database that sets none, without the schema of the role's name.
const USUAL: &str = "public";

/// Returns the search path that the database sets for its sessions; `public` if it sets none or the backup does not hold its settings.
pub(crate) fn source_path(opened: &BackupReader) -> Result<String> {
    let held = opened.properties()?;
    let set = held.iter().flat_map(|held| &held.settings).find(|setting| setting.name.is("search_path"));
    let path = set.map(|setting| setting.value.as_str().to_owned()).filter(|path| !path.is_empty());
    Ok(path.unwrap_or_else(|| USUAL.to_owned()))
}

/// Returns what a second attempt leaves out, with this search path, and announces it. `None` if the error has another reason, or a person
/// has said how names are to be found or that the restore goes on without what is refused.
pub(crate) fn second_attempt(leave: &Leave, error: &anyhow::Error, path: &str, monitor: &dyn Monitor) -> Option<Leave> {
    let is_settled = leave.search_path.is_some() || leave.skip_failed;
    if is_settled || !is_about_a_name(error) {
        return None;
    }
    monitor.warn(&format!("{error:#}; it begins once more, and finds names as at the source (--search-path {path})"));
    Some(Leave { search_path: Some(path.to_owned()), ..leave.clone() })
}

/// Returns whether the server did not find something that a statement names.
fn is_about_a_name(error: &anyhow::Error) -> bool {
    let codes = [
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_OBJECT,
        SqlState::INVALID_SCHEMA_NAME,
    ];
    sqlstate(error).is_some_and(|code| codes.iter().any(|one| one.code() == code))
}
