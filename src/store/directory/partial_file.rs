//! Writes a temporary file, which becomes an object when it is committed.

use crate::base::error::Result;
use crate::base::random;
use crate::store::directory::errors::{cause, taken};
use crate::store::directory::folder::{NewFolders, StoreFolder};
use crate::store::{PutResult, Upload};
use rustix::fs::OFlags;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// A file being written under a name that no listing shows.
pub(crate) struct Partial {
    folder: StoreFolder,
    made: NewFolders,
    path: PathBuf,
    partial: String,
    name: String,
    file: PartialFile,
    bytes: u64,
}

/// How far the file is.
enum PartialFile {
    Open(BufWriter<File>),
    /// All of it is on disk, under the temporary name.
    Closed,
    /// It has its final name.
    Published,
}

impl Partial {
    pub fn create(folder: StoreFolder, made: NewFolders, path: PathBuf, name: &str) -> Result<Partial> {
        let partial = Partial::name_for(name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = folder.file(&partial, flags).map_err(|error| cause("create", &path, error))?;
        let file = PartialFile::Open(BufWriter::with_capacity(1 << 16, file));
        Ok(Partial { folder, made, path, partial, name: name.to_owned(), file, bytes: 0 })
    }

    /// Fails if the file system lists the file under another name.
    pub fn keeps_its_name(&self) -> Result<()> {
        self.folder.keeps(&self.partial).map_err(|error| cause("create", &self.path, error).into())
    }

    fn name_for(name: &str) -> Result<String> {
        Ok(format!(".{name}.{}.partial", random::hex::<6>()?))
    }

    /// Returns the name that the finished file would have. None: this is not the name of a temporary file.
    pub fn final_name(partial: &str) -> Option<&str> {
        let (name, random) = partial.strip_prefix('.')?.strip_suffix(".partial")?.rsplit_once('.')?;
        (!name.is_empty() && random.len() == 12).then_some(name)
    }

    fn cause(&self, error: io::Error) -> io::Error {
        cause("write", &self.path, error).into()
    }
}

impl Write for Partial {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let PartialFile::Open(file) = &mut self.file else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let written = file.write(bytes).map_err(|error| cause("write", &self.path, error))?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Partial {
    fn close(&mut self) -> Result<()> {
        if let PartialFile::Open(file) = &mut self.file {
            let flushed = file.flush().and_then(|()| file.get_ref().sync_all());
            flushed.map_err(|error| self.cause(error))?;
            self.file = PartialFile::Closed;
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<PutResult> {
        self.close()?;
        match self.folder.publish(&self.partial, &self.name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(taken(&self.path).into()),
            Err(error) => return Err(self.cause(error).into()),
        }
        // Published: what follows must not make `drop` look for the temporary file.
        self.file = PartialFile::Published;
        if let Err(error) = self.folder.sync() {
            // Whether the name would outlive a power cut is not known, so it is taken back.
            self.folder.unlink(&self.name).ok();
            return Err(self.cause(error).into());
        }
        self.made.keep();
        Ok(PutResult { bytes: self.bytes, ..PutResult::default() })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.file, PartialFile::Published) {
            PartialFile::Published => return,
            // Taken apart so that the buffer is not written out first.
            PartialFile::Open(file) => drop(file.into_parts()),
            PartialFile::Closed => {}
        }
        // Nobody is left to tell; `unfinished` will show it.
        self.folder.unlink(&self.partial).ok();
    }
}
