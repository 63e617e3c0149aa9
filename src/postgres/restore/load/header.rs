//! The first line of a COPY block.

/// A `COPY … FROM stdin;` whose rows come next.
pub(crate) struct Header {
    /// The line of the script; [`UNKNOWN`](Header::UNKNOWN) if the rows come by themselves.
    pub line: u64,
    pub text: Vec<u8>,
    pub table: String,
}

impl Header {
    pub const UNKNOWN: u64 = 0;
}
