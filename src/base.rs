//! Holds what every room needs and what knows nothing of backups: errors, cancelling, progress, files, child processes.

pub(crate) mod atomic_file;
pub mod cancel;
pub(crate) mod certificates;
pub mod core_dumps;
pub mod databases;
pub mod error;
pub(crate) mod plain_file;
pub mod process;
pub mod progress;
pub(crate) mod random;
pub mod secret;
pub(crate) mod shown;
pub(crate) mod state_dir;
pub mod subject;
pub mod threads;
pub mod variant;
pub mod verify_level;
pub(crate) mod worker;
