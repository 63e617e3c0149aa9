//! Reads a payload that was compressed in pieces, several at a time.

use crate::base::error::{Fault, Result, into_io};
use crate::base::threads;
use crate::format::manifest::Method;
use crate::format::manifest::pieces::Piece;
use crate::pipeline::codec::levels::cores;
use crate::pipeline::codec::unpack_piece;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Most pieces that are decompressed at a time, and the bytes that they may take together.
const MOST: u64 = 4;
const IN_FLIGHT: u64 = 64 << 20;

/// Reads the dump in order. It is an error if a piece does not have the size that is stated, and if anything comes behind the last one.
pub(crate) struct PieceReader {
    /// The contents of the pieces, in order.
    coming: Receiver<Receiver<Result<Vec<u8>>>>,
    piece: Vec<u8>,
    given: usize,
    over: bool,
}

/// A compressed piece, and where its contents go.
struct PieceToUnpack {
    packed: Vec<u8>,
    piece: Piece,
    plain: SyncSender<Result<Vec<u8>>>,
}

impl PieceReader {
    pub fn new(inner: impl Read + Send + 'static, pieces: Vec<Piece>, method: Method) -> Result<PieceReader> {
        let largest = pieces.iter().map(|piece| piece.plain + piece.packed).max().unwrap_or(1);
        let threads = (IN_FLIGHT / largest).clamp(1, MOST.min(cores().into())) as usize;
        let (order, coming) = sync_channel(threads);
        let (jobs, waiting) = channel::<PieceToUnpack>();
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads {
            let waiting = Arc::clone(&waiting);
            let unpacker = threads::begin("decompress", move || {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(PieceToUnpack { packed, piece, plain }) = next else { return };
                    // Nobody listens any more: the reader was dropped.
                    plain.send(unpack_piece(&packed, piece, method)).ok();
                }
            });
            match unpacker {
                // Those that there are do the work.
                Err(_) if number > 0 => break,
                unpacker => drop(unpacker?),
            }
        }
        threads::begin("pieces", move || {
            feed(inner, pieces, &mut |packed, piece| {
                let (plain, coming) = sync_channel(1);
                let sent = order.send(coming).is_ok();
                match packed {
                    Ok(packed) => sent && jobs.send(PieceToUnpack { packed, piece, plain }).is_ok(),
                    Err(error) => sent && plain.send(Err(error)).is_ok(),
                }
            });
        })?;
        Ok(PieceReader { coming, piece: Vec::new(), given: 0, over: false })
    }

    /// Waits for the next piece; false at the end.
    fn advance(&mut self) -> Result<bool> {
        let Ok(coming) = self.coming.recv() else { return Ok(false) };
        self.piece = coming.recv().unwrap_or_else(|_| Err(Fault::failed("a reading thread ended early").into()))?;
        self.given = 0;
        Ok(true)
    }
}

/// Reads one piece after the other and hands each to `each` until that returns false, and an error instead of what is wrong.
fn feed(mut inner: impl Read, pieces: Vec<Piece>, each: &mut dyn FnMut(Result<Vec<u8>>, Piece) -> bool) {
    for piece in pieces {
        let mut packed = vec![0; piece.packed as usize];
        let read = inner.read_exact(&mut packed).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::damaged("the payload ends before its last piece").into(),
            _ => error.into(),
        });
        let goes_on = read.is_ok();
        if !each(read.map(|()| packed), piece) || !goes_on {
            return;
        }
    }
    let none = Piece { plain: 0, packed: 0 };
    match inner.read(&mut [0]) {
        Ok(0) => {}
        Ok(_) => drop(each(Err(Fault::damaged("the payload goes on behind its last piece").into()), none)),
        Err(error) => drop(each(Err(error.into()), none)),
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
