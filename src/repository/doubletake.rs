//! Backups that Doubletake wrote: `backup.sql`, packed as its name says, and the `backup.meta` next to it.
//!
//! The `.meta` gives a BLAKE2b, a size, or neither, and has no seal. So such an object is read twice: first to the end,
//! to compare it and to collect what pgbk's own `.meta` would say; then like any backup, each chunk checked against the
//! first pass. Both passes read the same version.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::{Monitor, Progress};
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::manifest::seal::SealedManifest;
use crate::format::manifest::upload_check::UploadCheck;
use crate::format::manifest::{Compression, Dump, FORMAT, META, META_LIMIT, Manifest, Method, Tools, unpacked};
use crate::pipeline::pg_archive::Completeness;
use crate::pipeline::scan::{Scan, survey};
use crate::repository::Repository;
use crate::repository::reader::BackupReader;
use crate::repository::writer::{encryption, unknown_archive};
use crate::store::{Object, read_small};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A Doubletake backup that was found. Its payload has not been read yet.
pub struct DoubletakeBackup {
    key: String,
    /// Backup id, made of the object's name and the time at which it was stored: Doubletake gave it none.
    pub id: BackupId,
    method: Option<Method>,
    derived_keys: Option<DerivedKeys>,
    object: Box<dyn Object>,
    /// `None` if there is no `.meta`.
    stated: Option<DoubletakeSums>,
}

/// Holds the sums and the size that a Doubletake `.meta` states.
#[derive(Debug, Default, PartialEq, Eq)]
struct DoubletakeSums {
    sums: Vec<[u8; 64]>,
    bytes: Option<u64>,
}

/// Returns a sentence that says how to restore these Doubletake backups; `None` if `keys` is empty.
pub fn how_to_restore(keys: &[&str]) -> Option<String> {
    const NAMED: usize = 3;
    let first = keys.first()?;
    let named = keys.iter().take(NAMED).map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(", ");
    let (more, look) = match keys.len() {
        1 => (String::new(), "looks"),
        count if count <= NAMED => (String::new(), "look"),
        count => (format!(" and {} more", count - NAMED), "look"),
    };
    Some(format!("{named}{more} {look} like what Doubletake wrote: pgbk restore --object {first} --to NAME"))
}

impl Repository {
    /// Finds the Doubletake backup with this key, which is below the folder that the store was opened on. A backup of pgbk's is refused.
    pub fn old_backup(&self, key: &str) -> Result<DoubletakeBackup> {
        let (bare, method, encrypted) = unpacked(key);
        let stem = bare.strip_suffix(".sql").or_else(|| bare.strip_suffix(".dump")).ok_or_else(|| {
            Fault::usage(format!("\"{key}\" does not end as a backup that Doubletake wrote"))
                .hint("name the payload, such as backup.sql, backup.sql.xz or backup.sql.xz.enc")
        })?;
        let derived_keys = if encrypted { Some(self.key_as_set(key)?) } else { None };
        let object = self.store.open(key, None).map_err(|error| match kind(&error) {
            Kind::NotFound => Fault::not_found(format!("there is no \"{key}\" in {}", self.store.location()))
                .hint("the key is taken below S3_FOLDER, and as it stands")
                .into(),
            _ => error,
        })?;
        let stated = self.stated(key, &format!("{stem}{META}"))?;
        let name = stem.rsplit('/').next().unwrap_or(stem);
        let id = BackupId::new(name, object.info().modified.unwrap_or(Timestamp::UNIX_EPOCH));
        Ok(DoubletakeBackup { key: key.to_owned(), id, method, derived_keys, object, stated })
    }

    fn key_as_set(&self, key: &str) -> Result<DerivedKeys> {
        let derived_keys = match &self.key {
            Some(set) => set.as_set(),
            None => Err(Fault::usage("DB_BACKUP_ENCRYPT_KEY is not set")
                .hint("set it, and DB_BACKUP_ENCRYPT_IV, to what Doubletake had")
                .into()),
        };
        derived_keys.map_err(|error| error.context(format!("\"{key}\" is encrypted")))
    }

    fn stated(&self, key: &str, meta_key: &str) -> Result<Option<DoubletakeSums>> {
        let meta = match read_small(self.store.as_ref(), meta_key, META_LIMIT) {
            Err(error) if kind(&error) == Kind::NotFound => return Ok(None),
            read => read?,
        };
        if let Ok(manifest) = SealedManifest::parse(meta_key, meta.clone()).and_then(|sealed| sealed.claims()) {
            let id = &manifest.id;
            return Err(Fault::usage(format!(
                "\"{key}\" is no backup of Doubletake: its .meta is that of pgbk's {id}"
            ))
            .hint(format!("leave out --object, and name {id}: then its seal is checked"))
            .into());
        }
        Ok(Some(DoubletakeSums::read(&String::from_utf8_lossy(&meta))))
    }
}

impl DoubletakeSums {
    /// Parses a `.meta`. Its layout was never documented, so 128 hexadecimal digits are a BLAKE2b, and the
    /// only number, if there is just one, is the size.
    fn read(text: &str) -> DoubletakeSums {
        let mut stated = DoubletakeSums::default();
        let mut numbers = Vec::new();
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            let mut sum = [0; 64];
            if hex::decode_to_slice(word, &mut sum).is_ok() {
                stated.sums.push(sum);
            } else if word.bytes().all(|byte| byte.is_ascii_digit()) {
                numbers.extend(word.parse::<u64>());
            }
        }
        if let [only] = numbers[..] {
            stated.bytes = Some(only);
        }
        stated
    }

    /// Checks the statement. It may be about the dump, or about the object at any stage of its packing.
    fn holds(&self, survey: &Scan) -> std::result::Result<(), &'static str> {
        let seen = [survey.stored, survey.packed, survey.plain];
        if self.sums.iter().any(|sum| seen.iter().all(|seen| seen.blake2b != *sum)) {
            return Err("its BLAKE2b is another");
        }
        // Where there is a BLAKE2b, a number may be anything.
        let wrong = |bytes| seen.iter().all(|seen| seen.bytes != bytes);
        if self.sums.is_empty() && self.bytes.is_some_and(wrong) { Err("its size is another") } else { Ok(()) }
    }
}

impl DoubletakeBackup {
    /// Reads the object to its end, compares it with its `.meta` and opens it as a backup of `database`; `None`: of the one in its name.
    pub fn open(self, subject: Option<&Subject>, monitor: &dyn Monitor) -> Result<BackupReader> {
        let key = &self.key;
        let monitor = &Progress::begin(monitor, &format!("check {key}"), None);
        let seen = survey(self.object.as_ref(), self.method, self.derived_keys.as_ref(), monitor);
        let seen = seen.map_err(|error| self.explained(error))?;
        self.compare(&seen, monitor)?;
        match seen.verdict {
            Completeness::Whole => {}
            Completeness::Unknown(major, minor) => monitor.warn(&unknown_archive(&self.id, major, minor)),
            Completeness::Cut | Completeness::Foreign => {
                return Err(Fault::damaged(format!("the dump in \"{key}\" is cut short: its end is missing")).into());
            }
        }
        let manifest = self.manifest(subject, seen);
        Ok(BackupReader { manifest, derived_keys: self.derived_keys, object: self.object })
    }

    fn compare(&self, seen: &Scan, monitor: &dyn Monitor) -> Result<()> {
        let key = &self.key;
        match &self.stated {
            None => monitor.warn(&format!("\"{key}\" has no .meta: nothing tells whether it is as it was stored")),
            Some(stated) if *stated == DoubletakeSums::default() => monitor
                .warn(&format!("the .meta of \"{key}\" gives no BLAKE2b and no size: nothing tells whether it is as it was stored")),
            Some(stated) => stated.holds(seen).map_err(|why| {
                Fault::damaged(format!("\"{key}\" is not what its .meta states: {why}"))
                    .hint("object and .meta may be of different runs; in a bucket that keeps versions, the ones before are there")
            })?,
        }
        Ok(())
    }

    /// Adds a hint to an error of decoding: the object may be whole and only the key be wrong.
    fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        if kind(&error) != Kind::Damaged {
            return error;
        }
        let fault = Fault::damaged(format!("cannot decode \"{}\": {error:#}", self.key));
        match self.derived_keys {
            Some(_) => fault.hint("DB_BACKUP_ENCRYPT_KEY and DB_BACKUP_ENCRYPT_IV must be those that it was made with"),
            None => fault.hint("if it is encrypted, copy it to a name that ends with .enc"),
        }
        .into()
    }

    fn manifest(&self, subject: Option<&Subject>, seen: Scan) -> Manifest {
        // At which level it was compressed, nothing tells, and nothing needs to.
        let compression = self.method.map(|method| Compression { method, level: 0 });
        Manifest {
            pgbk: FORMAT,
            id: self.id.clone(),
            object: self.key.clone(),
            version_id: self.object.info().version.clone(),
            further_objects: Vec::new(),
            subject: subject.unwrap_or(self.id.subject()).clone(),
            taken_at: self.id.taken_at(),
            server: None,
            properties: None,
            tools: Tools { pgbk: env!("CARGO_PKG_VERSION").to_owned(), pg_dump: None },
            dump: Dump { format: seen.format, arguments: Vec::new() },
            compression,
            key: self.derived_keys.as_ref().map(|derived_keys| derived_keys.note.clone()),
            encryption: self.derived_keys.as_ref().map(|derived_keys| encryption(Some(derived_keys))),
            plain: seen.plain,
            stored: seen.stored,
            snapshot: None,
            previous: None,
            origin: None,
            sequence: 0,
            adopted: Vec::new(),
            anonymised: None,
            note: None,
            verified: UploadCheck::ReadBack,
            seconds: BTreeMap::new(),
            warnings: Vec::new(),
            requires: seen.script.requirements,
            tables: seen.script.tables,
            chunks: seen.chunks,
            pieces: Vec::new(),
            contents: None,
            changes: None,
            locked: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meta_is_understood_however_it_is_laid_out() {
        let (one, two) = ("0f".repeat(64), "A1".repeat(64));
        let stated = |sums: &[u8], bytes| DoubletakeSums { sums: sums.iter().map(|byte| [*byte; 64]).collect(), bytes };
        let layouts = [
            (format!("{one}  /dump/backup.sql\n"), stated(&[0x0f], None)),
            (format!("{one} 58552"), stated(&[0x0f], Some(58552))),
            (format!("hash={one}\nsize={} bytes\n{two}", 7), stated(&[0x0f, 0xa1], Some(7))),
            (format!("{{\"blake2\":\"{two}\",\"bytes\":12}}"), stated(&[0xa1], Some(12))),
            ("58552\n".to_owned(), stated(&[], Some(58552))),
            // Which of several numbers is a size, nobody can tell.
            ("2024-11-21 58552".to_owned(), stated(&[], None)),
            (one[1..].to_owned(), stated(&[], None)),
            (String::new(), stated(&[], None)),
        ];
        for (text, expected) in layouts {
            assert_eq!(DoubletakeSums::read(&text), expected, "{text}");
        }
    }
}
