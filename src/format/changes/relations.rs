//! The tables that a capture knows: their shapes as the server told them, and which are not covered any more.
//!
//! The shapes live in the documents of the segments and nowhere else. A capture that begins anew takes them from there, one document after
//! the other. Nothing is guessed of a shape that changed: the table breaks, and is covered anew in its new shape.

use crate::format::changes::table_break::{BreakReason, TableBreak};
use crate::format::changes::table_definition::TableDefinition;
use crate::format::lsn::Lsn;
use crate::format::pgoutput::relation::Relation;
use crate::format::sql::object_name::{ObjectName, TableName};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;

/// A table as a document states it. It has this shape from `from` on, where the commit record of a transaction begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationState {
    #[serde(serialize_with = "relation_text", deserialize_with = "relation_of_text")]
    pub relation: Relation,
    pub from: Lsn,
    /// The fingerprint of what the catalog says of it besides. `None`: the stream alone has told the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<TableDefinition>,
}

fn relation_text<S: Serializer>(relation: &Relation, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&relation.text())
}

fn relation_of_text<'de, D: Deserializer<'de>>(from: D) -> Result<Relation, D::Error> {
    let text = String::deserialize(from)?;
    Relation::of_text(&text).ok_or_else(|| de::Error::custom("no relation as pgbk writes it"))
}

/// How values of a type that the server did not always have are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TypeEquality {
    /// They are compared by the operators of the system catalog: a domain over one of its types.
    Catalog,
    /// They are compared by the operator `=` of this schema.
    Schema(ObjectName),
}

/// The outcome of a message that tells the shape of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelationNews {
    /// The table is as it was, or it was broken before.
    Same,
    /// It is known for the first time, or other columns identify its rows.
    Stated,
    /// It has another shape now, in which it is covered on.
    Changed(BreakReason),
    /// It breaks now.
    Broken(BreakReason),
}

/// A table, and what is known of it.
#[derive(Debug, Clone)]
pub struct KnownTable {
    pub relation: Relation,
    /// `None`: the catalog has not been asked since the stream told it.
    pub definition: Option<TableDefinition>,
    /// Why it is not covered; `None`: it is.
    pub broken: Option<BreakReason>,
}

/// The tables of a generation, by their identifiers in the source's catalog.
#[derive(Debug, Clone, Default)]
pub struct Relations {
    known: BTreeMap<u32, KnownTable>,
    /// The table that had each name last.
    names: BTreeMap<TableName, u32>,
    /// The shapes in which rows come: the catalog is ahead of the stream.
    streamed: BTreeMap<u32, Relation>,
    pub(crate) equalities: BTreeMap<u32, TypeEquality>,
}

impl Relations {
    /// Takes what a document states, after those of all segments before it.
    pub fn apply(&mut self, states: &[RelationState], breaks: &[TableBreak]) {
        for state in states {
            let broken = self.known.get(&state.relation.oid).and_then(|known| known.broken);
            self.put(KnownTable { relation: state.relation.clone(), definition: state.definition.clone(), broken });
        }
        for one in breaks {
            if one.reason == BreakReason::Dropped && one.until.is_some() {
                self.forget(one.oid);
            } else if let Some(known) = self.known.get_mut(&one.oid) {
                known.broken = one.until.is_none().then_some(one.reason);
            }
        }
    }

    /// Returns what is known of a table. `None`: nothing.
    pub fn known(&self, oid: u32) -> Option<&KnownTable> {
        self.known.get(&oid)
    }

    /// Returns the tables that are known.
    pub fn all(&self) -> impl Iterator<Item = &KnownTable> {
        self.known.values()
    }

    /// Returns the shape in which the server streams rows of a table. `None`: it has not told it.
    pub(crate) fn streamed(&self, oid: u32) -> Option<&Relation> {
        self.streamed.get(&oid)
    }

    /// Returns whether changes of the table are kept.
    pub fn is_covered(&self, oid: u32) -> bool {
        self.known.get(&oid).is_some_and(|known| known.broken.is_none())
    }

    /// Returns the tables that are not covered, with the reasons.
    pub fn broken(&self) -> impl Iterator<Item = (&Relation, BreakReason)> {
        self.known.values().filter_map(|known| Some((&known.relation, known.broken?)))
    }

    /// Returns the table that had a name last.
    pub(crate) fn named(&self, table: &TableName) -> Option<u32> {
        self.names.get(table).copied()
    }

    /// Says in which schema the operator `=` of a type is, so that rows are found by an index on a column of the type.
    pub fn set_equality(&mut self, type_oid: u32, schema: ObjectName) {
        self.equalities.insert(type_oid, TypeEquality::Schema(schema));
    }

    /// Takes a type that the server tells. `schema` is that of the type, or of the one beneath a domain.
    pub(crate) fn take_type(&mut self, type_oid: u32, schema: &ObjectName) {
        if schema.bytes() == b"pg_catalog" {
            self.equalities.entry(type_oid).or_insert(TypeEquality::Catalog);
        }
    }

    /// Takes the shape of a table as the server tells it.
    pub(crate) fn take(&mut self, relation: Relation) -> RelationNews {
        let (news, definition, broken) = match self.known.get(&relation.oid) {
            None if self.names.contains_key(&relation.table) => {
                (RelationNews::Broken(BreakReason::Replaced), None, Some(BreakReason::Replaced))
            }
            None => (RelationNews::Stated, None, None),
            Some(KnownTable { broken: Some(reason), definition, .. }) => {
                (RelationNews::Same, definition.clone(), Some(*reason))
            }
            Some(known) => match changed(&known.relation, &relation) {
                Some(reason) => (RelationNews::Changed(reason), None, None),
                None if known.relation == relation => (RelationNews::Same, known.definition.clone(), None),
                None => (RelationNews::Stated, known.definition.clone(), None),
            },
        };
        self.streamed.insert(relation.oid, relation.clone());
        self.put(KnownTable { relation, definition, broken });
        news
    }

    pub(crate) fn put(&mut self, table: KnownTable) {
        let (oid, name) = (table.relation.oid, table.relation.table.clone());
        if let Some(before) = self.known.insert(oid, table)
            && before.relation.table != name
        {
            self.free(&before.relation.table, oid);
        }
        self.names.insert(name, oid);
    }

    /// Notes that a table is not covered any more. Returns it; `None`: it was not covered anyway.
    pub(crate) fn break_table(&mut self, oid: u32, reason: BreakReason) -> Option<&Relation> {
        let known = self.known.get_mut(&oid).filter(|known| known.broken.is_none())?;
        known.broken = Some(reason);
        Some(&known.relation)
    }

    /// Forgets a table that is gone. Returns it; `None`: it was not known.
    pub(crate) fn forget(&mut self, oid: u32) -> Option<Relation> {
        let KnownTable { relation, .. } = self.known.remove(&oid)?;
        self.free(&relation.table, oid);
        Some(relation)
    }

    /// Takes a name from a table, if it still has it.
    fn free(&mut self, name: &TableName, oid: u32) {
        if self.names.get(name) == Some(&oid) {
            self.names.remove(name);
        }
    }
}

/// Returns how a table differs from what was known of it. `None`: rows of the one fit the other.
pub fn changed(known: &Relation, now: &Relation) -> Option<BreakReason> {
    let columns = |relation: &Relation| -> Vec<_> {
        relation.columns.iter().map(|column| (column.name.clone(), column.type_oid, column.modifier)).collect()
    };
    match () {
        () if known.table != now.table => Some(BreakReason::Renamed),
        () if columns(known) != columns(now) => Some(BreakReason::Columns),
        () => None,
    }
}
