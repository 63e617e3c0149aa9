//! Reads the messages that a server's output plugin `pgoutput` makes of its changes, in version 1 of its protocol.
//!
//! [`decode`](change_message::decode) gives a message or an error, whatever the bytes are: lengths are compared with what is there, and
//! nothing is allocated by a length alone.

pub mod change_message;
pub(crate) mod message_bytes;
pub mod relation;
pub mod row;
#[cfg(test)]
pub(crate) mod tests;
