//! A stage that runs the stages beneath it on a thread of their own.

use crate::base::error::into_io;
use crate::base::threads;
use crate::pipeline::Stage;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

const BUFFER: usize = 256 << 10;
/// Buffers on their way. With the two being filled and emptied, this bounds the memory of a stage to 1.5 MiB.
const IN_FLIGHT: usize = 4;

/// Writes to the inner writer on another thread, a few buffers later.
///
/// An error of the inner writer comes back from a later `write` or from `finish`. Dropping the stage waits for its
/// thread, so that whatever the inner writer does when it is discarded has been done.
pub struct ThreadStage<W> {
    filling: Vec<u8>,
    full: Option<SyncSender<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<io::Result<W>>>,
}

impl<W: Write + Send + 'static> ThreadStage<W> {
    /// Runs the inner writer on a thread of this name.
    pub fn begin(name: &str, mut inner: W) -> io::Result<Self> {
        let (full, arriving) = sync_channel::<Vec<u8>>(IN_FLIGHT);
        let (back, empty) = channel();
        let write = move || {
            for mut buffer in arriving {
                inner.write_all(&buffer)?;
                buffer.clear();
                // The writing side may be gone already; then nobody needs the buffer.
                let _ = back.send(buffer);
            }
            Ok(inner)
        };
        let thread = threads::begin(name, write).map_err(into_io)?;
        Ok(ThreadStage { filling: Vec::with_capacity(BUFFER), full: Some(full), empty, thread: Some(thread) })
    }

    fn send(&mut self) -> io::Result<()> {
        let next = self.empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER));
        let buffer = std::mem::replace(&mut self.filling, next);
        let sent = self.full.as_ref().is_some_and(|full| full.send(buffer).is_ok());
        if sent { Ok(()) } else { self.join().map(|_| ()).and(Err(ended())) }
    }

    fn rest(&mut self) -> io::Result<()> {
        if self.filling.is_empty() { Ok(()) } else { self.send() }
    }

    fn join(&mut self) -> io::Result<W> {
        self.full = None;
        let thread = self.thread.take().ok_or_else(ended)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("a stage panicked")))
    }
}

fn ended() -> io::Error {
    io::Error::other("the stage has ended already")
}

impl<W: Write + Send + 'static> Write for ThreadStage<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BUFFER - self.filling.len());
        self.filling.extend_from_slice(&bytes[..taken]);
        if self.filling.len() == BUFFER {
            self.send()?;
        }
        Ok(taken)
    }

    /// Passes on what is buffered. Does not wait until the other thread has written it.
    fn flush(&mut self) -> io::Result<()> {
        self.rest()
    }
}

impl<W: Write + Send + 'static> Stage for ThreadStage<W> {
    type Inner = W;

    fn finish(mut self) -> io::Result<W> {
        self.rest()?;
        self.join()
    }
}

impl<W> Drop for ThreadStage<W> {
    fn drop(&mut self) {
        self.full = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::refusing_writer::Refuses;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn everything_arrives_in_order() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        let mut relay = ThreadStage::begin("test", Vec::new()).unwrap();
        for piece in bytes.chunks(70_001) {
            relay.write_all(piece).unwrap();
        }
        assert!(relay.finish().unwrap() == bytes);
    }

    #[test]
    fn the_inner_error_comes_back_and_the_inner_writer_is_dropped() {
        let dropped = Arc::new(AtomicBool::new(false));
        let mut relay = ThreadStage::begin("test", Refuses(Arc::clone(&dropped))).unwrap();
        let error = (0..100).find_map(|_| relay.write_all(&[0; BUFFER]).err()).expect("an error");
        assert_eq!(error.to_string(), "no room");
        assert!(dropped.load(Ordering::SeqCst));
    }

    #[test]
    fn a_dropped_relay_has_dropped_its_inner_writer() {
        let dropped = Arc::new(AtomicBool::new(false));
        drop(ThreadStage::begin("test", Refuses(Arc::clone(&dropped))).unwrap());
        assert!(dropped.load(Ordering::SeqCst));
    }
}
