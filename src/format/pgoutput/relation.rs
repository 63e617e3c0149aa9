//! The shape of a table, as the server tells it before the first change of the table.

use crate::format::pgoutput::message_bytes::MessageBytes;
use crate::format::pgoutput::row::MOST_COLUMNS;
use crate::format::sql::object_name::{ObjectName, TableName};

/// Tells by which columns the server tells the row that was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// Those of the primary key, if there is one.
    Default,
    Nothing,
    /// All columns.
    Full,
    /// Those of a unique index.
    Index,
}

impl ReplicaIdentity {
    /// Returns the identity of a letter of the catalog. `None`: there is none.
    pub(crate) fn of_letter(letter: u8) -> Option<ReplicaIdentity> {
        Some(match letter {
            b'd' => ReplicaIdentity::Default,
            b'n' => ReplicaIdentity::Nothing,
            b'f' => ReplicaIdentity::Full,
            b'i' => ReplicaIdentity::Index,
            _ => return None,
        })
    }

    /// Returns the letter of the catalog.
    pub(crate) fn letter(self) -> u8 {
        match self {
            ReplicaIdentity::Default => b'd',
            ReplicaIdentity::Nothing => b'n',
            ReplicaIdentity::Full => b'f',
            ReplicaIdentity::Index => b'i',
        }
    }
}

/// A published column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationColumn {
    pub name: ObjectName,
    /// The identifier of its type in the source's catalog.
    pub type_oid: u32,
    /// Limits the type, such as to a length. -1: it does not.
    pub modifier: i32,
    /// Whether it belongs to the replica identity.
    pub is_key: bool,
}

/// A table with its published columns. Generated columns are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The identifier of the table in the source's catalog.
    pub oid: u32,
    pub table: TableName,
    pub identity: ReplicaIdentity,
    pub columns: Vec<RelationColumn>,
}

impl Relation {
    /// Takes a table from the message that tells it.
    pub(crate) fn take(bytes: &mut MessageBytes<'_>) -> Option<Relation> {
        let oid = bytes.id()?;
        let table = TableName { schema: bytes.schema()?, name: bytes.name()? };
        let identity = ReplicaIdentity::of_letter(bytes.byte()?)?;
        let count = usize::from(bytes.short()?);
        if count > MOST_COLUMNS {
            return None;
        }
        let columns = (0..count).map(|_| RelationColumn::take(bytes)).collect::<Option<Vec<_>>>()?;
        Some(Relation { oid, table, identity, columns })
    }
}

impl RelationColumn {
    fn take(bytes: &mut MessageBytes<'_>) -> Option<RelationColumn> {
        let is_key = match bytes.byte()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let (name, type_oid) = (bytes.name()?, bytes.id()?);
        Some(RelationColumn { name, type_oid, modifier: bytes.word()?.cast_signed(), is_key })
    }
}
