//! Moves backups between the vault and files: `download`, `upload`, and both `--raw`.

use crate::error::{Fault, Kind, Result, kind};
use crate::manifest::{BackupId, Compression, Format, META, META_LIMIT, Manifest, Origin, Sealed};
use crate::monitor::Monitor;
use crate::newfile::NewFile;
use crate::store::{Creation, Held, Purpose, read_small};
use crate::stream::tally::Summer;
use crate::stream::{archive, drain};
use crate::vault::{About, Adopt, Opened, Taking, Vault, locked};
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Where a download goes.
pub enum Output<'a> {
    File(&'a Path),
    Writer(&'a mut dyn Write),
}

/// Writes the verified dump, ready for an editor. A file appears under its name only when it is whole.
pub fn download(opened: Opened, output: Output, force: bool, monitor: &dyn Monitor) -> Result<u64> {
    let bytes = opened.manifest.plain.bytes;
    match output {
        Output::Writer(out) => {
            receive(opened, out, monitor)?;
            out.flush()?;
        }
        Output::File(path) => {
            let mut file = new_file(path, force)?;
            receive(opened, &mut file, monitor)?;
            file.commit()?;
        }
    }
    Ok(bytes)
}

/// Begins the file of a download. Where it cannot be written, the error says which other ways there are.
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

fn receive(opened: Opened, out: &mut dyn Write, monitor: &dyn Monitor) -> Result<()> {
    monitor.begin(&format!("download {}", opened.manifest.id), Some(opened.manifest.plain.bytes));
    drain(&mut opened.plain()?, monitor, |bytes| out.write_all(bytes))?;
    monitor.end();
    Ok(())
}

/// Writes the stored bytes and the `.meta` into a folder, unchanged. No key is needed: what the tags can tell is checked where the key
/// is there, the BLAKE2b of the payload always.
pub fn download_raw(
    vault: &Vault,
    id: &BackupId,
    folder: &Path,
    force: bool,
    monitor: &dyn Monitor,
) -> Result<PathBuf> {
    let sealed = vault.sealed(id)?;
    let manifest = carried(vault, &sealed)?;
    let object = vault.payload(&manifest)?;
    let path = folder.join(manifest.file_name());
    let mut file = new_file(&path, force)?;
    monitor.begin(&format!("download {id}"), Some(manifest.stored.bytes));
    let mut summer = Summer::default();
    const PIECE: u64 = 8 << 20;
    for start in (0..manifest.stored.bytes).step_by(PIECE as usize) {
        crate::interrupt::check()?;
        let bytes = object.read(start..(start + PIECE).min(manifest.stored.bytes))?;
        summer.update(&bytes);
        file.write_all(&bytes)?;
        monitor.advance(bytes.len() as u64);
    }
    monitor.end();
    if summer.finish() != manifest.stored {
        return Err(
            Fault::damaged(format!("\"{}\" does not have the BLAKE2b that its .meta states", manifest.object)).into()
        );
    }
    let mut meta_file = NewFile::create(&folder.join(format!("{id}{META}")), force)?;
    meta_file.write_all(sealed.bytes())?;
    file.commit()?;
    meta_file.commit()?;
    Ok(path)
}

/// Authenticated where the key is there; a backup with a key may also be carried by who does not have it.
fn carried(vault: &Vault, sealed: &Sealed) -> Result<Manifest> {
    if vault.key.is_none() && sealed.key().is_some() {
        return sealed.unauthenticated();
    }
    sealed.authenticate(vault.key.as_ref(), vault.allow_unauthenticated).map(|(manifest, _)| manifest)
}

/// What `upload` is told about the file.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub database: String,
    pub compression: Option<Compression>,
    pub expected: Option<u64>,
    /// Accept a dump that is cut short.
    pub allow_incomplete: bool,
    /// What a person wrote beside it.
    pub note: Option<String>,
}

/// A dump from a file or stdin becomes a backup, through the same pipeline.
pub fn upload(
    vault: &Vault,
    source: &mut dyn Read,
    incoming: &Incoming,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<Manifest> {
    let mut head = Vec::new();
    source.take(16).read_to_end(&mut head)?;
    let format = recognise(&head)?;
    let (database, adopt) = (incoming.database.as_str(), &Adopt::No);
    let taking = Taking { database, origin: Origin::Upload, server: None, taken_at: now, now, adopt };
    let name = vault.name(&taking, monitor)?;
    let expected = incoming.expected.unwrap_or(0);
    monitor.begin(&format!("upload {}", name.id), incoming.expected);
    let mut deposit = vault.begin(name, format, incoming.compression, expected)?;
    drain(&mut head.chain(source), monitor, |bytes| {
        deposit.write_all(bytes)?;
        monitor.stored(deposit.stored());
        Ok(())
    })?;
    let about = About {
        origin: Some(Origin::Upload),
        note: incoming.note.clone(),
        must_be_whole: !incoming.allow_incomplete,
        ..About::default()
    };
    let manifest = deposit.finish(about, monitor)?;
    monitor.end();
    Ok(manifest)
}

/// Plain script or archive; what is packed already would be packed twice and never restore.
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
    if head.starts_with(archive::MAGIC) {
        return Ok(Format::Custom);
    }
    match packed.iter().find(|(magic, _)| head.starts_with(magic)) {
        None => Ok(Format::Plain),
        Some((_, tool)) => Err(Fault::usage("the file is compressed or encrypted; upload takes the dump itself")
            .hint(format!("unpack it first ({tool}), or say --raw if it is a backup of pgbk with its .meta beside it"))
            .into()),
    }
}

/// Puts stored bytes and their `.meta`, as `download --raw` wrote them, into this vault unchanged.
pub fn upload_raw(vault: &Vault, path: &Path, monitor: &dyn Monitor) -> Result<Manifest> {
    let (payload, meta_path) = pair(path)?;
    let sealed = Sealed::parse(&meta_path.display().to_string(), read_meta(&meta_path)?)?;
    let manifest = carried(vault, &sealed)?;
    let payload = payload.unwrap_or_else(|| meta_path.with_file_name(manifest.file_name()));
    let there = is_there(vault, &manifest, sealed.bytes())?;
    let mut file = File::open(&payload).map_err(|error| unreadable(&payload, &error))?;
    let creation = Creation { expected: manifest.stored.bytes, purpose: Purpose::Payload, ..Creation::default() };
    let mut object = vault.store.create(&manifest.object, &creation)?;
    monitor.begin(&format!("upload {}", manifest.id), Some(manifest.stored.bytes));
    let mut summer = Summer::default();
    drain(&mut file, monitor, |bytes| {
        summer.update(bytes);
        object.write_all(bytes)
    })?;
    monitor.end();
    if summer.finish() != manifest.stored {
        return Err(
            Fault::damaged(format!("\"{}\" is not the payload that its .meta states", payload.display())).into()
        );
    }
    let receipt = object.commit()?;
    let held = if there { Held::Free } else { vault.publish(&manifest, sealed.bytes(), monitor)?.held };
    locked(&manifest, [receipt.held, held], monitor)?;
    Ok(manifest)
}

/// Returns whether this very document is in the store already, as where its payload was lost. Another one under its name is an error.
fn is_there(vault: &Vault, manifest: &Manifest, document: &[u8]) -> Result<bool> {
    let key = manifest.meta_key();
    match read_small(vault.store.as_ref(), &key, META_LIMIT) {
        Ok(found) if found == document => Ok(true),
        Ok(_) => {
            let message = format!("\"{key}\" exists already in {}, and is another document", vault.store.location());
            Err(Fault::new(Kind::Exists, message).into())
        }
        // Who may only write is told when the document is written.
        Err(error) if matches!(kind(&error), Kind::NotFound | Kind::Denied) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The payload and its `.meta`, whichever of the two was named.
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

/// No more of it than a `.meta` may have.
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
