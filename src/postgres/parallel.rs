//! Reads the rows of a dump by several connections, in one snapshot.

pub(crate) mod item;
pub(crate) mod maker;
pub(crate) mod script_piece;
pub(crate) mod work;
