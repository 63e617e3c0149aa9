//! Looks at a replication slot on an ordinary connection: whether it is there, who uses it, and how much of its log the server keeps for
//! it.

use crate::base::cancel;
use crate::base::error::{Fault, Result};
use crate::format::changes::replication_names::{PublicationName, SlotName};
use crate::format::lsn::Lsn;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::{column, first};
use crate::postgres::session::quote::{identifier, literal};
use anyhow::Context;
use postgres::Client;
use serde_json::Value;
use std::time::Duration;

/// The first version whose standbys can take slots over.
pub(crate) const FAILOVER_SINCE: u32 = 170_000;

/// Holds the state of a slot. What a server's version does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotState {
    /// The output plugin; `None` for a physical slot.
    pub plugin: Option<String>,
    /// The database that it decodes; `None` for a physical slot.
    pub database: Option<String>,
    /// Whether it goes with the session that made it. One that a standby has taken over from its primary is so until it is ready.
    pub temporary: bool,
    /// The server's process that streams from it; `None` if none does.
    pub active_pid: Option<u32>,
    /// The beginning of the log that is kept for it.
    pub restart: Option<Lsn>,
    /// The position that was confirmed last.
    pub confirmed: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved` or `lost`, since 13.
    pub wal_status: Option<String>,
    /// Why it is of no more use, since 17; `None` while it is.
    pub invalidation: Option<String>,
    /// How many bytes may still be written before log is removed that it needs, since 13; `None` also if there is no limit.
    pub safe_bytes: Option<i64>,
    /// Whether standbys keep it, since 17.
    pub failover: Option<bool>,
    /// How many bytes of log are kept for it.
    pub retained_bytes: Option<i64>,
}

impl SlotState {
    /// Returns the state of the slot with this name; `None` if there is none.
    pub fn find(client: &mut Client, slot: &SlotName) -> Result<Option<SlotState>> {
        // As a document, because each version has more columns.
        let query = format!(
            "SELECT pg_catalog.to_json(s), pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery()
                    THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn)
             FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = {}",
            literal(slot.as_str())
        );
        let Some(row) = first(client, &query)? else { return Ok(None) };
        let document: Value = serde_json::from_str(cell(&row, 0).unwrap_or_default())
            .with_context(|| format!("the server's description of replication slot \"{slot}\""))?;
        let retained_bytes = cell(&row, 1).and_then(|bytes| bytes.parse().ok());
        Ok(Some(SlotState::read(&document, retained_bytes)))
    }

    fn read(document: &Value, retained_bytes: Option<i64>) -> SlotState {
        let text = |name: &str| document[name].as_str().map(str::to_owned);
        let position = |name: &str| document[name].as_str().and_then(|text| text.parse().ok());
        SlotState {
            plugin: text("plugin"),
            database: text("database"),
            temporary: document["temporary"].as_bool().unwrap_or_default(),
            active_pid: document["active_pid"].as_u64().and_then(|pid| pid.try_into().ok()),
            restart: position("restart_lsn"),
            confirmed: position("confirmed_flush_lsn"),
            wal_status: text("wal_status"),
            invalidation: text("invalidation_reason"),
            safe_bytes: document["safe_wal_size"].as_i64(),
            failover: document["failover"].as_bool(),
            retained_bytes,
        }
    }

    /// Returns whether the server will never stream from it again. 12 tells of a slot whose log is gone only when it is asked to stream.
    pub fn is_lost(&self) -> bool {
        self.invalidation.is_some() || self.wal_status.as_deref() == Some("lost")
    }

    /// Fails unless the slot decodes changes of this database by `pgoutput`.
    pub fn require_ours(&self, slot: &SlotName, database: &str) -> Result<()> {
        if self.plugin.as_deref() == Some("pgoutput") && self.database.as_deref() == Some(database) {
            return Ok(());
        }
        let whose =
            self.database.as_deref().map_or_else(String::new, |database| format!(" of database \"{database}\""));
        let plugin = self.plugin.as_deref().unwrap_or("none");
        Err(Fault::usage(format!("replication slot \"{slot}\" is another one{whose}, with output plugin {plugin}"))
            .hint("set CAPTURE_SLOT to another name")
            .into())
    }

    /// Returns the statement that makes a slot for a capture on a server of this version.
    pub fn create_statement(slot: &SlotName, version_num: u32) -> String {
        let failover = if version_num >= FAILOVER_SINCE { ", false, false, true" } else { "" };
        let name = literal(slot.as_str());
        format!("SELECT pg_catalog.pg_create_logical_replication_slot({name}, 'pgoutput'{failover})")
    }

    /// Returns the statement that drops a slot which nobody streams from.
    pub fn drop_statement(slot: &SlotName) -> String {
        format!("SELECT pg_catalog.pg_drop_replication_slot({})", literal(slot.as_str()))
    }
}

/// Reads what a new slot has so far, and leaves it there. One whose making met a TRUNCATE or another change of files can fail at that, and
/// would for ever.
pub fn probe(client: &mut Client, slot: &SlotName, publications: &[PublicationName]) -> Result<()> {
    let names: Vec<String> = publications.iter().map(|name| identifier(name.as_str())).collect();
    let query = format!(
        "SELECT pg_catalog.count(*) FROM pg_catalog.pg_logical_slot_peek_binary_changes({}, pg_catalog.pg_current_wal_lsn(), NULL,
             'proto_version', '1', 'publication_names', {})",
        literal(slot.as_str()),
        literal(&names.join(","))
    );
    column(client, &query).with_context(|| format!("read the new replication slot \"{slot}\"")).map(drop)
}

/// Ends the process that makes a slot, and drops the slot if it was made all the same.
pub(crate) fn abandon(client: &mut Client, slot: &SlotName, process: &str) -> Result<()> {
    const PAUSE: Duration = Duration::from_millis(50);
    let (process, name) = (literal(process), literal(slot.as_str()));
    column(client, &format!("SELECT pg_catalog.pg_terminate_backend({process}::pg_catalog.int4)"))?;
    for _ in 0..40 {
        let alive = format!("SELECT pid FROM pg_catalog.pg_stat_activity WHERE pid = {process}::pg_catalog.int4");
        if column(client, &alive)?.is_empty() {
            break;
        }
        cancel::wait(PAUSE);
    }
    let drop = format!(
        "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots
         WHERE slot_name = {name} AND NOT active"
    );
    column(client, &drop)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_of_each_version_is_read_as_far_as_the_server_tells() {
        let old = serde_json::json!({"plugin": "pgoutput", "database": "a", "temporary": false, "active": true,
            "active_pid": 7, "restart_lsn": "0/10", "confirmed_flush_lsn": "1/0"});
        let slot = SlotState::read(&old, Some(9));
        assert_eq!((slot.active_pid, slot.restart, slot.confirmed), (Some(7), Some(Lsn(16)), Some(Lsn(1 << 32))));
        assert_eq!((slot.is_lost(), slot.failover, slot.retained_bytes), (false, None, Some(9)));
        for (name, value) in [("wal_status", "lost"), ("invalidation_reason", "idle_timeout")] {
            let mut new = old.clone();
            new[name] = value.into();
            assert!(SlotState::read(&new, None).is_lost());
        }
    }
}
