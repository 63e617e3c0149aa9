//! Makes foreign text safe to show: names, paths and answers of servers may hold characters that a terminal obeys, or that reverse
//! a line.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

/// Holds text for people line by line. A line is one line whatever was put into it: only this type ends one, so that no name and no
/// answer of a server can forge another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines(String);

impl Lines {
    pub fn new() -> Lines {
        Lines::default()
    }

    /// Makes text of one line.
    pub fn of(line: impl Display) -> Lines {
        Lines::new().and(line)
    }

    /// Adds a line.
    #[must_use]
    pub fn and(mut self, line: impl Display) -> Lines {
        self.push(line);
        self
    }

    /// Adds a line.
    pub fn push(&mut self, line: impl Display) {
        self.0.push_str(&word(&line.to_string()));
        self.0.push('\n');
    }

    /// Adds a text that may have several lines, aligned in one column behind the label.
    pub fn push_under(&mut self, label: &str, text: &str) {
        let mut label = label.to_owned();
        for line in text.trim_end_matches('\n').split('\n') {
            self.push(format!("{label}{line}"));
            label = " ".repeat(label.chars().count());
        }
    }

    pub fn append(&mut self, more: Lines) {
        self.0.push_str(&more.0);
    }

    /// Returns the whole, with a line end after each line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns text of several lines with every such character escaped. A line end stays one, and a tab becomes a blank.
fn lines(text: &str) -> Cow<'_, str> {
    written_out(text, |sign| sign != '\n' && is_unseen(sign))
}

/// Returns a name or a message as a part of one line: a line end in it is escaped too, so that nothing can pass for a line of its
/// own.
pub fn word(text: &str) -> Cow<'_, str> {
    written_out(text, is_unseen)
}

/// Returns a message of which every further line is indented, so that none passes for a message of its own.
pub fn message(text: &str) -> String {
    lines(text.trim_end_matches('\n')).replace('\n', "\n  ")
}

/// Returns the same JSON text with such characters as JSON escapes, which mean the same.
pub fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for sign in text.chars() {
        if sign == '\n' || !is_unseen(sign) {
            shown.push(sign);
            continue;
        }
        for unit in sign.encode_utf16(&mut [0; 2]) {
            // A String takes whatever is written into it.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

fn written_out(text: &str, wrong: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&wrong) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for sign in text.chars() {
        match sign {
            '\t' => shown.push(' '),
            sign if wrong(sign) => shown.extend(sign.escape_default()),
            sign => shown.push(sign),
        }
    }
    Cow::Owned(shown)
}

/// Returns whether a character is unsafe to show: controls, characters of direction, invisible ones, and line ends other than `\n`.
fn is_unseen(sign: char) -> bool {
    // Nearly all text, and there may be very much of it.
    if matches!(sign, ' '..='~') {
        return false;
    }
    sign.is_control()
        || matches!(sign,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Says how many there are of something: `1 table`, `2 tables`.
pub fn many<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let ending = agree(&count, "", "s");
    format!("{count} {noun}{ending}")
}

/// Returns the word that goes with so many: the first with one, the second with none or several.
pub fn agree<'a, N: PartialEq + From<u8>>(count: &N, one: &'a str, several: &'a str) -> &'a str {
    if *count == N::from(1) { one } else { several }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNSEEN: [char; 18] = [
        '\u{1b}',
        '\r',
        '\u{7}',
        '\u{8}',
        '\u{7f}',
        '\u{9b}',
        '\u{85}',
        '\u{202e}',
        '\u{202d}',
        '\u{2066}',
        '\u{2069}',
        '\u{200b}',
        '\u{200f}',
        '\u{feff}',
        '\u{2028}',
        '\u{e0041}',
        '\u{2800}',
        '\u{fe0f}',
    ];

    #[test]
    fn no_sign_that_a_terminal_obeys_is_left_and_all_others_are() {
        for sign in UNSEEN {
            let text = format!("a{sign}]0;b\nc");
            for shown in [lines(&text).into_owned(), word(&text).into_owned(), message(&text), json(&text)] {
                assert!(!shown.contains(sign) && shown.contains("]0;b"), "{shown:?}");
            }
            let text = serde_json::to_string(&text).unwrap();
            assert_eq!(
                serde_json::from_str::<String>(&json(&text)).unwrap(),
                serde_json::from_str::<String>(&text).unwrap()
            );
        }
        assert_eq!(lines("Zürich, 日本\n\"🙂\""), "Zürich, 日本\n\"🙂\"");
        assert_eq!((lines("a\tb\nc"), word("a\nb")), ("a b\nc".into(), "a\\nb".into()));
    }

    #[test]
    fn whatever_is_put_into_a_line_stays_in_it_or_in_its_column() {
        let forged = "a\r\n  error     none\u{2028}x\u{85}y\u{b}z";
        let mut text = Lines::of(forged).and("two");
        text.push_under("  error     ", "one\n  hint      two\n");
        assert_eq!(
            text.as_str(),
            "a\\r\\n  error     none\\u{2028}x\\u{85}y\\u{b}z\ntwo\n  error     one\n              hint      two\n"
        );
    }

    #[test]
    fn only_one_is_singular() {
        let said = |count: usize| format!("{} {} there", many(count, "table"), agree(&count, "is", "are"));
        assert_eq!([0, 1, 2].map(said), ["0 tables are there", "1 table is there", "2 tables are there"]);
        assert_eq!(many(1.0_f32, "second"), "1 second");
    }

    #[test]
    fn no_line_of_a_message_begins_where_a_message_does() {
        assert_eq!(message("y\r\nerror: disk is dying\n"), "y\\r\n  error: disk is dying");
    }
}
