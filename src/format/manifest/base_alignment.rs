//! Says how a backup is aligned to the changes that a generation holds: with that it is a base.

use crate::format::changes::generation_id::GenerationId;
use crate::format::lsn::Lsn;
use crate::format::transaction_snapshot::TransactionSnapshot;
use serde::{Deserialize, Serialize};

/// How far before its snapshot changes are looked for that a base does not hold: the record of a commit is written before the transaction
/// counts as over.
const BEFORE: u64 = 64 << 20;

/// Holds which transactions of a generation are in a base. Those that are not can be applied to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StatedAlignment")]
pub struct BaseAlignment {
    generation: GenerationId,
    snapshot: TransactionSnapshot,
    after_lsn: Lsn,
    locked_lsn: Lsn,
    #[serde(skip_serializing_if = "Option::is_none")]
    large_objects: Option<u64>,
}

/// The members as a document states them.
#[derive(Deserialize)]
struct StatedAlignment {
    generation: GenerationId,
    snapshot: TransactionSnapshot,
    after_lsn: Lsn,
    locked_lsn: Lsn,
    #[serde(default)]
    large_objects: Option<u64>,
}

impl BaseAlignment {
    /// Aligns a base to a generation. `snapshot` is what the dump sees; `after_lsn` and `locked_lsn` are where new records of the log
    /// began, once the snapshot was taken and once all tables were locked. `None`: these are no positions in this order.
    pub fn new(
        generation: GenerationId,
        snapshot: TransactionSnapshot,
        (after_lsn, locked_lsn): (Lsn, Lsn),
    ) -> Option<BaseAlignment> {
        let in_order = Lsn(0) < after_lsn && after_lsn <= locked_lsn;
        let large_objects = None;
        in_order.then_some(BaseAlignment { generation, snapshot, after_lsn, locked_lsn, large_objects })
    }

    /// States how many changes of large objects the server had counted before the snapshot. `None`: that is not known.
    pub fn with_large_objects(self, large_objects: Option<u64>) -> BaseAlignment {
        BaseAlignment { large_objects, ..self }
    }

    /// Returns how many changes of large objects the server had counted before the snapshot. `None`: that is not known.
    pub fn large_objects(&self) -> Option<u64> {
        self.large_objects
    }

    pub fn generation(&self) -> GenerationId {
        self.generation
    }

    pub fn snapshot(&self) -> &TransactionSnapshot {
        &self.snapshot
    }

    /// Returns a position behind the commit of every transaction that the base holds.
    pub fn after_lsn(&self) -> Lsn {
        self.after_lsn
    }

    /// Returns a position that is not before the moment when all tables were locked. A TRUNCATE, or a changed definition, that the
    /// snapshot does not see and that committed before it may be in the base all the same.
    pub fn locked_lsn(&self) -> Lsn {
        self.locked_lsn
    }

    /// Returns a position before the commit of every transaction that the base does not hold. `snapshot`: where the log was when the snapshot
    /// was taken, if that is known.
    pub fn needed_from(&self, snapshot: Option<Lsn>) -> Lsn {
        let lowest = snapshot.unwrap_or(self.after_lsn).min(self.after_lsn);
        Lsn(lowest.0.saturating_sub(BEFORE))
    }

    /// Returns whether the base holds a transaction. `commit` is where its commit record begins, `xid` the lower half of its number.
    pub fn holds(&self, commit: Lsn, xid: u32) -> bool {
        commit < self.after_lsn && self.snapshot.sees(xid)
    }
}

impl TryFrom<StatedAlignment> for BaseAlignment {
    type Error = &'static str;

    fn try_from(stated: StatedAlignment) -> Result<BaseAlignment, &'static str> {
        let StatedAlignment { generation, snapshot, after_lsn, locked_lsn, large_objects } = stated;
        let alignment = BaseAlignment::new(generation, snapshot, (after_lsn, locked_lsn));
        let alignment = alignment.ok_or("positions that are not in order")?;
        Ok(alignment.with_large_objects(large_objects))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        r#"{"generation":"20260822T031500Z-5f0c21ab","snapshot":"7:9:7","after_lsn":"0/100","locked_lsn":"0/200"}"#;

    #[test]
    fn a_transaction_is_in_the_base_if_the_snapshot_sees_it_and_it_committed_before() {
        let alignment: BaseAlignment = serde_json::from_str(TEXT).unwrap();
        let held =
            [(0xff, 8), (0x100, 8), (0xff, 7), (0xff, 9), (0x50, 3)].map(|(at, xid)| alignment.holds(Lsn(at), xid));
        assert_eq!(held, [true, false, false, false, true]);
    }

    #[test]
    fn an_alignment_is_read_as_it_is_written_and_nothing_else_is() {
        let alignment: BaseAlignment = serde_json::from_str(TEXT).unwrap();
        assert_eq!(serde_json::to_string(&alignment).unwrap(), TEXT);
        let counted = alignment.with_large_objects(Some(7));
        let text = serde_json::to_string(&counted).unwrap();
        assert!(text != TEXT && serde_json::from_str::<BaseAlignment>(&text).unwrap() == counted);
        for (from, to) in [
            ("20260822T031500Z-5f0c21ab", "20260822T031500Z"),
            ("7:9:7", "7:9:9"),
            ("0/100", "0/0"),
            ("0/100", "0/201"),
            ("0/100", "0/0100"),
            ("\"after_lsn\"", "\"before_lsn\""),
        ] {
            let text = TEXT.replacen(from, to, 1);
            assert!(serde_json::from_str::<BaseAlignment>(&text).is_err(), "{text}");
        }
    }
}
