//! Reads one value: `NAME`, else the file that `NAME_FILE` names, else the Docker secret of the same lower-case name.

use crate::base::error::{Fault, Result};
use crate::base::plain_file;
use crate::base::secret::Secret;
use crate::config::environment::value;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest file that is read as a value, in bytes: more than any value needs.
const LONGEST_FILE: u64 = 1 << 20;

/// The sources that values are read from.
pub struct Sources<'a> {
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The folder of Docker's secrets.
    pub folder: &'a Path,
}

impl Sources<'_> {
    /// Returns the value of a setting, normalized. None: it is unset or empty. An empty file is an error.
    pub fn value(&self, name: &str) -> Result<Option<Secret>> {
        if let Some(set) = (self.variable)(name) {
            let text = set.into_string().map_err(|_| Fault::usage(format!("{name} is not UTF-8 text")))?;
            if let Some(value) = value::normal(name, &Zeroizing::new(text))? {
                return Ok(Some(value));
            }
        }
        let variable = format!("{name}_FILE");
        if let Some(path) = (self.variable)(&variable).filter(|path| !path.is_empty()) {
            let path = plain_path(&variable, path)?;
            return read(name, &path, &format!("\"{}\" named by {variable}", path.display())).map(Some);
        }
        let path = self.folder.join(name.to_ascii_lowercase());
        if !there(&path) {
            return Ok(None);
        }
        read(name, &path, &format!("the secret \"{}\"", path.display())).map(Some)
    }
}

/// Returns the path in a `NAME_FILE`, normalized as any other value.
fn plain_path(variable: &str, path: OsString) -> Result<PathBuf> {
    match path.to_str() {
        Some(text) => Ok(value::normal(variable, text)?.map(|path| path.reveal().into()).unwrap_or_default()),
        None => Ok(path.into()),
    }
}

/// Returns whether something is at this path. A file that may not be inspected, a folder and a dangling link count as
/// well: reading them reports the error. To skip them could mean to ignore a key.
fn there(path: &Path) -> bool {
    match std::fs::symlink_metadata(path) {
        // Docker makes a folder where the file of a secret was not there; the secrets of Kubernetes are links.
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

/// Reads a value from a file. An empty file is an error: with an empty password everything would seem encrypted.
fn read(name: &str, path: &Path, called: &str) -> Result<Secret> {
    let failed = |why: &dyn std::fmt::Display| Fault::usage(format!("cannot read {called}: {why}"));
    let text = plain_file::read_text(path).map_err(|error| failed(&error))?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(failed(&"it has more than 1 MiB").into());
    }
    value::normal(name, &text)?.ok_or_else(|| failed(&"it is empty").into())
}
