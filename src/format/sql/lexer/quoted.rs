//! Reads literals, dollar quotes and comments, inside which only their own end has a meaning.

use crate::format::sql::lexer::{Gap, LONGEST_TAG, Lexer, LexerState, Stop, TRAILERS, is_space, starts_word};
use memchr::{memchr, memchr2};

impl Lexer {
    pub(crate) fn in_literal(&mut self, rest: &[u8], at: &mut usize, escapes: bool) {
        let end = if escapes { memchr2(b'\'', b'\\', rest) } else { memchr(b'\'', rest) };
        let Some(end) = end else {
            *at += rest.len();
            return;
        };
        *at += end + 1;
        self.state = match rest[end] {
            b'\\' => LexerState::Escaped,
            _ => LexerState::Closed { escapes, gap: Gap::Nothing },
        };
    }

    pub(crate) fn behind_literal(&mut self, rest: &[u8], at: &mut usize, escapes: bool, gap: Gap) {
        let spaces = rest.iter().position(|byte| !is_space(*byte)).unwrap_or(rest.len());
        let gap = match gap {
            Gap::LineBreak => gap,
            _ if memchr2(b'\n', b'\r', &rest[..spaces]).is_some() => Gap::LineBreak,
            Gap::Nothing if spaces > 0 => Gap::Blank,
            _ => gap,
        };
        *at += spaces;
        match rest.get(spaces) {
            None => self.state = LexerState::Closed { escapes, gap },
            Some(b'\'') if gap != Gap::Blank => self.enter(at, LexerState::Literal { escapes }),
            Some(b'-') => self.enter(at, LexerState::ClosedDash { escapes, gap }),
            Some(_) => self.state = LexerState::Plain,
        }
    }

    /// Reads a comment between the parts of a literal, where the line break at its end counts as one between the parts.
    pub(crate) fn comment_behind_literal(&mut self, rest: &[u8], at: &mut usize, escapes: bool) {
        match memchr2(b'\n', b'\r', rest) {
            None => *at += rest.len(),
            Some(end) => {
                *at += end + 1;
                self.state = LexerState::Closed { escapes, gap: Gap::LineBreak };
            }
        }
    }

    pub(crate) fn in_name(&mut self, rest: &[u8], at: &mut usize) {
        match memchr(b'"', rest) {
            None => *at += rest.len(),
            // A doubled quote closes the name and opens it again.
            Some(end) => {
                *at += end + 1;
                self.state = LexerState::Plain;
            }
        }
    }

    pub(crate) fn in_tag(&mut self, rest: &[u8], at: &mut usize) {
        let byte = rest[0];
        if byte == b'$' {
            self.tag.push(byte);
            self.enter(at, LexerState::Dollar { matched: 0 });
        } else if self.tag.len() < LONGEST_TAG && (starts_word(byte) || self.tag.len() > 1 && byte.is_ascii_digit()) {
            self.tag.push(byte);
            *at += 1;
        } else {
            self.state = LexerState::Plain;
        }
    }

    /// Reads a dollar quote. A `$` is only at both ends of the delimiter, so a failed match can go on only from a `$`.
    pub(crate) fn in_dollar(&mut self, rest: &[u8], at: &mut usize, matched: usize) {
        if matched == 0 {
            match memchr(b'$', rest) {
                None => *at += rest.len(),
                Some(found) => {
                    *at += found + 1;
                    self.state = LexerState::Dollar { matched: 1 };
                }
            }
            return;
        }
        let matched = match rest[0] {
            byte if byte == self.tag[matched] => matched + 1,
            b'$' => 1,
            _ => 0,
        };
        *at += 1;
        self.state = if matched == self.tag.len() { LexerState::Plain } else { LexerState::Dollar { matched } };
    }

    pub(crate) fn in_line_comment(&mut self, rest: &[u8], at: &mut usize) -> Option<Stop> {
        let end = memchr2(b'\n', b'\r', rest);
        self.comment.extend(&rest[..end.unwrap_or(rest.len())]);
        *at += end.unwrap_or(rest.len());
        end?;
        self.state = LexerState::Plain;
        (!self.in_statement && self.comment_is_trailer()).then_some(Stop::Trailer)
    }

    pub(crate) fn comment_is_trailer(&self) -> bool {
        TRAILERS.contains(&self.comment.get())
    }

    pub(crate) fn in_block_comment(&mut self, rest: &[u8], at: &mut usize) {
        match (self.state, rest[0]) {
            (LexerState::BlockStar, b'/') => {
                self.comments -= 1;
                self.enter(at, if self.comments == 0 { LexerState::Plain } else { LexerState::Block });
            }
            (LexerState::BlockSlash, b'*') => {
                self.comments += 1;
                self.enter(at, LexerState::Block);
            }
            (_, b'*') => self.enter(at, LexerState::BlockStar),
            (_, b'/') => self.enter(at, LexerState::BlockSlash),
            _ => {
                *at += memchr2(b'*', b'/', rest).unwrap_or(rest.len());
                self.state = LexerState::Block;
            }
        }
    }
}
