//! Builds the arguments of `pg_dump`.

pub(crate) mod options;
pub mod second_dump;

use crate::base::error::{Fault, Result};
use crate::format::manifest::Format;
use crate::format::manifest::encoding::EncodingName;
use options::{BackupUse, OptionArgument, OptionError};
use std::time::Duration;

/// Returns the arguments for a dump to stdout from an exported snapshot. `lock_wait` limits the wait for locks on tables; zero
/// waits for ever. `encoding` is the database's own, the one in which no character is lost or refused. The user's own arguments
/// come last, so that they take precedence where they are allowed.
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

/// Refuses arguments that would break the contract between pgbk and `pg_dump`, or make a dump that pgbk could not restore.
pub(crate) fn check(extra: &[String]) -> Result<()> {
    let given = options::read(extra).map_err(|wrong| refuse_wrong(&wrong))?;
    for OptionArgument { argument, option, value } in &given {
        if let BackupUse::Refused(instead) = option.backup {
            return Err(refuse(argument, instead).into());
        }
        if option.name == "encoding" {
            check_encoding(argument, value.unwrap_or_default())?;
        }
    }
    check_sections(&given)
}

/// Refuses an encoding that no server stores text in: a restore, which sends statements one by one, could not read its rows.
fn check_encoding(argument: &str, name: &str) -> Result<()> {
    let plain = |name: &str| name.to_ascii_uppercase().replace(['-', '_'], "");
    match EncodingName::all().any(|known| plain(known) == plain(name)) {
        true => Ok(()),
        false => Err(refuse(
            argument,
            "it is no name of an encoding that servers store text in; leave it out: a dump is in the database's own",
        )
        .into()),
    }
}

/// Refuses a choice of sections without pre-data: a restore begins with an empty database.
fn check_sections(given: &[OptionArgument<'_>]) -> Result<()> {
    let sections: Vec<_> = given.iter().filter(|given| given.option.name == "section").collect();
    match sections.first() {
        Some(first) if !sections.iter().any(|section| section.value == Some("pre-data")) => {
            Err(refuse(first.argument, "a restore begins with an empty database: --section=pre-data belongs to it")
                .into())
        }
        _ => Ok(()),
    }
}

fn refuse_wrong(wrong: &OptionError<'_>) -> Fault {
    match wrong {
        OptionError::Bare(argument) => {
            refuse(argument, "without an option it would name a database; DB_NAME does that")
        }
        OptionError::Unknown(argument) => refuse(
            argument,
            "pgbk knows the options of pg_dump 12 to 18, and this is none of them: what a restore is to make of it cannot be told",
        ),
        OptionError::Ambiguous(argument, [one, other]) => {
            refuse(argument, format!("write it in full: it may be --{one} or --{other}"))
        }
        OptionError::ValueMissing(argument) => refuse(argument, "its value is missing"),
        OptionError::ValueNotTaken(argument) => refuse(argument, "it takes no value"),
    }
}

fn refuse(argument: &str, instead: impl Into<String>) -> Fault {
    Fault::usage(format!("PG_DUMP_USER_ARGS must not hold \"{argument}\"")).hint(instead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, hints, kind};

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
            &["-c"],
            &["-OC"],
            &["--if-ex"],
            &["-a"],
            &["--no-schema"],
            &["--section=data"],
            &["--section", "data", "--section=post-data"],
            &["--encoding=SJIS"],
            &["-Ebig5"],
            &["--binary"],
            &["--serializable"],
            &["--no-s"],
            &["--no-owner=x"],
            &["--jsonb"],
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
        made(Format::Plain, &["--section=data", "--section", "pre-data", "-E", "latin-1", "--encoding=utf8"]).unwrap();
    }
}
