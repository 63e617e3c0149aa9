//! How a backup came into the store.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// `pgbk backup` took it from the server.
    Backup,
    /// `pgbk upload` made it from a file, which anyone may have edited.
    Upload,
}

/// Which backups "latest" is chosen among.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Origins {
    /// Those that were taken from a server
    #[default]
    Backup,
    /// Those that were made of a file
    Upload,
    /// All of them, whichever is the newest by its date
    Any,
}
