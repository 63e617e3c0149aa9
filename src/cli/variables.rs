//! Gives the parser the values of variables, as if each were said by its flag. clap would read them from the process's own
//! environment, where they are not normalized and not those of files.

use clap::builder::{Resettable, StyledStr};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};
use std::ffi::OsString;

/// Returns the value of a variable. None: it is unset.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Parses a command line. A variable counts where its flag is not there, and is as good as the flag for what needs it.
pub fn parse(command: &Command, arguments: &[OsString], variable: Variable) -> Result<ArgMatches, clap::Error> {
    let mut silent = silent(command.clone());
    let told = |error| told(error, command, arguments);
    let given = match silent.try_get_matches_from_mut(arguments) {
        Ok(given) => given,
        // What is missing may be in a variable.
        Err(error) if is_missing(&error) => silent.clone().ignore_errors(true).try_get_matches_from(arguments)?,
        Err(error) => return Err(told(error)),
    };
    silent.try_get_matches_from(completed(command, &given, arguments, variable)).map_err(told)
}

/// Reads a group of arguments from variables alone: those of its own variables with this word before them.
pub(crate) fn prefixed<T: Args>(word: &str, variable: Variable) -> Result<T, clap::Error> {
    let command = T::augment_args(Command::new("pgbk").no_binary_name(true));
    let flag = |argument: &Arg| {
        let value = variable(&format!("{word}{}", argument.get_env()?.to_str()?))?;
        let mut flag = OsString::from(format!("--{}=", argument.get_long()?));
        flag.push(value);
        Some(flag)
    };
    let flags: Vec<OsString> = command.get_arguments().filter_map(flag).collect();
    let named = |long: &str, _: &str| {
        let mut arguments = command.get_arguments();
        let argument = arguments.find(|argument| argument.get_long() == Some(long))?;
        Some(format!("{word}{}", argument.get_env()?.to_str()?))
    };
    let parsed = silent(command.clone()).try_get_matches_from(flags);
    parsed.and_then(|matches| T::from_arg_matches(&matches)).map_err(|error| naming(error, named))
}

/// Adds to clap's error, which names the flag only, the variable that the wrong value came from. `variable` returns it, of a flag without
/// its dashes and a value; `None`: the value came by the flag.
pub(crate) fn naming(mut error: clap::Error, variable: impl Fn(&str, &str) -> Option<String>) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let flag = text(ContextKind::InvalidArg).split([' ', '[', '=']).next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue);
    let long = flag.strip_prefix("--").filter(|_| !value.is_empty());
    if let Some(name) = long.and_then(|long| variable(long, value)) {
        let tip = StyledStr::from(format!("the value comes from the variable {name}"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

fn is_missing(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
}

/// Returns the error as the command with the names of variables has it where it shows help, which names them.
fn told(error: clap::Error, command: &Command, arguments: &[OsString]) -> clap::Error {
    if !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand) {
        return error;
    }
    match command.clone().try_get_matches_from(arguments) {
        Err(help) if help.kind() == error.kind() => help,
        // A variable of the process is in the way, which was normalized here.
        _ => error,
    }
}

/// Returns the command without the names of variables: clap reads the values of those that it knows.
fn silent(command: Command) -> Command {
    command.mut_args(|argument| argument.env(Resettable::Reset)).mut_subcommands(silent)
}

/// Returns the arguments with a flag for each variable whose flag is not among them.
fn completed(command: &Command, given: &ArgMatches, arguments: &[OsString], variable: Variable) -> Vec<OsString> {
    let called = given.subcommand().and_then(|(name, matches)| Some((command.find_subcommand(name)?, matches)));
    let (called, matches) = called.unwrap_or((command, given));
    let said = |argument: &Arg| matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine);
    let own = called.get_arguments().filter(|argument| !argument.is_global_set());
    let known = own.chain(command.get_arguments().filter(|argument| argument.is_global_set()));
    let value = |argument: &Arg| variable(argument.get_env()?.to_str()?);
    let found =
        known.filter(|argument| !said(argument)).filter_map(|argument| Some((argument.get_long(), value(argument)?)));
    let (flags, rest): (Vec<_>, Vec<_>) = found.partition(|(long, _)| long.is_some());
    let (before, after) = arguments.split_at(end_of_flags(called, arguments));
    let mut all = before.to_vec();
    for (long, value) in flags {
        let mut flag = OsString::from(format!("--{}=", long.unwrap_or_default()));
        flag.push(value);
        all.push(flag);
    }
    all.extend_from_slice(after);
    // What has no flag comes behind all flags, for it may begin as one does.
    if after.is_empty() && !rest.is_empty() {
        all.push("--".into());
    }
    all.extend(rest.into_iter().map(|(_, value)| value));
    all
}

/// Returns where the flags end: at a -- that is not the value of a flag, else behind everything.
fn end_of_flags(called: &Command, arguments: &[OsString]) -> usize {
    let takes_it = |word: &OsString| {
        let mut takers = called.get_arguments().filter(|argument| argument.is_allow_hyphen_values_set());
        takers.any(|argument| argument.get_long().is_some_and(|long| *word == *format!("--{long}")))
    };
    let mut ends = (1..arguments.len()).filter(|at| arguments[*at] == "--" && !takes_it(&arguments[at - 1]));
    ends.next().unwrap_or(arguments.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command as Parsed};
    use clap::FromArgMatches;

    fn parsed(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Cli, clap::Error> {
        let arguments: Vec<OsString> = ["pgbk"].iter().chain(arguments).map(OsString::from).collect();
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Cli::from_arg_matches(&parse(crate::cli::command(), &arguments, &variable)?)
    }

    fn databases(arguments: &[&str], set: &str) -> Vec<String> {
        let arguments: Vec<&str> = ["backup"].iter().chain(arguments).copied().collect();
        match parsed(&arguments, &[("DB_NAME", set)]).unwrap().command {
            Parsed::Backup(args) => args.run.databases,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_flag_wins_over_its_variable_and_a_variable_over_the_default() {
        let set = [
            ("DB_HOST", "by variable"),
            ("DB_PORT", "7"),
            ("LOG_LEVEL", "debug"),
            ("NO_ENCRYPT", "1"),
            ("S3_ATTEMPTS", "9"),
        ];
        for (arguments, host, level, plain) in [
            (&["list"][..], None, "Debug", false),
            (&["backup", "--host", "by flag"], Some("by flag"), "Debug", true),
            (&["--log-level=warn", "backup"], Some("by variable"), "Warn", true),
            (&["backup", "--no-encrypt=0", "--log-level", "error", "--"], Some("by variable"), "Error", false),
        ] {
            let cli = parsed(arguments, &set).unwrap();
            assert_eq!(format!("{:?}", cli.log.log_level), level, "{arguments:?}");
            match cli.command {
                Parsed::Backup(args) => {
                    assert_eq!((args.run.server.host.as_deref(), args.run.server.port), (host, Some(7)));
                    assert_eq!((args.run.keys.no_encrypt, args.run.store.s3_attempts), (plain, 9));
                }
                Parsed::List(args) => assert_eq!(args.store.s3_attempts, 9),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_group_is_read_from_variables_with_a_word_before_their_names() {
        use crate::cli::settings::RetentionArgs;
        let of = |set: &[(&str, &str)]| {
            let variable = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
            prefixed::<RetentionArgs>("ANON_", &variable)
        };
        let read = of(&[("ANON_KEEP_LAST", "3"), ("KEEP_DAILY", "7"), ("ANON_KEEP_WITHIN", "7d")]).unwrap();
        assert_eq!((read.keep_last, read.keep_daily, read.keep_within.is_some()), (Some(3), None, true));
        assert!(!of(&[]).unwrap().any());
        let refused = of(&[("ANON_KEEP_LAST", "x"), ("KEEP_LAST", "x")]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ValueValidation);
        assert!(refused.to_string().contains("comes from the variable ANON_KEEP_LAST\n"), "{refused}");
    }

    #[test]
    fn the_databases_of_the_command_line_win_and_any_name_can_be_in_the_variable() {
        assert_eq!(databases(&[], "a,b"), ["a,b"]);
        assert_eq!(databases(&["shop"], "other"), ["shop"]);
        assert_eq!(databases(&["--", "-shop"], "other"), ["-shop"]);
        for name in ["-shop", "--host=x", "--", "backup"] {
            assert_eq!(databases(&[], name), [name]);
            assert_eq!(databases(&["--json", "--"], name), [name]);
            assert_eq!(databases(&["--pg-dump-args", "--no-comments"], name), [name]);
            assert_eq!(databases(&["--pg-dump-args", "--"], name), [name]);
        }
    }

    #[test]
    fn what_a_flag_needs_may_be_in_a_variable_and_the_other_way_round() {
        let set = [("VERIFY_DB_HOST", "h"), ("VERIFY_DB_PORT", "7")];
        for (arguments, variables) in [
            (&["verify", "--scratch-port", "7"][..], &set[..1]),
            (&["verify", "--scratch-host", "h"], &set[1..]),
            (&["verify"], &set),
        ] {
            match parsed(arguments, variables).unwrap().command {
                Parsed::Verify(args) => {
                    assert_eq!((args.scratch.scratch_host, args.scratch.scratch_port), (Some("h".to_owned()), Some(7)))
                }
                other => panic!("{other:?}"),
            }
        }
        for (arguments, variables) in [(&["verify", "--scratch-port", "7"][..], &set[..0]), (&["verify"], &set[1..])] {
            assert_eq!(parsed(arguments, variables).unwrap_err().kind(), ErrorKind::MissingRequiredArgument);
        }
    }

    #[test]
    fn mistakes_are_told_as_clap_tells_them_and_help_names_the_variables() {
        let told =
            |arguments: &[&str]| parsed(arguments, &[("DB_HOST", "h"), ("DB_PORT", "x")]).unwrap_err().to_string();
        assert!(told(&["backup"]).starts_with("error: invalid value 'x' for '--port <PORT>'"), "{}", told(&["backup"]));
        assert!(
            told(&["backup", "--xyzzy"]).contains("\nUsage: pgbk backup [OPTIONS] [DB]...\n"),
            "{}",
            told(&["backup", "--xyzzy"])
        );
        assert!(told(&["backup", "--port=1", "--port=2"]).contains("cannot be used multiple times"));
        for arguments in [&["backup", "--help"][..], &["help", "backup"]] {
            assert!(told(arguments).contains("[env: DB_HOST]"), "{arguments:?}");
        }
        assert!(told(&[]).contains("[env: LOG_LEVEL]"));
        let told = |value| parsed(&[], &[("LOG_LEVEL", value)]).unwrap_err();
        assert_eq!((told("info").kind(), told("loud").kind()), (ErrorKind::MissingSubcommand, ErrorKind::InvalidValue));
    }
}
