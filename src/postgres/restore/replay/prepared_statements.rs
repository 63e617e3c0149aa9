//! Statements that differ in their values alone are prepared by the server once, which then neither parses nor plans each of them.
//!
//! A value stays the literal that it was: a parameter whose type nobody says gets the type that a literal at its place has.

use crate::format::sql::literal::quoted_end;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write;

/// The settings for which a plan is made once, and with an index wherever there is one. A table may have had no rows by then.
pub(crate) const PLANS: &[(&str, &str)] =
    &[("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("jit", "off")];

/// Most shapes that are remembered, and most values of one that is prepared.
const MOST_SHAPES: usize = 500;
const MOST_VALUES: usize = 1000;
/// The text that is written as a value is, and is none.
const FORMAT: &[u8] = b"'%s'";
const NULL: &[u8] = b"NULL";
/// Stands before a NULL that is a value; elsewhere it is a part of a condition.
const BEFORE_NULL: &[&str] = &[" = ", "(", ", "];

/// Remembers the shapes of statements that have come: what is left of a statement without its values.
#[derive(Debug, Default)]
pub(crate) struct PreparedStatements {
    shapes: HashMap<String, ShapeUse>,
    /// How many have been prepared in this session.
    prepared: usize,
}

/// Tells what is known of a shape.
#[derive(Debug, Clone, Copy)]
enum ShapeUse {
    /// It has come once.
    Seen,
    /// The server has it prepared under this number.
    Prepared(usize),
}

/// Statements as they are sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PreparedBatch {
    /// Prepares the shapes that have come for the second time, each on one line.
    pub preparing: String,
    /// How many these are.
    pub prepared: usize,
    /// Executes what is prepared in place of each statement, or is the statement itself, in their order.
    pub statements: String,
}

impl PreparedStatements {
    /// Turns statements, each on one line that ends with a semicolon, into what is sent.
    pub fn batch<'a>(&mut self, statements: impl Iterator<Item = &'a str>) -> PreparedBatch {
        let mut batch = PreparedBatch::default();
        for statement in statements {
            match self.number(statement, &mut batch) {
                Some((number, values)) => {
                    // Writing to a string does not fail.
                    let _ = writeln!(batch.statements, "EXECUTE pgbk_replay_{number}({});", values.join(", "));
                }
                None => batch.statements.extend([statement, "\n"]),
            }
        }
        batch
    }

    /// Returns the statements that end the use of all that was prepared.
    pub fn release(&mut self) -> String {
        self.shapes.clear();
        (1..=std::mem::take(&mut self.prepared)).map(|number| format!("DEALLOCATE pgbk_replay_{number};")).collect()
    }

    /// Returns under which number the shape of a statement is prepared, and its values. `None`: it is not.
    fn number<'a>(&mut self, statement: &'a str, batch: &mut PreparedBatch) -> Option<(usize, Vec<&'a str>)> {
        let (shape, values) = divided(statement);
        if values.is_empty() || values.len() > MOST_VALUES {
            return None;
        }
        let is_full = self.shapes.len() >= MOST_SHAPES;
        let number = match self.shapes.entry(shape) {
            Entry::Vacant(_) if is_full => return None,
            Entry::Vacant(new) => {
                new.insert(ShapeUse::Seen);
                return None;
            }
            Entry::Occupied(known) => match *known.get() {
                ShapeUse::Prepared(number) => number,
                ShapeUse::Seen => {
                    self.prepared += 1;
                    batch.prepared += 1;
                    let _ = writeln!(batch.preparing, "PREPARE pgbk_replay_{} AS {}", self.prepared, known.key());
                    *known.into_mut() = ShapeUse::Prepared(self.prepared);
                    self.prepared
                }
            },
        };
        Some((number, values))
    }
}

/// Divides a statement into its shape, with `$1`, `$2` and so on where its values were, and these.
fn divided(statement: &str) -> (String, Vec<&str>) {
    let (text, mut shape, mut values) = (statement.as_bytes(), String::with_capacity(statement.len()), Vec::new());
    // Up to where the shape has the statement, and up to where it was looked at. What is cut out begins and ends with a sign of ASCII.
    let (mut copied, mut at) = (0, 0);
    while let Some(first) = text.get(at) {
        let begin = at;
        let (end, is_value) = match first {
            b'"' => (quoted_end(text, at, false), false),
            b'\'' if text[at..].starts_with(FORMAT) && statement[..at].ends_with("format(") => {
                (at + FORMAT.len(), false)
            }
            b'\'' => (quoted_end(text, at, false), true),
            b'E' if text.get(at + 1) == Some(&b'\'') => (quoted_end(text, at + 1, true), true),
            b'N' if text[at..].starts_with(NULL) => {
                (at + NULL.len(), BEFORE_NULL.iter().any(|before| statement[..at].ends_with(before)))
            }
            _ => (at + 1, false),
        };
        at = end;
        if is_value {
            values.push(&statement[begin..at]);
            shape.push_str(&statement[copied..begin]);
            // Writing to a string does not fail.
            let _ = write!(shape, "${}", values.len());
            copied = at;
        }
    }
    shape.push_str(&statement[copied..]);
    (shape, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_form_are_divided_from_the_shape_and_names_stay_in_it() {
        for (statement, shape, values) in [
            (
                r#"UPDATE ONLY "public"."t" SET "v" = 'it''s', "w" = NULL, "x" = E'a\'b\\' WHERE "id" = '1';"#,
                r#"UPDATE ONLY "public"."t" SET "v" = $1, "w" = $2, "x" = $3 WHERE "id" = $4;"#,
                &["'it''s'", "NULL", r"E'a\'b\\'", "'1'"][..],
            ),
            (
                r#"INSERT INTO "S"."E'NULL'" (U&"a""\0009", "NULL, '") OVERRIDING SYSTEM VALUE VALUES (NULL, 'NULL'), ('ü"', E'\n');"#,
                r#"INSERT INTO "S"."E'NULL'" (U&"a""\0009", "NULL, '") OVERRIDING SYSTEM VALUE VALUES ($1, $2), ($3, $4);"#,
                &["NULL", "'NULL'", "'ü\"'", r"E'\n'"][..],
            ),
            (
                r#"DELETE FROM ONLY "s"."t" WHERE ctid = (SELECT ctid FROM ONLY "s"."t" WHERE "a" IS NULL AND "b" IS NOT DISTINCT FROM NULL AND format('%s', "c") COLLATE "C" = '%s' LIMIT 1);"#,
                r#"DELETE FROM ONLY "s"."t" WHERE ctid = (SELECT ctid FROM ONLY "s"."t" WHERE "a" IS NULL AND "b" IS NOT DISTINCT FROM NULL AND format('%s', "c") COLLATE "C" = $1 LIMIT 1);"#,
                &["'%s'"][..],
            ),
            (r#"INSERT INTO "s"."t" DEFAULT VALUES;"#, r#"INSERT INTO "s"."t" DEFAULT VALUES;"#, &[]),
        ] {
            assert_eq!(divided(statement), (shape.to_owned(), values.to_vec()));
        }
    }

    #[test]
    fn a_shape_is_prepared_when_it_comes_again_and_executed_from_then_on() {
        let update = |value: usize| format!(r#"UPDATE ONLY "t" SET "v" = '{value}' WHERE "id" = '1';"#);
        let statements = [update(1), update(2), r#"DELETE FROM ONLY "t" WHERE "id" = '1';"#.to_owned()];
        let mut prepared = PreparedStatements::default();
        let first = prepared.batch(statements.iter().map(String::as_str));
        assert_eq!(first.preparing, "PREPARE pgbk_replay_1 AS UPDATE ONLY \"t\" SET \"v\" = $1 WHERE \"id\" = $2;\n");
        assert_eq!(
            first.statements,
            format!("{}\nEXECUTE pgbk_replay_1('2', '1');\n{}\n", statements[0], statements[2])
        );
        let second = prepared.batch(statements.iter().map(String::as_str));
        assert_eq!((first.prepared, second.prepared), (1, 1));
        assert!(second.statements.ends_with("EXECUTE pgbk_replay_1('2', '1');\nEXECUTE pgbk_replay_2('1');\n"));
        assert_eq!(prepared.release(), "DEALLOCATE pgbk_replay_1;DEALLOCATE pgbk_replay_2;");
        assert_eq!(prepared.release(), "");
    }

    #[test]
    fn no_more_shapes_are_remembered_than_fit() {
        let mut prepared = PreparedStatements::default();
        let many: Vec<String> =
            (0..2 * MOST_SHAPES).map(|at| format!("DELETE FROM ONLY \"t{at}\" WHERE \"id\" = '1';")).collect();
        let wide = format!("INSERT INTO \"t\" VALUES ({});", vec!["'1'"; MOST_VALUES + 1].join(", "));
        for _ in 0..2 {
            prepared.batch(many.iter().map(String::as_str));
            let batch = prepared.batch([wide.as_str()].into_iter());
            assert_eq!((batch.prepared, batch.statements), (0, format!("{wide}\n")));
        }
        assert_eq!((prepared.shapes.len(), prepared.prepared), (MOST_SHAPES, MOST_SHAPES));
    }
}
