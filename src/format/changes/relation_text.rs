//! The text of a relation, as the comment of a delta and the document of a segment have it:
//! `16423 d "public"."accounts" ("aid" 23 -1 key, "bid" 23 -1)`.

use crate::format::manifest::pieces::number;
use crate::format::pgoutput::relation::{Relation, RelationColumn, ReplicaIdentity};
use crate::format::pgoutput::row::MOST_COLUMNS;
use crate::format::sql::object_name::{ObjectName, TableName};

const KEY: &str = " key";

impl Relation {
    /// Returns the text of the relation, on one line.
    pub fn text(&self) -> String {
        let identity = char::from(self.identity.letter());
        let mut text = format!("{} {identity} {} (", self.oid, self.table.text());
        for (number, column) in self.columns.iter().enumerate() {
            text.push_str(if number == 0 { "" } else { ", " });
            text.push_str(&column.text());
        }
        text.push(')');
        text
    }

    /// Reads what [`text`](Self::text) writes. `None`: it would not write this.
    pub fn of_text(text: &str) -> Option<Relation> {
        let (oid, rest) = text.split_once(' ')?;
        let (identity, rest) = rest.as_bytes().split_first()?;
        let (table, rest) = TableName::take(rest.strip_prefix(b" ")?)?;
        let mut rest = rest.strip_prefix(b" (")?;
        let mut columns = Vec::new();
        while rest != b")" {
            rest = if columns.is_empty() { rest } else { rest.strip_prefix(b", ")? };
            let (column, after) = RelationColumn::take_text(rest)?;
            columns.push(column);
            rest = after;
        }
        let oid = number(oid).and_then(|oid| u32::try_from(oid).ok()).filter(|oid| *oid != 0)?;
        let relation = Relation { oid, table, identity: ReplicaIdentity::of_letter(*identity)?, columns };
        (relation.columns.len() <= MOST_COLUMNS && relation.text() == text).then_some(relation)
    }
}

impl RelationColumn {
    fn text(&self) -> String {
        let mut name = Vec::new();
        self.name.push_text(&mut name);
        let key = if self.is_key { KEY } else { "" };
        format!("{} {} {}{key}", String::from_utf8_lossy(&name), self.type_oid, self.modifier)
    }

    fn take_text(text: &[u8]) -> Option<(RelationColumn, &[u8])> {
        let (name, rest) = ObjectName::take(text)?;
        let end = rest.iter().position(|byte| matches!(byte, b',' | b')'))?;
        let (numbers, rest) = rest.split_at(end);
        let numbers = std::str::from_utf8(numbers).ok()?.strip_prefix(' ')?;
        let (is_key, numbers) = numbers.strip_suffix(KEY).map_or((false, numbers), |numbers| (true, numbers));
        let (type_oid, modifier) = numbers.split_once(' ')?;
        let type_oid = type_oid.parse().ok().filter(|oid| *oid != 0)?;
        Some((RelationColumn { name, type_oid, modifier: modifier.parse().ok()?, is_key }, rest))
    }
}
