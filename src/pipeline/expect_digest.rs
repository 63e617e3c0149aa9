//! Checks a dump as it is read. It is an error as soon as it is longer than its `.meta` states, and at its end if its
//! length or its digest is another.

use crate::base::error::Fault;
use crate::base::shown::many;
use crate::format::manifest::Digest;
use crate::pipeline::checksum::Hasher;
use std::io::{self, Read};

pub struct ExpectDigest<R> {
    inner: R,
    expected: Digest,
    /// None: the end was reached, and the digest compared.
    seen: Option<Hasher>,
}

impl<R: Read> ExpectDigest<R> {
    /// Wraps a reader. `summer` must hash as the expected digest was made, with the same key.
    pub fn new(inner: R, expected: Digest, summer: Hasher) -> Self {
        ExpectDigest { inner, expected, seen: Some(summer) }
    }
}

impl<R: Read> Read for ExpectDigest<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(seen) = &mut self.seen else { return Ok(0) };
        let count = self.inner.read(buffer)?;
        seen.update(&buffer[..count]);
        let stated = self.expected.bytes;
        if seen.bytes() > stated {
            return Err(Fault::damaged(format!(
                "the dump is longer than the {} that its .meta states",
                many(stated, "byte")
            ))
            .into());
        }
        if count == 0 && !buffer.is_empty() {
            let found = self.seen.take().unwrap_or_default().finish();
            if found != self.expected {
                return Err(Fault::damaged(format!(
                    "the dump is not what its .meta states: {} of {stated}, or another content",
                    many(found.bytes, "byte")
                ))
                .into());
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> Digest {
        let mut summer = Hasher::default();
        summer.update(bytes);
        summer.finish()
    }

    #[test]
    fn a_dump_that_is_shorter_longer_or_other_is_an_error_and_never_an_end() {
        for (given, stated) in [("abc", "abcd"), ("abcd", "abc"), ("abx", "abc"), ("", "a")] {
            let mut reader = ExpectDigest::new(given.as_bytes(), sum(stated.as_bytes()), Hasher::default());
            assert!(reader.read_to_end(&mut Vec::new()).is_err(), "{given} for {stated}");
        }
        let mut all = Vec::new();
        ExpectDigest::new(&b"abc"[..], sum(b"abc"), Hasher::default()).read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abc");
    }
}
