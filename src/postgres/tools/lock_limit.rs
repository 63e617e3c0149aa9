//! A server with room for too few locks. Its own hint names the setting, in every language, but not how large it must be.

use crate::base::error::{Fault, kind};

const SETTING: &str = "max_locks_per_transaction";
const DUMP: &str = "pg_dump locks every table at once: raise the server's max_locks_per_transaction until that times \
                    max_connections is more than its tables; it takes a restart";
const RESTORE: &str = "a restore locks every table and index until its end: raise the server's max_locks_per_transaction until \
                       that times max_connections is more than four for each table; it takes a restart";

/// The failure of a dump, with what to do about it if this is why.
pub fn of_dump(error: anyhow::Error) -> anyhow::Error {
    let said = format!("{error:#}");
    if said.contains(SETTING) { Fault::new(kind(&error), said).hint(DUMP).into() } else { error }
}

/// Returns the hint for a restore, in place of the server's own where that is about `max_locks_per_transaction`.
pub(crate) fn of_restore(hint: &str) -> &str {
    if hint.contains(SETTING) { RESTORE } else { hint }
}
