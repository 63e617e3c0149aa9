//! Brings the secret of anonymising to the server, in a way that no server logs: as an option of the connection's first packet. The
//! text of a statement is logged by `log_statement`, and so are its parameters.

use crate::base::error::{Fault, Result};
use crate::base::secret::Secret;
use crate::format::keys::hash::keyed;
use std::collections::BTreeMap;

/// The setting of the session that holds what is derived from the secret.
pub const SETTING: &str = "pgbk.anonymise_secret";
/// Fewest characters of a secret: who has the rows could try all shorter ones.
const SHORTEST: usize = 16;
const LABEL: &[u8; 32] = b"pgbk: the secret of anonymising!";

/// Returns the setting for a session whose statements anonymise. The server gets a hash of the secret, and never the secret itself.
pub fn session(secret: &Secret) -> Result<BTreeMap<String, String>> {
    if secret.reveal().chars().count() < SHORTEST {
        return Err(Fault::usage(format!("ANONYMISE_SECRET has fewer than {SHORTEST} characters"))
            .hint("make one with: openssl rand -hex 32")
            .into());
    }
    let derived = hex::encode(keyed(LABEL, &[secret.reveal().as_bytes()]));
    Ok(BTreeMap::from([(SETTING.to_owned(), derived)]))
}
