//! Writes a backup.

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::subject::Subject;
use crate::format::backup_id::BackupId;
use crate::format::keys::Key;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::digest_key::DigestKey;
use crate::format::keys::note::KeyNote;
use crate::format::keys::purpose::Purpose;
use crate::format::manifest::anonymised_note::AnonymisedNote;
use crate::format::manifest::base_alignment::BaseAlignment;
use crate::format::manifest::origin::Origin;
use crate::format::manifest::properties::Properties;
use crate::format::manifest::stored_contents::StoredContents;
use crate::format::manifest::stored_properties::StoredProperties;
use crate::format::manifest::upload_check::UploadCheck;
use crate::format::manifest::{
    CIPHER, Compression, Dump, Encryption, FORMAT, Format, Manifest, ServerNote, SnapshotNote, Tools, extension,
};
use crate::format::row_block::RowPiece;
use crate::pipeline::pack::{Pack, PackOptions, PackResult};
use crate::pipeline::pg_archive::{Archive, Completeness};
use crate::pipeline::piece_writer::SharedPiece;
use crate::pipeline::table_counter::TableCounts;
use crate::repository::Repository;
use crate::repository::name::BackupName;
use crate::repository::payload::payload_upload::PayloadUpload;
use crate::repository::payload::stored_payload::StoredPayload;
use crate::store::LockStatus;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Instant;

/// A backup that is being written. Nothing of it is visible before [`finish`](BackupWriter::finish).
pub struct BackupWriter<'a> {
    repository: &'a Repository,
    name: BackupName,
    object: String,
    format: Format,
    compression: Option<Compression>,
    encrypted: bool,
    derived_keys: Option<DerivedKeys>,
    pack: Pack<PayloadUpload>,
    /// Follows an archive, because its last bytes do not show whether it is complete. `None` for any other format.
    archive: Option<Archive>,
    begun: Instant,
}

/// Members of the manifest that do not follow from the bytes themselves.
#[derive(Debug, Default)]
pub struct ManifestDetails {
    pub server: Option<ServerNote>,
    pub properties: Option<Properties>,
    pub pg_dump: Option<String>,
    pub arguments: Vec<String>,
    pub snapshot: Option<SnapshotNote>,
    /// Time by the clock of the source; `None`: the time in its name.
    pub taken_at: Option<Timestamp>,
    pub origin: Option<Origin>,
    /// How the values of an anonymised backup were made.
    pub anonymised: Option<AnonymisedNote>,
    /// Note that the user gave it.
    pub note: Option<String>,
    /// Says whether a script without pg_dump's trailer, or an archive without all of its data, is an error.
    pub must_be_whole: bool,
    /// Warnings of the program that dumped.
    pub warnings: Vec<String>,
    /// The table of contents of the dump, as pg_dump writes it; `None`: there is none.
    pub contents: Option<Vec<u8>>,
    /// How it is aligned to a generation; `None`: it is no base.
    pub changes: Option<BaseAlignment>,
}

impl Write for BackupWriter<'_> {
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

impl BackupWriter<'_> {
    /// Returns the id that the backup gets.
    pub(crate) fn id(&self) -> &BackupId {
        &self.name.id
    }

    /// Returns the number of bytes handed to the store so far.
    pub fn stored(&self) -> u64 {
        self.pack.stored()
    }

    /// Writes a piece of a script, whose tables were counted where it was made, with the key of [`row_key`](BackupWriter::row_key).
    pub(crate) fn rows(&mut self, piece: &RowPiece) -> io::Result<()> {
        self.pack.rows(piece)
    }

    /// Writes a piece of a script as [`rows`](BackupWriter::rows) does, and returns it for another backup of the same compression; `None`:
    /// that one compresses it by itself.
    pub(crate) fn share_rows(&mut self, piece: &RowPiece) -> io::Result<Option<SharedPiece>> {
        self.pack.share_rows(piece)
    }

    /// Writes a piece of a script that another backup shares.
    pub(crate) fn shared_rows(&mut self, piece: &RowPiece, shared: SharedPiece) -> io::Result<()> {
        self.pack.shared_rows(piece, shared)
    }

    /// Returns the key of the tables' digests. `None`: they have none.
    pub(crate) fn row_key(&self) -> DigestKey {
        self.derived_keys.as_ref()?.key(Purpose::Row)
    }

    /// Commits the payload, checks what the store has and writes the `.meta`, which makes it a backup. If only a lock is missing, it
    /// returns an error although the backup is stored.
    pub fn finish(self, about: ManifestDetails, monitor: &dyn Monitor) -> Result<Manifest> {
        let BackupWriter {
            repository,
            name: BackupName { id, previous, sequence, adopted },
            object,
            format,
            compression,
            encrypted,
            derived_keys,
            pack,
            archive,
            begun,
        } = self;
        monitor.stage("compressing and sending the rest");
        let packed = pack.finish()?;
        as_it_should(&id, archive, packed.script.as_ref(), &about, monitor)?;
        // What may fail is done before the commit, behind which nothing may be left.
        let cipher = derived_keys.as_ref().filter(|_| encrypted);
        let properties = about.properties.map(|properties| StoredProperties::of(properties, cipher)).transpose()?;
        let contents = contents_of(&id, about.contents.as_deref(), cipher, monitor)?;
        let mut seconds = BTreeMap::from([("dump".to_owned(), begun.elapsed().as_secs_f64())]);
        let (upload, packed) = packed.without_writer();
        let receipts = timed(&mut seconds, "commit", || upload.commit(monitor))?;
        let stored = StoredPayload::of(&object, receipts);
        let checked = checked(repository, &stored, &packed, &mut seconds, monitor);
        let verified = checked.inspect_err(|_| repository.rollback(&stored.keys(), monitor))?;
        let encryption = encrypted.then(|| encryption(derived_keys.as_ref()));
        let script = packed.script.unwrap_or_default();
        let manifest = Manifest {
            pgbk: FORMAT,
            subject: id.subject().clone(),
            taken_at: about.taken_at.unwrap_or(id.taken_at()),
            id,
            object,
            version_id: stored.version(),
            further_objects: stored.further(),
            server: about.server,
            properties,
            tools: Tools { pgbk: env!("CARGO_PKG_VERSION").to_owned(), pg_dump: about.pg_dump },
            dump: Dump { format, arguments: about.arguments },
            compression,
            key: derived_keys.as_ref().map(|derived_keys| derived_keys.note.clone()),
            encryption,
            plain: packed.plain,
            stored: packed.stored,
            snapshot: about.snapshot,
            previous,
            origin: about.origin,
            sequence,
            adopted,
            anonymised: about.anonymised,
            note: about.note,
            verified,
            seconds,
            warnings: about.warnings,
            requires: script.requirements,
            tables: script.tables,
            chunks: packed.chunks,
            pieces: packed.pieces,
            contents,
            changes: about.changes,
            locked: None,
        };
        let sealed = manifest.seal(derived_keys.as_ref());
        let meta = sealed.inspect_err(|_| repository.rollback(&stored.keys(), monitor))?;
        let written = repository.publish(&manifest, &meta, monitor)?;
        let locks = [stored.locks(), vec![written.held]].concat();
        locked(&manifest, &locks, monitor)?;
        Ok(Manifest { locked: how_locked(&locks), ..manifest })
    }
}

/// Returns how the objects are locked, for people. `None`: one of them is not.
fn how_locked(locks: &[LockStatus]) -> Option<String> {
    match locks.first() {
        Some(LockStatus::Locked(how)) if locks.iter().all(|lock| matches!(lock, LockStatus::Locked(_))) => {
            Some(how.clone())
        }
        _ => None,
    }
}

/// Returns the table of contents as the document holds it. `None`: there is none, or it is too long for that, and people are told.
fn contents_of(
    id: &BackupId,
    contents: Option<&[u8]>,
    cipher: Option<&DerivedKeys>,
    monitor: &dyn Monitor,
) -> Result<Option<StoredContents>> {
    let Some(contents) = contents else { return Ok(None) };
    let stored = StoredContents::of(contents, cipher)?;
    if stored.is_none() {
        monitor.warn(&format!("single tables cannot be restored from {id}, only all of it: its table of contents is longer than a .meta can hold"));
    }
    Ok(stored)
}

/// Confirms what was stored, and returns how; [`UploadCheck::No`] where the settings do not ask for it.
fn checked(
    repository: &Repository,
    stored: &StoredPayload,
    packed: &PackResult<()>,
    seconds: &mut BTreeMap<String, f64>,
    monitor: &dyn Monitor,
) -> Result<UploadCheck> {
    if !repository.verify {
        return Ok(UploadCheck::No);
    }
    monitor.stage("checking what was stored");
    timed(seconds, "check", || repository.check(stored, packed, monitor))
}

/// Refuses a payload that is no dump, or only a part of one.
fn as_it_should(
    id: &BackupId,
    archive: Option<Archive>,
    script: Option<&TableCounts>,
    about: &ManifestDetails,
    monitor: &dyn Monitor,
) -> Result<()> {
    let trailer = script.is_none_or(|script| script.complete);
    match archive.map(|archive| archive.verdict()) {
        Some(Completeness::Foreign) => return Err(no_archive(id).into()),
        Some(Completeness::Cut) if about.must_be_whole => return Err(cut_short(id, about, DATA).into()),
        Some(Completeness::Unknown(major, minor)) => monitor.warn(&unknown_archive(id, major, minor)),
        _ if script.is_some_and(|script| script.more_tables) => return Err(too_many_tables(id).into()),
        _ if about.must_be_whole && !trailer => return Err(cut_short(id, about, trailer_of(id)).into()),
        _ => {}
    }
    Ok(())
}

/// Checks the locks of a backup: those of its payload's objects, and that of its `.meta`. It is an error if one that should be locked is
/// not, although the backup stays.
pub(crate) fn locked(manifest: &Manifest, locks: &[LockStatus], monitor: &dyn Monitor) -> Result<()> {
    let id = &manifest.id;
    let keys = [manifest.payload().keys(), vec![manifest.meta_key()]].concat();
    for (held, key) in locks.iter().zip(keys) {
        match held {
            LockStatus::Free | LockStatus::Locked(_) => {}
            LockStatus::Unread => {
                monitor.warn(&format!("the lock of \"{key}\" may not be read: it was set, and not checked"))
            }
            LockStatus::Unlocked(why) => {
                return Err(Fault::failed(format!("{id} is stored whole, but \"{key}\" is NOT LOCKED: {why}"))
                    .hint("the bucket needs Object Lock and the role s3:PutObjectRetention; until then anyone who may delete can delete this backup")
                    .into());
            }
        }
    }
    Ok(())
}

pub(crate) fn encryption(derived_keys: Option<&DerivedKeys>) -> Encryption {
    let iv = derived_keys.and_then(|derived_keys| match derived_keys.note {
        KeyNote::Raw { .. } => Some(derived_keys.iv),
        KeyNote::Password { .. } => None,
    });
    Encryption { cipher: CIPHER.to_owned(), iv }
}

fn no_archive(id: &BackupId) -> Fault {
    Fault::failed(format!("pg_dump gave no archive of \"{}\": its output does not begin as one", id.subject()))
}

fn too_many_tables(id: &BackupId) -> Fault {
    Fault::failed(format!("the dump of \"{}\" has more tables than a .meta can list", id.subject()))
        .hint("divide them among several backups: PG_DUMP_USER_ARGS with --schema or --exclude-schema; or DUMP_FORMAT=custom, whose tables are not listed")
}

/// Describes what a dump that is cut short lacks.
const TRAILER: &str = "the line \"PostgreSQL database dump complete\" is missing at its end";

const CLUSTER_TRAILER: &str = "the line \"PostgreSQL database cluster dump complete\" is missing at its end";

const DATA: &str = "data that the archive's table of contents names are not in it";

fn trailer_of(id: &BackupId) -> &'static str {
    match id.subject() {
        Subject::Database(_) => TRAILER,
        Subject::Globals | Subject::Files => CLUSTER_TRAILER,
    }
}

fn cut_short(id: &BackupId, about: &ManifestDetails, lacks: &str) -> Fault {
    let fault = Fault::failed(format!("the dump of \"{}\" is cut short: {lacks}", id.subject()));
    match about.pg_dump {
        Some(_) => fault,
        None => fault.hint("if it is whole although pg_dump did not write it, say --allow-incomplete"),
    }
}

pub(crate) fn unknown_archive(id: &BackupId, major: u8, minor: u8) -> String {
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

impl Repository {
    /// Starts a backup. Nothing is visible until its `.meta` is written.
    pub fn begin(
        &self,
        name: BackupName,
        format: Format,
        compression: Option<Compression>,
        expected: u64,
    ) -> Result<BackupWriter<'_>> {
        let id = &name.id;
        let derived_keys = self.key.as_ref().map(Key::begin).transpose()?;
        let encrypted = self.encrypt && derived_keys.is_some();
        let object = id.object_key(&extension(format, compression, encrypted));
        let upload = PayloadUpload::begin(&self.store, &object, expected, self.store.capabilities().largest_object)?;
        let recipe =
            PackOptions { format, compression, derived_keys: derived_keys.as_ref(), encrypt: encrypted, expected };
        let pack = Pack::new(upload, &recipe)?;
        let archive = (format == Format::Custom).then(Archive::default);
        let begun = Instant::now();
        Ok(BackupWriter {
            repository: self,
            name,
            object,
            format,
            compression,
            encrypted,
            derived_keys,
            pack,
            archive,
            begun,
        })
    }
}
