//! Reports a script, given in pieces of any size, as a series of events.

use crate::base::error::{Fault, Result};
use crate::format::sql::copy::{self, Marker};
use crate::format::sql::lexer::{Lexer, Stop};
use crate::format::sql::tokens::{Token, Tokens};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many bytes of a meta-command are kept: it is only ever named in a message.
const LONGEST_META: usize = 1024;
/// Largest buffer, in bytes, that is kept for the next statement.
const BUFFER_TO_KEEP: usize = 1 << 20;
/// The byte order mark, which some editors write before the text and `psql` skips.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// One event of a script. Lines count from 1; an event's line is the one that it begins on.
#[derive(Debug, PartialEq)]
pub enum ScriptEvent<'a> {
    /// SQL text from its first byte to its `;`. Without `whole`, only the beginning was kept.
    Statement { line: u64, text: &'a [u8], whole: bool },
    /// A `COPY … FROM stdin;`; `table` is the name as the script writes it.
    CopyStart { line: u64, header: &'a [u8], table: String },
    /// Some of the rows, in pieces that may break anywhere.
    CopyData(&'a [u8]),
    /// The line is that of the end marker.
    CopyEnd { line: u64, rows: u64 },
    /// A backslash outside quotes, comments and rows, with the rest of its line.
    Meta { line: u64, text: &'a [u8] },
}

/// How much of a statement is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StatementLimit {
    /// All of it; a longer one is an error.
    Whole { limit: usize },
    /// Its beginning; no length is an error.
    Head { limit: usize },
}

impl StatementLimit {
    /// Keeps as much of each statement as every statement of COPY needs.
    pub(crate) const COPY: StatementLimit = StatementLimit::Head { limit: 256 << 10 };
}

/// The state at the end of the script.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ending {
    /// `pg_dump`'s closing comment came, and after it nothing but comments and `\unrestrict`.
    pub complete: bool,
    pub cut: Option<Cut>,
}

/// The part that the script ends inside, and the line that it began on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    Statement { line: u64 },
    Rows { line: u64 },
    Comment { line: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum SplitterState {
    Sql,
    /// After the `;` of a COPY header: the rows begin on the next line.
    Header,
    Rows,
    Meta,
}

pub struct Splitter {
    lexer: Lexer,
    marker: Marker,
    keep: StatementLimit,
    /// Whether the script's own SETs say what a backslash means; else the code that runs it does.
    reads_settings: bool,
    /// Whether any text has come.
    begun: bool,
    place: SplitterState,
    /// Text of the current statement in earlier pieces.
    text: Vec<u8>,
    open: bool,
    whole: bool,
    meta: Vec<u8>,
    line: u64,
    /// Line on which the current statement, meta-command or COPY block began.
    started: u64,
    meta_started: u64,
    rows_start: u64,
    complete: bool,
}

impl Splitter {
    pub fn new(keep: StatementLimit) -> Self {
        Splitter {
            lexer: Lexer::new(),
            marker: Marker::new(),
            keep,
            reads_settings: true,
            begun: false,
            place: SplitterState::Sql,
            text: Vec::new(),
            open: false,
            whole: true,
            meta: Vec::new(),
            line: 1,
            started: 1,
            meta_started: 1,
            rows_start: 1,
            complete: false,
        }
    }

    /// Returns a splitter for code that runs the statements: while `escapes` is true, a backslash escapes in every literal. It is
    /// read as each literal begins.
    pub fn led(keep: StatementLimit, escapes: Arc<AtomicBool>) -> Self {
        let mut splitter = Splitter { reads_settings: false, ..Splitter::new(keep) };
        splitter.lexer.backslash_escapes = escapes;
        splitter
    }

    /// Takes the next piece and returns how many bytes of it are done: all, or up to where rows begin or end, so that another
    /// `sink` can go on. An error of `sink` ends the work; with [`StatementLimit::Head`] there is no other.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>) -> Result<usize> {
        let mut at = 0;
        if !bytes.is_empty() && !mem::replace(&mut self.begun, true) && bytes.starts_with(MARK) {
            at = MARK.len();
        }
        while at < bytes.len() {
            let before = self.place;
            match self.place {
                SplitterState::Sql => self.sql(bytes, &mut at, sink)?,
                SplitterState::Header => self.header(bytes[at], &mut at)?,
                SplitterState::Rows => self.rows(&bytes[at..], &mut at, sink)?,
                SplitterState::Meta => self.meta(&bytes[at..], &mut at, sink)?,
            }
            if matches!(
                (before, self.place),
                (SplitterState::Sql, SplitterState::Header) | (SplitterState::Rows, SplitterState::Sql)
            ) {
                break;
            }
        }
        Ok(at)
    }

    /// Returns whether no statement, comment or rows have begun without an end.
    pub fn is_between(&self) -> bool {
        self.place == SplitterState::Sql && !self.open && !self.lexer.in_comment()
    }

    /// Counts lines of the script that do not come here.
    pub fn skip_lines(&mut self, lines: u64) {
        self.line += lines;
    }

    /// Takes all of the next piece.
    pub(crate) fn feed_all(
        &mut self,
        mut bytes: &[u8],
        sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>,
    ) -> Result<()> {
        while let taken @ 1.. = self.feed(bytes, sink)? {
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Ends the script, and returns whether it is complete.
    pub fn finish(mut self, sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>) -> Result<Ending> {
        if self.place == SplitterState::Meta {
            self.tell_meta(sink)?;
        }
        let mut cut = None;
        if matches!(self.place, SplitterState::Rows | SplitterState::Header) {
            if self.place == SplitterState::Rows && self.marker.is_whole() {
                sink(self.copy_end())?;
            } else {
                cut = Some(Cut::Rows { line: self.started });
            }
        } else if self.open {
            cut = Some(Cut::Statement { line: self.started });
        } else if self.lexer.in_comment() {
            cut = Some(Cut::Comment { line: self.line });
        }
        let complete = (self.complete || self.lexer.ends_with_trailer()) && cut.is_none();
        Ok(Ending { complete, cut })
    }

    fn sql(&mut self, bytes: &[u8], at: &mut usize, sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>) -> Result<()> {
        let from = *at;
        let stop = self.lexer.run(bytes, at);
        let piece = &bytes[from..*at];
        match stop {
            Stop::Begin(held) => {
                self.count(piece);
                self.begin(held);
            }
            Stop::End => {
                let told = self.tell(piece, sink);
                self.count(piece);
                told?;
            }
            Stop::Trailer => {
                self.count(piece);
                self.complete = true;
            }
            Stop::Backslash | Stop::Exhausted => {
                self.count(piece);
                if self.open {
                    self.collect(piece)?;
                }
                if stop == Stop::Backslash {
                    self.meta_started = self.line;
                    self.place = SplitterState::Meta;
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, held: Option<u8>) {
        self.text.clear();
        self.text.extend(held);
        self.open = true;
        self.whole = true;
        self.started = self.line;
        self.complete = false;
    }

    fn collect(&mut self, piece: &[u8]) -> Result<()> {
        let (StatementLimit::Whole { limit } | StatementLimit::Head { limit }) = self.keep;
        let room = limit.saturating_sub(self.text.len());
        if piece.len() > room {
            if let StatementLimit::Whole { .. } = self.keep {
                let message = format!("the statement at line {} is longer than {limit} bytes", self.started);
                return Err(Fault::failed(message).into());
            }
            self.whole = false;
        }
        self.text.extend_from_slice(&piece[..room.min(piece.len())]);
        Ok(())
    }

    /// Reports the statement that ends with `piece`. One that began there too is not copied.
    fn tell(&mut self, piece: &[u8], sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>) -> Result<()> {
        self.open = false;
        let (StatementLimit::Whole { limit } | StatementLimit::Head { limit }) = self.keep;
        if self.text.is_empty() && piece.len() <= limit {
            return self.tell_text(piece, sink);
        }
        self.collect(piece)?;
        let mut text = mem::take(&mut self.text);
        self.tell_text(&text, sink)?;
        text.clear();
        text.shrink_to(BUFFER_TO_KEEP);
        self.text = text;
        Ok(())
    }

    fn tell_text(&mut self, text: &[u8], sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>) -> Result<()> {
        if let Some(table) = copy::table(text) {
            self.place = SplitterState::Header;
            return sink(ScriptEvent::CopyStart { line: self.started, header: text, table });
        }
        if self.reads_settings
            && let Some(escapes) = backslash_escapes(text)
        {
            self.lexer.backslash_escapes.store(escapes, Ordering::Relaxed);
        }
        sink(ScriptEvent::Statement { line: self.started, text, whole: self.whole })
    }

    fn header(&mut self, byte: u8, at: &mut usize) -> Result<()> {
        match byte {
            b'\n' => {
                self.line += 1;
                self.rows_start = self.line;
                self.marker = Marker::new();
                self.place = SplitterState::Rows;
            }
            b' ' | b'\t' | b'\r' => {}
            _ if matches!(self.keep, StatementLimit::Head { .. }) => {}
            _ => {
                let message = format!("there is text behind the COPY statement on line {}", self.line);
                return Err(Fault::failed(message).into());
            }
        }
        *at += 1;
        Ok(())
    }

    fn rows(&mut self, rest: &[u8], at: &mut usize, sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>) -> Result<()> {
        let rows = self.marker.scan(rest);
        *at += rows.taken;
        for data in [rows.held, rows.data] {
            if !data.is_empty() {
                self.count(data);
                sink(ScriptEvent::CopyData(data))?;
            }
        }
        if rows.ended {
            self.place = SplitterState::Sql;
            sink(self.copy_end())?;
            self.line += 1;
        }
        Ok(())
    }

    fn copy_end(&self) -> ScriptEvent<'static> {
        ScriptEvent::CopyEnd { line: self.line, rows: self.line - self.rows_start }
    }

    fn meta(&mut self, rest: &[u8], at: &mut usize, sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>) -> Result<()> {
        let end = memchr::memchr(b'\n', rest);
        let piece = &rest[..end.unwrap_or(rest.len())];
        let room = LONGEST_META.saturating_sub(self.meta.len()).min(piece.len());
        self.meta.extend_from_slice(&piece[..room]);
        *at += piece.len();
        match end {
            // The line break itself is SQL again.
            Some(_) => self.tell_meta(sink),
            None => Ok(()),
        }
    }

    fn tell_meta(&mut self, sink: &mut dyn FnMut(ScriptEvent<'_>) -> Result<()>) -> Result<()> {
        self.place = SplitterState::Sql;
        let text = mem::take(&mut self.meta);
        let text = text.trim_ascii_end();
        self.complete &= text.starts_with(b"\\unrestrict ");
        sink(ScriptEvent::Meta { line: self.meta_started, text })
    }

    fn count(&mut self, bytes: &[u8]) {
        self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
    }
}

/// Returns whether `SET standard_conforming_strings = …` makes a backslash escape. `None`: it is another statement.
fn backslash_escapes(statement: &[u8]) -> Option<bool> {
    let mut tokens = Tokens::new(statement);
    if !(statement.len() < 64 && tokens.accept(&["set", "standard_conforming_strings"])) {
        return None;
    }
    tokens.next();
    let value = tokens.next().as_ref().and_then(Token::name)?;
    Some(matches!(value.as_str(), "off" | "false" | "0" | "no"))
}
