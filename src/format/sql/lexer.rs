//! Finds where statements begin and end in SQL text that comes in pieces.

pub(crate) mod quoted;

use crate::format::sql::routine::Routine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Comments that `pg_dump` and `pg_dumpall` write at the end of a complete dump.
const TRAILERS: [&[u8]; 2] = [b" PostgreSQL database dump complete", b" PostgreSQL database cluster dump complete"];
/// Longest tag of a dollar quote that a person or `pg_dump` writes, in bytes; it limits the memory.
const LONGEST_TAG: usize = 4096;

/// The reason why the lexer paused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stop {
    /// The next byte is the first of a statement, after the one given here that an earlier look-ahead consumed.
    Begin(Option<u8>),
    /// The byte before was the `;` that ends the statement.
    End,
    /// The next byte is a backslash outside every quote and comment.
    Backslash,
    /// A comment between statements said that the dump is complete.
    Trailer,
    Exhausted,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum LexerState {
    Plain,
    Word,
    /// Inside `'…'`.
    Literal {
        escapes: bool,
    },
    Escaped,
    /// After a closing quote: another one, at once or after a line break, continues the same literal.
    Closed {
        escapes: bool,
        gap: Gap,
    },
    /// Like `Closed`, after a `-`, which may begin a comment.
    ClosedDash {
        escapes: bool,
        gap: Gap,
    },
    /// Like `Closed`, inside a comment, whose end is a line break.
    ClosedLine {
        escapes: bool,
    },
    /// Inside `"…"`.
    Name,
    /// Inside the opening `$tag$`.
    Tag,
    Dollar {
        matched: usize,
    },
    Dash,
    Slash,
    Line,
    Block,
    BlockStar,
    BlockSlash,
}

/// The text between a closing quote and the next one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gap {
    Nothing,
    Blank,
    LineBreak,
}

/// The beginning of a longer text.
#[derive(Debug)]
struct TextHead<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> TextHead<N> {
    const EMPTY: Self = TextHead { bytes: [0; N], len: 0 };

    fn extend(&mut self, more: &[u8]) {
        let room = N.saturating_sub(self.len).min(more.len());
        if room > 0 {
            self.bytes[self.len..self.len + room].copy_from_slice(&more[..room]);
        }
        self.len += more.len();
    }

    /// Returns the text, or nothing if it was longer than `N` bytes.
    fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

pub(crate) struct Lexer {
    state: LexerState,
    in_statement: bool,
    parens: u32,
    comments: u32,
    routine: Routine,
    word: TextHead<16>,
    comment: TextHead<64>,
    tag: Vec<u8>,
    /// Whether a backslash escapes in every literal (`standard_conforming_strings = off`). Code that runs the statements may share
    /// it.
    pub backslash_escapes: Arc<AtomicBool>,
}

impl Lexer {
    pub fn new() -> Self {
        Lexer {
            state: LexerState::Plain,
            in_statement: false,
            parens: 0,
            comments: 0,
            routine: Routine::default(),
            word: TextHead::EMPTY,
            comment: TextHead::EMPTY,
            tag: Vec::new(),
            backslash_escapes: Arc::default(),
        }
    }

    /// Reads from `at` to the next stop, and moves `at` there.
    pub fn run(&mut self, bytes: &[u8], at: &mut usize) -> Stop {
        while *at < bytes.len() {
            if let Some(stop) = self.step(bytes, at) {
                return stop;
            }
        }
        Stop::Exhausted
    }

    /// Returns whether the text would end inside a comment here.
    pub fn in_comment(&self) -> bool {
        matches!(self.state, LexerState::Block | LexerState::BlockStar | LexerState::BlockSlash)
    }

    /// Returns whether the last line is the trailer, even without a line break.
    pub fn ends_with_trailer(&self) -> bool {
        !self.in_statement && self.state == LexerState::Line && self.comment_is_trailer()
    }

    fn step(&mut self, bytes: &[u8], at: &mut usize) -> Option<Stop> {
        let rest = &bytes[*at..];
        match self.state {
            LexerState::Plain => return self.plain(rest, at),
            LexerState::Word => self.in_word(rest, at),
            LexerState::Literal { escapes } => self.in_literal(rest, at, escapes),
            LexerState::Escaped => {
                *at += 1;
                self.state = LexerState::Literal { escapes: true };
            }
            LexerState::Closed { escapes, gap } => self.behind_literal(rest, at, escapes, gap),
            LexerState::ClosedDash { escapes, .. } if rest[0] == b'-' => {
                self.enter(at, LexerState::ClosedLine { escapes })
            }
            // A lone minus, which the statement goes on with.
            LexerState::ClosedDash { .. } => self.state = LexerState::Plain,
            LexerState::ClosedLine { escapes } => self.comment_behind_literal(rest, at, escapes),
            LexerState::Name => self.in_name(rest, at),
            LexerState::Tag => self.in_tag(rest, at),
            LexerState::Dollar { matched } => self.in_dollar(rest, at, matched),
            LexerState::Dash if rest[0] == b'-' => self.enter(at, LexerState::Line),
            LexerState::Slash if rest[0] == b'*' => {
                self.comments = 1;
                self.enter(at, LexerState::Block);
            }
            LexerState::Dash => return self.not_a_comment(b'-'),
            LexerState::Slash => return self.not_a_comment(b'/'),
            LexerState::Line => return self.in_line_comment(rest, at),
            LexerState::Block | LexerState::BlockStar | LexerState::BlockSlash => self.in_block_comment(rest, at),
        }
        None
    }

    fn enter(&mut self, at: &mut usize, state: LexerState) {
        *at += 1;
        self.state = state;
    }

    fn begin(&mut self) {
        self.in_statement = true;
        self.parens = 0;
        self.routine = Routine::default();
    }

    fn not_a_comment(&mut self, held: u8) -> Option<Stop> {
        self.state = LexerState::Plain;
        if self.in_statement {
            return None;
        }
        self.begin();
        Some(Stop::Begin(Some(held)))
    }

    fn plain(&mut self, rest: &[u8], at: &mut usize) -> Option<Stop> {
        let dull = if self.in_statement { is_dull } else { is_space };
        let skipped = rest.iter().position(|byte| !dull(*byte)).unwrap_or(rest.len());
        *at += skipped;
        let byte = *rest.get(skipped)?;
        match byte {
            b'\\' => return Some(Stop::Backslash),
            b'-' => self.comment_may_follow(at, LexerState::Dash),
            b'/' => self.comment_may_follow(at, LexerState::Slash),
            _ if !self.in_statement => {
                self.begin();
                return Some(Stop::Begin(None));
            }
            b'\'' => self.enter(at, LexerState::Literal { escapes: self.backslash_escapes.load(Ordering::Relaxed) }),
            b'"' => self.enter(at, LexerState::Name),
            b'$' => {
                self.tag.clear();
                self.tag.push(b'$');
                self.enter(at, LexerState::Tag);
            }
            b';' => {
                *at += 1;
                return self.semicolon();
            }
            b'(' | b')' => {
                *at += 1;
                self.parens = if byte == b'(' { self.parens + 1 } else { self.parens.saturating_sub(1) };
            }
            _ => {
                self.word = TextHead::EMPTY;
                self.state = LexerState::Word;
            }
        }
        None
    }

    fn comment_may_follow(&mut self, at: &mut usize, state: LexerState) {
        self.comment = TextHead::EMPTY;
        self.enter(at, state);
    }

    fn semicolon(&mut self) -> Option<Stop> {
        if self.parens > 0 || self.routine.inside_body() {
            return None;
        }
        self.in_statement = false;
        Some(Stop::End)
    }

    fn in_word(&mut self, rest: &[u8], at: &mut usize) {
        let end = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        self.word.extend(&rest[..end]);
        *at += end;
        let Some(next) = rest.get(end) else { return };
        self.state = LexerState::Plain;
        if *next == b'\'' && self.word.get().eq_ignore_ascii_case(b"e") {
            self.enter(at, LexerState::Literal { escapes: true });
        } else if self.routine.listens() {
            self.routine.word(self.word.get(), self.parens == 0);
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Returns whether a byte has no meaning for where a statement ends.
fn is_dull(byte: u8) -> bool {
    DULL[usize::from(byte)]
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// Returns whether a byte continues a word. `$` does, so `a$b$` opens no dollar quote.
fn is_word(byte: u8) -> bool {
    WORD[usize::from(byte)]
}

const DULL: [bool; 256] = table(false);
const WORD: [bool; 256] = table(true);

const fn table(word: bool) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let starts = b.is_ascii_alphabetic() || b == b'_' || b >= 0x80;
        let marks = matches!(b, b'\\' | b'-' | b'/' | b'\'' | b'"' | b'$' | b';' | b'(' | b')');
        table[byte] = if word { starts || b.is_ascii_digit() || b == b'$' } else { !starts && !marks };
        byte += 1;
    }
    table
}
