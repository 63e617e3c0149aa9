//! The tables that a capture knows: their shapes as the server told them, and which are not covered any more.
//!
//! The shapes live in the documents of the segments and nowhere else. A capture that begins anew takes them from there, one document after
//! the other. Nothing is guessed of a shape that changed: the table breaks.

use crate::format::changes::table_break::{BreakReason, TableBreak};
use crate::format::lsn::Lsn;
use crate::format::pgoutput::relation::Relation;
use crate::format::sql::object_name::{ObjectName, TableName};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;

/// A table as a document states it. It is covered from `from` on, where the commit record of a transaction begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationState {
    #[serde(serialize_with = "relation_text", deserialize_with = "relation_of_text")]
    pub relation: Relation,
    pub from: Lsn,
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
    /// It breaks now.
    Broken(BreakReason),
}

#[derive(Debug, Clone)]
struct CachedRelation {
    relation: Relation,
    broken: Option<BreakReason>,
}

/// The tables of a generation, by their identifiers in the source's catalog.
#[derive(Debug, Clone, Default)]
pub struct Relations {
    cached: BTreeMap<u32, CachedRelation>,
    /// The table that had each name last.
    names: BTreeMap<TableName, u32>,
    pub(crate) equalities: BTreeMap<u32, TypeEquality>,
}

impl Relations {
    /// Takes what a document states, after those of all segments before it.
    pub fn apply(&mut self, states: &[RelationState], breaks: &[TableBreak]) {
        for state in states {
            self.put(state.relation.clone(), None);
        }
        for broken in breaks {
            let covered_since = states.iter().any(|state| state.relation.oid == broken.oid && state.from > broken.from);
            if let (false, Some(cached)) = (covered_since, self.cached.get_mut(&broken.oid)) {
                cached.broken = Some(broken.reason);
            }
        }
    }

    /// Returns the shape of a table, whether it is covered or not. `None`: the server has not told it.
    pub fn relation(&self, oid: u32) -> Option<&Relation> {
        self.cached.get(&oid).map(|cached| &cached.relation)
    }

    /// Returns whether changes of the table are kept.
    pub fn is_covered(&self, oid: u32) -> bool {
        self.cached.get(&oid).is_some_and(|cached| cached.broken.is_none())
    }

    /// Returns the tables whose changes are kept.
    pub fn covered(&self) -> impl Iterator<Item = &Relation> {
        self.cached.values().filter(|cached| cached.broken.is_none()).map(|cached| &cached.relation)
    }

    /// Returns the tables that are not covered, with the reasons.
    pub fn broken(&self) -> impl Iterator<Item = (&Relation, BreakReason)> {
        self.cached.values().filter_map(|cached| Some((&cached.relation, cached.broken?)))
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
        let fault = self.fault(&relation);
        let before = self.cached.get(&relation.oid);
        let (was_broken, is_same) = match before {
            Some(before) => (before.broken, before.relation == relation),
            None => (None, false),
        };
        self.put(relation, was_broken.or(fault));
        match (was_broken, fault) {
            (Some(_), _) => RelationNews::Same,
            (None, Some(reason)) => RelationNews::Broken(reason),
            (None, None) if is_same => RelationNews::Same,
            (None, None) => RelationNews::Stated,
        }
    }

    /// Returns why the table breaks if it has this shape now. `None`: it does not.
    fn fault(&self, relation: &Relation) -> Option<BreakReason> {
        let Some(CachedRelation { relation: before, .. }) = self.cached.get(&relation.oid) else {
            return self.names.contains_key(&relation.table).then_some(BreakReason::Replaced);
        };
        let columns = |relation: &Relation| -> Vec<_> {
            relation.columns.iter().map(|column| (column.name.clone(), column.type_oid, column.modifier)).collect()
        };
        match () {
            () if before.table != relation.table => Some(BreakReason::Renamed),
            () if columns(before) != columns(relation) => Some(BreakReason::Columns),
            () => None,
        }
    }

    fn put(&mut self, relation: Relation, broken: Option<BreakReason>) {
        self.names.insert(relation.table.clone(), relation.oid);
        self.cached.insert(relation.oid, CachedRelation { relation, broken });
    }

    /// Notes that a table is not covered any more. Returns it; `None`: it was not covered anyway.
    pub(crate) fn break_table(&mut self, oid: u32, reason: BreakReason) -> Option<&Relation> {
        let cached = self.cached.get_mut(&oid).filter(|cached| cached.broken.is_none())?;
        cached.broken = Some(reason);
        Some(&cached.relation)
    }

    /// Covers a table with this shape, which the catalog has, whatever was before.
    pub(crate) fn cover(&mut self, relation: Relation) {
        self.put(relation, None);
    }
}
