//! The stages that bytes go through, in both directions.
//!
//! Writing: [`Pack`] takes the dump and hands compressed, encrypted bytes to whatever writer is beneath. Reading: [`unpack`] is the
//! mirror, over an object whose chunks are checked before anything else sees them.

pub mod archive;
pub mod checked;
pub mod cipher;
pub mod codec;
pub mod lanes;
pub mod pack;
mod rearranged;
pub mod relay;
pub mod survey;
pub mod tables;
pub mod tally;
pub mod verified;

pub use pack::{Pack, Packed, Recipe, unpack};

use crate::error::Result;
use crate::interrupt;
use crate::monitor::Monitor;
use std::io::{self, Read, Write};

/// A write stage with a tail: its output is whole only when `finish` returns the writer beneath. Dropping a stage discards it.
pub trait Stage: Write {
    type Inner;
    fn finish(self) -> io::Result<Self::Inner>;
}

/// Reads to the end and hands on every piece; stops when a signal has come.
pub fn drain(
    reader: &mut dyn Read,
    monitor: &dyn Monitor,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        interrupt::check()?;
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        each(&buffer[..count])?;
        monitor.advance(count as u64);
    }
}
