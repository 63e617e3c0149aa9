//! Holds the connections of a load besides the one that runs the script, and what is put off for them.

use crate::postgres::restore::load::build_batch::BuildBatch;
use crate::postgres::restore::load::side_connection::{SessionStatement, SideConnection};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

pub(crate) struct ParallelLoad {
    pub sides: Vec<SideConnection>,
    /// Bytes of the rows of each table.
    pub sizes: HashMap<String, u64>,
    /// Set once nothing more is to be loaded.
    pub stopped: Arc<AtomicBool>,
    /// Lines of the rows that the script is without.
    pub lines: Arc<AtomicU64>,
    /// Statements that have changed the script's session, besides those about the tablespace.
    pub session: Vec<SessionStatement>,
    /// The statement that set the tablespace last; `None`: none has.
    pub tablespace: Option<Vec<u8>>,
    /// Statements that were put off, to be run at a time.
    pub batch: BuildBatch,
}

impl ParallelLoad {
    pub fn new(
        sides: Vec<SideConnection>,
        sizes: HashMap<String, u64>,
        stopped: Arc<AtomicBool>,
        lines: Arc<AtomicU64>,
    ) -> ParallelLoad {
        let (session, batch) = (Vec::new(), BuildBatch::default());
        ParallelLoad { sides, sizes, stopped, lines, session, tablespace: None, batch }
    }

    /// Returns whether the connections have rows to load that do not come in the script.
    pub fn has_rows(&self) -> bool {
        self.sides.iter().any(|side| side.rows.is_some())
    }
}
