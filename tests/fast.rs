//! The tests that need no server: `cargo test --test fast` is done within a minute, on a machine with Rust and a C compiler.

mod architecture;
mod cli;
mod fuzz;
mod properties;
mod table;
mod values;
