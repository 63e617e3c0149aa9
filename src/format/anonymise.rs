//! The rules by which a database is anonymised: a TOML document that names tables, their columns, and what becomes of each.

pub(crate) mod position;
pub(crate) mod rule;

use crate::base::error::{Fault, Result};
use position::Position;
use rule::Rule;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// Key that stands for every column of a table that has no rule of its own.
const REST: &str = "*";
const HINT: &str = "a rule reads COLUMN = \"KIND\" below [tables.SCHEMA.TABLE]; docs/anonymise.md lists the kinds";

/// Holds the rules of one file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RuleSet {
    /// Whether every column must have a rule.
    pub strict: bool,
    pub tables: Vec<TableRules>,
}

/// Holds the rules for the columns of one table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRules {
    pub schema: String,
    pub table: String,
    pub at: Position,
    pub columns: Vec<ColumnRule>,
    /// Where the file says that all other columns stay as they are; `None`: it does not.
    pub rest_kept: Option<Position>,
}

/// One rule, with its place in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnRule {
    pub column: String,
    pub rule: Rule,
    pub at: Position,
}

/// A map whose keys know where they stand.
type PlacedMap<T> = BTreeMap<Spanned<String>, T>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    tables: PlacedMap<PlacedMap<PlacedMap<Rule>>>,
}

impl RuleSet {
    /// Reads the text of a rules file. An error names the line and the column of what is wrong.
    pub fn read(text: &str) -> Result<RuleSet> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let at = error.span().map(|span| format!("{}: ", Position::of(text, span.start))).unwrap_or_default();
            Fault::usage(format!("{at}{}", error.message().trim_end())).hint(HINT)
        })?;
        let mut tables = Vec::new();
        for (schema, named) in document.tables {
            for (table, rules) in named {
                tables.push(table_rules(text, schema.as_ref(), &table, rules)?);
            }
        }
        Ok(RuleSet { strict: document.strict, tables })
    }
}

fn table_rules(text: &str, schema: &str, table: &Spanned<String>, rules: PlacedMap<Rule>) -> Result<TableRules> {
    let (mut columns, mut rest_kept) = (Vec::new(), None);
    for (column, rule) in rules {
        let at = Position::of(text, column.span().start);
        match (column.into_inner(), rule) {
            (column, Rule::Keep) if column == REST => rest_kept = Some(at),
            (column, _) if column == REST => {
                return Err(Fault::usage(format!("{at}: \"{REST}\" can only be \"keep\"")).hint(HINT).into());
            }
            (column, rule) => columns.push(ColumnRule { column, rule, at }),
        }
    }
    let at = Position::of(text, table.span().start);
    Ok(TableRules { schema: schema.to_owned(), table: table.as_ref().clone(), at, columns, rest_kept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, kind};

    #[test]
    fn rules_are_read_with_their_places() {
        let text = "strict = true\n[tables.public.customers]\nemail = \"email\"\n\"Odd \\\"name\" = { date = 30 }\n\"*\" = 'keep'\n\
            [tables.sales.\"a.b\"]\nn = { number = 5 }\nc = { constant = 3.5 }\ns = { sql = \"upper(s)\" }\n";
        let rules = RuleSet::read(text).unwrap();
        assert!(rules.strict && rules.tables.len() == 2);
        let customers = &rules.tables[0];
        assert_eq!((customers.schema.as_str(), customers.table.as_str()), ("public", "customers"));
        assert_eq!(
            (customers.at.to_string(), customers.rest_kept.unwrap().to_string()),
            ("line 2, column 16".into(), "line 5, column 1".into())
        );
        let found: Vec<_> = customers
            .columns
            .iter()
            .map(|rule| (rule.column.as_str(), rule.rule.clone(), rule.at.to_string()))
            .collect();
        assert_eq!(
            found,
            [
                ("Odd \"name", Rule::Date { days: 30 }, "line 4, column 1".to_owned()),
                ("email", Rule::Email, "line 3, column 1".to_owned())
            ]
        );
        let other = &rules.tables[1];
        assert_eq!((other.table.as_str(), other.rest_kept), ("a.b", None));
        let rules: Vec<_> = other.columns.iter().map(|rule| rule.rule.clone()).collect();
        assert_eq!(rules, [Rule::Constant("3.5".into()), Rule::Number { percent: 5 }, Rule::Sql("upper(s)".into())]);
        assert_eq!(RuleSet::read("").unwrap(), RuleSet::default());
    }

    #[test]
    fn each_mistake_is_told_with_its_line_and_column() {
        let table = "[tables.public.t]\n";
        for (text, place, word) in [
            ("strict = tru", "line 1, column 10", ""),
            ("stric = true\n", "line 1, column 1", "stric"),
            ("strict = 1\n", "line 1, column 10", "boolean"),
            ("[tables.t]\na = \"keep\"\n", "line 2, column 5", "map"),
            (&format!("{table}a = \"mail\"\n"), "line 2, column 5", "\"mail\" is no kind"),
            (&format!("{table}a = \"constant\"\n"), "line 2, column 5", "{ constant = …"),
            (&format!("{table}a = {{ date = 0 }}\n"), "line 2, column", "1 to 36500"),
            (&format!("{table}a = {{ number = 101 }}\n"), "line 2, column", "1 to 100"),
            (&format!("{table}a = {{ keep = 1 }}\n"), "line 2, column", "keep"),
            (&format!("{table}a = {{ sql = \"x\", date = 1 }}\n"), "line 2, column", "one"),
            (&format!("{table}a = {{}}\n"), "line 2, column", "one"),
            (&format!("{table}a = {{ sql = \"\" }}\n"), "line 2, column", "empty"),
            (&format!("{table}a = {{ constant = \"\\u0000\" }}\n"), "line 2, column", "zero byte"),
            (&format!("{table}a = 5\n"), "line 2, column 5", "kind"),
            (&format!("{table}a = \"keep\"\na = \"keep\"\n"), "line 3, column 1", "duplicate"),
            (&format!("{table}\"*\" = \"text\"\n"), "line 2, column 1", "only be \"keep\""),
            ("ä = [\n", "line 1, column", ""),
        ] {
            let error = RuleSet::read(text).unwrap_err();
            let said = error.to_string();
            assert_eq!(kind(&error), Kind::Usage);
            assert!(said.starts_with(place) && said.contains(word), "{text}: {said}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(RuleSet::read(&text).is_err());
    }
}
