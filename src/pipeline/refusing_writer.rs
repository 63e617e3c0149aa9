//! A writer for tests: it refuses all bytes, and notes that it was dropped.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Refuses(pub Arc<AtomicBool>);

impl Write for Refuses {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("no room"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Refuses {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
