//! Object Lock: what is asked for, whether the host keeps it, and setting it where the host dropped it.
//!
//! Some hosts answer a CreateMultipartUpload with lock headers as if they took them, and forget them.

use super::fault::status;
use super::host::Host;
use super::object::timestamp;
use crate::error::{Fault, Kind, Result, kind};
use crate::store::Held;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// `S3_OBJECT_LOCK_MODE` and `S3_OBJECT_LOCK_DAYS`, or Doubletake's two headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    pub mode: LockMode,
    pub term: Term,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// Who has the right to bypass it may.
    Governance,
    /// Nobody may.
    Compliance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// From the making of each object.
    Days(u32),
    Until(Timestamp),
}

/// The lock of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hold {
    pub mode: LockMode,
    pub until: Timestamp,
}

impl LockMode {
    pub fn name(self) -> &'static str {
        match self {
            LockMode::Governance => "GOVERNANCE",
            LockMode::Compliance => "COMPLIANCE",
        }
    }
}

impl Lock {
    /// The lock of an object that is made now. Hosts keep whole seconds, so it is rounded up to one.
    pub(super) fn hold(self, now: Timestamp) -> Result<Hold> {
        let second = |time: Timestamp| Timestamp::from_second(time.as_second().saturating_add(1));
        let until = match self.term {
            Term::Days(days) => second(now.checked_add(SignedDuration::from_hours(24 * i64::from(days)))?)?,
            Term::Until(until) if until <= now => {
                return Err(Fault::usage(format!("the lock of new backups would end in the past, at {until}"))
                    .hint("set S3_OBJECT_LOCK_DAYS, or a later x-amz-object-lock-retain-until-date")
                    .into());
            }
            Term::Until(until) => until,
        };
        Ok(Hold { mode: self.mode, until })
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} until {:.0}", self.mode.name(), self.until)
    }
}

impl Hold {
    fn covers(self, asked: Hold) -> bool {
        self.mode >= asked.mode && self.until.as_second() >= asked.until.as_second()
    }
}

/// Reads the lock of a new object back, and sets it where it is missing.
pub(super) fn confirm(host: &Host, key: &str, version: Option<&str>, asked: Hold) -> Held {
    if let Ok(Some(found)) = look(host, key, version)
        && found.covers(asked)
    {
        return Held::Locked(found.to_string());
    }
    if let Err(error) = set(host, key, version, asked) {
        return Held::Unlocked(format!("{error:#}"));
    }
    match look(host, key, version) {
        Ok(Some(found)) if found.covers(asked) => Held::Locked(found.to_string()),
        Ok(_) => Held::Unlocked(format!("{} took the lock of \"{key}\" and does not keep it", host.name)),
        Err(error) if kind(&error) == Kind::Denied => Held::Unread,
        Err(error) => Held::Unlocked(format!("{error:#}")),
    }
}

/// Two ways, because a role may be allowed one of them only, and not every host answers both.
fn look(host: &Host, key: &str, version: Option<&str>) -> Result<Option<Hold>> {
    let version = version.map(str::to_owned);
    let request = host.client().head_object().bucket(host.bucket()).key(host.full(key)).set_version_id(version.clone());
    if let Ok(answer) = host.wait_out(request.send())?
        && let Some(mode) = answer.object_lock_mode()
    {
        return Ok(hold(mode.as_str(), answer.object_lock_retain_until_date()));
    }
    let request =
        host.client().get_object_retention().bucket(host.bucket()).key(host.full(key)).set_version_id(version);
    match host.wait_out(request.send())? {
        Ok(answer) => Ok(answer.retention().and_then(|found| hold(found.mode()?.as_str(), found.retain_until_date()))),
        // Hosts say in several ways that there is none.
        Err(error) if matches!(status(&error), Some(400 | 404)) => Ok(None),
        Err(error) => Err(host.fault(&format!("read the lock of \"{key}\""), error).into()),
    }
}

fn hold(mode: &str, until: Option<&DateTime>) -> Option<Hold> {
    let mode = [LockMode::Governance, LockMode::Compliance].into_iter().find(|known| known.name() == mode)?;
    Some(Hold { mode, until: timestamp(until?)? })
}

fn set(host: &Host, key: &str, version: Option<&str>, asked: Hold) -> Result<()> {
    let mode = ObjectLockRetentionMode::from(asked.mode.name());
    let until = DateTime::from_secs(asked.until.as_second());
    let request = host
        .client()
        .put_object_retention()
        .bucket(host.bucket())
        .key(host.full(key))
        .set_version_id(version.map(str::to_owned))
        .retention(ObjectLockRetention::builder().mode(mode).retain_until_date(until).build());
    let answer = host.wait_out(request.send())?;
    answer.map(|_| ()).map_err(|error| host.fault(&format!("lock \"{key}\""), error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_lock_lasts_its_days_from_the_making_and_never_a_moment_less() {
        let lock = Lock { mode: LockMode::Governance, term: Term::Days(30) };
        let hold = lock.hold(at("2026-08-22T03:15:00.75Z")).unwrap();
        assert_eq!(hold.until, at("2026-09-21T03:15:01Z"));
        let past = Lock { mode: LockMode::Governance, term: Term::Until(at("2026-08-22T03:15:00Z")) };
        assert_eq!(kind(&past.hold(at("2026-08-22T03:15:00Z")).unwrap_err()), Kind::Usage);
    }

    #[test]
    fn a_lock_that_is_weaker_or_shorter_than_asked_is_none() {
        let hold = |mode, until| Hold { mode, until: at(until) };
        let asked = hold(LockMode::Governance, "2026-09-21T00:00:00Z");
        assert!(asked.covers(asked));
        assert!(hold(LockMode::Compliance, "2027-01-01T00:00:00Z").covers(asked));
        assert!(!hold(LockMode::Compliance, "2026-09-20T23:59:59Z").covers(asked));
        assert!(!asked.covers(hold(LockMode::Compliance, "2026-09-21T00:00:00Z")));
    }
}
