//! Streams changes out of a database, by the protocol of replication: the connection, the stream, and what the server needs for them.

pub mod capture_candidate;
pub mod change_stream;
pub mod conditions;
pub(crate) mod names;
pub mod publication;
pub mod refusal;
pub mod replication_connection;
pub mod slot;
pub mod stream_message;
pub mod table_shape;
pub mod timeline;
pub(crate) mod wire_connection;
