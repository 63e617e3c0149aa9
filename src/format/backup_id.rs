//! A backup's name: `<series>-<YYYYMMDDTHHMMSSZ>`, and the keys made from it.

use crate::base::error::Fault;
use crate::base::subject::Subject;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

const STAMP: &str = "%Y%m%dT%H%M%SZ";
/// `YYYYMMDDTHHMMSSZ`
const STAMP_LENGTH: usize = 16;

/// Largest lead of a backup's date over a clock: one that is further ahead was not made under that clock.
const AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// The id of a backup. Sorts by subject, then by time. Parsed whole, never matched by prefix, so that `app` and `app_staging` are
/// never mixed up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId {
    subject: Subject,
    /// Whole seconds.
    taken_at: Timestamp,
}

impl BackupId {
    pub fn new(subject: impl Into<Subject>, taken_at: Timestamp) -> Self {
        let seconds = Timestamp::from_second(taken_at.as_second()).unwrap_or(taken_at);
        BackupId { subject: subject.into(), taken_at: seconds }
    }

    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    pub fn taken_at(&self) -> Timestamp {
        self.taken_at
    }

    /// Returns whether it is dated more than an hour ahead of this clock: one of the two clocks was wrong. Such a backup is never
    /// the newest, and no rule removes it.
    pub fn is_from_the_future(&self, now: Timestamp) -> bool {
        is_ahead(self.taken_at, now)
    }

    /// `shop/shop-20260822T031500Z.sql.xz`
    pub fn object_key(&self, extension: &str) -> String {
        format!("{}{self}.{extension}", folder(&self.subject))
    }

    /// `shop/shop-20260822T031500Z.meta`
    pub fn meta_key(&self) -> String {
        self.object_key("meta")
    }

    /// Returns the id whose `.meta` this key is. `None`: pgbk would not write such a key.
    pub fn of_meta_key(key: &str) -> Option<BackupId> {
        Self::of_key(key).filter(|id| id.meta_key() == key)
    }

    /// `shop/shop-20260822T031500Z.pin`: while it is there, no rule removes the backup.
    pub fn pin_key(&self) -> String {
        self.object_key("pin")
    }

    /// Returns the id whose pin this key is. `None`: it is no key of a pin.
    pub fn of_pin_key(key: &str) -> Option<BackupId> {
        Self::of_key(key).filter(|id| id.pin_key() == key)
    }

    /// Returns the id in a key of the backup's folder, such as that of a payload or `.meta`. `None`: there is no id in it.
    pub fn of_key(key: &str) -> Option<BackupId> {
        let (folder_name, name) = key.split_once('/')?;
        let stem = name.get(..folder_name.len() + 1 + STAMP_LENGTH)?;
        let rest = name.get(stem.len()..)?;
        let id: BackupId = stem.parse().ok()?;
        (rest.starts_with('.') && folder(&id.subject).strip_suffix('/') == Some(folder_name)).then_some(id)
    }
}

/// Returns whether `one` is more than an hour ahead of `other`.
pub(crate) fn is_ahead(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other) > AHEAD
}

/// Returns the folder of one subject. Its slash keeps `app` and `app_staging` apart.
pub(crate) fn folder(subject: &Subject) -> String {
    format!("{}/", subject.series())
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = self.taken_at.to_zoned(TimeZone::UTC).strftime(STAMP);
        write!(f, "{}-{stamp}", self.subject.series())
    }
}

impl FromStr for BackupId {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        parse(text).ok_or_else(|| {
            let meant = meant(text).map_or_else(String::new, |id| format!(": did you mean {id}?"));
            Fault::usage(format!("\"{text}\" is not a backup id{meant}"))
                .hint("an id looks like shop-20260822T031500Z; \"pgbk list\" shows those that there are")
        })
    }
}

/// Returns the id that a text was probably meant to be: it has the folder before it, a file's extensions after it, its last letter
/// is missing, or its letters are small.
fn meant(text: &str) -> Option<BackupId> {
    let name = text.rsplit('/').next().unwrap_or(text);
    let cut = |at: usize| name.get(..name.len().checked_sub(at)?);
    let whole = |stem: &str| {
        let split = stem.len().checked_sub(STAMP_LENGTH)?;
        parse(&format!("{}{}", stem.get(..split)?, stem.get(split..)?.to_ascii_uppercase()))
    };
    let dots = name.match_indices('.').map(|(at, _)| &name[..at]);
    let stems = dots.chain(cut(0));
    stems.flat_map(|stem| [whole(stem), whole(&format!("{stem}Z"))]).flatten().next()
}

fn parse(text: &str) -> Option<BackupId> {
    let split = text.len().checked_sub(STAMP_LENGTH + 1)?;
    let (name, rest) = (text.get(..split)?, text.get(split..)?);
    let stamp = rest.strip_prefix('-')?;
    let time = jiff::civil::DateTime::strptime(STAMP, stamp).ok()?;
    let taken_at = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let id = BackupId { subject: Subject::of_series(name)?, taken_at };
    // One spelling only: nothing else may name the same backup.
    (id.to_string() == text).then_some(id)
}

impl Serialize for BackupId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BackupId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(database: &str) -> BackupId {
        BackupId::new(database, "2026-08-22T03:15:00.75Z".parse().unwrap())
    }

    #[test]
    fn an_id_names_its_database_and_second() {
        assert_eq!(id("shop").to_string(), "shop-20260822T031500Z");
        assert_eq!(id("shop").meta_key(), "shop/shop-20260822T031500Z.meta");
        assert_eq!(id("a b/ü").to_string(), "a%20b%2F%C3%BC-20260822T031500Z");
        assert_eq!(id("..").to_string(), "%2E.-20260822T031500Z");
    }

    #[test]
    fn a_key_of_another_database_or_maker_is_not_ours() {
        assert_eq!(BackupId::of_meta_key("app/app-20260822T031500Z.meta"), Some(id("app")));
        for foreign in [
            "app/app_staging-20260822T031500Z.meta",
            "app_staging/app-20260822T031500Z.meta",
            "app/app-20260822T031500Z.sql",
            "app/app-20261322T031500Z.meta",
            "app/app-20260822T031500Z.meta.meta",
            "app-20260822T031500Z.meta",
            "app/backup.meta",
            "%61pp/%61pp-20260822T031500Z.meta",
            "%40files/%40files-20260822T031500Z.meta",
            "@other/@other-20260822T031500Z.meta",
        ] {
            assert_eq!(BackupId::of_meta_key(foreign), None, "{foreign}");
        }
        assert_eq!(BackupId::of_key("app/app-20260822T031500Z.sql.xz.enc"), Some(id("app")));
    }

    #[test]
    fn what_is_nearly_an_id_is_answered_with_the_id_that_is_meant() {
        for near in [
            "shop-20260822T031500",
            "shop-20260822t031500z",
            "shop-20260822T031500Z.meta",
            "shop-20260822T031500Z.sql.zst.enc",
            "shop/shop-20260822T031500Z.sql",
            "s3://bucket/folder/shop/shop-20260822T031500Z.dump",
            "./shop-20260822T031500",
        ] {
            let said = near.parse::<BackupId>().unwrap_err().to_string();
            assert_eq!(said, format!("\"{near}\" is not a backup id: did you mean shop-20260822T031500Z?"));
        }
        for far in ["shop", "", "Z", "shop-20260822", "shop-20261322T031500", "-20260822T031500", "ü-20260822T03150"] {
            let said = far.parse::<BackupId>().unwrap_err().to_string();
            assert_eq!(said, format!("\"{far}\" is not a backup id"));
        }
    }

    #[test]
    fn what_is_no_database_has_keys_that_no_database_has() {
        for subject in [Subject::Globals, Subject::Files] {
            let id = id(subject.name());
            assert_eq!(id.meta_key(), format!("{subject}/{subject}-20260822T031500Z.meta"));
            assert_eq!(BackupId::of_meta_key(&id.meta_key()), Some(id));
        }
    }

    proptest! {
        #[test]
        fn every_database_name_comes_back(name in "\\PC{1,63}|[-.%/\\\\'\"\n ü]{1,20}", second in 0i64..4_000_000_000) {
            let id = BackupId::new(name.as_str(), Timestamp::from_second(second).unwrap());
            prop_assert_eq!(&id.to_string().parse::<BackupId>().unwrap(), &id);
            prop_assert_eq!(BackupId::of_meta_key(&id.meta_key()), Some(id.clone()));
            prop_assert!(id.meta_key().bytes().all(|b| b.is_ascii_graphic() && b != b'\\'));
            prop_assert!(!id.meta_key().split('/').any(|part| part.starts_with('.') || part.is_empty()));
        }
    }
}
