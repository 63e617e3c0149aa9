//! Streams changes out of a database, by the protocol of replication: the connection, the stream, and what the server needs for them.

pub mod capture_candidate;
pub mod change_stream;
pub mod conditions;
pub mod log_end;
pub(crate) mod names;
pub mod provider;
pub mod publication;
pub mod refusal;
pub mod replication_connection;
pub mod sequence_list;
pub mod slot;
pub mod stream_message;
pub mod table_shape;
pub mod timeline;
pub(crate) mod wire_connection;
