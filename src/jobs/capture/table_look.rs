//! Holds what one look at the catalog found.

use crate::format::lsn::Lsn;
use crate::postgres::replication::table_shape::TableShape;
use jiff::Timestamp;

pub(crate) struct TableLook {
    /// The catalog is as it was at this place of the log, or newer.
    pub at: Lsn,
    /// The server's clock before the look.
    pub time: Timestamp,
    pub shapes: Vec<TableShape>,
    /// The transaction that was made after the look, by the lower half of its number: where the stream has it, all is committed that the look
    /// saw. `None`: there is none, because the tables are as at the look before.
    pub mark: Option<u32>,
}
