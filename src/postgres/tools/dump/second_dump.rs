//! Chooses the arguments of the second dump, which is compared with a backup's `.meta`: those stated in the `.meta` that determine
//! what COPY's text is, or which tables have any. They come from a document that anybody may have written, and reach a program.

use crate::base::error::{Fault, Result};
use crate::postgres::tools::dump::options::{self, OptionArgument, SecondDumpUse};

/// Returns the arguments for a dump of the restored database, made from those that the user gave to the first dump. Each is written
/// in full, with its value behind `=`, so that it cannot be read as another one. An argument that no backup is made with, or that
/// must not be repeated, is an error.
pub fn again(stated: &[String]) -> Result<Vec<String>> {
    let mut arguments = vec!["--no-password".to_owned(), "--format=plain".to_owned()];
    for OptionArgument { argument, option, value } in options::read(stated).map_err(|_| unknown(stated))? {
        match option.again {
            SecondDumpUse::Left => {}
            SecondDumpUse::Kept => arguments
                .push(value.map_or_else(|| format!("--{}", option.name), |value| format!("--{}={value}", option.name))),
            SecondDumpUse::Untellable(why) => {
                return Err(Fault::usage(format!(
                    "a backup made with --{} cannot be proven by a restore",
                    option.name
                ))
                .hint(format!("{why}; --level content reads it to its end"))
                .into());
            }
            SecondDumpUse::Never => return Err(unknown(&[argument.to_owned()])),
        }
    }
    Ok(arguments)
}

fn unknown(stated: &[String]) -> anyhow::Error {
    Fault::damaged(format!(
        "the .meta states {:?} among pg_dump's arguments, which pgbk gives to no pg_dump",
        stated.join(" ")
    ))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, kind};
    use crate::postgres::tools::dump::options::OPTIONS;

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
        for option in OPTIONS.iter().filter(|option| option.again == SecondDumpUse::Never) {
            for length in 1..=option.name.len() {
                tried.push(vec![format!("--{}", &option.name[..length]), "x".to_owned()]);
                tried.push(vec![format!("--{}=x", &option.name[..length])]);
            }
            if let Some(letter) = option.short {
                tried.push(vec![format!("-{letter}"), "x".to_owned()]);
                tried.push(vec![format!("-Ox{letter}x")]);
            }
        }
        for other in ["", "-", "--", "---", "shop", "--no-owner=x", "-n", "--table", "-O\n", "--x\0", "--=x"] {
            tried.push(vec![other.to_owned()]);
        }
        let known = |argument: &String| {
            let name = argument.trim_start_matches("--").split('=').next().unwrap_or_default();
            OPTIONS.iter().any(|option| option.name == name && option.again == SecondDumpUse::Kept)
        };
        for stated in tried {
            match again(&stated) {
                Err(error) => assert!(matches!(kind(&error), Kind::Damaged | Kind::Usage), "{stated:?}"),
                // The beginning of an option that may be kept.
                Ok(arguments) => assert!(arguments[2..].iter().all(known), "{stated:?}: {arguments:?}"),
            }
        }
    }
}
