//! The script of a backup without the rows of its tables.

use crate::base::error::{Result, into_io};
use crate::format::manifest::extent::Extent;
use crate::pipeline::part_reader::PartReader;
use crate::repository::reader::BackupReader;
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

/// Short texts between rows, by their place in the dump, kept by whoever has passed them.
#[derive(Debug, Default)]
pub(crate) struct PassedText(Mutex<HashMap<u64, Vec<u8>>>);

impl PassedText {
    pub fn keep(&self, at: u64, text: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(at, text);
    }

    fn take(&self, at: u64) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&at)
    }
}

/// Reads parts of the script in their order.
pub(crate) struct ScriptText<'a> {
    reader: PartReader<'a>,
    parts: VecDeque<Extent>,
    passed: &'a PassedText,
    bytes: Vec<u8>,
    given: usize,
}

impl<'a> ScriptText<'a> {
    pub fn new(opened: &'a BackupReader, parts: Vec<Extent>, passed: &'a PassedText) -> Result<ScriptText<'a>> {
        let reader = PartReader::new(opened.object.as_ref(), &opened.manifest, opened.derived_keys.as_ref())?;
        Ok(ScriptText { reader, parts: parts.into(), passed, bytes: Vec::new(), given: 0 })
    }

    /// Reads the next bytes; false at the end.
    fn advance(&mut self) -> Result<bool> {
        self.given = 0;
        self.bytes.clear();
        let Some(part) = self.parts.front_mut() else { return Ok(false) };
        match self.passed.take(part.at) {
            Some(text) => {
                self.bytes = text;
                self.parts.pop_front();
            }
            None => {
                self.reader.next(part, &mut self.bytes)?;
                if part.bytes == 0 {
                    self.parts.pop_front();
                }
            }
        }
        Ok(true)
    }
}

impl Read for ScriptText<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.bytes.len() {
            if !self.advance().map_err(into_io)? {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.bytes.len() - self.given);
        buffer[..count].copy_from_slice(&self.bytes[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
