//! Asks an ordinary connection whether the server can stream changes, and says what is missing.

use crate::base::error::{self, Fault, Result};
use crate::base::shown::many;
use crate::postgres::replication::refusal::RefusalCause;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::first;
use postgres::Client;

/// Holds what decides whether a server can stream changes to this role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicationConditions {
    /// Such as 150018.
    pub version_num: u32,
    pub wal_level: String,
    pub max_slots: u32,
    pub used_slots: u32,
    pub max_senders: u32,
    pub used_senders: u32,
    /// Most megabytes of log that are kept for a slot, since 13; `None`: no limit, or the version has none.
    pub slot_keep_megabytes: Option<u64>,
    /// Seconds after which a slot that nobody streams from is ended, since 18; `None`: never.
    pub slot_idle_seconds: Option<u64>,
    /// The standbys that a stream waits for, since 17; empty: none.
    pub waits_for_standbys: String,
    pub role: String,
    /// Whether the role may connect for replication.
    pub may_replicate: bool,
    pub superuser: bool,
    /// Whether the role may make publications in the database.
    pub may_create: bool,
    pub in_recovery: bool,
    /// The encoding of the database.
    pub encoding: String,
}

/// `rds_replication` is Amazon's substitute for the attribute, which no role has there.
const QUERY: &str = "
    SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.current_setting('wal_level'),
           pg_catalog.current_setting('max_replication_slots'),
           (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots),
           pg_catalog.current_setting('max_wal_senders'),
           (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication),
           (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size'),
           (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'idle_replication_slot_timeout'),
           pg_catalog.current_setting('synchronized_standby_slots', true), r.rolname,
           r.rolreplication OR r.rolsuper OR EXISTS (SELECT FROM pg_catalog.pg_roles m
               WHERE m.rolname = 'rds_replication' AND pg_catalog.pg_has_role(m.oid, 'USAGE')),
           r.rolsuper, pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
           pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('server_encoding')
    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";

impl ReplicationConditions {
    pub fn ask(client: &mut Client) -> Result<ReplicationConditions> {
        let row = first(client, QUERY)?.ok_or_else(|| Fault::failed("the server does not know the role"))?;
        let text = |index: usize| cell(&row, index).unwrap_or_default().to_owned();
        let number = |index: usize| cell(&row, index).and_then(|text| text.parse().ok()).unwrap_or_default();
        let is = |index: usize| cell(&row, index) == Some("t");
        // -1 means no limit.
        let megabytes = cell(&row, 6).and_then(|text| text.parse().ok());
        let seconds = cell(&row, 7).and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
        Ok(ReplicationConditions {
            version_num: number(0),
            wal_level: text(1),
            max_slots: number(2),
            used_slots: number(3),
            max_senders: number(4),
            used_senders: number(5),
            slot_keep_megabytes: megabytes,
            slot_idle_seconds: seconds,
            waits_for_standbys: text(8),
            role: text(9),
            may_replicate: is(10),
            superuser: is(11),
            may_create: is(12),
            in_recovery: is(13),
            encoding: text(14),
        })
    }

    /// Returns everything that keeps this role from streaming changes, each with what to do. A slot that is there needs no free one.
    pub fn unmet(&self, slot_exists: bool) -> Vec<Fault> {
        let ReplicationConditions { wal_level, max_slots, used_slots, max_senders, used_senders, role, .. } = self;
        // What a server would refuse later has the same remedy.
        let remedy = |cause: RefusalCause| cause.hint().unwrap_or_default().to_owned();
        let mut unmet = Vec::new();
        let mut needs = |met: bool, what: String, remedy: String| {
            if !met {
                // Only somebody who changes the server or the role mends it.
                unmet.push(Fault::refused(what).hint(remedy));
            }
        };
        needs(
            wal_level == "logical",
            format!("the server's wal_level is {wal_level}: its log does not hold changes of rows"),
            remedy(RefusalCause::WalLevel),
        );
        needs(
            self.may_replicate,
            format!("role \"{role}\" may not connect for replication"),
            format!("ALTER ROLE \"{role}\" REPLICATION; managed servers grant a role for it, such as rds_replication"),
        );
        needs(
            slot_exists || used_slots < max_slots,
            format!("all replication slots are in use ({used_slots} of {max_slots})"),
            remedy(RefusalCause::AllSlotsUsed),
        );
        needs(
            used_senders < max_senders,
            format!("all connections for replication are in use ({used_senders} of {max_senders})"),
            "raise max_wal_senders and restart the server".to_owned(),
        );
        // A standby's position and its transactions in progress are not known well enough for a base.
        needs(
            !self.in_recovery,
            "the server is a standby: changes are streamed from the primary".to_owned(),
            remedy(RefusalCause::Standby),
        );
        unmet
    }

    /// Fails if anything keeps this role from streaming changes, and names all of it.
    pub fn require(&self, slot_exists: bool) -> Result<()> {
        error::together(self.unmet(slot_exists).into_iter().map(|fault| Err(fault.into())))
    }

    /// Returns what may end a slot, or hold up a stream, although all is well now.
    pub fn risks(&self) -> Vec<String> {
        let mut risks = Vec::new();
        match self.slot_keep_megabytes {
            Some(megabytes) => risks.push(format!(
                "a slot whose client is away is lost once {} of log are behind it (max_slot_wal_keep_size)",
                many(megabytes, "megabyte")
            )),
            None => risks.push("a slot whose client is away keeps log until the disk is full (max_slot_wal_keep_size sets a limit, from 13 on)".to_owned()),
        }
        if let Some(seconds) = self.slot_idle_seconds {
            let time = many(seconds, "second");
            risks.push(format!("a slot whose client is away for {time} is lost (idle_replication_slot_timeout)"));
        }
        if !self.waits_for_standbys.is_empty() {
            let slots = &self.waits_for_standbys;
            risks.push(format!("a stream waits for the standbys of {slots} (synchronized_standby_slots)"));
        }
        risks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::hints;

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let mut conditions = ReplicationConditions {
            version_num: 150_018,
            wal_level: "logical".to_owned(),
            max_slots: 10,
            used_slots: 10,
            max_senders: 10,
            used_senders: 1,
            slot_keep_megabytes: None,
            slot_idle_seconds: None,
            waits_for_standbys: String::new(),
            role: "r".to_owned(),
            may_replicate: true,
            superuser: false,
            may_create: true,
            in_recovery: false,
            encoding: "UTF8".to_owned(),
        };
        assert!(conditions.require(true).is_ok());
        assert!(conditions.require(false).is_err());
        (conditions.wal_level, conditions.may_replicate, conditions.in_recovery) = ("replica".to_owned(), false, true);
        let error = conditions.require(false).unwrap_err();
        for word in ["wal_level is replica", "\"r\" may not", "10 of 10", "is a standby"] {
            assert!(error.to_string().contains(word), "{error:#}");
        }
        assert!(hints(&error).concat().contains("ALTER ROLE \"r\" REPLICATION"));
        (conditions.slot_keep_megabytes, conditions.slot_idle_seconds) = (Some(1), Some(60));
        assert_eq!(conditions.risks().len(), 2);
    }
}
