//! Reads and writes password files as libpq does.

use crate::base::error::{Fault, Result};
use crate::base::plain_file;
use crate::base::secret::Secret;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// The server, database and user that a password is for.
pub struct PassfileLogin<'a> {
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
}

/// Result of looking a login up in a password file.
pub enum PassfileAnswer {
    Password(Secret),
    Nothing,
    /// The file was not used, with the reason. Like libpq, pgbk goes on without a password then.
    Ignored(String),
}

/// Socket folders that count as `localhost` in a password file.
const SOCKETS: &[&str] = &["/var/run/postgresql", "/run/postgresql", "/tmp"];

pub fn look_up(path: &Path, login: &PassfileLogin) -> PassfileAnswer {
    match read(path) {
        Ok(Ok(text)) => text
            .lines()
            .find_map(|line| password(line, login))
            .map_or(PassfileAnswer::Nothing, PassfileAnswer::Password),
        Ok(Err(why)) => PassfileAnswer::Ignored(format!("password file \"{}\" was not used: {why}", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => PassfileAnswer::Nothing,
        Err(error) => PassfileAnswer::Ignored(format!("cannot read password file \"{}\": {error}", path.display())),
    }
}

/// Reads a password file. The inner error is the reason to ignore the file.
fn read(path: &Path) -> io::Result<std::result::Result<Zeroizing<String>, &'static str>> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(Err("it is no plain file"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Ok(Err("its group or others may read it (chmod 600)"));
    }
    Ok(Ok(plain_file::read_text(path)?))
}

fn password(line: &str, login: &PassfileLogin) -> Option<Secret> {
    if line.starts_with('#') {
        return None;
    }
    let host = if login.host.is_empty() || SOCKETS.contains(&login.host) { "localhost" } else { login.host };
    let port = login.port.to_string();
    let mut rest = line;
    for wanted in [host, &port, login.database, login.user] {
        let (given, length) = field(rest);
        if rest.as_bytes().get(length) != Some(&b':') {
            return None;
        }
        // An escaped star is a star, not a wildcard.
        if &rest[..length] != "*" && given != wanted {
            return None;
        }
        rest = &rest[length + 1..];
    }
    Some(Secret::new(field(rest).0))
}

/// Returns the text up to the next unescaped `:`, without its escapes, and its length in the line, in bytes.
fn field(text: &str) -> (String, usize) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            ':' => return (value, at),
            '\\' => value.push(letters.next().map_or('\\', |(_, escaped)| escaped)),
            _ => value.push(letter),
        }
    }
    (value, text.len())
}

fn escape(text: &str) -> String {
    match text {
        "*" => "\\*".to_owned(),
        _ => text.replace('\\', "\\\\").replace(':', "\\:"),
    }
}

/// Writes a password file for these logins, valid for any database.
pub fn write(logins: &[(PassfileLogin, &Secret)]) -> Result<File> {
    let mut file = private()?;
    for (login, secret) in logins {
        let host = if SOCKETS.contains(&login.host) { "localhost" } else { login.host };
        let password = Zeroizing::new(escape(secret.reveal()));
        writeln!(file, "{}:{}:*:{}:{}", escape(host), login.port, escape(login.user), *password)?;
        if host != login.host {
            // Which directory libpq calls its default depends on how it was built.
            writeln!(file, "{}:{}:*:{}:{}", escape(login.host), login.port, escape(login.user), *password)?;
        }
    }
    Ok(file)
}

/// Returns a file without a name, so that even a pgbk that is killed does not leave it behind. It is in memory where the system has
/// `/dev/shm`, which stays writable on a read-only root.
pub(crate) fn private() -> Result<File> {
    let named = NamedTempFile::new_in("/dev/shm").or_else(|_| NamedTempFile::new());
    // Its name goes before anything is in it. One that never had a name would be for whom the umask says.
    Ok(named.map(NamedTempFile::into_file).map_err(|error| {
        Fault::failed(format!("cannot make a file for pg_dump's password: {error}"))
            .hint("TMPDIR names a folder that pgbk may write to")
    })?)
}

/// Returns the path of the password file: the one that is set, else `~/.pgpass`. `None` if neither is known.
pub fn path(set: Option<&str>, home: Option<&Path>) -> Option<PathBuf> {
    set.map(PathBuf::from).or_else(|| home.map(|home| home.join(".pgpass")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    fn login(host: &str) -> PassfileLogin<'_> {
        PassfileLogin { host, port: 5432, database: "shop", user: "a:b\\c" }
    }

    fn found(line: &str, host: &str) -> Option<String> {
        password(line, &login(host)).map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn escapes_and_wildcards_are_libpqs() {
        assert_eq!(found("db:5432:shop:a\\:b\\\\c:p\\:w\\\\d", "db").as_deref(), Some("p:w\\d"));
        assert_eq!(found("*:*:*:*:any", "db").as_deref(), Some("any"));
        assert_eq!(found("*:*:*:*:cut:here", "db").as_deref(), Some("cut"));
        assert_eq!(found("\\*:*:*:*:any", "db"), None);
        assert_eq!(found("# *:*:*:*:any", "db"), None);
        assert_eq!(found("db:5432:shop:a", "db"), None);
        assert_eq!(found("db:5433:*:*:other", "db"), None);
    }

    #[test]
    fn a_default_socket_is_localhost_and_another_directory_is_itself() {
        assert_eq!(found("localhost:*:*:*:any", "/var/run/postgresql").as_deref(), Some("any"));
        assert_eq!(found("localhost:*:*:*:any", "/srv/socket"), None);
        assert_eq!(found("/srv/socket:*:*:*:any", "/srv/socket").as_deref(), Some("any"));
    }

    #[test]
    fn what_is_written_is_read_again_and_private() {
        let secret = Secret::new("p:a\\ss*");
        for host in ["*", "db", "::1", "/tmp", "/srv/a:b"] {
            let file = write(&[(login(host), &secret)]).unwrap();
            assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
            let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
            let PassfileAnswer::Password(read) = look_up(&path, &login(host)) else { panic!("{host}") };
            assert_eq!(read.reveal(), secret.reveal());
        }
    }
}
