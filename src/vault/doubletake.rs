//! Backups that Doubletake wrote: `backup.sql`, packed as its name says, and the `backup.meta` beside it.
//!
//! The `.meta` gives a BLAKE2b, a size, or neither, and nobody sealed it. So such an object is read twice: once to the end, to
//! compare it and to take what pgbk's own `.meta` would say of it, and then like any backup, each chunk checked against the first
//! time. Both times it is the same version that is read.

use super::{Opened, Vault, encryption, unknown_archive};
use crate::error::{Fault, Kind, Result, kind};
use crate::keys::Working;
use crate::manifest::{
    BackupId, Compression, Dump, FORMAT, META, META_LIMIT, Manifest, Method, Sealed, Tools, Verified, unpacked,
};
use crate::monitor::Monitor;
use crate::store::{Object, read_small};
use crate::stream::archive::Verdict;
use crate::stream::survey::{Survey, survey};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// One that is there, and of which nothing has been read yet.
pub struct OldBackup {
    key: String,
    /// Made of the object's name and the time at which it was stored: it has none of its own.
    pub id: BackupId,
    method: Option<Method>,
    working: Option<Working>,
    object: Box<dyn Object>,
    /// None where there is no `.meta`.
    stated: Option<Stated>,
}

/// What the `.meta` says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stated {
    sums: Vec<[u8; 64]>,
    bytes: Option<u64>,
}

/// Returns whether an object is called as those that Doubletake wrote.
pub(super) fn is_called_so(key: &str) -> bool {
    let (bare, ..) = unpacked(key);
    bare.strip_suffix(".sql").or_else(|| bare.strip_suffix(".dump")).is_some_and(|stem| !stem.is_empty())
}

/// Says how a person has one of these restored; None where there is none.
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

impl Vault {
    /// The object of this key, below the folder that the store was opened on.
    pub fn old_backup(&self, key: &str) -> Result<OldBackup> {
        let (bare, method, encrypted) = unpacked(key);
        let stem = bare.strip_suffix(".sql").or_else(|| bare.strip_suffix(".dump")).ok_or_else(|| {
            Fault::usage(format!("\"{key}\" does not end as a backup that Doubletake wrote"))
                .hint("name the payload, such as backup.sql, backup.sql.xz or backup.sql.xz.enc")
        })?;
        let working = if encrypted { Some(self.key_as_set(key)?) } else { None };
        let object = self.store.open(key, None).map_err(|error| match kind(&error) {
            Kind::NotFound => Fault::not_found(format!("there is no \"{key}\" in {}", self.store.location()))
                .hint("the key is taken below S3_FOLDER, and as it stands")
                .into(),
            _ => error,
        })?;
        let stated = self.stated(key, &format!("{stem}{META}"))?;
        let name = stem.rsplit('/').next().unwrap_or(stem);
        let id = BackupId::new(name, object.info().modified.unwrap_or(Timestamp::UNIX_EPOCH));
        Ok(OldBackup { key: key.to_owned(), id, method, working, object, stated })
    }

    fn key_as_set(&self, key: &str) -> Result<Working> {
        let working = match &self.key {
            Some(set) => set.as_set(),
            None => Err(Fault::usage("DB_BACKUP_ENCRYPT_KEY is not set")
                .hint("set it, and DB_BACKUP_ENCRYPT_IV, to what Doubletake had")
                .into()),
        };
        working.map_err(|error| error.context(format!("\"{key}\" is encrypted")))
    }

    fn stated(&self, key: &str, meta_key: &str) -> Result<Option<Stated>> {
        let meta = match read_small(self.store.as_ref(), meta_key, META_LIMIT) {
            Err(error) if kind(&error) == Kind::NotFound => return Ok(None),
            read => read?,
        };
        if let Ok(manifest) = Sealed::parse(meta_key, meta.clone()).and_then(|sealed| sealed.claims()) {
            let id = &manifest.id;
            return Err(Fault::usage(format!(
                "\"{key}\" is no backup of Doubletake: its .meta is that of pgbk's {id}"
            ))
            .hint(format!("leave out --object, and name {id}: then its seal is checked"))
            .into());
        }
        Ok(Some(Stated::read(&String::from_utf8_lossy(&meta))))
    }
}

impl Stated {
    /// How it is laid out was never written down: 128 hexadecimal digits are a BLAKE2b, and the only number is the size.
    fn read(text: &str) -> Stated {
        let mut stated = Stated::default();
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

    /// Whether it holds. It may be about the dump, or about the object at any stage of its packing.
    fn holds(&self, survey: &Survey) -> std::result::Result<(), &'static str> {
        let seen = [survey.stored, survey.packed, survey.plain];
        if self.sums.iter().any(|sum| seen.iter().all(|seen| seen.blake2b != *sum)) {
            return Err("its BLAKE2b is another");
        }
        // Where there is a BLAKE2b, a number may be anything.
        let wrong = |bytes| seen.iter().all(|seen| seen.bytes != bytes);
        if self.sums.is_empty() && self.bytes.is_some_and(wrong) { Err("its size is another") } else { Ok(()) }
    }
}

impl OldBackup {
    /// Reads it to the end, compares it with its `.meta`, and gives it as a backup of this database.
    pub fn open(self, database: Option<&str>, monitor: &dyn Monitor) -> Result<Opened> {
        let key = &self.key;
        monitor.begin(&format!("check {key}"), None);
        let seen = survey(self.object.as_ref(), self.method, self.working.as_ref(), monitor);
        monitor.end();
        let seen = seen.map_err(|error| self.explained(error))?;
        self.compare(&seen, monitor)?;
        match seen.verdict {
            Verdict::Whole => {}
            Verdict::Unknown(major, minor) => monitor.warn(&unknown_archive(&self.id, major, minor)),
            Verdict::Cut | Verdict::Foreign => {
                return Err(Fault::damaged(format!("the dump in \"{key}\" is cut short: its end is missing")).into());
            }
        }
        let manifest = self.manifest(database, seen);
        Ok(Opened { manifest, working: self.working, object: self.object })
    }

    fn compare(&self, seen: &Survey, monitor: &dyn Monitor) -> Result<()> {
        let key = &self.key;
        match &self.stated {
            None => monitor.warn(&format!("\"{key}\" has no .meta: nothing tells whether it is as it was stored")),
            Some(stated) if *stated == Stated::default() => monitor
                .warn(&format!("the .meta of \"{key}\" gives no BLAKE2b and no size: nothing tells whether it is as it was stored")),
            Some(stated) => stated.holds(seen).map_err(|why| {
                Fault::damaged(format!("\"{key}\" is not what its .meta states: {why}"))
                    .hint("object and .meta may be of different runs; in a bucket that keeps versions, the ones before are there")
            })?,
        }
        Ok(())
    }

    /// What cannot be decoded may be whole: nothing but the key can tell.
    fn explained(&self, error: anyhow::Error) -> anyhow::Error {
        if kind(&error) != Kind::Damaged {
            return error;
        }
        let fault = Fault::damaged(format!("cannot decode \"{}\": {error:#}", self.key));
        match self.working {
            Some(_) => fault.hint("DB_BACKUP_ENCRYPT_KEY and DB_BACKUP_ENCRYPT_IV must be those that it was made with"),
            None => fault.hint("if it is encrypted, copy it to a name that ends with .enc"),
        }
        .into()
    }

    fn manifest(&self, database: Option<&str>, seen: Survey) -> Manifest {
        // At which level it was compressed, nothing tells, and nothing needs to.
        let compression = self.method.map(|method| Compression { method, level: 0 });
        Manifest {
            pgbk: FORMAT,
            id: self.id.clone(),
            object: self.key.clone(),
            version_id: self.object.info().version.clone(),
            database: database.unwrap_or(self.id.database()).to_owned(),
            taken_at: self.id.taken_at(),
            server: None,
            properties: None,
            tools: Tools { pgbk: env!("CARGO_PKG_VERSION").to_owned(), pg_dump: None },
            dump: Dump { format: seen.format, arguments: Vec::new() },
            compression,
            key: self.working.as_ref().map(|working| working.note.clone()),
            encryption: self.working.as_ref().map(|working| encryption(Some(working))),
            plain: seen.plain,
            stored: seen.stored,
            snapshot: None,
            previous: None,
            origin: None,
            sequence: 0,
            adopted: Vec::new(),
            note: None,
            verified: Verified::ReadBack,
            seconds: BTreeMap::new(),
            warnings: Vec::new(),
            requires: seen.script.requirements,
            tables: seen.script.tables,
            chunks: seen.chunks,
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
        let stated = |sums: &[u8], bytes| Stated { sums: sums.iter().map(|byte| [*byte; 64]).collect(), bytes };
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
            assert_eq!(Stated::read(&text), expected, "{text}");
        }
    }
}
