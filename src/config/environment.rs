//! The values of all settings and secrets, whichever way they come: by variable, by file or as a Docker secret.
//!
//! They are read once, here, and by one rule ([`value::normal`]). The environment of the process stays as it is: what is read is
//! kept in [`Values`], and whoever wants a variable asks for it here.

pub(crate) mod address;
pub(crate) mod connection;
pub mod sources;
pub(crate) mod stray_variables;
pub(crate) mod value;
pub(crate) mod values;

use crate::base::error::{Fault, Result};
use crate::base::plain_file as files;
use crate::base::secret::Secret;
use connection::ArgumentKinds;
use sources::Sources;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, PoisonError, RwLock};
use stray_variables::StrayVariable;
use values::Values;

const DOCKER_SECRETS: &str = "/run/secrets";
/// Variable that is set for a pgbk that another one starts in its own place: its values were already read and
/// normalized. It lists the secrets that came from files.
const TAKEN: &str = "PGBK_VALUES_TAKEN";
/// Prefixes of variables that libpq and the AWS chain read by themselves.
const FOREIGN: [&str; 2] = ["PG", "AWS_"];

/// The values of this process. None: `prepare` has not run yet.
static VALUES: RwLock<Option<Values>> = RwLock::new(None);

/// The arguments, without the passwords of connection URLs.
static ARGUMENTS: OnceLock<Vec<OsString>> = OnceLock::new();

/// Reads every setting and every secret. An empty variable counts as unset, and a value from a file stands for its variable. What could
/// be read is kept even where this is an error, so that the error is shown as the settings ask for.
///
/// Must be called once, before root is given up.
pub fn prepare(settings: &[String], secrets: &[&str], places: ArgumentKinds) -> Result<()> {
    let mut values = Values::of(std::env::vars_os());
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let taken = values.text(TAKEN).map(str::to_owned);
    values.set(TAKEN, None);
    let read = match taken {
        Some(in_files) => {
            take_over(&mut values, secrets, &in_files);
            Ok(())
        }
        None => {
            read(&mut values, settings, secrets).and_then(|()| connection::resolve(&mut arguments, places, &mut values))
        }
    };
    // Of the process, and so the first to be set.
    let _ = ARGUMENTS.set(arguments);
    *VALUES.write().unwrap_or_else(PoisonError::into_inner) = Some(values);
    read
}

/// Takes the secrets out of the variables, as another pgbk has read them.
fn take_over(values: &mut Values, secrets: &[&str], in_files: &str) {
    for name in secrets {
        if let Some(value) = values.text(name).map(Secret::new) {
            values.keep_secret(name, value, in_files.split(',').any(|one| one == *name));
        }
    }
}

/// Reads all of them whatever is wrong with one, and returns the first error: among them is how errors are to be shown.
fn read(values: &mut Values, settings: &[String], secrets: &[&str]) -> Result<()> {
    let first = |first: Result<()>, next: Result<()>| first.and(next);
    let kept = secrets.iter().map(|name| read_secret(values, name)).fold(Ok(()), first);
    let checked = foreign(values);
    let set = settings.iter().map(|name| read_setting(values, name)).fold(Ok(()), first);
    kept.and(checked).and(set)
}

fn read_secret(values: &mut Values, name: &str) -> Result<()> {
    let from_file = values.text(name).is_none();
    match look_up(values, name)? {
        Some(value) => values.keep_secret(name, value, from_file),
        None => values.set(name, None),
    }
    Ok(())
}

fn read_setting(values: &mut Values, name: &str) -> Result<()> {
    // A path need not be text: the parser tells where it must.
    if values.get(name).is_some_and(|value| value.to_str().is_none()) {
        return Ok(());
    }
    let value = look_up(values, name)?;
    values.set(name, value.as_ref().map(Secret::reveal));
    Ok(())
}

fn look_up(values: &Values, name: &str) -> Result<Option<Secret>> {
    let variable = |name: &str| values.get(name).map(OsStr::to_owned);
    Sources { variable: &variable, folder: Path::new(DOCKER_SECRETS) }.value(name)
}

/// Removes line ends at the end of the variables that libpq and the AWS chain read by themselves. Refuses other
/// control characters, and connection URLs.
fn foreign(values: &mut Values) -> Result<()> {
    let is_foreign = |(name, text): (&OsStr, &OsStr)| {
        let (name, text) = (name.to_str()?, text.to_str()?);
        FOREIGN.iter().any(|prefix| name.starts_with(prefix)).then(|| (name.to_owned(), text.to_owned()))
    };
    for (name, text) in values.variables().filter_map(is_foreign).collect::<Vec<_>>() {
        if address::tells_password(&text) {
            return Err(connection::misplaced(&name).into());
        }
        let plain = value::one_line(&name, &text)?;
        if name.starts_with("AWS_") && name.ends_with("_FILE") {
            waits_for_nobody(&name, Path::new(plain))?;
        }
        values.set(&name, Some(plain));
    }
    Ok(())
}

/// Refuses a path for which the SDK would wait, such as a pipe. A missing file is for the SDK to report.
fn waits_for_nobody(name: &str, path: &Path) -> Result<()> {
    match files::named(path) {
        Err(error) if error.kind() == ErrorKind::Other => {
            Err(Fault::usage(format!("cannot read \"{}\" named by {name}: {error}", path.display())).into())
        }
        _ => Ok(()),
    }
}

/// Calls a function with the values; before `prepare` has run, with the variables of the process as they are.
fn with<T>(ask: impl FnOnce(&Values) -> T) -> T {
    match VALUES.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(values) => ask(values),
        None => ask(&Values::of(std::env::vars_os())),
    }
}

/// Returns a variable. None: it is unset, empty or not UTF-8.
pub(crate) fn plain(name: &str) -> Option<String> {
    with(|values| values.text(name).map(str::to_owned))
}

/// Returns a variable, which need not be UTF-8. None: it is unset or empty.
pub(crate) fn raw(name: &str) -> Option<OsString> {
    with(|values| values.get(name).filter(|value| !value.is_empty()).map(OsStr::to_owned))
}

/// Returns the variables that begin so and have another value in the process, where other libraries read them by themselves.
pub(crate) fn changed(prefix: &str) -> BTreeSet<String> {
    let all = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let is_other = |(name, value): &(String, OsString)| with(|values| values.get(name) != Some(value));
    all.filter(|(name, _)| name.starts_with(prefix)).filter(is_other).map(|(name, _)| name).collect()
}

/// Returns a secret. Secrets have no flag. None: it is unset or empty.
pub(crate) fn secret(name: &str) -> Result<Option<Secret>> {
    match VALUES.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
        Some(values) => Ok(values.secret(name).cloned()),
        None => look_up(&Values::of(std::env::vars_os()), name),
    }
}

/// Reads the secrets that came from files again, so that a process that runs for long follows their rotation. A
/// secret that cannot be read now, such as one in a file that only root may read or that is just being written, keeps
/// its value. Returns whether any value is new.
pub(crate) fn renew() -> bool {
    let mut known = VALUES.write().unwrap_or_else(PoisonError::into_inner);
    known.as_mut().is_some_and(|values| renewed(values, &look_up))
}

fn renewed(values: &mut Values, look_up: &dyn Fn(&Values, &str) -> Result<Option<Secret>>) -> bool {
    let mut is_new = false;
    for name in values.in_files().clone() {
        let Ok(Some(value)) = look_up(values, &name) else { continue };
        if values.secret(&name).is_none_or(|before| before.reveal() != value.reveal()) {
            values.keep_secret(&name, value, true);
            is_new = true;
        }
    }
    is_new
}

/// Returns the command line, with the name of the database where a connection URL was.
pub fn arguments() -> Vec<OsString> {
    ARGUMENTS.get().cloned().unwrap_or_else(|| std::env::args_os().collect())
}

/// Returns the executable and arguments that restart this command as a child process.
pub(crate) fn command_line() -> Result<(PathBuf, Vec<OsString>)> {
    Ok((std::env::current_exe()?, arguments().into_iter().skip(1).collect()))
}

/// Returns the whole environment of such a child. The secrets are in it, as the child may no longer be allowed to read their files.
pub(crate) fn handed_on() -> Vec<(OsString, OsString)> {
    with(|values| {
        // Never empty, which would count as unset.
        let in_files: String =
            values.in_files().iter().map(|name| format!("{name},")).chain([",".to_owned()]).collect();
        let variables = values.variables().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secrets = values.secrets().map(|(name, value)| (name.into(), value.reveal().into()));
        variables.chain(secrets).chain([(TAKEN.into(), in_files.into())]).collect()
    })
}

/// Returns the variables that begin as these settings do and are none, and Docker's secrets whose names are nearly
/// those of settings.
pub(crate) fn strays(known: &[String]) -> Vec<StrayVariable> {
    with(|values| {
        let text = |text: &OsStr| text.to_str().map(str::to_owned);
        let all = values.variables().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        let mut strays = stray_variables::among(all, known);
        // One whose path a variable gives is read by that.
        let is_named = |path: &str| values.variables().any(|(_, value)| value.to_string_lossy().contains(path));
        let secrets = stray_variables::among_secrets(Path::new(DOCKER_SECRETS), known);
        strays.extend(secrets.into_iter().filter(|stray| !is_named(&stray.name)));
        strays
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_again_from_its_file_and_stays_while_that_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let variable = |name: &str| (name == "KEY_FILE").then(|| file.clone().into_os_string());
        let look_up = |_: &Values, name: &str| Sources { variable: &variable, folder: folder.path() }.value(name);
        let mut values = Values::default();
        values.keep_secret("KEY", Secret::new("none yet"), true);
        values.keep_secret("OTHER", Secret::new("by variable"), false);
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
            assert_eq!(renewed(&mut values, &look_up), is_new, "{text:?}");
            assert_eq!(values.secret("KEY").unwrap().reveal(), value, "{text:?}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(!renewed(&mut values, &look_up) && values.secret("KEY").unwrap().reveal() == "three");
        assert_eq!(values.secret("OTHER").unwrap().reveal(), "by variable");
    }

    #[test]
    fn settings_and_secrets_are_normalized_and_a_secret_is_no_variable_any_more() {
        let set =
            [("STORE_DIR", " s \n"), ("DB_PORT", ""), ("ENC_PASSWORD", "'word'"), ("PGUSER", "me\n"), ("PATH", "/b\n")];
        let mut values = Values::of(set.into_iter().map(|(name, value)| (name.into(), value.into())));
        read(&mut values, &["STORE_DIR", "DB_PORT"].map(str::to_owned), &["ENC_PASSWORD", "DB_PASSWORD"]).unwrap();
        let text = |name| values.text(name);
        assert_eq!((text("STORE_DIR"), text("PGUSER"), text("PATH")), (Some("s"), Some("me"), Some("/b\n")));
        assert_eq!((values.get("DB_PORT"), values.get("ENC_PASSWORD")), (None, None));
        assert_eq!(
            values.secrets().map(|(name, value)| (name, value.reveal())).collect::<Vec<_>>(),
            [("ENC_PASSWORD", "word")]
        );
        // What another pgbk has read is taken as it is: with its quotes taken off it would be another password.
        let set = [("ENC_PASSWORD", "'word'"), ("KEY", " key ")];
        let mut values = Values::of(set.into_iter().map(|(name, value)| (name.into(), value.into())));
        take_over(&mut values, &["ENC_PASSWORD", "KEY"], "KEY,,");
        assert_eq!(values.secret("ENC_PASSWORD").unwrap().reveal(), "'word'");
        assert_eq!((values.variables().count(), values.in_files()), (0, &BTreeSet::from(["KEY".to_owned()])));
    }
}
