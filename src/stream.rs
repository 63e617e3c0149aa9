//! What bytes pass through on their way.

pub mod tables;
