//! The arguments of a dump that is compared with a backup's `.meta`: of those that the `.meta` states, the ones that say what
//! COPY's text is, or which tables have any. They come from a document that may be anybody's, and reach a program.

use crate::error::{Fault, Result};

/// Every long option of pg_dump 12 to 18 that the user's own arguments may hold; whether it has a value, and whether a dump of what
/// was restored needs it.
const OPTIONS: &[(&str, bool, Use)] = &[
    ("attribute-inserts", false, Use::Kept),
    ("blobs", false, Use::Dropped),
    ("binary-upgrade", false, Use::Refused("it is for pg_upgrade alone")),
    ("clean", false, Use::Dropped),
    ("column-inserts", false, Use::Kept),
    ("create", false, Use::Dropped),
    ("data-only", false, Use::Kept),
    ("disable-dollar-quoting", false, Use::Dropped),
    ("disable-triggers", false, Use::Dropped),
    ("enable-row-security", false, Use::Kept),
    ("encoding", true, Use::Kept),
    ("exclude-extension", true, Use::Kept),
    ("exclude-schema", true, Use::Kept),
    ("exclude-table", true, Use::Kept),
    ("exclude-table-and-children", true, Use::Kept),
    ("exclude-table-data", true, Use::Kept),
    ("exclude-table-data-and-children", true, Use::Kept),
    ("extension", true, Use::Kept),
    ("extra-float-digits", true, Use::Kept),
    ("filter", true, Use::Refused("the file that it names is of the host that made the backup")),
    ("if-exists", false, Use::Dropped),
    ("include-foreign-data", true, Use::Refused("the restore would write its rows to the foreign server")),
    ("inserts", false, Use::Kept),
    ("large-objects", false, Use::Dropped),
    ("load-via-partition-root", false, Use::Kept),
    ("lock-wait-timeout", true, Use::Dropped),
    ("no-acl", false, Use::Dropped),
    ("no-blobs", false, Use::Dropped),
    ("no-comments", false, Use::Dropped),
    ("no-data", false, Use::Kept),
    ("no-large-objects", false, Use::Dropped),
    ("no-owner", false, Use::Dropped),
    ("no-password", false, Use::Dropped),
    ("no-policies", false, Use::Dropped),
    ("no-privileges", false, Use::Dropped),
    ("no-publications", false, Use::Dropped),
    ("no-reconnect", false, Use::Dropped),
    ("no-schema", false, Use::Kept),
    ("no-security-labels", false, Use::Dropped),
    ("no-statistics", false, Use::Dropped),
    ("no-subscriptions", false, Use::Dropped),
    ("no-sync", false, Use::Dropped),
    ("no-synchronized-snapshots", false, Use::Dropped),
    ("no-table-access-method", false, Use::Dropped),
    ("no-tablespaces", false, Use::Dropped),
    ("no-toast-compression", false, Use::Dropped),
    ("no-unlogged-table-data", false, Use::Kept),
    ("on-conflict-do-nothing", false, Use::Dropped),
    ("quote-all-identifiers", false, Use::Kept),
    ("restrict-key", true, Use::Dropped),
    ("role", true, Use::Dropped),
    ("rows-per-insert", true, Use::Kept),
    ("schema", true, Use::Kept),
    ("schema-only", false, Use::Kept),
    ("section", true, Use::Kept),
    ("sequence-data", false, Use::Dropped),
    ("serializable-deferrable", false, Use::Dropped),
    ("statistics", false, Use::Dropped),
    ("statistics-only", false, Use::Kept),
    ("strict-names", false, Use::Dropped),
    ("superuser", true, Use::Dropped),
    ("sync-method", true, Use::Dropped),
    ("table", true, Use::Kept),
    ("table-and-children", true, Use::Kept),
    ("use-set-session-authorization", false, Use::Dropped),
    ("verbose", false, Use::Dropped),
];

/// The short options, by the long ones that they stand for.
const SHORT: &[(char, &str)] = &[
    ('a', "data-only"),
    ('b', "large-objects"),
    ('B', "no-large-objects"),
    ('c', "clean"),
    ('C', "create"),
    ('e', "extension"),
    ('E', "encoding"),
    ('n', "schema"),
    ('N', "exclude-schema"),
    ('O', "no-owner"),
    ('R', "no-reconnect"),
    ('s', "schema-only"),
    ('S', "superuser"),
    ('t', "table"),
    ('T', "exclude-table"),
    ('v', "verbose"),
    ('w', "no-password"),
    ('x', "no-privileges"),
];

/// What becomes of a stated option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It says what the text of COPY is, or which tables have any.
    Kept,
    /// It says nothing of rows.
    Dropped,
    /// Without it the comparison would be wrong, and it may not be used; why.
    Refused(&'static str),
}

/// Returns the arguments for a dump of what a backup was restored to, from one that was made with these of the user's. Each is
/// written out in full, with its value behind `=`, so that none is taken for another.
pub fn again(stated: &[String]) -> Result<Vec<String>> {
    let mut arguments = vec!["--no-password".to_owned(), "--format=plain".to_owned()];
    let mut rest = stated.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        match (argument.strip_prefix("--"), argument.strip_prefix('-')) {
            (Some(long), _) => {
                let (given, value) = long.split_once('=').map_or((long, None), |(given, value)| (given, Some(value)));
                let (name, valued, used) = option(given).ok_or_else(|| unknown(argument))?;
                let value = match value {
                    None if valued => Some(rest.next().ok_or_else(|| unknown(argument))?),
                    Some(_) if !valued => return Err(unknown(argument)),
                    given => given,
                };
                arguments.extend(take(name, value, used)?);
            }
            (None, Some(letters)) if !letters.is_empty() => short(letters, &mut rest, &mut arguments)?,
            _ => return Err(unknown(argument)),
        }
    }
    Ok(arguments)
}

/// Short options may stand together, and the last may have its value behind it: `-Oxn public`, `-Oxnpublic`.
fn short<'a>(letters: &'a str, rest: &mut impl Iterator<Item = &'a str>, arguments: &mut Vec<String>) -> Result<()> {
    let whole = format!("-{letters}");
    for (at, letter) in letters.char_indices() {
        let long = SHORT.iter().find(|(short, _)| *short == letter).and_then(|(_, long)| option(long));
        let (name, valued, used) = long.ok_or_else(|| unknown(&whole))?;
        if !valued {
            arguments.extend(take(name, None, used)?);
            continue;
        }
        let value = match &letters[at + letter.len_utf8()..] {
            "" => rest.next().ok_or_else(|| unknown(&whole))?,
            behind => behind,
        };
        arguments.extend(take(name, Some(value), used)?);
        return Ok(());
    }
    Ok(())
}

/// The option of this name, or the only one that begins so.
fn option(given: &str) -> Option<(&'static str, bool, Use)> {
    if let Some(known) = OPTIONS.iter().find(|(name, _, _)| *name == given) {
        return Some(*known);
    }
    let mut begun = OPTIONS.iter().filter(|(name, _, _)| !given.is_empty() && name.starts_with(given));
    begun.next().filter(|_| begun.next().is_none()).copied()
}

fn take(name: &str, value: Option<&str>, used: Use) -> Result<Option<String>> {
    match used {
        Use::Dropped => Ok(None),
        Use::Kept => Ok(Some(value.map_or_else(|| format!("--{name}"), |value| format!("--{name}={value}")))),
        Use::Refused(why) => Err(Fault::usage(format!("a backup made with --{name} cannot be proven by a restore"))
            .hint(format!("{why}; --level content reads it to its end"))
            .into()),
    }
}

fn unknown(argument: &str) -> anyhow::Error {
    Fault::damaged(format!("the .meta states {argument:?} among pg_dump's arguments, which pgbk gives to no pg_dump"))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Kind, kind};
    use crate::postgres::dump::{REFUSED, VALUED, VALUED_LONG, check};

    fn of(stated: &[&str]) -> Result<Vec<String>> {
        let stated: Vec<String> = stated.iter().map(|argument| (*argument).to_owned()).collect();
        Ok(again(&stated)?.split_off(2))
    }

    #[test]
    fn what_says_what_the_text_of_rows_is_is_kept_in_every_spelling_and_all_else_is_left_out() {
        let spellings: &[(&[&str], &[&str])] = &[
            (&["-n", "a b", "-Oxn", "c", "-Tpublic.*"], &["--schema=a b", "--schema=c", "--exclude-table=public.*"]),
            (&["--exclude-table-data", "logs"], &["--exclude-table-data=logs"]),
            (&["--quote-all", "--load-via=", "x"][..1], &["--quote-all-identifiers"]),
            (&["--role=x", "--rol", "y", "--lock-wait-timeout", "5", "--no-owner", "-v"], &[]),
            (&["-n", "--file=x", "--table=--file=x"], &["--schema=--file=x", "--table=--file=x"]),
        ];
        for (stated, expected) in spellings {
            assert_eq!(of(stated).unwrap(), *expected, "{stated:?}");
        }
    }

    #[test]
    fn whatever_else_a_document_states_reaches_no_program() {
        let mut tried: Vec<Vec<String>> = Vec::new();
        for (letter, name, _) in REFUSED {
            for length in 1..=name.len() {
                tried.push(vec![format!("--{}", &name[..length]), "x".to_owned()]);
                tried.push(vec![format!("--{}=x", &name[..length])]);
            }
            tried.push(vec![format!("-{letter}"), "x".to_owned()]);
            tried.push(vec![format!("-Ox{letter}x")]);
        }
        for other in ["", "-", "--", "---", "shop", "--no-owner=x", "-n", "--table", "-O\n", "--x\0", "--=x"] {
            tried.push(vec![other.to_owned()]);
        }
        let known = |argument: &String| {
            let name = argument.trim_start_matches("--").split('=').next().unwrap_or_default();
            OPTIONS.iter().any(|(known, _, used)| *known == name && *used == Use::Kept)
        };
        for stated in tried {
            match again(&stated) {
                Err(error) => assert!(matches!(kind(&error), Kind::Damaged | Kind::Usage), "{stated:?}"),
                // The beginning of an option that may be kept.
                Ok(arguments) => assert!(arguments[2..].iter().all(known), "{stated:?}: {arguments:?}"),
            }
        }
    }

    #[test]
    fn what_pgbk_may_be_given_for_a_backup_is_known_here() {
        for (name, valued, _) in OPTIONS {
            let given = if *valued { format!("--{name}=1") } else { format!("--{name}") };
            check(&[given]).unwrap();
            assert_eq!(VALUED_LONG.contains(name), *valued, "{name}");
        }
        assert!(VALUED_LONG.iter().all(|name| option(name).is_some()));
        for letter in VALUED.chars() {
            assert!(SHORT.iter().any(|(short, long)| *short == letter && VALUED_LONG.contains(long)), "{letter}");
        }
    }
}
