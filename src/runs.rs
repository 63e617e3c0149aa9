//! Makes one run: backs up a database or tests its backup by a restore, records how it ended, and alerts people.

pub mod after_backup;
pub(crate) mod backups;
pub(crate) mod bases;
pub mod captures;
pub(crate) mod history;
pub mod missing_backups;
pub mod restore_tests;
pub(crate) mod runner;
pub mod schedule;
pub(crate) mod target;
