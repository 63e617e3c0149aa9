//! The process environment: `NAME`, else the file that `NAME_FILE` names, else the Docker secret of the same lower-case name.
//!
//! Whichever way a value comes, it is read once, here, and by one rule ([`value::normal`]).

pub(crate) mod address;
pub(crate) mod connection;
pub(crate) mod stray;
pub(crate) mod value;
pub(crate) mod variables;

use crate::base::error::{Fault, Result};
use crate::base::plain;
use crate::base::secret::Secret;
use crate::config::environment::variables::{plain, set};
use connection::Places;
use std::collections::{BTreeMap, BTreeSet};
use std::env::VarError;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, PoisonError, RwLock};
use stray::Stray;
use zeroize::Zeroizing;

const DOCKER_SECRETS: &str = "/run/secrets";
/// Variable that is set for a pgbk that another one starts in its own place: its values were already read and
/// normalized. It lists the secrets that came from files.
const TAKEN: &str = "PGBK_VALUES_TAKEN";
/// Prefixes of variables that libpq and the AWS chain read by themselves.
const FOREIGN: [&str; 2] = ["PG", "AWS_"];
/// Longest file that is read as a value, in bytes: more than any value needs.
const LONGEST_FILE: u64 = 1 << 20;

/// The secrets that were read. None: `prepare` has not run yet.
static SECRETS: RwLock<Option<Secrets>> = RwLock::new(None);

struct Secrets {
    values: BTreeMap<String, Secret>,
    /// Names of the secrets that came from files, which `renew` reads again.
    in_files: BTreeSet<String>,
}

/// The arguments, without the passwords of connection URLs.
static ARGUMENTS: OnceLock<Vec<OsString>> = OnceLock::new();

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

/// Reads every setting and every secret, and prepares what clap cannot do itself: an empty variable counts as unset,
/// and a value from a file is set as the variable. Secrets are taken out of the environment.
///
/// Must be called once, first of all, before any thread exists and before root is given up.
pub fn prepare(settings: &[String], secrets: &[&str], places: Places) -> Result<()> {
    let taken = plain(TAKEN);
    set(TAKEN, None);
    let own = |name: &str| std::env::var_os(name);
    let sources = Sources { variable: &own, folder: Path::new(DOCKER_SECRETS) };
    let (mut found, mut in_files) = (BTreeMap::new(), BTreeSet::new());
    for name in secrets {
        let from_file = match &taken {
            Some(names) => names.split(',').any(|one| one == *name),
            None => plain(name).is_none(),
        };
        let value = if taken.is_some() { plain(name).map(Secret::new) } else { sources.value(name)? };
        in_files.extend(value.as_ref().filter(|_| from_file).map(|_| (*name).to_owned()));
        found.extend(value.map(|value| ((*name).to_owned(), value)));
        set(name, None);
    }
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if taken.is_none() {
        foreign()?;
        for name in settings {
            // A path need not be text: clap tells where it must.
            if matches!(std::env::var(name), Err(VarError::NotUnicode(_))) {
                continue;
            }
            set(name, sources.value(name)?.as_ref().map(Secret::reveal));
        }
        connection::resolve(&mut arguments, places, &mut found)?;
    }
    // Of the process, and so the first to be set.
    let _ = ARGUMENTS.set(arguments);
    *SECRETS.write().unwrap_or_else(PoisonError::into_inner) = Some(Secrets { values: found, in_files });
    Ok(())
}

/// Reads the secrets that came from files again, so that a process that runs for long follows their rotation. A
/// secret that cannot be read now, such as one in a file that only root may read or that is just being written, keeps
/// its value. Returns whether any value is new.
pub(crate) fn renew() -> bool {
    let own = |name: &str| std::env::var_os(name);
    let sources = Sources { variable: &own, folder: Path::new(DOCKER_SECRETS) };
    let mut known = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    known.as_mut().is_some_and(|secrets| secrets.renew(&sources))
}

impl Secrets {
    fn renew(&mut self, sources: &Sources) -> bool {
        let mut is_new = false;
        for name in &self.in_files {
            let Ok(Some(value)) = sources.value(name) else { continue };
            if self.values.get(name).is_none_or(|before| before.reveal() != value.reveal()) {
                self.values.insert(name.clone(), value);
                is_new = true;
            }
        }
        is_new
    }
}

/// Returns the command line, with the name of the database where a connection URL was.
pub fn arguments() -> Vec<OsString> {
    ARGUMENTS.get().cloned().unwrap_or_else(|| std::env::args_os().collect())
}

/// Removes line ends at the end of the variables that libpq and the AWS chain read by themselves. Refuses other
/// control characters, and connection URLs.
fn foreign() -> Result<()> {
    for (name, text) in std::env::vars_os() {
        let (Some(name), Some(text)) = (name.to_str(), text.to_str()) else { continue };
        if FOREIGN.iter().any(|prefix| name.starts_with(prefix)) {
            if address::tells_password(text) {
                return Err(connection::misplaced(name).into());
            }
            let plain = value::one_line(name, text)?;
            if name.starts_with("AWS_") && name.ends_with("_FILE") {
                waits_for_nobody(name, Path::new(plain))?;
            }
            if plain != text {
                set(name, Some(plain));
            }
        }
    }
    Ok(())
}

/// Refuses a path for which the SDK would wait, such as a pipe. A missing file is for the SDK to report.
fn waits_for_nobody(name: &str, path: &Path) -> Result<()> {
    match plain::named(path) {
        Err(error) if error.kind() == ErrorKind::Other => {
            Err(Fault::usage(format!("cannot read \"{}\" named by {name}: {error}", path.display())).into())
        }
        _ => Ok(()),
    }
}

/// Returns a secret. Secrets have no flag. None: it is unset or empty.
pub(crate) fn secret(name: &str) -> Result<Option<Secret>> {
    if let Some(secrets) = SECRETS.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
        return Ok(secrets.values.get(name).cloned());
    }
    let own = |name: &str| std::env::var_os(name);
    Sources { variable: &own, folder: Path::new(DOCKER_SECRETS) }.value(name)
}

/// Returns the executable and arguments that restart this command as a child process.
pub(crate) fn command_line() -> Result<(PathBuf, Vec<OsString>)> {
    Ok((std::env::current_exe()?, arguments().into_iter().skip(1).collect()))
}

/// Returns the variables that such a child needs besides this process's own: the secrets, as it may no longer be
/// allowed to read their files.
pub(crate) fn handed_on() -> Vec<(String, Secret)> {
    let known = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    let Some(Secrets { values, in_files }) = known.as_ref() else { return Vec::new() };
    // Never empty, which would count as unset.
    let names: String = in_files.iter().map(|name| format!("{name},")).chain([",".to_owned()]).collect();
    let secrets = values.iter().map(|(name, value)| (name.clone(), value.clone()));
    secrets.chain([(TAKEN.to_owned(), Secret::new(names))]).collect()
}

/// Returns the variables that begin as these settings do and are none, and Docker's secrets whose names are nearly
/// those of settings.
pub(crate) fn strays(known: &[String]) -> Vec<Stray> {
    let all =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut strays = stray::among(all, known);
    // One whose path a variable gives is read by that.
    let is_named = |path: &str| std::env::vars_os().any(|(_, value)| value.to_string_lossy().contains(path));
    let secrets = stray::among_secrets(Path::new(DOCKER_SECRETS), known);
    strays.extend(secrets.into_iter().filter(|stray| !is_named(&stray.name)));
    strays
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
    let text = plain::read_text(path).map_err(|error| failed(&error))?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(failed(&"it has more than 1 MiB").into());
    }
    value::normal(name, &text)?.ok_or_else(|| failed(&"it is empty").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_again_from_its_file_and_stays_while_that_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let variable = |name: &str| (name == "KEY_FILE").then(|| file.clone().into_os_string());
        let sources = Sources { variable: &variable, folder: folder.path() };
        let mut secrets = Secrets { values: BTreeMap::new(), in_files: BTreeSet::from(["KEY".to_owned()]) };
        secrets.values.insert("OTHER".to_owned(), Secret::new("by variable"));
        std::fs::write(folder.path().join("other"), "not asked for").unwrap();
        for (text, is_new, value) in [
            ("one\n", true, "one"),
            ("one", false, "one"),
            ("two\r\n", true, "two"),
            ("", false, "two"),
            ("\n", false, "two"),
            ("a\u{1}b", false, "two"),
            ("'three'", true, "three"),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(secrets.renew(&sources), is_new, "{text:?}");
            assert_eq!(secrets.values["KEY"].reveal(), value, "{text:?}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(!secrets.renew(&sources) && secrets.values["KEY"].reveal() == "three");
        assert_eq!(secrets.values["OTHER"].reveal(), "by variable");
    }
}
