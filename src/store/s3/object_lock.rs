//! Confirms the Object Lock of new objects, and sets it if the host dropped it.
//!
//! Some hosts answer a CreateMultipartUpload with lock headers as if they took them, and forget them.

use crate::base::error::{Kind, Result, kind};
use crate::store::LockStatus;
use crate::store::s3::errors::status;
use crate::store::s3::host::Host;
use crate::store::s3::object::timestamp;
use crate::store::s3::settings::LockMode;
use crate::store::s3::settings::LockUntil;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ObjectLockRetention, ObjectLockRetentionMode};

/// Reads the lock of a new object back, and sets it if it is missing. Waits a little even after a signal.
pub(crate) fn confirm(host: &Host, key: &str, version: Option<&str>, asked: LockUntil) -> LockStatus {
    if let Ok(Some(found)) = look(host, key, version)
        && found.covers(asked)
    {
        return LockStatus::Locked(found.to_string());
    }
    if let Err(error) = set(host, key, version, asked) {
        return LockStatus::Unlocked(format!("{error:#}"));
    }
    match look(host, key, version) {
        Ok(Some(found)) if found.covers(asked) => LockStatus::Locked(found.to_string()),
        Ok(_) => LockStatus::Unlocked(format!("{} took the lock of \"{key}\" and does not keep it", host.address.name)),
        Err(error) if kind(&error) == Kind::Denied => LockStatus::Unread,
        Err(error) => LockStatus::Unlocked(format!("{error:#}")),
    }
}

/// Reads the lock of an object. None: there is none. There are two ways, because a role may be allowed one of them
/// only, and not every host answers both.
fn look(host: &Host, key: &str, version: Option<&str>) -> Result<Option<LockUntil>> {
    let version = version.map(str::to_owned);
    let request = host
        .client()
        .head_object()
        .bucket(host.address.bucket())
        .key(host.address.full(key))
        .set_version_id(version.clone());
    if let Ok(answer) = host.waiter.wait_out(request.send())?
        && let Some(mode) = answer.object_lock_mode()
    {
        return Ok(hold(mode.as_str(), answer.object_lock_retain_until_date()));
    }
    let request = host
        .client()
        .get_object_retention()
        .bucket(host.address.bucket())
        .key(host.address.full(key))
        .set_version_id(version);
    match host.waiter.wait_out(request.send())? {
        Ok(answer) => Ok(answer.retention().and_then(|found| hold(found.mode()?.as_str(), found.retain_until_date()))),
        // Hosts say in several ways that there is none.
        Err(error) if matches!(status(&error), Some(400 | 404)) => Ok(None),
        Err(error) => Err(host.fault(&format!("read the lock of \"{key}\""), error).into()),
    }
}

fn hold(mode: &str, until: Option<&DateTime>) -> Option<LockUntil> {
    let mode = [LockMode::Governance, LockMode::Compliance].into_iter().find(|known| known.name() == mode)?;
    Some(LockUntil { mode, until: timestamp(until?)? })
}

fn set(host: &Host, key: &str, version: Option<&str>, asked: LockUntil) -> Result<()> {
    let mode = ObjectLockRetentionMode::from(asked.mode.name());
    let until = DateTime::from_secs(asked.until.as_second());
    let request = host
        .client()
        .put_object_retention()
        .bucket(host.address.bucket())
        .key(host.address.full(key))
        .set_version_id(version.map(str::to_owned))
        .retention(ObjectLockRetention::builder().mode(mode).retain_until_date(until).build());
    let answer = host.waiter.wait_out(request.send())?;
    answer.map(|_| ()).map_err(|error| host.fault(&format!("lock \"{key}\""), error).into())
}

/// Returns whether the bucket keeps objects under Object Lock. It is an error if the host does not say.
pub(crate) fn is_there(host: &Host) -> Result<bool> {
    let answer =
        host.waiter.wait(host.client().get_object_lock_configuration().bucket(host.address.bucket()).send())?;
    match answer {
        Ok(answer) => Ok(answer.object_lock_configuration.and_then(|lock| lock.object_lock_enabled).is_some()),
        Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => Ok(false),
        Err(error) => Err(host.fault("read the bucket's Object Lock settings", error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::s3::settings::{LockSettings, LockTerm};
    use jiff::Timestamp;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_lock_lasts_its_days_from_the_making_and_never_a_moment_less() {
        let lock = LockSettings { mode: LockMode::Governance, term: LockTerm::Days(30) };
        let hold = lock.hold(at("2026-08-22T03:15:00.75Z")).unwrap();
        assert_eq!(hold.until, at("2026-09-21T03:15:01Z"));
        let past = LockSettings { mode: LockMode::Governance, term: LockTerm::Until(at("2026-08-22T03:15:00Z")) };
        assert_eq!(kind(&past.hold(at("2026-08-22T03:15:00Z")).unwrap_err()), Kind::Usage);
    }

    #[test]
    fn a_lock_that_is_weaker_or_shorter_than_asked_is_none() {
        let hold = |mode, until| LockUntil { mode, until: at(until) };
        let asked = hold(LockMode::Governance, "2026-09-21T00:00:00Z");
        assert!(asked.covers(asked));
        assert!(hold(LockMode::Compliance, "2027-01-01T00:00:00Z").covers(asked));
        assert!(!hold(LockMode::Compliance, "2026-09-20T23:59:59Z").covers(asked));
        assert!(!asked.covers(hold(LockMode::Compliance, "2026-09-21T00:00:00Z")));
    }
}
