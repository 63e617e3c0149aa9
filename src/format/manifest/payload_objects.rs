//! The objects that a payload consists of: one, or several if the store takes no object as large as the payload.
//!
//! The first object has the payload's own key. The further ones are named by it and numbered from 2 on: `shop-….sql.part0002`. All numbers
//! have four digits, so that a shell and a listing have the objects in their order. Put after each other they are the payload. All are of
//! one size, and the last may be smaller.

use crate::base::error::{Fault, Result};
use crate::base::shown::many;
use crate::format::backup_id::BackupId;
use crate::format::manifest::further_object::MOST_OBJECTS;
use crate::format::manifest::{Format, Manifest, unpacked};

/// Text before the number of a further object.
const MARK: &str = ".part";
const DIGITS: usize = 4;

/// The payload of a backup, as its document states it.
#[derive(Debug, Clone)]
pub(crate) struct StatedPayload {
    id: BackupId,
    /// At least one, in order.
    pub objects: Vec<StatedObject>,
}

/// An object of a payload, as its document states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatedObject {
    pub key: String,
    pub version: Option<String>,
    pub bytes: u64,
}

/// Returns the key of an object of a payload. Numbers begin with 1, which has the payload's own key.
pub(crate) fn object_key(payload: &str, number: usize) -> String {
    if number == 1 { payload.to_owned() } else { format!("{payload}{MARK}{number:0DIGITS$}") }
}

/// Returns the payload whose further object has this key; `None`: it is no key of a further object.
pub(crate) fn payload_of(key: &str) -> Option<&str> {
    let (payload, digits) = key.rsplit_once(MARK)?;
    let is_number = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && digits.parse().is_ok_and(|number| (2..=MOST_OBJECTS).contains(&number))).then_some(payload)
}

impl BackupId {
    /// Returns the id of the backup whose payload's only or first object has this key. `None`: pgbk would not write such a key.
    pub fn of_payload_key(key: &str) -> Option<BackupId> {
        let id = BackupId::of_key(key)?;
        is_extension(key.strip_prefix(&id.object_key(""))?).then_some(id)
    }

    /// Returns the id of the backup whose payload has an object with this key, be it the first or a further one. `None`: pgbk would not
    /// write such a key.
    pub fn of_any_payload_key(key: &str) -> Option<BackupId> {
        BackupId::of_payload_key(payload_of(key).unwrap_or(key))
    }
}

/// Returns whether this can be the extension of a payload.
fn is_extension(text: &str) -> bool {
    [Format::Plain, Format::Custom, Format::Tar].iter().any(|format| format.extension() == unpacked(text).0)
}

impl Manifest {
    /// Returns the objects that the payload consists of.
    pub(crate) fn payload(&self) -> StatedPayload {
        let further = self.further_objects.iter().zip(2..).map(|(further, number)| StatedObject {
            key: object_key(&self.object, number),
            version: further.version_id.clone(),
            bytes: further.bytes,
        });
        let first =
            StatedObject { key: self.object.clone(), version: self.version_id.clone(), bytes: self.first_bytes() };
        StatedPayload { id: self.id.clone(), objects: std::iter::once(first).chain(further).collect() }
    }

    /// Returns the size of the first object in bytes: what the further ones leave of the payload.
    fn first_bytes(&self) -> u64 {
        self.further_objects.iter().fold(self.stored.bytes, |left, further| left.saturating_sub(further.bytes))
    }

    /// Returns whether the objects make up the payload: they are of one size, the last may be smaller, and none is empty.
    pub(crate) fn has_whole_objects(&self) -> bool {
        let Some((last, others)) = self.further_objects.split_last() else { return true };
        let size = self.first_bytes();
        others.iter().all(|further| further.bytes == size) && (1..=size).contains(&last.bytes)
    }
}

impl StatedPayload {
    /// Returns the size in bytes.
    pub fn bytes(&self) -> u64 {
        self.objects.iter().fold(0, |sum, object| sum + object.bytes)
    }

    pub fn keys(&self) -> Vec<String> {
        self.objects.iter().map(|object| object.key.clone()).collect()
    }

    /// Returns the size of each object in bytes, except the last, which may be smaller.
    pub fn object_size(&self) -> u64 {
        self.objects.first().map_or(0, |first| first.bytes)
    }

    /// Fails if an object of it is not as large as stated. `found`: its size in bytes; `None`: it is missing.
    pub fn compare(&self, object: &StatedObject, found: Option<u64>) -> Result<()> {
        let StatedObject { key, bytes, .. } = object;
        let is_first = self.objects.first() == Some(object);
        let fault = match found {
            Some(found) if found == *bytes => return Ok(()),
            Some(found) => Fault::damaged(format!("\"{key}\" has {}; its .meta states {bytes}", many(found, "byte")))
                .hint("restore an older backup (pgbk list), or fetch another copy of this one"),
            None if is_first => Fault::damaged(format!("the payload \"{key}\" of {} is missing", self.id)),
            None => Fault::damaged(format!("\"{key}\", a part of the payload of {}, is missing", self.id)),
        };
        Err(fault.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::manifest::{Compression, Method, extension};

    #[test]
    fn every_payload_that_pgbk_writes_is_known_by_its_key_and_no_other_file_is() {
        let id: BackupId = "app-20260822T031500Z".parse().unwrap();
        let methods = [None, Some(Method::Xz), Some(Method::Zstd), Some(Method::Gzip)];
        let formats = [Format::Plain, Format::Custom, Format::Tar];
        for (format, method) in formats.iter().flat_map(|f| methods.iter().map(move |m| (f, m))) {
            for encrypted in [false, true] {
                let compression = method.map(|method| Compression { method, level: 1 });
                let key = id.object_key(&extension(*format, compression, encrypted));
                assert_eq!(BackupId::of_payload_key(&key), Some(id.clone()), "{key}");
                for number in [1, 2, 9, 10, MOST_OBJECTS] {
                    let object = object_key(&key, number);
                    assert_eq!(BackupId::of_any_payload_key(&object), Some(id.clone()), "{object}");
                    assert_eq!(BackupId::of_payload_key(&object).is_some(), number == 1, "{object}");
                }
            }
        }
        for extension in [
            "",
            "meta",
            "sql.bak",
            "txt",
            "sql.enc.xz",
            "sql.xz.gz",
            "enc",
            "xz",
            ".sql",
            "sqlxz",
            "sql.xz.enc.enc",
            "meta.part0002",
            "pin.part0002",
            "sql.part",
            "sql.part0000",
            "sql.part0001",
            "sql.part2",
            "sql.part002",
            "sql.part00002",
            "sql.part+002",
            "sql.part10000",
            "sql.part0002.part0003",
            "sql.part0002.enc",
        ] {
            assert_eq!(BackupId::of_any_payload_key(&id.object_key(extension)), None, "{extension}");
        }
        assert_eq!(BackupId::of_any_payload_key("app_staging/app-20260822T031500Z.sql.part0002"), None);
    }
}
