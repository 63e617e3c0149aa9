//! Moves backups between the repository and files: `download`, `upload`, and both with `--raw`.

use crate::base::atomic_file::NewFile;
use crate::base::cancel::check;
use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::{Monitor, Progress};
use crate::base::shown::many;
use crate::base::subject::Subject;
use crate::format::archive::fields;
use crate::format::backup_id::BackupId;
use crate::format::manifest::origin::Origin;
use crate::format::manifest::seal::SealedManifest;
use crate::format::manifest::{Compression, Format, META, META_LIMIT, Manifest, Table};
use crate::pipeline::checksum::Hasher;
use crate::pipeline::drain;
use crate::repository::Repository;
use crate::repository::new_backup::{Adoption, NewBackup};
use crate::repository::payload::payload_upload::PayloadUpload;
use crate::repository::reader::BackupReader;
use crate::repository::tables::{self, RowForm, TablesRead};
use crate::repository::writer::{ManifestDetails, locked};
use crate::store::{LockStatus, read_small};
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The destination of a download.
pub enum Output<'a> {
    File(&'a Path),
    Writer(&'a mut dyn Write),
}

/// Writes the verified dump, ready for an editor, and returns its size in bytes. A file appears under its name only when it is whole.
pub fn download(opened: BackupReader, output: Output, force: bool, monitor: &dyn Monitor) -> Result<u64> {
    let bytes = opened.manifest.plain.bytes;
    written(output, force, |out| receive(opened, out, monitor))?;
    Ok(bytes)
}

/// Writes the rows of these tables of the backup, and returns what was read. A file appears under its name only when it is whole.
pub fn download_tables(
    opened: BackupReader,
    chosen: &[Table],
    form: RowForm,
    output: Output,
    force: bool,
    monitor: &dyn Monitor,
) -> Result<TablesRead> {
    written(output, force, |out| tables::write(opened, chosen, form, out, monitor))
}

/// Has `write` write a download to where it goes, and returns what that returns.
fn written<T>(output: Output, force: bool, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    match output {
        Output::Writer(out) => {
            let value = write(out)?;
            out.flush()?;
            Ok(value)
        }
        Output::File(path) => {
            let mut file = new_file(path, force)?;
            let value = write(&mut file)?;
            file.commit()?;
            Ok(value)
        }
    }
}

/// Starts the file of a download. If it cannot be written, the error names other ways to get the dump.
fn new_file(path: &Path, force: bool) -> Result<NewFile> {
    NewFile::create(path, force).map_err(|error| match error.downcast::<Fault>() {
        Ok(fault) if fault.kind() == Kind::Failed => fault
            .hint(
                "name a folder that can be written to with --output, or take the dump from stdout: pgbk download latest -o - > shop.sql \
                 (of a container: docker compose exec -T backups pgbk download latest -o - > shop.sql)",
            )
            .into(),
        Ok(fault) => fault.into(),
        Err(error) => error,
    })
}

fn receive(opened: BackupReader, out: &mut dyn Write, monitor: &dyn Monitor) -> Result<()> {
    let monitor =
        &Progress::begin(monitor, &format!("download {}", opened.manifest.id), Some(opened.manifest.plain.bytes));
    drain(&mut opened.plain()?, monitor, |bytes| out.write_all(bytes))?;
    Ok(())
}

/// Writes the stored bytes and the `.meta` into a folder, unchanged, and returns the path of the payload. Works without the key: the
/// BLAKE2b of the payload is always checked, the seal only with the key.
pub fn download_raw(
    repository: &Repository,
    id: &BackupId,
    folder: &Path,
    force: bool,
    monitor: &dyn Monitor,
) -> Result<PathBuf> {
    let sealed = repository.sealed(id)?;
    let manifest = carried(repository, &sealed)?;
    let object = repository.payload(&manifest)?;
    let path = folder.join(manifest.file_name());
    let mut file = new_file(&path, force)?;
    let monitor = &Progress::begin(monitor, &format!("download {id}"), Some(manifest.stored.bytes));
    let mut summer = Hasher::default();
    const PIECE: u64 = 8 << 20;
    for start in (0..manifest.stored.bytes).step_by(PIECE as usize) {
        check()?;
        let bytes = object.read(start..(start + PIECE).min(manifest.stored.bytes))?;
        summer.update(&bytes);
        file.write_all(&bytes)?;
        monitor.advance(bytes.len() as u64);
    }
    manifest.compare_stored(summer.finish())?;
    let mut meta_file = NewFile::create(&folder.join(format!("{id}{META}")), force)?;
    meta_file.write_all(sealed.bytes())?;
    file.commit()?;
    meta_file.commit()?;
    Ok(path)
}

/// Returns the manifest, authenticated if the key is set. A backup with a key may be copied without it.
fn carried(repository: &Repository, sealed: &SealedManifest) -> Result<Manifest> {
    if repository.key.is_none() && sealed.key().is_some() {
        return sealed.unauthenticated();
    }
    sealed.authenticate(repository.key.as_ref(), repository.allow_unauthenticated).map(|(manifest, _)| manifest)
}

/// Describes the file that `upload` reads.
#[derive(Debug, Clone)]
pub struct UploadSource {
    pub subject: Subject,
    pub compression: Option<Compression>,
    pub expected: Option<u64>,
    /// Accepts a dump that is cut short.
    pub allow_incomplete: bool,
    /// Note that the user gives the backup.
    pub note: Option<String>,
}

/// Makes a backup of a dump from a file or stdin, through the same pipeline.
pub fn upload(
    repository: &Repository,
    source: &mut dyn Read,
    incoming: &UploadSource,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<Manifest> {
    let mut head = Vec::new();
    source.take(16).read_to_end(&mut head)?;
    let format = recognise(&head)?;
    let (subject, adopt) = (incoming.subject.clone(), &Adoption::No);
    let taking = NewBackup { subject, origin: Origin::Upload, server: None, taken_at: now, now, adopt };
    let name = repository.name(&taking, monitor)?;
    let expected = incoming.expected.unwrap_or(0);
    let monitor = &Progress::begin(monitor, &format!("upload {}", name.id), incoming.expected);
    let mut writer = repository.begin(name, format, incoming.compression, expected)?;
    drain(&mut head.chain(source), monitor, |bytes| {
        writer.write_all(bytes)?;
        monitor.stored(writer.stored());
        Ok(())
    })?;
    let about = ManifestDetails {
        origin: Some(Origin::Upload),
        note: incoming.note.clone(),
        must_be_whole: !incoming.allow_incomplete,
        ..ManifestDetails::default()
    };
    let manifest = writer.finish(about, monitor)?;
    Ok(manifest)
}

/// Returns the format of a dump, script or archive. Refuses a packed file: it would be packed twice and never restore.
fn recognise(head: &[u8]) -> Result<Format> {
    let packed: [(&[u8], &str); 4] = [
        (b"\xfd7zXZ\0", "xz -d"),
        (b"\x28\xb5\x2f\xfd", "zstd -d"),
        (b"\x1f\x8b", "gunzip"),
        (b"Salted__", "openssl enc -d"),
    ];
    if head.is_empty() {
        return Err(Fault::usage("the file is empty").into());
    }
    if head.starts_with(fields::MAGIC) {
        return Ok(Format::Custom);
    }
    match packed.iter().find(|(magic, _)| head.starts_with(magic)) {
        None => Ok(Format::Plain),
        Some((_, tool)) => Err(Fault::usage("the file is compressed or encrypted; upload takes the dump itself")
            .hint(format!("unpack it first ({tool}), or say --raw if it is a backup of pgbk with its .meta beside it"))
            .into()),
    }
}

/// Uploads stored bytes and their `.meta`, as `download --raw` wrote them, into this repository unchanged.
pub fn upload_raw(repository: &Repository, path: &Path, monitor: &dyn Monitor) -> Result<Manifest> {
    let (payload, meta_path) = pair(path)?;
    let sealed = SealedManifest::parse(&meta_path.display().to_string(), read_meta(&meta_path)?)?;
    let manifest = carried(repository, &sealed)?;
    let payload = payload.unwrap_or_else(|| meta_path.with_file_name(manifest.file_name()));
    let there = is_there(repository, &manifest, sealed.bytes())?;
    let mut file = File::open(&payload).map_err(|error| unreadable(&payload, &error))?;
    let mut object = PayloadUpload::begin(
        &repository.store,
        &manifest.object,
        manifest.stored.bytes,
        divided(repository, &manifest)?,
    )?;
    let monitor = &Progress::begin(monitor, &format!("upload {}", manifest.id), Some(manifest.stored.bytes));
    let mut summer = Hasher::default();
    drain(&mut file, monitor, |bytes| {
        summer.update(bytes);
        object.write_all(bytes)
    })?;
    if summer.finish() != manifest.stored {
        return Err(
            Fault::damaged(format!("\"{}\" is not the payload that its .meta states", payload.display())).into()
        );
    }
    let receipts = object.commit(monitor)?;
    let held = if there { LockStatus::Free } else { repository.publish(&manifest, sealed.bytes(), monitor)?.held };
    let locks: Vec<LockStatus> = receipts.into_iter().map(|receipt| receipt.held).chain([held]).collect();
    locked(&manifest, &locks, monitor)?;
    Ok(manifest)
}

/// Returns the size of the objects that the document divides its payload into; `None`: it is one. It is an error if the store does not
/// take such objects: the document is sealed, and states them.
fn divided(repository: &Repository, manifest: &Manifest) -> Result<Option<u64>> {
    let size = manifest.payload().object_size();
    if let Some(largest) = repository.store.capabilities().largest_object.filter(|largest| *largest < size) {
        let text =
            format!("{} has an object of {}, and the store takes {largest} at most", manifest.id, many(size, "byte"));
        return Err(Fault::usage(text)
            .hint("a raw copy keeps its objects as they are: raise MAX_OBJECT_SIZE, or \"pgbk download\" and \"pgbk upload\" without --raw")
            .into());
    }
    Ok((!manifest.further_objects.is_empty()).then_some(size))
}

/// Returns whether this very document is in the store already, as it is if only its payload was
/// lost. Another one under its name is an error.
fn is_there(repository: &Repository, manifest: &Manifest, document: &[u8]) -> Result<bool> {
    let key = manifest.meta_key();
    match read_small(repository.store.as_ref(), &key, META_LIMIT) {
        Ok(found) if found == document => Ok(true),
        Ok(_) => {
            let message =
                format!("\"{key}\" exists already in {}, and is another document", repository.store.location());
            Err(Fault::new(Kind::Exists, message).into())
        }
        // Who may only write is told when the document is written.
        Err(error) if matches!(kind(&error), Kind::NotFound | Kind::Denied) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Returns the paths of the payload and its `.meta`, whichever was named. `None`: the `.meta`
/// was named, and says what its payload is called.
fn pair(path: &Path) -> Result<(Option<PathBuf>, PathBuf)> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.ends_with(META) {
        return Ok((None, path.to_owned()));
    }
    let id = name.find("Z.").and_then(|end| name.get(..=end)).and_then(|id| id.parse::<BackupId>().ok());
    let id = id.ok_or_else(|| {
        Fault::usage(format!("\"{name}\" is not the name of a stored backup"))
            .hint("--raw takes a file that \"pgbk download --raw\" wrote, with its .meta beside it")
    })?;
    Ok((Some(path.to_owned()), path.with_file_name(format!("{id}{META}"))))
}

/// Reads a `.meta` from a file; one that is longer than a `.meta` may be is damage.
fn read_meta(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(META_LIMIT + 1).read_to_end(&mut bytes));
    read.map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > META_LIMIT {
        return Err(Fault::damaged(format!("\"{}\" is longer than a .meta may be", path.display())).into());
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Fault {
    let message = format!("cannot read \"{}\": {error}", path.display());
    if error.kind() == io::ErrorKind::NotFound { Fault::not_found(message) } else { Fault::failed(message) }
}
