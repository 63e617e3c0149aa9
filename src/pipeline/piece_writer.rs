//! A stage that cuts the dump into pieces, compresses each by itself, several at a time, and passes them on in order.

use crate::base::error::{Fault, Result};
use crate::base::threads;
use crate::format::manifest::Compression;
use crate::format::manifest::pieces::{MOST_PIECES, Piece};
use crate::pipeline::Stage;
use crate::pipeline::codec::fit::Fit;
use crate::pipeline::codec::pack_piece;
use crate::pipeline::ordered_pool::{OrderedPool, OrderedResults};
use memchr::memrchr;
use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Where a dump is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutRule {
    /// Behind the last line break of a piece: in a script no row is in two pieces.
    Lines,
    Anywhere,
}

/// Compresses what is written, piece by piece, and writes the pieces to the inner writer on another thread.
///
/// An error of the inner writer comes back from a later `write` or from `finish`. Dropping the stage ends its threads, and what the inner
/// writer does when it is discarded has been done then.
pub(crate) struct PieceWriter<W> {
    cut: CutRule,
    /// Size of a piece in bytes of the dump.
    size: usize,
    filling: Vec<u8>,
    threads: Option<Threads<W>>,
}

struct Threads<W> {
    pool: OrderedPool<PieceJob, PackedPiece>,
    abandoned: Arc<AtomicBool>,
    writer: JoinHandle<io::Result<(W, Vec<Piece>)>>,
}

/// A piece to compress.
struct PieceJob {
    plain: Vec<u8>,
    /// Takes the compressed piece for another writer, too.
    also: Option<SyncSender<PackedPiece>>,
}

struct PackedPiece {
    plain: u64,
    packed: io::Result<Arc<Vec<u8>>>,
}

impl PackedPiece {
    fn copied(&self) -> PackedPiece {
        let packed = self.packed.as_ref().map(Arc::clone).map_err(|error| io::Error::other(error.to_string()));
        PackedPiece { plain: self.plain, packed }
    }
}

/// A piece that one writer compresses, for another one to take.
pub(crate) struct SharedPiece(Receiver<PackedPiece>);

impl<W: Write + Send + 'static> PieceWriter<W> {
    pub fn new(inner: W, compression: Compression, cut: CutRule) -> Result<Self> {
        let fit = Fit::of(compression);
        Self::fitted(inner, compression, fit, fit.piece(compression), cut)
    }

    fn fitted(inner: W, compression: Compression, fit: Fit, size: usize, cut: CutRule) -> Result<Self> {
        let abandoned = Arc::new(AtomicBool::new(false));
        let given_up = Arc::clone(&abandoned);
        let pack = move |PieceJob { plain, also }: PieceJob| {
            let packed = pack_piece(&plain, compression, fit, &|| !given_up.load(Ordering::Relaxed)).map(Arc::new);
            let piece = PackedPiece { plain: plain.len() as u64, packed };
            // The other writer may be gone.
            also.map(|also| also.send(piece.copied()).ok());
            piece
        };
        let (pool, coming) = OrderedPool::begin("compress", fit.threads as usize, pack)?;
        let writer = threads::begin("encrypt", move || write(inner, &coming, MOST_PIECES))?;
        Ok(PieceWriter { cut, size, filling: Vec::new(), threads: Some(Threads { pool, abandoned, writer }) })
    }

    /// Hands on the first bytes that wait, and keeps the others.
    fn send(&mut self, length: usize) -> io::Result<()> {
        let rest = self.filling.split_off(length);
        let plain = mem::replace(&mut self.filling, rest);
        let sent = self.threads.as_ref().is_some_and(|threads| threads.pool.send(PieceJob { plain, also: None }));
        self.went(sent)
    }

    /// Returns what has stopped the threads if nothing was taken from here.
    fn went(&mut self, sent: bool) -> io::Result<()> {
        if sent { Ok(()) } else { self.end().map(|_| ()).and(Err(ended())) }
    }

    /// Ends the piece that is being filled: another one follows.
    fn cut(&mut self) -> io::Result<()> {
        if self.filling.is_empty() { Ok(()) } else { self.send(self.filling.len()) }
    }

    /// Compresses whole lines as a piece by themselves, and returns it for another writer of the same compression.
    pub fn share(&mut self, lines: &[u8]) -> io::Result<SharedPiece> {
        self.cut()?;
        let (also, coming) = sync_channel(1);
        let job = PieceJob { plain: lines.to_vec(), also: Some(also) };
        let sent = self.threads.as_ref().is_some_and(|threads| threads.pool.send(job));
        self.went(sent)?;
        Ok(SharedPiece(coming))
    }

    /// Takes a piece that another writer compresses.
    pub fn take(&mut self, SharedPiece(coming): SharedPiece) -> io::Result<()> {
        self.cut()?;
        let sent = self.threads.as_ref().is_some_and(|threads| threads.pool.put(coming));
        self.went(sent)
    }

    /// Ends the threads, and returns the inner writer with the list of pieces, or what stopped it.
    fn end(&mut self) -> io::Result<(W, Vec<Piece>)> {
        let Threads { pool, writer, .. } = self.threads.take().ok_or_else(ended)?;
        let packers = pool.end();
        let written = join(writer)?;
        packers.into_iter().try_for_each(join)?;
        written
    }
}

impl<W: Write + Send + 'static> Write for PieceWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.filling.capacity() < self.size {
            self.filling.reserve_exact(self.size - self.filling.len());
        }
        let taken = bytes.len().min(self.size - self.filling.len());
        self.filling.extend_from_slice(&bytes[..taken]);
        if self.filling.len() == self.size {
            let line = memrchr(b'\n', &self.filling).map(|end| end + 1);
            self.send(line.filter(|_| self.cut == CutRule::Lines).unwrap_or(self.size))?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send + 'static> Stage for PieceWriter<W> {
    type Inner = (W, Vec<Piece>);

    fn finish(mut self) -> io::Result<Self::Inner> {
        self.send(self.filling.len())?;
        self.end()
    }
}

impl<W> Drop for PieceWriter<W> {
    fn drop(&mut self) {
        let Some(Threads { pool, abandoned, writer }) = self.threads.take() else { return };
        abandoned.store(true, Ordering::Relaxed);
        let packers = pool.end();
        writer.join().ok();
        packers.into_iter().for_each(|packer| drop(packer.join()));
    }
}

/// Writes the pieces in their order, and returns the writer with the sizes of the pieces. It is an error if they are more than `most`. An
/// empty dump is one empty piece, and is not listed.
fn write<W: Write>(mut inner: W, coming: &OrderedResults<PackedPiece>, most: usize) -> io::Result<(W, Vec<Piece>)> {
    let mut pieces = Vec::new();
    while let Some(piece) = coming.next() {
        let PackedPiece { plain, packed } = piece.ok_or_else(ended)?;
        let packed = packed?;
        if pieces.len() == most {
            let fault = Fault::failed(format!("the dump has more than the {most} pieces that a .meta can list"));
            return Err(fault.hint("a dump that is not compressed has no pieces: DB_BACKUP_COMPRESS=0").into());
        }
        inner.write_all(&packed)?;
        pieces.extend((plain > 0).then_some(Piece { plain, packed: packed.len() as u64 }));
    }
    Ok((inner, pieces))
}

fn join<T>(thread: JoinHandle<T>) -> io::Result<T> {
    thread.join().map_err(|_| io::Error::other("a stage panicked"))
}

fn ended() -> io::Error {
    io::Error::other("the stage has ended already")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::hints;
    use crate::format::manifest::Method;
    use crate::pipeline::codec::levels::levels;
    use crate::pipeline::piece_reader::PieceReader;
    use crate::pipeline::refusing_writer::Refuses;
    use std::io::Read;

    const METHODS: [Method; 3] = [Method::Xz, Method::Zstd, Method::Gzip];

    fn cut(bytes: &[u8], method: Method, size: usize, cut: CutRule) -> (Vec<u8>, Vec<Piece>) {
        let compression = Compression { method, level: levels(method).0 };
        let fit = Fit { threads: 3, halved: 0 };
        let mut writer = PieceWriter::fitted(Vec::new(), compression, fit, size, cut).unwrap();
        bytes.chunks(777).for_each(|part| writer.write_all(part).unwrap());
        writer.finish().unwrap()
    }

    fn lines() -> Vec<u8> {
        (0..20_000)
            .flat_map(|number: u32| format!("{number}\t{}\n", number.wrapping_mul(2_654_435_761)).into_bytes())
            .collect()
    }

    #[test]
    fn the_pieces_of_every_method_are_one_stream_for_other_programs_and_end_at_a_line() {
        let dump = lines();
        for method in METHODS {
            let (packed, pieces) = cut(&dump, method, 10_000, CutRule::Lines);
            assert!(pieces.len() > 30);
            let (mut plain, mut stored) = (0, 0);
            for piece in &pieces {
                (plain, stored) = (plain + piece.plain as usize, stored + piece.packed as usize);
                assert!(piece.plain <= 10_000 && dump[plain - 1] == b'\n');
            }
            assert_eq!((plain, stored), (dump.len(), packed.len()));
            assert!(unpacked_by(method, &packed) == dump, "{method:?}");
            let mut read = Vec::new();
            PieceReader::new(io::Cursor::new(packed), pieces, method).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == dump, "{method:?}");
        }
    }

    /// Unpacks by the program that the documents name.
    fn unpacked_by(method: Method, packed: &[u8]) -> Vec<u8> {
        let program = if method == Method::Gzip { "gzip" } else { method.name() };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), packed).unwrap();
        let input = std::fs::File::open(file.path()).unwrap();
        std::process::Command::new(program).arg("-dc").stdin(input).output().unwrap().stdout
    }

    #[test]
    fn a_piece_that_one_writer_compresses_is_the_same_in_another_between_what_each_has_for_itself() {
        let compression = Compression { method: Method::Zstd, level: 3 };
        let fit = Fit { threads: 2, halved: 0 };
        let writer = || PieceWriter::fitted(Vec::new(), compression, fit, 10_000, CutRule::Lines).unwrap();
        let (mut one, mut two) = (writer(), writer());
        let dump = lines();
        let mut expected = [Vec::new(), Vec::new()];
        for (number, part) in dump.chunks(30_000).enumerate() {
            let shared = one.share(part).unwrap();
            two.take(shared).unwrap();
            expected.iter_mut().for_each(|all| all.extend_from_slice(part));
            for (all, (writer, name)) in expected.iter_mut().zip([(&mut one, "one"), (&mut two, "two")]) {
                let own = format!("{name} {number}\n").repeat(number * 700);
                writer.write_all(own.as_bytes()).unwrap();
                all.extend_from_slice(own.as_bytes());
            }
        }
        for (writer, expected) in [one, two].into_iter().zip(expected) {
            let (packed, pieces) = writer.finish().unwrap();
            assert!(unpacked_by(Method::Zstd, &packed) == expected);
            assert_eq!(pieces.iter().map(|piece| piece.plain as usize).sum::<usize>(), expected.len());
            assert!(pieces.iter().filter(|piece| piece.plain == 30_000).count() > 5);
        }
    }

    #[test]
    fn a_writer_that_has_ended_takes_no_piece_from_another_and_does_not_keep_it_waiting() {
        let compression = Compression { method: Method::Zstd, level: 1 };
        let fit = Fit { threads: 2, halved: 0 };
        let mut one = PieceWriter::fitted(Vec::new(), compression, fit, 1000, CutRule::Anywhere).unwrap();
        let refuses = Refuses(Arc::new(AtomicBool::new(false)));
        let mut two = PieceWriter::fitted(refuses, compression, fit, 1000, CutRule::Anywhere).unwrap();
        let error = (0..1000).find_map(|_| {
            let shared = one.share(&[b'x'; 1000]).unwrap();
            two.take(shared).err()
        });
        assert_eq!(error.expect("an error").to_string(), "no room");
        drop(two);
        (0..100).for_each(|_| drop(one.share(&[b'x'; 1000]).unwrap()));
        assert!(one.finish().is_ok());
    }

    #[test]
    fn a_dump_of_more_pieces_than_a_document_can_list_is_refused_with_a_way_out() {
        let pack = |number| PackedPiece { plain: 1, packed: Ok(Arc::new(vec![number])) };
        for (pieces, is_refused) in [(3, false), (4, true)] {
            let (pool, coming) = OrderedPool::begin("test", 1, pack).unwrap();
            let giver = std::thread::spawn(move || (0..pieces).filter(|number| pool.send(*number)).count());
            let written = write(Vec::new(), &coming, 3);
            drop(coming);
            giver.join().unwrap();
            assert_eq!(written.is_err(), is_refused);
            let Err(error) = written.map_err(anyhow::Error::from) else { continue };
            assert_eq!(error.to_string(), "the dump has more than the 3 pieces that a .meta can list");
            assert!(hints(&error)[0].contains("DB_BACKUP_COMPRESS=0"), "{error:#}");
        }
    }

    #[test]
    fn a_line_that_is_longer_than_a_piece_is_cut_and_an_empty_dump_has_no_pieces() {
        let dump = vec![b'x'; 30_000];
        let (_, pieces) = cut(&dump, Method::Zstd, 10_000, CutRule::Lines);
        assert_eq!(pieces.iter().map(|piece| piece.plain).collect::<Vec<_>>(), [10_000; 3]);
        let (packed, pieces) = cut(b"", Method::Xz, 10_000, CutRule::Lines);
        assert!(pieces.is_empty() && !packed.is_empty());
        let (_, pieces) = cut(&lines()[..25_000], Method::Gzip, 10_000, CutRule::Anywhere);
        assert_eq!(pieces.iter().map(|piece| piece.plain).collect::<Vec<_>>(), [10_000, 10_000, 5_000]);
    }

    #[test]
    fn the_inner_error_comes_back_and_whoever_drops_the_stage_has_dropped_the_inner_writer() {
        let compression = Compression { method: Method::Zstd, level: 1 };
        let fit = Fit { threads: 2, halved: 0 };
        for fails in [true, false] {
            let dropped = Arc::new(AtomicBool::new(false));
            let mut writer =
                PieceWriter::fitted(Refuses(Arc::clone(&dropped)), compression, fit, 1000, CutRule::Anywhere).unwrap();
            if fails {
                let error = (0..1000).find_map(|_| writer.write_all(&[0; 1000]).err()).expect("an error");
                assert_eq!(error.to_string(), "no room");
            }
            drop(writer);
            assert!(dropped.load(Ordering::SeqCst));
        }
    }
}
