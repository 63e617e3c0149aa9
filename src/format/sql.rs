//! Reads the plain scripts that `pg_dump` writes: their statements, their rows, and whether they are complete.
//!
//! [`Splitter`](splitter::Splitter) takes the text in pieces of any size and reports it as events, cut where `psql` would cut it.
//! Differences from `psql` by design: nothing here runs a meta-command, and a `COPY … FROM stdin` is known by its text alone.

pub(crate) mod columns;
pub(crate) mod copy;
pub(crate) mod csv;
pub(crate) mod extensions;
pub(crate) mod inserted;
pub(crate) mod lexer;
pub mod literal;
pub mod object_name;
pub mod requirements;
pub(crate) mod routine;
pub(crate) mod schema;
pub mod splitter;
pub(crate) mod strings;
#[cfg(test)]
mod tests;
pub mod tokens;
