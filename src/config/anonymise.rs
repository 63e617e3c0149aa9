//! Settings of anonymising: the file of rules, and the secret.

use crate::base::error::{Fault, Result};
use crate::base::plain_file::read_text;
use crate::base::secret::Secret;
use crate::cli::output_args::AnonymiseSettings;
use crate::config::environment;
use crate::format::anonymise::RuleSet;
use crate::format::manifest::anonymised_note::AnonymisedNote;
use crate::jobs::backup::copy_plan::AnonymiseRecipe;
use crate::postgres::anonymise::session_secret;
use std::io::ErrorKind;
use std::path::Path;

/// Largest size of a file of rules, in bytes: rules for 20,000 columns.
const LONGEST: usize = 1 << 20;

/// Reads the rules of the file that the settings name.
pub(crate) fn rules(args: &AnonymiseSettings) -> Result<RuleSet> {
    read(args).map(|(rules, ..)| rules)
}

/// Returns how values are changed in an anonymised backup. It is an error if there is no secret.
pub(crate) fn recipe(args: &AnonymiseSettings) -> Result<AnonymiseRecipe> {
    let (rules, path, text) = read(args)?;
    let Some(secret) = secret()? else {
        return Err(Fault::usage("ANONYMISE_SECRET is not set, and anonymised values are made by it")
            .hint("make one with: openssl rand -hex 32")
            .into());
    };
    let mut session = session_secret::session(&secret)?;
    session.insert("TimeZone".to_owned(), "UTC".to_owned());
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let note = AnonymisedNote::of(name, &text, rules.strict, &secret);
    Ok(AnonymiseRecipe { rules, file: path.display().to_string(), session, note })
}

/// Returns the rules, the file that they are in, and what it holds.
fn read(args: &AnonymiseSettings) -> Result<(RuleSet, &Path, String)> {
    let Some(path) = &args.rules else {
        return Err(Fault::usage("no rules are set")
            .hint("name a file in ANONYMISE_RULES or by --rules; an empty one is a beginning: every column is listed then")
            .into());
    };
    let text = read_text(path).map_err(|error| unreadable(path, &error))?;
    if text.len() > LONGEST {
        return Err(
            Fault::usage(format!("the rules in \"{}\" have more than {} MiB", path.display(), LONGEST >> 20)).into()
        );
    }
    let rules = RuleSet::read(&text).map_err(|error| wrong(path, error))?;
    Ok((rules, path, text.to_string()))
}

/// Puts the file's name before an error about what is in it.
pub(crate) fn wrong(path: &Path, error: anyhow::Error) -> anyhow::Error {
    error.context(Fault::usage(format!("the rules in \"{}\" are wrong", path.display())))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fault {
    let fault = Fault::usage(format!("cannot read the rules in \"{}\": {error}", path.display()));
    match error.kind() {
        ErrorKind::NotFound => fault.hint("ANONYMISE_RULES or --rules names the file"),
        _ => fault,
    }
}

/// Returns the secret that values are made by; `None` if none is set.
pub(crate) fn secret() -> Result<Option<Secret>> {
    environment::secret("ANONYMISE_SECRET")
}
