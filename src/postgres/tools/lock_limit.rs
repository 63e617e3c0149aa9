//! Hints for a server with room for too few locks. Its own hint names the setting, in every language, but not how large it must be.

use crate::base::error::{Fault, kind};

const SETTING: &str = "max_locks_per_transaction";
const DUMP: &str = "pg_dump locks every table at once: raise the server's max_locks_per_transaction until that times \
                    max_connections is more than its tables; it takes a restart";
const RESTORE: &str = "a restore locks every table and index until its end: raise the server's max_locks_per_transaction until \
                       that times max_connections is more than four for each table; it takes a restart";

/// Returns the error of a dump, with a hint if too few locks are its cause.
pub fn of_dump(error: anyhow::Error) -> anyhow::Error {
    let said = format!("{error:#}");
    if said.contains(SETTING) { Fault::new(kind(&error), said).hint(DUMP).into() } else { error }
}

/// Returns the hint for a restore: a longer one if the server's is about `max_locks_per_transaction`, else the server's.
pub(crate) fn of_restore(hint: &str) -> &str {
    if hint.contains(SETTING) { RESTORE } else { hint }
}
