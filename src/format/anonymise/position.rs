//! Says where in a text something stands, for messages.

use std::fmt;

/// A place in a file, as editors count: the first line and the first column are 1. A column is a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    line: usize,
    column: usize,
}

impl Position {
    /// Returns the place of a byte of the text; the end of the text for a byte behind it.
    pub(crate) fn of(text: &str, byte: usize) -> Position {
        let before = &text.as_bytes()[..byte.min(text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        Position { line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_characters_are_counted_from_one() {
        let at = |byte| Position::of("äb\ncd", byte).to_string();
        assert_eq!(
            [at(0), at(2), at(4), at(99)].map(|at| at[5..].to_owned()),
            ["1, column 1", "1, column 2", "2, column 1", "2, column 3"]
        );
    }
}
