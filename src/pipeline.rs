//! The stages that bytes go through, in both directions.
//!
//! Writing: [`Pack`] takes the dump and hands compressed, encrypted bytes to whatever writer is beneath. Reading: [`unpack`] is the
//! mirror, over an object whose chunks are checked before anything else sees them.

pub mod checksum;
pub(crate) mod cipher;
pub(crate) mod codec;
pub(crate) mod expect_digest;
pub(crate) mod multi_hash;
pub(crate) mod ordered_pool;
pub mod pack;
pub(crate) mod part_reader;
pub mod pg_archive;
pub(crate) mod piece_reader;
pub(crate) mod piece_writer;
#[cfg(test)]
mod refusing_writer;
pub(crate) mod row_rearranger;
pub(crate) mod scan;
pub mod table_counter;
pub(crate) mod table_digest;
pub(crate) mod thread_stage;
pub(crate) mod verified_reader;

use crate::base::cancel;
use crate::base::error::Result;
use crate::base::progress::Monitor;
use std::io::{self, Read, Write};

/// A write stage with a tail: its output is whole only when `finish` returns the writer beneath. Dropping a stage discards it.
pub(crate) trait Stage: Write {
    type Inner;
    fn finish(self) -> io::Result<Self::Inner>;
}

/// Reads to the end and passes every piece to `each`. A signal ends it with an error.
pub(crate) fn drain(
    reader: &mut dyn Read,
    monitor: &dyn Monitor,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        cancel::check()?;
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
