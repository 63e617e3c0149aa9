//! A store together with the user's key: where whole backups are put and found.
//!
//! Payload first, `.meta` last, and only a `.meta` makes a backup; what is read back is authenticated before it is believed.

mod adopt;
mod budget;
pub mod catalog;
mod check;
pub mod doubletake;
pub mod fixed_name;
pub mod guard;
pub mod name;
pub mod newest;
mod pin;
mod publish;
mod readers;
mod walk;
mod whole;

pub use adopt::Adopt;
pub use catalog::{Catalog, Entry};
pub use name::{Name, Taking};
pub use newest::{Asker, Latest, Server, server_of};

use crate::error::{Fault, Kind, Result, kind};
use crate::keys::{Key, KeyNote, Working};
use crate::manifest::{
    BackupId, CIPHER, Compression, Dump, Encryption, FORMAT, Format, Kept, META_LIMIT, Manifest, Origin, Properties,
    Sealed, ServerNote, SnapshotNote, Tools, Verified, extension, is_word,
};
use crate::monitor::Monitor;
use crate::series::Series;
use crate::store::{Creation, Held, Object, Purpose, Store, Upload, read_whole};
use crate::stream::archive::{Archive, Verdict};
use crate::stream::tables::Outcome;
use crate::stream::{Pack, Recipe, unpack};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

#[derive(Debug, Clone)]
pub struct Vault {
    pub store: Arc<dyn Store>,
    pub key: Option<Key>,
    /// `NO_ENCRYPT`: keys still seal and decrypt, new backups are not encrypted.
    pub encrypt: bool,
    /// `DB_BACKUP_VERIFY`
    pub verify: bool,
    pub allow_unauthenticated: bool,
}

/// An authenticated backup whose payload is there in its full size.
pub struct Opened {
    pub manifest: Manifest,
    pub working: Option<Working>,
    pub object: Box<dyn Object>,
}

impl Opened {
    /// Returns the database's own properties; None where the backup holds none.
    pub fn properties(&self) -> Result<Option<Properties>> {
        self.manifest.properties.as_ref().map(|kept| kept.open(self.working.as_ref())).transpose()
    }

    /// The dump itself, verified as it is read.
    pub fn plain(self) -> Result<Box<dyn Read + Send>> {
        unpack(self.object, &self.manifest, self.working.as_ref())
    }
}

impl Vault {
    /// The `.meta`, read but neither parsed nor believed.
    pub fn sealed(&self, id: &BackupId) -> Result<Sealed> {
        self.read_meta(id, self.meta(id)?.as_ref())
    }

    fn meta(&self, id: &BackupId) -> Result<Box<dyn Object>> {
        self.of_meta(id, self.store.open(&id.meta_key(), None))
    }

    fn of_meta(&self, id: &BackupId, opened: Result<Box<dyn Object>>) -> Result<Box<dyn Object>> {
        opened.map_err(|error| match kind(&error) {
            Kind::NotFound => Fault::not_found(format!("there is no backup {id} in {}", self.store.location()))
                .hint("\"pgbk list\" shows what is stored")
                .into(),
            // In a folder it does not fail for a while: something else stands in the document's place.
            Kind::Failed if self.store.is_folder() => Fault::damaged(format!("{error:#}")).into(),
            _ => error,
        })
    }

    fn read_meta(&self, id: &BackupId, object: &dyn Object) -> Result<Sealed> {
        let key = id.meta_key();
        Ok(Sealed::parse(&key, read_whole(object, &key, META_LIMIT)?)?.of(id))
    }

    pub fn manifest(&self, id: &BackupId) -> Result<(Manifest, Option<Working>)> {
        self.sealed(id)?.authenticate(self.key.as_ref(), self.allow_unauthenticated)
    }

    pub fn open(&self, id: &BackupId) -> Result<Opened> {
        let (manifest, working) = self.manifest(id)?;
        let object = self.payload(&manifest)?;
        Ok(Opened { manifest, working, object })
    }

    /// The payload of an authenticated manifest; missing or of another size, it is damage.
    pub fn payload(&self, manifest: &Manifest) -> Result<Box<dyn Object>> {
        let key = &manifest.object;
        let version = manifest.version_id.as_deref();
        // A raw copy in another store has no such version; what the newest one holds is checked like any other.
        let pinned = version.and_then(|version| self.store.open(key, Some(version)).ok());
        let object = pinned.map_or_else(|| self.store.open(key, None), Ok).map_err(|error| match kind(&error) {
            Kind::NotFound => Fault::damaged(format!("the payload \"{key}\" of {} is missing", manifest.id)).into(),
            _ => error,
        })?;
        let (found, stated) = (object.info().bytes, manifest.stored.bytes);
        if found != stated {
            return Err(Fault::damaged(format!("\"{key}\" has {found} bytes; its .meta states {stated}"))
                .hint("restore an older backup (pgbk list), or fetch another copy of this one")
                .into());
        }
        Ok(object)
    }

    /// Starts a backup; nothing is visible until its `.meta` is written.
    pub fn begin(
        &self,
        name: Name,
        format: Format,
        compression: Option<Compression>,
        expected: u64,
    ) -> Result<Deposit<'_>> {
        let id = &name.id;
        let working = self.key.as_ref().map(Key::begin).transpose()?;
        let encrypted = self.encrypt && working.is_some();
        let object = id.object_key(&extension(format, compression, encrypted));
        let upload =
            self.store.create(&object, &Creation { expected, purpose: Purpose::Payload, ..Creation::default() })?;
        let recipe = Recipe { format, compression, working: working.as_ref(), encrypt: encrypted, expected };
        let pack = Pack::new(upload, &recipe)?;
        let archive = (format == Format::Custom).then(Archive::default);
        let begun = Instant::now();
        Ok(Deposit { vault: self, name, object, format, compression, encrypted, working, pack, archive, begun })
    }
}

/// A backup being written.
pub struct Deposit<'a> {
    vault: &'a Vault,
    name: Name,
    object: String,
    format: Format,
    compression: Option<Compression>,
    encrypted: bool,
    working: Option<Working>,
    pack: Pack<Box<dyn Upload>>,
    /// Follows an archive, whose end cannot be told from its last bytes.
    archive: Option<Archive>,
    begun: Instant,
}

/// What the manifest says beyond the bytes themselves.
#[derive(Debug, Default)]
pub struct About {
    pub server: Option<ServerNote>,
    pub properties: Option<Properties>,
    pub pg_dump: Option<String>,
    pub arguments: Vec<String>,
    pub snapshot: Option<SnapshotNote>,
    /// By the clock of where it comes from; None: the time that its name tells.
    pub taken_at: Option<Timestamp>,
    pub origin: Option<Origin>,
    /// What a person wrote beside it.
    pub note: Option<String>,
    /// Whether a script without pg_dump's trailer, or an archive without all of its data, is an error.
    pub must_be_whole: bool,
    /// What the program that dumped warned of.
    pub warnings: Vec<String>,
}

impl Write for Deposit<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.pack.write(bytes)?;
        if let Some(archive) = &mut self.archive {
            archive.update(&bytes[..taken]);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pack.flush()
    }
}

impl Deposit<'_> {
    /// Bytes handed to the store so far.
    pub fn stored(&self) -> u64 {
        self.pack.stored()
    }

    /// Makes it a backup: commits the payload, looks at what the store has, writes the `.meta`.
    pub fn finish(self, about: About, monitor: &dyn Monitor) -> Result<Manifest> {
        let Deposit { vault, name, object, format, compression, encrypted, working, pack, archive, begun } = self;
        let Name { id, previous, sequence, adopted } = name;
        monitor.stage("compressing and sending the rest");
        let packed = pack.finish()?;
        as_it_should(&id, archive, packed.script.as_ref(), &about, monitor)?;
        let mut seconds = BTreeMap::new();
        seconds.insert("dump".to_owned(), begun.elapsed().as_secs_f64());
        let (upload, packed) = packed.without_writer();
        let receipt = timed(&mut seconds, "commit", || upload.commit())?;
        let checked = if vault.verify {
            monitor.stage("checking what was stored");
            timed(&mut seconds, "check", || vault.check(&object, &receipt, &packed, monitor))
        } else {
            Ok(Verified::No)
        };
        let verified = checked.inspect_err(|_| vault.take_back(&object, monitor))?;
        let encryption = encrypted.then(|| encryption(working.as_ref()));
        let cipher = working.as_ref().filter(|_| encrypted);
        let properties = about.properties.map(|properties| Kept::of(properties, cipher)).transpose()?;
        let script = packed.script.unwrap_or_default();
        let manifest = Manifest {
            pgbk: FORMAT,
            database: id.database().to_owned(),
            taken_at: about.taken_at.unwrap_or(id.taken_at()),
            id,
            object,
            version_id: receipt.version.filter(|version| is_word(version)),
            server: about.server,
            properties,
            tools: Tools { pgbk: env!("CARGO_PKG_VERSION").to_owned(), pg_dump: about.pg_dump },
            dump: Dump { format, arguments: about.arguments },
            compression,
            key: working.as_ref().map(|working| working.note.clone()),
            encryption,
            plain: packed.plain,
            stored: packed.stored,
            snapshot: about.snapshot,
            previous,
            origin: about.origin,
            sequence,
            adopted,
            note: about.note,
            verified,
            seconds,
            warnings: about.warnings,
            requires: script.requirements,
            tables: script.tables,
            chunks: packed.chunks,
            locked: None,
        };
        let sealed = manifest.seal(working.as_ref());
        let meta = sealed.inspect_err(|_| vault.take_back(&manifest.object, monitor))?;
        let written = vault.publish(&manifest, &meta, monitor)?;
        let locked_how = match (&receipt.held, &written.held) {
            (Held::Locked(how), Held::Locked(_)) => Some(how.clone()),
            _ => None,
        };
        locked(&manifest, [receipt.held, written.held], monitor)?;
        Ok(Manifest { locked: locked_how, ..manifest })
    }
}

/// Refuses what is no dump, or only a part of one.
fn as_it_should(
    id: &BackupId,
    archive: Option<Archive>,
    script: Option<&Outcome>,
    about: &About,
    monitor: &dyn Monitor,
) -> Result<()> {
    let trailer = script.is_none_or(|script| script.complete);
    match archive.map(|archive| archive.verdict()) {
        Some(Verdict::Foreign) => return Err(no_archive(id).into()),
        Some(Verdict::Cut) if about.must_be_whole => return Err(cut_short(id, about, DATA).into()),
        Some(Verdict::Unknown(major, minor)) => monitor.warn(&unknown_archive(id, major, minor)),
        _ if script.is_some_and(|script| script.more_tables) => return Err(too_many_tables(id).into()),
        _ if about.must_be_whole && !trailer => return Err(cut_short(id, about, trailer_of(id)).into()),
        _ => {}
    }
    Ok(())
}

/// A backup that is not locked though it should be stands, and is a failure all the same.
pub fn locked(manifest: &Manifest, [payload, meta]: [Held; 2], monitor: &dyn Monitor) -> Result<()> {
    let id = &manifest.id;
    for (held, key) in [(payload, manifest.object.clone()), (meta, manifest.meta_key())] {
        match held {
            Held::Free | Held::Locked(_) => {}
            Held::Unread => {
                monitor.warn(&format!("the lock of \"{key}\" may not be read: it was set, and not checked"))
            }
            Held::Unlocked(why) => {
                return Err(Fault::failed(format!("{id} is stored whole, but \"{key}\" is NOT LOCKED: {why}"))
                    .hint("the bucket needs Object Lock and the role s3:PutObjectRetention; until then anyone who may delete can delete this backup")
                    .into());
            }
        }
    }
    Ok(())
}

fn encryption(working: Option<&Working>) -> Encryption {
    let iv = working.and_then(|working| match working.note {
        KeyNote::Raw { .. } => Some(working.iv),
        KeyNote::Password { .. } => None,
    });
    Encryption { cipher: CIPHER.to_owned(), iv }
}

fn no_archive(id: &BackupId) -> Fault {
    Fault::failed(format!("pg_dump gave no archive of \"{}\": its output does not begin as one", id.database()))
}

fn too_many_tables(id: &BackupId) -> Fault {
    Fault::failed(format!("the dump of \"{}\" has more tables than a .meta can list", id.database()))
        .hint("divide them among several backups: PG_DUMP_USER_ARGS with --schema or --exclude-schema; or DUMP_FORMAT=custom, whose tables are not listed")
}

/// What a dump that is cut short lacks.
const TRAILER: &str = "the line \"PostgreSQL database dump complete\" is missing at its end";
const CLUSTER_TRAILER: &str = "the line \"PostgreSQL database cluster dump complete\" is missing at its end";
const DATA: &str = "data that the archive's table of contents names are not in it";

fn trailer_of(id: &BackupId) -> &'static str {
    if Series::of(id.database()).is_some() { CLUSTER_TRAILER } else { TRAILER }
}

fn cut_short(id: &BackupId, about: &About, lacks: &str) -> Fault {
    let fault = Fault::failed(format!("the dump of \"{}\" is cut short: {lacks}", id.database()));
    match about.pg_dump {
        Some(_) => fault,
        None => fault.hint("if it is whole although pg_dump did not write it, say --allow-incomplete"),
    }
}

pub fn unknown_archive(id: &BackupId, major: u8, minor: u8) -> String {
    format!(
        "{id} is an archive of version {major}.{minor}, which pgbk does not know: whether it is whole was not checked"
    )
}

fn timed<T>(seconds: &mut BTreeMap<String, f64>, stage: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = work();
    seconds.insert(stage.to_owned(), start.elapsed().as_secs_f64());
    result
}
