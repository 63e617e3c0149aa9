//! The one table of settings. One with a flag is declared by the flag's argument ([`crate::cli::settings`] and
//! [`crate::cli::arguments`]); those without a flag are declared here.

use clap::{Arg, Command};
use std::collections::HashSet;

/// One setting, whichever way its value comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The name of its variable.
    pub name: String,
    /// The flag that says the same, without its dashes. None: there is none.
    pub flag: Option<String>,
    pub kind: SettingKind,
    /// The value that counts where it is unset. None: there is none, or the help tells what counts.
    pub default: Option<String>,
    pub help: String,
}

/// The kind of a setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingKind {
    /// Comes by variable or file only, and is never shown.
    Secret,
    /// Says which user to become. It is read before the command line.
    Account,
    /// One of these words.
    Choice(Vec<String>),
    /// Any value of the kind that this names, such as `HOST`.
    Value(String),
}

/// A setting without a flag: its name, its kind and its help, which tells what counts where it is unset.
type Flagless = (&'static str, SettingKind, &'static str);

const FLAGLESS: [Flagless; 21] = [
    ("DB_PASSWORD", SettingKind::Secret, "Password for the server; when unset as libpq finds it"),
    ("DATABASE_URL", SettingKind::Secret, "Connection URL of the server and the database, where DB_HOST is not set"),
    (
        "VERIFY_DB_PASSWORD",
        SettingKind::Secret,
        "Password for the server of VERIFY_DB_HOST; when unset the password file's",
    ),
    (
        "S3_ACCESS_KEY_ID",
        SettingKind::Secret,
        "Credentials for the bucket; the AWS chain (profile, role, ...) when unset",
    ),
    ("S3_SECRET_ACCESS_KEY", SettingKind::Secret, "Second part of the credentials"),
    ("S3_SESSION_TOKEN", SettingKind::Secret, "Third part of credentials that are lent for some time"),
    (
        "DB_BACKUP_ENCRYPT_KEY",
        SettingKind::Secret,
        "Encrypt with this key: 64 hexadecimal digits (openssl rand -hex 32)",
    ),
    (
        "DB_BACKUP_ENCRYPT_IV",
        SettingKind::Secret,
        "One IV for all backups, 32 hexadecimal digits; best left unset, for a fresh one each time",
    ),
    ("ENC_PASSWORD", SettingKind::Secret, "A password in place of the key"),
    (
        "ANON_ENCRYPT_KEY",
        SettingKind::Secret,
        "Encrypt anonymised backups with this key; with the others' key when neither this nor ANON_ENC_PASSWORD is set",
    ),
    ("ANON_ENCRYPT_IV", SettingKind::Secret, "One IV for all anonymised backups; best left unset"),
    ("ANON_ENC_PASSWORD", SettingKind::Secret, "A password in place of ANON_ENCRYPT_KEY"),
    (
        "ANONYMISE_SECRET",
        SettingKind::Secret,
        "Values of an anonymised database are made by this secret, the same by the same one; 16 characters or more (openssl rand -hex 32)",
    ),
    ("WEBHOOK_URL", SettingKind::Secret, "Send alerts to this URL as JSON documents"),
    ("WEBHOOK_TEMPLATE", SettingKind::Secret, "Form of these documents; the message alone when unset"),
    ("PING_URL", SettingKind::Secret, "Tell this monitor of every run"),
    ("SMTP_PASSWORD", SettingKind::Secret, "Password of SMTP_USER"),
    ("SMTP_PASSWD", SettingKind::Secret, "Another name for SMTP_PASSWORD"),
    ("SMTP_FROM", SettingKind::Secret, "Another name for MAIL_FROM"),
    (
        "PUID",
        SettingKind::Account,
        "User that pgbk becomes after it has read the secrets as root; in the image 10001 when unset",
    ),
    ("PGID", SettingKind::Account, "Group that pgbk becomes then; that of the same number when unset"),
];

/// Returns every setting once: those of flags in the order of the commands, then those without one. Where commands tell
/// of one in other words, the first command's count.
pub fn all() -> Vec<Setting> {
    let command = crate::cli::command();
    let commands = command.get_subcommands().flat_map(Command::get_arguments);
    let mut seen = HashSet::new();
    let flags = commands.chain(command.get_arguments());
    // Most flags are those of several commands, and each start of pgbk reads this table.
    let flags = flags.filter(|argument| argument.get_env().is_some_and(|name| seen.insert(name)));
    let flags: Vec<Setting> = flags.filter_map(of_flag).collect();
    let copied: Vec<Setting> = flags.iter().filter_map(of_copies).collect();
    flags.into_iter().chain(copied).chain(FLAGLESS.into_iter().map(without_flag)).collect()
}

/// Stands before the names of settings that are for anonymised backups.
pub(crate) const ANONYMISED: &str = "ANON_";
const KEEP: &str = "KEEP_";
/// The rule that no copy has: none is a base.
const KEEP_CAPTURE: &str = "KEEP_CAPTURE";

/// Returns the same rule of retention for anonymised backups; `None`: the setting is no such rule.
fn of_copies(setting: &Setting) -> Option<Setting> {
    let Setting { name, kind, .. } = setting;
    (name.starts_with(KEEP) && name != KEEP_CAPTURE).then(|| Setting {
        name: format!("{ANONYMISED}{name}"),
        flag: None,
        kind: kind.clone(),
        default: None,
        help: format!(
            "{name} for anonymised backups; where no {ANONYMISED}{KEEP} is set, the rules of the others count"
        ),
    })
}

/// Returns the names of the settings that are secrets.
pub fn secrets() -> Vec<&'static str> {
    FLAGLESS.into_iter().filter(|(_, kind, ..)| *kind == SettingKind::Secret).map(|(name, ..)| name).collect()
}

/// Returns the names of the settings that are no secrets.
pub fn variables() -> Vec<String> {
    all().into_iter().filter(|setting| setting.kind != SettingKind::Secret).map(|setting| setting.name).collect()
}

fn of_flag(argument: &Arg) -> Option<Setting> {
    let text = |os: &std::ffi::OsStr| os.to_string_lossy().into_owned();
    let words: Vec<String> = argument.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
    let takes = argument.get_value_names().unwrap_or_default().first().map(ToString::to_string);
    Some(Setting {
        name: text(argument.get_env()?),
        flag: argument.get_long().map(str::to_owned),
        // Of a switch every word that is understood would be there.
        kind: match takes.filter(|takes| words.is_empty() || takes == SWITCH) {
            Some(takes) if takes == SWITCH => SettingKind::Choice(SWITCH.split('|').map(str::to_owned).collect()),
            Some(takes) => SettingKind::Value(takes),
            None => SettingKind::Choice(words),
        },
        default: argument.get_default_values().first().map(|value| text(value)),
        help: argument.get_help().map(ToString::to_string).unwrap_or_default(),
    })
}

const SWITCH: &str = "0|1";

fn without_flag((name, kind, help): Flagless) -> Setting {
    Setting { name: name.to_owned(), flag: None, kind, default: None, help: help.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Setting {
        all().into_iter().find(|setting| setting.name == name).unwrap()
    }

    #[test]
    fn every_setting_is_there_once_and_has_its_help() {
        let mut names: Vec<String> = all().into_iter().map(|setting| setting.name).collect();
        assert!(names.len() > 80, "{names:?}");
        names.sort();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
        assert!(all().iter().all(|setting| !setting.help.is_empty() && !setting.help.contains('\n')));
        assert_eq!(variables().len() + secrets().len(), before);
    }

    #[test]
    fn what_a_flag_says_of_itself_is_in_the_table() {
        let port = named("DB_PORT");
        assert_eq!(
            (port.flag.as_deref(), port.kind, port.default),
            (Some("port"), SettingKind::Value("PORT".to_owned()), None)
        );
        let format = named("DUMP_FORMAT");
        assert_eq!(
            (format.kind, format.default.as_deref()),
            (SettingKind::Choice(vec!["plain".to_owned(), "custom".to_owned()]), Some("plain"))
        );
        let switch = named("NO_ENCRYPT");
        assert_eq!(
            (switch.kind, switch.default.as_deref()),
            (SettingKind::Choice(vec!["0".to_owned(), "1".to_owned()]), Some("0"))
        );
        assert_eq!((named("DB_PASSWORD").flag, named("DB_PASSWORD").kind), (None, SettingKind::Secret));
        assert_eq!((named("PUID").flag, named("PUID").kind), (None, SettingKind::Account));
    }

    #[test]
    fn the_long_help_names_every_secret() {
        for name in secrets().into_iter().filter(|name| !named(name).help.starts_with("Another name")) {
            assert!(crate::cli::SECRETS.contains(name), "{name}");
        }
    }
}
