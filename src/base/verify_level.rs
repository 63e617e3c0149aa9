//! How deeply a stored backup is verified.

use serde::Serialize;

/// Each level includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The .meta is authentic and the payload is there in its full size
    Meta,
    /// Every stored byte is read and compared
    Stored,
    /// Decrypted and decompressed to the end: the dump's hash, its tables and its trailer
    Content,
    /// Restored into a scratch database, where every table's rows are compared; the scratch is dropped
    Restore,
}

impl Level {
    /// Returns the name of the level and what it verified.
    pub fn describe(self) -> &'static str {
        match self {
            Level::Meta => "level meta: the .meta, and that the payload is there in its full size",
            Level::Stored => "level stored: every stored byte was read and compared",
            Level::Content => "level content: decrypted and decompressed to the end, and compared",
            Level::Restore => "level restore: restored into a scratch database, and its rows compared",
        }
    }
}
