//! Cuts what a server sends into messages. A message takes memory as its bytes arrive, whatever length it states.

use std::ops::Range;

/// Bytes that are read at a time, and that stay reserved.
const RESERVED: usize = 256 << 10;
/// Bytes of a message's header: type and length.
const HEAD: usize = 5;

/// Holds what has come and was not dealt with.
pub(crate) struct MessageBuffer {
    bytes: Vec<u8>,
    /// Where in `bytes` that begins, and where it ends.
    begin: usize,
    end: usize,
}

impl MessageBuffer {
    pub fn new() -> MessageBuffer {
        MessageBuffer { bytes: vec![0; RESERVED], begin: 0, end: 0 }
    }

    /// Returns the type of the next message and the place of its body, which holds until [`space`](Self::space) is called. `None`: no
    /// whole message is there.
    pub fn next(&mut self) -> Option<(u8, Range<usize>)> {
        let whole = self.whole()?;
        if whole > self.end - self.begin {
            return None;
        }
        let (kind, begin) = (self.bytes[self.begin], self.begin);
        self.begin += whole;
        Some((kind, begin + HEAD..self.begin))
    }

    pub fn body(&self, place: Range<usize>) -> &[u8] {
        &self.bytes[place]
    }

    /// Returns room for bytes that are read.
    pub fn space(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        if self.end == self.bytes.len() {
            let whole = self.whole().unwrap_or(HEAD);
            self.bytes.resize((2 * self.end).min(whole.max(self.end + HEAD)), 0);
        } else if self.bytes.len() > RESERVED
            && self.end < RESERVED
            && self.whole().is_none_or(|whole| whole < RESERVED)
        {
            self.bytes.truncate(RESERVED);
            self.bytes.shrink_to_fit();
        }
        &mut self.bytes[self.end..]
    }

    /// Takes as many bytes of the room as have been read.
    pub fn filled(&mut self, bytes: usize) {
        self.end += bytes;
    }

    /// Returns how many bytes the next message has with its header. `None`: its header is not there.
    fn whole(&self) -> Option<usize> {
        let [_, length @ ..] = self.bytes[self.begin..self.end].first_chunk::<HEAD>()?;
        // The length counts itself. A shorter one ends the stream before it gets here.
        Some((u32::from_be_bytes(*length) as usize).max(HEAD - 1) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(buffer: &mut MessageBuffer, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = buffer.space();
            let here = space.len().min(bytes.len());
            space[..here].copy_from_slice(&bytes[..here]);
            buffer.filled(here);
            bytes = &bytes[here..];
        }
    }

    #[test]
    fn a_message_that_does_not_come_takes_no_memory_and_a_long_one_is_given_back() {
        let mut buffer = MessageBuffer::new();
        put(&mut buffer, &[&b"d\x3f\xff\xff\xff"[..], &[0; 1000]].concat());
        assert_eq!((buffer.next(), buffer.bytes.len()), (None, RESERVED));
        let mut buffer = MessageBuffer::new();
        let long = 9_000_000;
        put(&mut buffer, &[&b"d"[..], &(long as u32 + 4).to_be_bytes(), &vec![7; long]].concat());
        assert!(buffer.bytes.capacity() < 3 * long);
        let (kind, place) = buffer.next().unwrap();
        assert_eq!((kind, buffer.body(place)), (b'd', &vec![7; long][..]));
        put(&mut buffer, b"Z\0\0\0\x05I");
        assert_eq!((buffer.bytes.capacity(), buffer.next().unwrap().0), (RESERVED, b'Z'));
    }

    proptest! {
        /// However the network cuts what is sent.
        #[test]
        fn messages_come_out_as_they_went_in(
            bodies in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..3000)), 1..30),
            cuts in prop::collection::vec(1_usize..4000, 1..20),
        ) {
            let whole: Vec<u8> = bodies
                .iter()
                .flat_map(|(kind, body)| [&[*kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat())
                .collect();
            let (mut buffer, mut found, mut rest) = (MessageBuffer::new(), Vec::new(), &whole[..]);
            for cut in cuts.iter().cycle() {
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                put(&mut buffer, piece);
                while let Some((kind, place)) = buffer.next() {
                    found.push((kind, buffer.body(place).to_vec()));
                }
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found, bodies);
        }
    }
}
