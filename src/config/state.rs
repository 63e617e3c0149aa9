//! The state directory.

use crate::base::error::{Fault, Result};
use crate::base::progress::NullMonitor;
use crate::base::state_dir::StateDir;
use crate::cli::settings::StateArgs;
use crate::config::environment::plain;
use crate::format::run_record::Record;
use crate::runs::history::History;
use rustix::fs::Access;
use std::path::PathBuf;

/// The state directory of a service, and in the image.
const SYSTEM: &str = "/var/lib/pgbk";

/// Returns the history of runs in the state directory.
pub fn history(args: &StateArgs) -> Result<History> {
    Ok(History::of(state_dir(args)?))
}

/// Returns the state directory. It need not exist yet. It is an error if there is no home to put it in.
pub fn state_dir(args: &StateArgs) -> Result<StateDir> {
    let writable = || rustix::fs::access(SYSTEM, Access::WRITE_OK).is_ok();
    let path = match &args.state_dir {
        Some(folder) => folder.clone(),
        None if writable() => SYSTEM.into(),
        None => personal_state()?,
    };
    Ok(StateDir::at(path))
}

/// Returns the state directory; if there is no home to put it in, that of a service, where nothing can be written.
pub(crate) fn state_dir_or_system(args: &StateArgs) -> StateDir {
    state_dir(args).unwrap_or_else(|_| StateDir::at(SYSTEM))
}

fn personal_state() -> Result<PathBuf> {
    let set = plain("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    // A home that is only a name in an account's line is not made.
    let home = || plain("HOME").map(PathBuf::from).filter(|home| home.is_dir());
    let state = set.or_else(|| Some(home()?.join(".local/state")));
    state.map(|state| state.join("pgbk")).ok_or_else(|| {
        Fault::usage("there is no folder to write runs down in")
            .hint("set STATE_DIR, or make /var/lib/pgbk writable")
            .into()
    })
}

/// Returns the records of earlier runs on this host; empty if they cannot be read.
pub fn records(state: &StateArgs) -> Vec<Record> {
    history(state).and_then(|history| history.records(&NullMonitor)).unwrap_or_default()
}
