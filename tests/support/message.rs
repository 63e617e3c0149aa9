//! Messages of PostgreSQL's protocol, for tests that stand between pgbk and a server.

use std::io::{self, Read};

pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

/// Reads a message with its type.
pub fn read(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = vec![0];
    from.read_exact(&mut head)?;
    read_rest(from, head)
}

/// Reads what follows a message's first bytes, by the length that it states. The first packet of a client has no type.
pub fn read_rest(from: &mut impl Read, mut head: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    head.extend(length);
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    from.read_exact(&mut body)?;
    head.extend(body);
    Ok(head)
}

/// Returns whether a client's first packet is one of pgbk's own connections; those of `pg_dump` are PostgreSQL's.
pub fn is_of_pgbk(hello: &[u8]) -> bool {
    hello.windows(21).any(|name| name == b"application_name\0pgbk")
}
