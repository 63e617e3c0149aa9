//! The script of some tables, with their rows read out of the payload where they belong.

use crate::base::error::{Result, into_io};
use crate::format::manifest::Table;
use crate::format::manifest::extent::Extent;
use crate::pipeline::part_reader::PartReader;
use crate::pipeline::table_counter::TableCounter;
use crate::postgres::tools::script::{MarkedScript, ScriptPart};
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};

/// Reads the script. Its end comes only after the rows were compared with the `.meta`: a load that has not seen it is taken back.
pub(crate) struct TableScript<'a> {
    parts: VecDeque<&'a ScriptPart>,
    rows: &'a HashMap<i64, Table>,
    reader: PartReader<'a>,
    /// Counts what was read; `None` once it was compared.
    counter: Option<TableCounter>,
    /// The parts of the table at hand that are still to be read.
    extents: VecDeque<Extent>,
    bytes: Vec<u8>,
    given: usize,
}

impl<'a> TableScript<'a> {
    pub fn new(
        script: &'a MarkedScript,
        rows: &'a HashMap<i64, Table>,
        reader: PartReader<'a>,
        counter: TableCounter,
    ) -> TableScript<'a> {
        let parts = script.0.iter().collect();
        TableScript {
            parts,
            rows,
            reader,
            counter: Some(counter),
            extents: VecDeque::new(),
            bytes: Vec::new(),
            given: 0,
        }
    }

    /// Returns the size of the script in bytes.
    pub fn bytes(&self) -> u64 {
        let of = |part: &&ScriptPart| match part {
            ScriptPart::Text(text) => text.len() as u64,
            ScriptPart::Data(number) => {
                let extents = self.rows.get(number).into_iter().flat_map(|table| &table.at);
                extents.fold(0, |sum: u64, extent| sum.saturating_add(extent.bytes))
            }
        };
        self.parts.iter().map(of).sum()
    }

    /// Returns how many bytes of the payload have been read.
    pub fn fetched(&self) -> u64 {
        self.reader.fetched()
    }

    /// Reads the next bytes; false at the end.
    fn advance(&mut self) -> Result<bool> {
        self.given = 0;
        self.bytes.clear();
        while self.bytes.is_empty() {
            if let Some(extent) = self.extents.front_mut() {
                self.reader.next(extent, &mut self.bytes)?;
                if extent.bytes == 0 {
                    self.extents.pop_front();
                }
                if let Some(counter) = &mut self.counter {
                    counter.update(&self.bytes);
                }
                continue;
            }
            match self.parts.pop_front() {
                Some(ScriptPart::Data(number)) => {
                    self.extents.extend(self.rows.get(number).into_iter().flat_map(|table| table.at.iter().copied()));
                }
                Some(ScriptPart::Text(text)) => {
                    if self.parts.is_empty() {
                        self.compare()?;
                    }
                    self.bytes.extend_from_slice(text);
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Fails if the rows that were read are others than the `.meta` states.
    fn compare(&mut self) -> Result<()> {
        let Some(counter) = self.counter.take() else { return Ok(()) };
        let found = counter.finish().tables;
        self.rows.values().try_for_each(|table| table.compare(&found))
    }
}

impl Read for TableScript<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.bytes.len() && !self.advance().map_err(into_io)? {
            return Ok(0);
        }
        let count = buffer.len().min(self.bytes.len() - self.given);
        buffer[..count].copy_from_slice(&self.bytes[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
