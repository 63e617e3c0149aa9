//! Serves every store on a host, whatever it is asked in: waits that a signal or a time limit ends, patience with a host that is
//! busy, and uploads in parts. A kind of store brings its requests ([`part_sink::PartSink`]), and its answers of an overloaded host.

pub(crate) mod buffers;
pub(crate) mod part_sink;
pub(crate) mod parts;
pub(crate) mod patience;
pub(crate) mod upload;
pub(crate) mod waiter;
