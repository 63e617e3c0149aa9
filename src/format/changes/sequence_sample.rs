//! Sequences as a capture found them. The server's stream does not have them, so they are read behind the last transaction of a segment.

use crate::format::lsn::Lsn;
use crate::format::manifest::{META_LIMIT, bounded_members};
use crate::format::sql::object_name::TableName;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A lower bound of the bytes of one sequence's entry.
const LEAST_ENTRY: usize = 16;
const MOST_SEQUENCES: usize = META_LIMIT as usize / LEAST_ENTRY;

/// Says what a sequence gives next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceValue {
    pub last: i64,
    /// Whether `last` has been given. If not, it is what comes next.
    pub is_called: bool,
}

impl SequenceValue {
    /// Returns whether the other value is further on the way of the sequence. `descends`: it counts down.
    pub fn is_behind(self, other: SequenceValue, descends: bool) -> bool {
        // No overflow: the complement turns the order round.
        let place = |one: SequenceValue| (if descends { !one.last } else { one.last }, one.is_called);
        place(self) < place(other)
    }

    /// Returns the one of the two that is further on the way of the sequence. `descends`: it counts down.
    pub fn further(self, other: SequenceValue, descends: bool) -> SequenceValue {
        if self.is_behind(other, descends) { other } else { self }
    }
}

/// Says what a sample knows of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceState {
    Known(SequenceValue),
    /// The role may not read it.
    Denied,
    /// A transaction that was going on held it, as one that restarts or drops it does.
    Locked,
    /// It is not in the database any more.
    Gone,
}

/// A sequence, by its identifier in the source's catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceNote {
    pub oid: u32,
    pub name: TableName,
    pub state: SequenceState,
}

impl SequenceNote {
    /// Returns the note as documents have it, such as `16390 "public"."t_id_seq" 42 called`.
    pub fn text(&self) -> String {
        let state = match self.state {
            SequenceState::Known(SequenceValue { last, is_called: true }) => format!("{last} called"),
            SequenceState::Known(SequenceValue { last, is_called: false }) => format!("{last} uncalled"),
            SequenceState::Denied => "denied".to_owned(),
            SequenceState::Locked => "locked".to_owned(),
            SequenceState::Gone => "gone".to_owned(),
        };
        format!("{} {} {state}", self.oid, self.name.text())
    }

    /// Reads what [`text`](Self::text) writes. `None`: it would not write this.
    pub fn of_text(text: &str) -> Option<SequenceNote> {
        let (oid, rest) = text.split_once(' ')?;
        let (name, rest) = TableName::take(rest.as_bytes())?;
        let state = match std::str::from_utf8(rest).ok()?.strip_prefix(' ')? {
            "denied" => SequenceState::Denied,
            "locked" => SequenceState::Locked,
            "gone" => SequenceState::Gone,
            value => {
                let (last, how) = value.split_once(' ')?;
                SequenceState::Known(SequenceValue { last: last.parse().ok()?, is_called: how == "called" })
            }
        };
        let note = SequenceNote { oid: oid.parse().ok()?, name, state };
        (note.text() == text).then_some(note)
    }
}

impl Serialize for SequenceNote {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for SequenceNote {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        SequenceNote::of_text(&text).ok_or_else(|| de::Error::custom("no sequence as pgbk writes it"))
    }
}

/// The sequences of a database as they were at a place of the log, or later. So each is at or beyond every value that a transaction before
/// that place has written into a row, if nobody has set it back since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceSample {
    pub at: Lsn,
    /// Those that are not as the sample before states them, in the order of their identifiers.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded_members::list::<_, _, MOST_SEQUENCES>"
    )]
    pub changed: Vec<SequenceNote>,
}

impl SequenceSample {
    /// Returns whether this can be the sample behind a place of the log.
    pub(super) fn is_behind(&self, end: Lsn) -> bool {
        self.at >= end && self.is_in_order()
    }

    /// Returns whether the sequences are in order, each once.
    pub(super) fn is_in_order(&self) -> bool {
        self.changed.is_sorted_by(|one, next| one.oid < next.oid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_nothing_else_is_one() {
        for text in [
            r#"16390 "public"."t_id_seq" 42 called"#,
            r#"1 "S x"."it's ""odd"" 7 called" -9223372036854775808 uncalled"#,
            r#"4294967295 "public".U&"two\000alines" denied"#,
            r#"5 "public"."a" locked"#,
            r#"5 "public"."a" gone"#,
        ] {
            assert_eq!(SequenceNote::of_text(text).map(|note| note.text()).as_deref(), Some(text));
        }
        for text in [
            "",
            r#"5 "public"."a""#,
            r#"5 "public"."a" "#,
            r#"5 public.a gone"#,
            r#"5 "a" gone"#,
            r#"-5 "public"."a" gone"#,
            r#"05 "public"."a" gone"#,
            r#"4294967296 "public"."a" gone"#,
            r#"5 "public"."a" 42"#,
            r#"5 "public"."a" 42 t"#,
            r#"5 "public"."a" +42 called"#,
            r#"5 "public"."a" 9223372036854775808 called"#,
            r#"5 "public"."a" 1); DROP TABLE t; -- called"#,
            r#"5 "public"."a"); DROP TABLE t; --" gone"#,
            "5 \"public\".\"a\nb\" gone",
            r#"5 "public"."a" gone "#,
            r#"5  "public"."a" gone"#,
        ] {
            assert_eq!(SequenceNote::of_text(text), None, "{text}");
        }
    }

    #[test]
    fn which_value_is_further_depends_on_the_way_and_on_whether_it_was_given() {
        let value = |last, is_called| SequenceValue { last, is_called };
        for (one, other, ascends, descends) in [
            (value(1, true), value(2, true), true, false),
            (value(2, true), value(1, true), false, true),
            (value(1, false), value(1, true), true, true),
            (value(1, true), value(1, true), false, false),
            (value(i64::MIN, true), value(i64::MAX, true), true, false),
        ] {
            assert_eq!(
                (one.is_behind(other, false), one.is_behind(other, true)),
                (ascends, descends),
                "{one:?} {other:?}"
            );
        }
    }
}
