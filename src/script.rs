//! Reads the plain scripts that `pg_dump` writes: which statements, which rows, whether whole.
//!
//! [`Splitter`] takes the text in pieces of any size and tells it as events, cut where `psql` would cut it. What differs from
//! `psql` by design: nothing here runs a meta-command, and a `COPY … FROM stdin` is known by its text alone.

mod columns;
mod copy;
mod extensions;
pub mod inserted;
mod lexer;
mod requirements;
mod routine;
mod schema;
mod splitter;
mod strings;
mod tokens;

pub use columns::{Columns, columns};
pub use extensions::{Extension, extensions};
pub use requirements::{Requirements, owner};
pub use schema::{Differences, Schema};
pub use splitter::{Cut, Ending, Event, Keep, Splitter};
pub use strings::with_escapes;
pub use tokens::{Token, Tokens};

#[cfg(test)]
mod tests;
