//! The tests that use servers: PostgreSQL, S3, mail and others. `scripts/test.sh` installs them, and runs each file of this folder in
//! a process of its own, with servers of its own.

mod alert;
mod cases;
mod connection;
mod deploy;
mod docs;
mod documents;
mod doubletake;
mod drill;
mod excess;
mod failure;
mod files;
mod fixed_name;
mod foreign;
mod formats;
mod globals;
mod hosts;
mod interop;
mod load;
mod lock;
mod manual;
mod missed;
mod network;
mod people;
mod policy;
mod postgres;
mod prompt;
mod proven;
mod prune;
mod rights;
mod round_trip;
mod schedule;
mod series;
mod session;
mod status;
mod store;
