//! Has pg_restore write the script of a table of contents, with marks in the places of the rows.

use crate::base::error::{Fault, Result};
use crate::base::process::environment::ChildEnvironment;
use crate::base::process::reader::ChildReader;
use crate::base::random;
use crate::format::archive::contents::DumpContents;
use crate::postgres::tools::Tool;
use std::collections::BTreeSet;
use std::io::{Seek, Write};
use std::time::Duration;

/// Longest time that pg_restore may print nothing.
const STALL: Duration = Duration::from_secs(3600);
/// The beginning of a mark. The rest is random, so that no object can have it in its definition.
const MARK: &str = "-- pgbk rows ";

/// The beginnings of the comment that stands before an object.
const FIRST: [&[u8]; 2] = [b"\n--\n-- Name: ", b"\n--\n-- Data for Name: "];

/// A script without rows, in parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MarkedScript(pub Vec<ScriptPart>);

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ScriptPart {
    Text(Vec<u8>),
    /// The place of the data of the entry with this number.
    Data(i64),
}

/// Returns the script of the entries that are `wanted`.
pub(crate) fn script(
    pg_restore: &Tool,
    contents: &DumpContents,
    wanted: &BTreeSet<i64>,
    arguments: &[String],
    environment: &ChildEnvironment,
) -> Result<MarkedScript> {
    let secret = random::hex::<16>()?;
    let archive = contents.without_data(wanted, |entry| format!("{MARK}{secret} {}\n", entry.number).into_bytes());
    let mut input = tempfile::tempfile()
        .map_err(|error| Fault::failed(format!("cannot make a temporary file for the table of contents: {error}")))?;
    input.write_all(&archive)?;
    input.rewind()?;
    let all = [&["--file=-".to_owned()], arguments].concat();
    let mut child = ChildReader::spawn_with(&pg_restore.path, &all, environment, input, STALL)?;
    let mut text = Vec::new();
    let ((), _remarks) = child.through(|script| script.read_to_end(&mut text).map(drop).map_err(Into::into))?;
    Ok(MarkedScript(parts(&text, &format!("{MARK}{secret} "))))
}

fn parts(script: &[u8], mark: &str) -> Vec<ScriptPart> {
    let (mut parts, mut rest) = (Vec::new(), script);
    while let Some(at) = memchr::memmem::find(rest, mark.as_bytes()) {
        let behind = &rest[at + mark.len()..];
        let end = memchr::memchr(b'\n', behind).unwrap_or(behind.len());
        parts.push(ScriptPart::Text(rest[..at].to_vec()));
        parts.extend(String::from_utf8_lossy(&behind[..end]).parse().map(ScriptPart::Data));
        rest = behind.get(end + 1..).unwrap_or_default();
    }
    parts.push(ScriptPart::Text(rest.to_vec()));
    parts
}

impl MarkedScript {
    /// Returns the script before the place of the first data, from there to the first data that `is_last` names, and behind that. What would
    /// stand in the places of the data is left out.
    pub fn around_data(&self, is_last: impl Fn(i64) -> bool) -> [Vec<u8>; 3] {
        let place = |is_meant: &dyn Fn(i64) -> bool| {
            let is_place = |part: &ScriptPart| matches!(part, ScriptPart::Data(number) if is_meant(*number));
            self.0.iter().position(is_place).unwrap_or(self.0.len())
        };
        let (first, last) = (place(&|_| true), place(&is_last));
        let parts = [&self.0[..first], &self.0[first..last], &self.0[last..]];
        parts.map(|parts| MarkedScript::texts(parts).flatten().copied().collect())
    }

    fn texts(parts: &[ScriptPart]) -> impl Iterator<Item = &[u8]> {
        parts.iter().filter_map(|part| match part {
            ScriptPart::Text(text) => Some(text.as_slice()),
            ScriptPart::Data(_) => None,
        })
    }

    /// Puts statements behind the settings, before all objects.
    pub fn begin_with(&mut self, statements: &str) {
        let Some(ScriptPart::Text(text)) = self.0.first_mut() else { return };
        let first = FIRST.iter().filter_map(|begin| memchr::memmem::find(text, begin)).min().unwrap_or(text.len());
        text.splice(first..first, format!("\n{statements}").into_bytes());
    }

    /// Returns the script without what would stand in the places of the data.
    pub fn text(&self) -> impl Iterator<Item = &[u8]> {
        MarkedScript::texts(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_stand_between_the_settings_and_the_first_object() {
        let text = b"SET x;\n\n--\n-- Name: a; Type: TABLE\n--\n\nCREATE\n--\n-- Name: b\n";
        let mut script = MarkedScript(parts(text, "-- pgbk rows ab "));
        script.begin_with("DROP TABLE a;\n");
        let whole = script.text().collect::<Vec<_>>().concat();
        assert!(
            whole.starts_with(b"SET x;\n\nDROP TABLE a;\n\n--\n-- Name: a;"),
            "{}",
            String::from_utf8_lossy(&whole)
        );
    }

    #[test]
    fn a_script_is_divided_at_its_marks_and_at_nothing_that_looks_like_one() {
        let text = b"SET x;\n-- pgbk rows ab 12\n\n-- pgbk rows cd 13\n-- pgbk rows ab 7\nend\n";
        let expected = [
            ScriptPart::Text(b"SET x;\n".to_vec()),
            ScriptPart::Data(12),
            ScriptPart::Text(b"\n-- pgbk rows cd 13\n".to_vec()),
            ScriptPart::Data(7),
            ScriptPart::Text(b"end\n".to_vec()),
        ];
        assert_eq!(parts(text, "-- pgbk rows ab "), expected);
    }
}
