//! The condition by which a replay finds the row that was changed.
//!
//! Rows are told by the columns of a key where the table has one, and by all columns where its replica identity is FULL. `=` does not serve
//! for every type: some have none, and to some it means less than the same value (`1.0 = 1.00`). Those are compared by the text that the
//! output function of the type gives. An operator that is said beside it lets the server use an index.

use crate::format::changes::relations::TypeEquality;
use crate::format::pgoutput::relation::{Relation, RelationColumn};
use crate::format::pgoutput::row::ColumnValue;
use crate::format::sql::literal::push_literal;
use std::collections::BTreeMap;

/// The lowest identifier of an object that a server did not always have.
const FIRST_OWN_OID: u32 = 16_384;
/// Types to whose `=` only the same text is equal: bool, bytea, char, name, int8, int2, int4, oid, macaddr8, money, macaddr, inet, cidr, date,
/// time, timestamp, timestamptz, uuid, pg_lsn.
const EXACT: &[u32] = &[16, 17, 18, 19, 20, 21, 23, 26, 774, 790, 829, 869, 650, 1082, 1083, 1114, 1184, 2950, 3220];
/// Types to whose `=` other texts are equal as well: text, float4, float8, bpchar, varchar, interval, numeric.
const LOOSE: &[u32] = &[25, 700, 701, 1042, 1043, 1186, 1700];

/// A comparison of a column with a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ColumnTest<'a> {
    /// The operator, as it is written. `None`: the text alone is compared.
    operator: Option<&'a TypeEquality>,
    text: bool,
}

type Equalities = BTreeMap<u32, TypeEquality>;

const BY_CATALOG: ColumnTest<'static> = ColumnTest { operator: Some(&TypeEquality::Catalog), text: false };
const BY_BOTH: ColumnTest<'static> = ColumnTest { operator: Some(&TypeEquality::Catalog), text: true };
const BY_TEXT: ColumnTest<'static> = ColumnTest { operator: None, text: true };

/// Appends the condition that the columns of the key have these values. `None`: there is no key, or not all of it is known.
pub(crate) fn push_key(
    relation: &Relation,
    values: &[ColumnValue<'_>],
    known: &Equalities,
    to: &mut Vec<u8>,
) -> Option<()> {
    let mut joint: &[u8] = b"";
    for (column, value) in relation.columns.iter().zip(values).filter(|(column, _)| column.is_key) {
        let ColumnValue::Text(text) = value else { return None };
        to.extend_from_slice(joint);
        key_test(column.type_oid, known).push(column, text, to);
        joint = b" AND ";
    }
    (!joint.is_empty()).then_some(())
}

/// Appends the condition that a row is one, and only one, of those that have these values in all columns. `None`: a value is not known.
pub(crate) fn push_whole(
    relation: &Relation,
    values: &[ColumnValue<'_>],
    known: &Equalities,
    to: &mut Vec<u8>,
) -> Option<()> {
    to.extend_from_slice(b"ctid = (SELECT ctid FROM ONLY ");
    relation.table.push_quoted(to);
    let mut joint: &[u8] = b" WHERE ";
    for (column, value) in relation.columns.iter().zip(values) {
        to.extend_from_slice(joint);
        match value {
            ColumnValue::Text(text) => whole_test(column.type_oid, known).push(column, text, to),
            ColumnValue::Null => push_null(column, to),
            ColumnValue::Unchanged => return None,
        }
        joint = b" AND ";
    }
    to.extend_from_slice(b" LIMIT 1)");
    Some(())
}

/// Tells how a column of a unique key is compared, in which no two rows are equal.
fn key_test(type_oid: u32, known: &Equalities) -> ColumnTest<'_> {
    match known.get(&type_oid) {
        Some(TypeEquality::Catalog) => BY_CATALOG,
        // Whether the index has the same operator is not known, so the text decides.
        Some(operator) => ColumnTest { operator: Some(operator), text: true },
        None if type_oid < FIRST_OWN_OID => BY_CATALOG,
        None => BY_TEXT,
    }
}

/// Tells how a column is compared in a row that is found by all of its columns.
fn whole_test(type_oid: u32, known: &Equalities) -> ColumnTest<'_> {
    match known.get(&type_oid) {
        _ if EXACT.contains(&type_oid) => BY_CATALOG,
        _ if LOOSE.contains(&type_oid) => BY_BOTH,
        Some(operator @ TypeEquality::Schema(_)) => ColumnTest { operator: Some(operator), text: true },
        // The type beneath a domain may have no operator.
        Some(TypeEquality::Catalog) | None => BY_TEXT,
    }
}

impl ColumnTest<'_> {
    fn push(self, column: &RelationColumn, value: &[u8], to: &mut Vec<u8>) {
        if let Some(operator) = self.operator {
            column.name.push_quoted(to);
            match operator {
                TypeEquality::Catalog => to.extend_from_slice(b" = "),
                TypeEquality::Schema(schema) => {
                    to.extend_from_slice(b" OPERATOR(");
                    schema.push_quoted(to);
                    to.extend_from_slice(b".=) ");
                }
            }
            push_literal(value, to);
            to.extend_from_slice(if self.text { b" AND " } else { b"" });
        }
        if self.text {
            to.extend_from_slice(b"format('%s', ");
            column.name.push_quoted(to);
            to.extend_from_slice(b") COLLATE \"C\" = ");
            push_literal(value, to);
        }
    }
}

/// Appends that a column is NULL. `IS NULL` would hold for a row of a composite type whose fields are all NULL, too.
fn push_null(column: &RelationColumn, to: &mut Vec<u8>) {
    column.name.push_quoted(to);
    let may_be_composite = column.type_oid >= FIRST_OWN_OID;
    to.extend_from_slice(if may_be_composite { b" IS NOT DISTINCT FROM NULL" } else { b" IS NULL" });
}
