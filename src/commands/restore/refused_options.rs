//! The options that do not go with a restore to a moment. A hint may name one all the same: it is written for any restore.

use crate::base::error::{Fault, hints};
use crate::cli;

/// Adds to an error of a restore to a moment, whose hints name options that do not go with it, which restore takes them.
pub(crate) fn explained(error: anyhow::Error) -> anyhow::Error {
    let said = hints(&error).join("; ");
    let named: Vec<String> = refused_options().into_iter().filter(|option| names(&said, option)).collect();
    if named.is_empty() {
        return error;
    }
    let options = named.join(", ");
    let next = format!("not with --at or --journal: {options}; a restore of the base by its id takes that");
    Fault::like(&error, format!("{error:#}")).hint(format!("{said}; {next}")).into()
}

/// Returns the options that `--at` refuses.
fn refused_options() -> Vec<String> {
    let Some(restore) = cli::command().find_subcommand("restore") else { return Vec::new() };
    let at = restore.get_arguments().find(|argument| argument.get_long() == Some("at"));
    let refused = at.into_iter().flat_map(|at| restore.get_arg_conflicts_with(at));
    refused.filter_map(|argument| argument.get_long()).map(|long| format!("--{long}")).collect()
}

/// Returns whether a text names an option, and not one that only begins so.
fn names(text: &str, option: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|sign: char| sign == '-' || sign.is_ascii_alphanumeric());
    text.match_indices(option).any(|(at, _)| ends(&text[at + option.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, kind};

    #[test]
    fn a_hint_that_names_an_option_which_a_moment_refuses_says_so_and_no_other_hint_does() {
        let refused = refused_options();
        for one in ["--clean", "--skip-failed", "--exclude-extension", "--search-path", "--single-transaction"] {
            assert!(refused.iter().any(|option| option == one), "{one}: {refused:?}");
        }
        for option in refused {
            let error = Fault::damaged("it broke").hint(format!("say {option} NAME")).into();
            let told = explained(error);
            assert_eq!((kind(&told), format!("{told:#}")), (Kind::Damaged, "it broke".to_owned()));
            let next = format!(
                "say {option} NAME; not with --at or --journal: {option}; a restore of the base by its id takes that"
            );
            assert_eq!(hints(&told), [next]);
        }
        for kept in ["say --at latest", "--no-owner leaves them out", "--cleaner, --clean-up", "leave out --jobs"] {
            let told = explained(Fault::failed("it broke").hint(kept).into());
            assert_eq!(hints(&told), [kept]);
        }
    }
}
