//! The key of a digest.

use crate::format::keys::hash::Bytes32;

/// The key of a digest; None for one that anybody can compute.
pub type DigestKey = Option<Bytes32>;
