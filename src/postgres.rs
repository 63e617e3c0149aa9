//! The server and its tools.

pub mod load;
