//! Reads a payload that was compressed in pieces, several at a time.

use crate::base::error::{Fault, Result, into_io};
use crate::base::threads;
use crate::format::manifest::Method;
use crate::format::manifest::pieces::Piece;
use crate::pipeline::codec::levels::cores;
use crate::pipeline::codec::unpack_piece;
use crate::pipeline::ordered_pool::{OrderedPool, OrderedResults};
use std::io::{self, Read};

/// Most pieces that are decompressed at a time, and the bytes that they may take together.
const MOST: u64 = 4;
const IN_FLIGHT: u64 = 64 << 20;

/// Reads the dump in order. It is an error if a piece does not have the size that is stated, and if anything comes behind the last one.
pub(crate) struct PieceReader {
    /// The contents of the pieces.
    coming: OrderedResults<Result<Vec<u8>>>,
    piece: Vec<u8>,
    given: usize,
    over: bool,
}

/// A compressed piece, with the sizes that are stated.
type StatedPiece = (Vec<u8>, Piece);

impl PieceReader {
    pub fn new(inner: impl Read + Send + 'static, pieces: Vec<Piece>, method: Method) -> Result<PieceReader> {
        let largest = pieces.iter().map(|piece| piece.plain + piece.packed).max().unwrap_or(1);
        let threads = (IN_FLIGHT / largest).clamp(1, MOST.min(cores().into())) as usize;
        let unpack =
            move |read: Result<StatedPiece>| read.and_then(|(packed, piece)| unpack_piece(&packed, piece, method));
        let (pool, coming) = OrderedPool::begin("decompress", threads, unpack)?;
        threads::begin("pieces", move || feed(inner, pieces, &pool))?;
        Ok(PieceReader { coming, piece: Vec::new(), given: 0, over: false })
    }

    /// Waits for the next piece; false at the end.
    fn advance(&mut self) -> Result<bool> {
        let Some(piece) = self.coming.next() else { return Ok(false) };
        self.piece = piece.unwrap_or_else(|| Err(Fault::failed("a reading thread ended early").into()))?;
        self.given = 0;
        Ok(true)
    }
}

/// Reads one piece after the other for the pool, and gives it an error instead of what is wrong. Ends when nobody wants them any more.
fn feed(mut inner: impl Read, pieces: Vec<Piece>, pool: &OrderedPool<Result<StatedPiece>, Result<Vec<u8>>>) {
    for piece in pieces {
        let mut packed = vec![0; piece.packed as usize];
        let read = inner.read_exact(&mut packed).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::damaged("the payload ends before its last piece").into(),
            _ => error.into(),
        });
        let goes_on = read.is_ok();
        if !pool.send(read.map(|()| (packed, piece))) || !goes_on {
            return;
        }
    }
    match inner.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => drop(pool.send(Err(Fault::damaged("the payload goes on behind its last piece").into()))),
        Err(error) => drop(pool.send(Err(error.into()))),
    }
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.piece.len() {
            if self.over {
                return Ok(0);
            }
            self.over = !self.advance().inspect_err(|_| self.over = true).map_err(into_io)?;
            if self.over {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.piece.len() - self.given);
        buffer[..count].copy_from_slice(&self.piece[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, kind};
    use crate::format::manifest::Compression;
    use crate::pipeline::codec::fit::Fit;
    use crate::pipeline::codec::pack_piece;
    use std::iter::repeat_n;

    /// Fails as a payload does whose next chunk does not match its tag.
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(Fault::damaged("chunk 7 does not match its tag").into())
        }
    }

    #[test]
    fn a_payload_that_ends_before_or_behind_its_last_piece_or_breaks_is_never_a_whole_dump() {
        let (compression, fit) = (Compression { method: Method::Zstd, level: 1 }, Fit { threads: 1, halved: 0 });
        let packed = pack_piece(&[b'x'; 1000], compression, fit, &|| true).unwrap();
        let piece = Piece { plain: 1000, packed: packed.len() as u64 };
        let stored = [packed.clone(), packed.clone()].concat();
        let cut = stored[..stored.len() - 1].to_vec();
        let read = |inner: Box<dyn Read + Send>, pieces: usize| {
            let mut dump = Vec::new();
            let mut reader = PieceReader::new(inner, repeat_n(piece, pieces).collect(), Method::Zstd).unwrap();
            let outcome = reader.read_to_end(&mut dump).map_err(anyhow::Error::from);
            // What comes after an error is no second error, and not the rest.
            assert_eq!(reader.read(&mut [0]).unwrap(), 0);
            (dump.len(), outcome)
        };
        assert_eq!(read(Box::new(io::Cursor::new(stored.clone())), 2).1.unwrap(), 2000);
        let cases: [(Box<dyn Read + Send>, usize, &str); 5] = [
            (Box::new(io::Cursor::new(stored.clone())), 3, "the payload ends before its last piece"),
            (Box::new(io::Cursor::new(cut)), 2, "the payload ends before its last piece"),
            (Box::new(io::Cursor::new(stored.clone())), 1, "the payload goes on behind its last piece"),
            (Box::new(io::Cursor::new(packed).chain(Broken)), 2, "chunk 7 does not match its tag"),
            (Box::new(io::Cursor::new(stored).chain(Broken)), 2, "chunk 7 does not match its tag"),
        ];
        for (inner, pieces, text) in cases {
            let (given, outcome) = read(inner, pieces);
            let error = outcome.unwrap_err();
            assert_eq!((error.to_string().as_str(), kind(&error)), (text, Kind::Damaged));
            assert!(given <= 2000);
        }
    }
}
