//! The process environment: `NAME`, else the file that `NAME_FILE` names, else the Docker secret of the same lower-case name.

use crate::error::{Fault, Result};
use crate::secret::Secret;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const DOCKER_SECRETS: &str = "/run/secrets";

/// Gives clap what it cannot do itself: an empty variable counts as unset, and file forms stand for the variable.
///
/// Must be called first of all, before any thread exists.
pub fn prepare(names: &[String]) -> Result<()> {
    for name in names {
        match std::env::var_os(name) {
            Some(value) if !value.is_empty() => continue,
            _ => {}
        }
        match file_form(name)? {
            Some(value) => set(name, Some(value.reveal())),
            None => set(name, None),
        }
    }
    Ok(())
}

#[allow(unsafe_code)]
fn set(name: &str, value: Option<&str>) {
    // SAFETY: called only from `prepare`, at the start of `main`, while this is the only thread.
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}

/// A variable for this process alone, such as a secret, which is no flag.
pub fn secret(name: &str) -> Result<Option<Secret>> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Some(Secret::new(value))),
        // To take it for unset would store backups without their key.
        Err(std::env::VarError::NotUnicode(_)) => Err(Fault::usage(format!("{name} is not UTF-8 text")).into()),
        _ => file_form(name),
    }
}

/// What to start to do the same again in a process of its own: this program and its arguments.
pub fn command_line() -> Result<(PathBuf, Vec<OsString>)> {
    Ok((std::env::current_exe()?, std::env::args_os().skip(1).collect()))
}

/// A variable that is set and not empty.
pub fn plain(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn file_form(name: &str) -> Result<Option<Secret>> {
    let variable = format!("{name}_FILE");
    if let Some(path) = std::env::var_os(&variable).filter(|path| !path.is_empty()) {
        let path = Path::new(&path);
        return read(path).map(Some).map_err(|why| {
            Fault::usage(format!("cannot read \"{}\" named by {variable}: {why}", path.display())).into()
        });
    }
    let path = Path::new(DOCKER_SECRETS).join(name.to_ascii_lowercase());
    if !there(&path) {
        return Ok(None);
    }
    read(&path)
        .map(Some)
        .map_err(|why| Fault::usage(format!("cannot read the secret \"{}\": {why}", path.display())).into())
}

/// A folder that may not be looked into counts as there, and reading tells why not: it may hold the key.
fn there(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(metadata) => metadata.is_file(),
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

/// Editors and `echo` end a file with a line break that is not part of the value. An empty file is a mistake: with an empty
/// password everything would seem encrypted.
fn read(path: &Path) -> std::io::Result<Secret> {
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(std::io::Error::other("it is empty")),
        value => Ok(Secret::new(value)),
    }
}
