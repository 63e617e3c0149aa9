//! Asks whether a restore is to begin.

use crate::base::error::Result;
use crate::base::shown::Lines;
use crate::cli::console::{Console, confirm_by_typing};
use crate::format::manifest::Manifest;
use crate::jobs::restore::is_source;
use crate::postgres::restore::target::RestoreTarget;

/// Returns whether the person types the name of the target, and types it again where something in the backup's source is replaced.
pub(crate) fn agreed(
    manifest: &Manifest,
    target: &RestoreTarget,
    replaces: bool,
    outline: &Lines,
    console: &Console,
) -> Result<bool> {
    console.say(outline);
    let name = &target.database;
    if !confirm_by_typing(&format!("Type the database's name ({name}) to restore"), name)? {
        return Ok(false);
    }
    if !replaces || !is_source(manifest, target) {
        return Ok(true);
    }
    let what = match (manifest.system_identifier(), &target.system_identifier) {
        (Some(source), Some(here)) if source != here => {
            "It has the name of the backup's source, and is on another server"
        }
        _ => "This is the backup's own source",
    };
    confirm_by_typing(&format!("{what}. Type {name} again to replace it"), name)
}
