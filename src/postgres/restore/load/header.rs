//! The first line of a COPY block.

/// A `COPY … FROM stdin;` whose rows come next.
pub(crate) struct Header {
    pub line: u64,
    pub text: Vec<u8>,
    pub table: String,
}
