//! The last guard before a dump is used: never more plain bytes than the `.meta` states, and in the end exactly those.

use super::tally::Summer;
use crate::error::Fault;
use crate::manifest::Sum;
use std::io::{self, Read};

pub struct CheckedReader<R> {
    inner: R,
    expected: Sum,
    /// None once the end has been reached and found right.
    seen: Option<Summer>,
}

impl<R: Read> CheckedReader<R> {
    /// `summer` takes the sum as the expected one was taken.
    pub fn new(inner: R, expected: Sum, summer: Summer) -> Self {
        CheckedReader { inner, expected, seen: Some(summer) }
    }
}

impl<R: Read> Read for CheckedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(seen) = &mut self.seen else { return Ok(0) };
        let count = self.inner.read(buffer)?;
        seen.update(&buffer[..count]);
        let stated = self.expected.bytes;
        if seen.bytes() > stated {
            return Err(
                Fault::damaged(format!("the dump is longer than the {stated} bytes that its .meta states")).into()
            );
        }
        if count == 0 && !buffer.is_empty() {
            let found = self.seen.take().unwrap_or_default().finish();
            if found != self.expected {
                return Err(Fault::damaged(format!(
                    "the dump is not what its .meta states: {} bytes of {stated}, or another content",
                    found.bytes
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

    fn sum(bytes: &[u8]) -> Sum {
        let mut summer = Summer::default();
        summer.update(bytes);
        summer.finish()
    }

    #[test]
    fn a_dump_that_is_shorter_longer_or_other_is_an_error_and_never_an_end() {
        for (given, stated) in [("abc", "abcd"), ("abcd", "abc"), ("abx", "abc"), ("", "a")] {
            let mut reader = CheckedReader::new(given.as_bytes(), sum(stated.as_bytes()), Summer::default());
            assert!(reader.read_to_end(&mut Vec::new()).is_err(), "{given} for {stated}");
        }
        let mut all = Vec::new();
        CheckedReader::new(&b"abc"[..], sum(b"abc"), Summer::default()).read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abc");
    }
}
