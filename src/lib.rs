//! pgbk: backs up PostgreSQL to a store, restores it, and proves that it can.
//!
//! The modules are on eight floors. Imports point downwards only, as `tests/architecture.rs` checks. `docs/architecture.md` says what is
//! in each module.
//!
//! ```text
//! main
//! commands                        one file per subcommand: settings in, one job, a report out
//! config  monitoring              flags and variables → checked values | status, metrics, page, doctor
//! runs                            when due, under which limit, what was recorded, what follows
//! jobs                            what one run does
//! repository                      backups in a store: found, written, read, judged
//! cli  alerts  postgres  pipeline arguments and console | channels | the server and its tools | bytes on their way
//! format  store  files            what is written down | where it is kept | files packed and unpacked
//! base                            knows nothing of backups
//! ```
//!
//! The library is for the binary, its tests and fuzzing only. Its interface may change at any time.

#![deny(
    clippy::dbg_macro,
    clippy::exit,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::todo,
    clippy::unwrap_used
)]

pub mod alerts;
pub mod base;
pub mod cli;
pub mod commands;
pub mod config;
pub(crate) mod files;
pub mod format;
pub mod jobs;
pub mod monitoring;
pub mod pipeline;
pub mod postgres;
pub mod repository;
pub mod runs;
pub mod store;
