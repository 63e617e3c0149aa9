//! The process environment: `NAME`, else the file that `NAME_FILE` names, else the Docker secret of the same lower-case name.

use crate::error::{Fault, Result};
use crate::secret::Secret;
use std::path::{Path, PathBuf};

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
    match plain(name) {
        Some(value) => Ok(Some(Secret::new(value))),
        None => file_form(name),
    }
}

/// A variable that is set and not empty.
pub fn plain(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn file_form(name: &str) -> Result<Option<Secret>> {
    let variable = format!("{name}_FILE");
    if let Some(path) = plain(&variable) {
        return read(&PathBuf::from(&path))
            .map(Some)
            .map_err(|error| Fault::usage(format!("cannot read \"{path}\" named by {variable}: {error}")).into());
    }
    let path = Path::new(DOCKER_SECRETS).join(name.to_ascii_lowercase());
    if !path.is_file() {
        return Ok(None);
    }
    read(&path)
        .map(Some)
        .map_err(|error| Fault::usage(format!("cannot read the secret \"{}\": {error}", path.display())).into())
}

/// Editors and `echo` end a file with a line break that is not part of the value.
fn read(path: &Path) -> std::io::Result<Secret> {
    let text = std::fs::read_to_string(path)?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}
