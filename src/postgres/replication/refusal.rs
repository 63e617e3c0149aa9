//! Explains what a server refuses of replication, and says what to do.

use crate::base::error::{Fault, Kind};
use crate::postgres::connect::transport::wire_error::{ServerRefusal, WireError};

/// Says why a server refused to stream, or to make a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCause {
    /// Another process streams from the slot.
    SlotInUse,
    /// The server has removed log that the slot needed, or has ended the slot. It never works again.
    SlotLost,
    NoSlot,
    SlotExists,
    NoPublication,
    /// The server's log holds too little: `wal_level` is not `logical`.
    WalLevel,
    NoRight,
    /// No slot is free.
    AllSlotsUsed,
    /// The server is a standby that cannot do it.
    Standby,
    Other,
}

impl RefusalCause {
    pub fn of(refusal: &ServerRefusal) -> RefusalCause {
        let says = |text: &str| refusal.message.contains(text);
        match refusal.sqlstate.as_str() {
            "55006" => RefusalCause::SlotInUse,
            "42710" => RefusalCause::SlotExists,
            "42501" => RefusalCause::NoRight,
            "53400" => RefusalCause::AllSlotsUsed,
            _ if says("wal_level") => RefusalCause::WalLevel,
            "42704" if says("publication") => RefusalCause::NoPublication,
            "42704" => RefusalCause::NoSlot,
            "55000" | "0A000" if says("in recovery") => RefusalCause::Standby,
            // 12 says so of a slot whose log is gone, 13 to 16 and later ones in their own words.
            "55000"
                if says("can no longer access") || says("cannot read from") || says("can no longer get changes") =>
            {
                RefusalCause::SlotLost
            }
            "58P01" if says("WAL segment") => RefusalCause::SlotLost,
            _ => RefusalCause::Other,
        }
    }

    fn kind(self) -> Kind {
        match self {
            RefusalCause::SlotInUse => Kind::Busy,
            RefusalCause::SlotExists => Kind::Exists,
            RefusalCause::NoSlot | RefusalCause::NoPublication => Kind::NotFound,
            _ => Kind::Failed,
        }
    }

    /// Returns what to do about it. `None`: the server's own words have to do.
    pub(crate) fn hint(self) -> Option<&'static str> {
        Some(match self {
            RefusalCause::SlotInUse => {
                "one process at a time streams from a slot: stop the other one. If it is gone, the server notices that within wal_sender_timeout"
            }
            RefusalCause::SlotLost => {
                "changes are lost: drop the slot, and begin anew with a full backup. max_slot_wal_keep_size and idle_replication_slot_timeout say how long the server keeps log for a slot"
            }
            RefusalCause::NoSlot => {
                "changes since it was dropped are lost: make a new slot, and begin anew with a full backup"
            }
            RefusalCause::SlotExists => "drop the slot if nobody needs it: SELECT pg_drop_replication_slot(…)",
            RefusalCause::NoPublication => {
                "the publication has to be there before the slot: changes from before it cannot be read. Make it, and begin anew with a new slot and a full backup"
            }
            RefusalCause::WalLevel => {
                "set wal_level = logical and restart the server. Managed servers have a parameter of their own for it, such as rds.logical_replication"
            }
            RefusalCause::NoRight => {
                "ALTER ROLE … REPLICATION; managed servers grant a role for it, such as rds_replication"
            }
            RefusalCause::AllSlotsUsed => {
                "raise max_replication_slots and restart the server, or drop a slot that nobody needs"
            }
            RefusalCause::Standby => "let DB_HOST name the primary",
            RefusalCause::Other => return None,
        })
    }
}

/// Returns the error of what was tried ("stream from slot x") on a server. Whoever needs to know more finds the [`ServerRefusal`] in it.
pub(crate) fn explain(error: WireError, tried: &str, at: &str) -> anyhow::Error {
    let fault = Fault::failed(format!("cannot {tried} on {at}"));
    let WireError::Refused(refusal) = error else { return anyhow::Error::new(error).context(fault) };
    let cause = RefusalCause::of(&refusal);
    let fault = fault.with_kind(cause.kind()).with_sqlstate(refusal.sqlstate.as_str());
    let fault = match cause.hint() {
        Some(hint) => fault.hint(hint),
        None => fault,
    };
    anyhow::Error::new(refusal).context(fault)
}

/// Returns why the server refused, if it did. `None`: another thing went wrong.
pub fn cause(error: &anyhow::Error) -> Option<RefusalCause> {
    error.downcast_ref::<ServerRefusal>().map(RefusalCause::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_of_each_major_has_its_cause() {
        for (sqlstate, message, cause) in [
            ("55006", "replication slot \"x\" is active for PID 2540", RefusalCause::SlotInUse),
            ("55000", "can no longer access replication slot \"x\"", RefusalCause::SlotLost),
            ("55000", "cannot read from logical replication slot \"x\"", RefusalCause::SlotLost),
            ("55000", "can no longer get changes from replication slot \"x\"", RefusalCause::SlotLost),
            (
                "58P01",
                "requested WAL segment 000000010000000000000001 has already been removed",
                RefusalCause::SlotLost,
            ),
            ("55000", "logical decoding requires wal_level >= logical", RefusalCause::WalLevel),
            (
                "55000",
                "logical decoding on standby requires \"wal_level\" >= \"logical\" on the primary",
                RefusalCause::WalLevel,
            ),
            ("0A000", "logical decoding cannot be used while in recovery", RefusalCause::Standby),
            ("42704", "replication slot \"x\" does not exist", RefusalCause::NoSlot),
            ("42704", "publication \"x\" does not exist", RefusalCause::NoPublication),
            ("42710", "replication slot \"x\" already exists", RefusalCause::SlotExists),
            ("53400", "all replication slots are in use", RefusalCause::AllSlotsUsed),
            ("42501", "permission denied to use replication slots", RefusalCause::NoRight),
            ("XX000", "could not", RefusalCause::Other),
        ] {
            let refusal =
                ServerRefusal { sqlstate: sqlstate.to_owned(), message: message.to_owned(), detail: String::new() };
            assert_eq!(RefusalCause::of(&refusal), cause, "{message}");
        }
    }
}
