//! The first lines of a delta: where it begins, and the settings of the session.

use crate::format::changes::replay_session::REPLAY_SESSION;
use crate::format::lsn::Lsn;
use crate::format::manifest::encoding::EncodingName;

const FIRST: &str = "-- pgbk delta 1, from ";
const ENCODING: &str = "SET client_encoding = '";
const LAST: &str = "-- pgbk delta end ";

/// Holds what the first lines of a delta say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeltaHead {
    pub start: Lsn,
    /// The server's encoding, in which all names and values are.
    pub encoding: EncodingName,
}

impl DeltaHead {
    /// Returns the lines as they are written.
    pub fn text(&self) -> String {
        let mut text = format!("{FIRST}{}\n{ENCODING}{}';\n", self.start, self.encoding.as_str());
        for setting in settings() {
            text.push_str(&setting);
            text.push('\n');
        }
        text
    }

    /// Reads the first two lines. `None`: no delta begins so. The lines of [`settings`] follow.
    pub(crate) fn of_lines(first: &[u8], second: &[u8]) -> Option<DeltaHead> {
        let start = std::str::from_utf8(first.strip_prefix(FIRST.as_bytes())?).ok()?;
        let encoding = second.strip_prefix(ENCODING.as_bytes())?.strip_suffix(b"';")?;
        let encoding = EncodingName::named(std::str::from_utf8(encoding).ok()?)?;
        Some(DeltaHead { start: Lsn::canonical(start)?, encoding })
    }
}

/// Returns the lines that fix the settings of the session.
pub(crate) fn settings() -> impl Iterator<Item = String> {
    REPLAY_SESSION.iter().map(|(name, value)| format!("SET {name} = '{value}';"))
}

/// Returns the last line of a delta.
pub(crate) fn last_line(end: Lsn) -> String {
    format!("{LAST}{end}")
}

/// Reads the last line of a delta. `None`: this is another line.
pub(crate) fn end_of_last_line(line: &[u8]) -> Option<Lsn> {
    Lsn::canonical(std::str::from_utf8(line.strip_prefix(LAST.as_bytes())?).ok()?)
}
