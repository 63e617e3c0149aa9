//! pgbk: backs up PostgreSQL to a store, restores it, and proves that it can.
//!
//! The layers, imports downwards only (`tests/architecture.rs` holds the table):
//!
//! ```text
//! main → commands → config → lookout → { web, status } → console → { cli, privileges } → environment → run → { upkeep, proof } → jobs
//!      → { roster, cron, history, vault, postgres, alert, leftovers } → stream → shelf → { store, process }
//!      → { document, certificates, record, retention, lifecycle, manifest, databases, keys, script, files, newfile, level, series, monitor, interrupt, secret, shown, error }
//! ```
//!
//! The library's interface is private to the binary and its tests.

#![deny(
    clippy::dbg_macro,
    clippy::exit,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::todo,
    clippy::unwrap_used
)]

pub mod alert;
pub mod certificates;
pub mod cli;
pub mod commands;
pub mod config;
pub mod console;
pub mod cores;
pub mod cron;
pub mod databases;
pub mod document;
pub mod environment;
pub mod error;
pub mod files;
pub mod history;
pub mod interrupt;
pub mod jobs;
pub mod keys;
pub mod leftovers;
pub mod level;
pub mod lifecycle;
pub mod lookout;
pub mod manifest;
pub mod missed;
pub mod monitor;
pub mod newfile;
pub mod plain;
pub mod postgres;
pub mod privileges;
pub mod process;
pub mod proof;
pub mod record;
pub mod retention;
pub mod roster;
pub mod run;
pub mod script;
pub mod secret;
pub mod series;
pub mod shelf;
pub mod shown;
pub mod status;
pub mod store;
pub mod stream;
pub mod threads;
pub mod upkeep;
pub mod vault;
pub mod web;
