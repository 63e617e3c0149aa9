//! Writes an object: a small one in one request, a large one in parts of one size.

use crate::base::error::{Fault, Result, into_io};
use crate::store::network::part_sink::PartSink;
use crate::store::network::parts::PartSender;
use crate::store::{IfExists, PutOptions, PutResult, Upload};
use std::io::{self, Write};
use std::sync::Arc;

pub(crate) struct PartUpload<S: PartSink> {
    sink: Arc<S>,
    key: String,
    part_size: usize,
    /// The part being filled. It is sent once a byte comes that it has no room for, so that no part is ever empty.
    buffer: Vec<u8>,
    bytes: u64,
    parts: Option<PartSender<S>>,
    creation: PutOptions,
    /// Whether the last part was sent.
    closed: bool,
    failed: bool,
}

impl<S: PartSink> PartUpload<S> {
    pub fn begin(sink: &Arc<S>, key: &str, creation: &PutOptions) -> Result<PartUpload<S>> {
        if creation.taken == IfExists::Refuse {
            sink.refuse_taken(key)?;
        }
        let part_size = sink.plan().size_for(creation.expected) as usize;
        let buffer = Vec::with_capacity(part_size.min(creation.expected as usize));
        let (sink, key, creation) = (Arc::clone(sink), key.to_owned(), creation.clone());
        Ok(PartUpload { sink, key, part_size, buffer, bytes: 0, parts: None, creation, closed: false, failed: false })
    }

    fn send_part(&mut self) -> Result<()> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => {
                let begun = self.sink.begin(&self.key, &self.creation)?;
                none.insert(PartSender::new(&self.sink, &self.key, begun, self.part_size as u64))
            }
        };
        // Before a new buffer is asked for, so that a full pipe holds one fewer.
        parts.make_room()?;
        parts.send(std::mem::take(&mut self.buffer))
    }

    /// Sends the last part, and waits until all have arrived. An object that is small enough for one request is sent as one part.
    fn send_all(&mut self) -> Result<()> {
        self.check()?;
        if !self.closed {
            self.send_part()?;
            self.closed = true;
        }
        self.parts.as_mut().map_or(Ok(()), PartSender::wait_for_all)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<usize> {
        self.check()?;
        if self.buffer.len() == self.part_size {
            self.send_part()?;
            self.buffer = Vec::with_capacity(self.part_size);
        }
        let taken = bytes.len().min(self.part_size - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn finish(&mut self) -> Result<PutResult> {
        self.check()?;
        if self.parts.is_some() && !self.closed {
            self.send_part()?;
        }
        match &mut self.parts {
            None => self.sink.put(&self.key, std::mem::take(&mut self.buffer), &self.creation),
            Some(parts) => parts.complete(self.bytes),
        }
    }

    fn check(&self) -> Result<()> {
        match self.failed {
            true => Err(Fault::failed(format!("the upload of \"{}\" has failed before", self.key)).into()),
            false => Ok(()),
        }
    }
}

impl<S: PartSink> Write for PartUpload<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.append(bytes);
        self.failed |= taken.is_err();
        taken.map_err(into_io)
    }

    /// Does nothing: what has been written is sent in whole parts.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: PartSink> Upload for PartUpload<S> {
    fn close(&mut self) -> Result<()> {
        let sent = self.send_all();
        self.failed |= sent.is_err();
        sent
    }

    fn commit(mut self: Box<Self>) -> Result<PutResult> {
        self.finish()
    }
}

#[cfg(test)]
mod tests;
