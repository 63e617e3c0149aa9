//! What `pg_dump` is asked for.

mod again;

pub use again::again;

use crate::error::{Fault, Result};
use crate::manifest::Format;
use std::time::Duration;

/// The arguments for a dump to stdout from an exported snapshot. `lock_wait` bounds the wait for locks on tables; zero waits
/// for ever. `encoding` is the database's own, the one in which no character is lost or refused. The user's own arguments come last, so
/// they win where they are allowed.
pub fn arguments(
    format: Format,
    snapshot: &str,
    encoding: &str,
    lock_wait: Duration,
    extra: &[String],
) -> Result<Vec<String>> {
    check(extra)?;
    let mut arguments =
        vec!["--no-password".to_owned(), format!("--snapshot={snapshot}"), format!("--encoding={encoding}")];
    match format {
        Format::Plain => arguments.push("--format=plain".to_owned()),
        Format::Custom => arguments.extend(["--format=custom".to_owned(), "--compress=0".to_owned()]),
        Format::Tar => return Err(Fault::usage("pg_dump writes no files").into()),
    }
    if !lock_wait.is_zero() {
        arguments.push(format!("--lock-wait-timeout={}", lock_wait.as_millis()));
    }
    arguments.extend_from_slice(extra);
    Ok(arguments)
}

/// Short form, long form, and what to use instead.
const REFUSED: &[(char, &str, &str)] = &[
    ('f', "file", "pgbk reads the dump from stdout; `pgbk download -o FILE` writes one"),
    ('F', "format", "DUMP_FORMAT sets the format"),
    ('j', "jobs", "a dump in one stream has one job"),
    ('Z', "compress", "DB_BACKUP_COMPRESS sets the compression"),
    ('d', "dbname", "DB_NAME names the database"),
    ('h', "host", "DB_HOST names the server"),
    ('p', "port", "DB_PORT sets the port"),
    ('U', "username", "DB_USER names the user"),
    ('W', "password", "DB_PASSWORD sets the password"),
    ('V', "version", "`pgbk doctor` shows the versions"),
    ('?', "help", "`pg_dump --help` shows pg_dump's help"),
    ('\0', "snapshot", "pgbk exports the snapshot itself"),
];

/// The short options that take a value, which may be the next argument.
const VALUED: &str = "eEnNStT";

/// The long options that take a value, which may be the next argument.
const VALUED_LONG: &[&str] = &[
    "encoding",
    "exclude-extension",
    "exclude-schema",
    "exclude-table",
    "exclude-table-and-children",
    "exclude-table-data",
    "exclude-table-data-and-children",
    "extension",
    "extra-float-digits",
    "filter",
    "include-foreign-data",
    "lock-wait-timeout",
    "restrict-key",
    "role",
    "rows-per-insert",
    "schema",
    "section",
    "superuser",
    "sync-method",
    "table",
    "table-and-children",
];

/// Refuses what would break the contract between pgbk and `pg_dump`.
pub fn check(extra: &[String]) -> Result<()> {
    let mut arguments = extra.iter();
    while let Some(argument) = arguments.next() {
        let takes_next = match (argument.strip_prefix("--"), argument.strip_prefix('-')) {
            (Some(long), _) => check_long(argument, long)?,
            (None, Some(short)) if !short.is_empty() => check_short(argument, short)?,
            _ => {
                return Err(refuse(argument, "without an option it would name a database; DB_NAME does that").into());
            }
        };
        if takes_next && arguments.next().is_none() {
            return Err(refuse(argument, "its value is missing").into());
        }
    }
    Ok(())
}

/// Whether the next argument is this one's value. `pg_dump` takes a long option by any unambiguous beginning.
fn check_long(argument: &str, long: &str) -> Result<bool> {
    let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
    let known = VALUED_LONG.contains(&name);
    let refused = REFUSED.iter().find(|(_, full, _)| !known && full.starts_with(name));
    match refused {
        Some((_, _, instead)) => Err(refuse(argument, instead).into()),
        None => {
            Ok(value.is_none() && (known || VALUED_LONG.iter().any(|full| !name.is_empty() && full.starts_with(name))))
        }
    }
}

/// Short options may stand together: `-Oxn public`.
fn check_short(argument: &str, letters: &str) -> Result<bool> {
    for (at, letter) in letters.char_indices() {
        if let Some((_, _, instead)) = REFUSED.iter().find(|(short, _, _)| *short == letter) {
            return Err(refuse(argument, instead).into());
        }
        if VALUED.contains(letter) {
            return Ok(at + letter.len_utf8() == letters.len());
        }
    }
    Ok(false)
}

fn refuse(argument: &str, instead: &str) -> Fault {
    Fault::usage(format!("PG_DUMP_USER_ARGS must not hold \"{argument}\"")).hint(instead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Kind, hints, kind};

    fn made(format: Format, extra: &[&str]) -> Result<Vec<String>> {
        let extra: Vec<String> = extra.iter().map(|argument| (*argument).to_owned()).collect();
        arguments(format, "00000003-1", "UTF8", Duration::from_secs(60), &extra)
    }

    #[test]
    fn the_users_arguments_come_last() {
        let plain = made(Format::Plain, &["--exclude-table-data", "logs", "-Oxn", "public", "--no-comments"]).unwrap();
        let start = [
            "--no-password",
            "--snapshot=00000003-1",
            "--encoding=UTF8",
            "--format=plain",
            "--lock-wait-timeout=60000",
        ];
        assert_eq!(plain[..5], start);
        assert_eq!(plain[5..], ["--exclude-table-data", "logs", "-Oxn", "public", "--no-comments"]);
        let custom = made(Format::Custom, &[]).unwrap();
        assert!(custom.contains(&"--format=custom".to_owned()) && custom.contains(&"--compress=0".to_owned()));
    }

    #[test]
    fn what_breaks_the_contract_is_refused_in_every_spelling() {
        let spellings: &[&[&str]] = &[
            &["-f", "x"],
            &["-fx"],
            &["-Of", "x"],
            &["--file=x"],
            &["--fil", "x"],
            &["-Fc"],
            &["--format", "c"],
            &["--form=t"],
            &["-j4"],
            &["--jobs=4"],
            &["-Z9"],
            &["--compress=9"],
            &["--snapshot=1"],
            &["--snap", "1"],
            &["-d", "x"],
            &["-hx"],
            &["--host=x"],
            &["-p1"],
            &["-U", "x"],
            &["-W"],
            &["--password"],
            &["shop"],
            &["-O", "shop"],
            &["-n"],
            &["--"],
            &["-n", "public", "-v", "shop"],
        ];
        for spelling in spellings {
            let error = made(Format::Plain, spelling).expect_err(&format!("{spelling:?}"));
            assert_eq!(kind(&error), Kind::Usage);
            assert_eq!(hints(&error).len(), 1);
        }
    }

    #[test]
    fn a_value_that_looks_like_a_refused_option_is_a_value() {
        made(Format::Plain, &["-n", "-f", "--table", "--file", "-tfoo", "--schema=host", "--no-password"]).unwrap();
    }
}
