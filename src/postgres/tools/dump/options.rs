//! The options of pg_dump 12 to 18: which of them a backup accepts, and what each means for a dump of a restored database.
//! Everything that reads arguments of pg_dump uses this one table.

use crate::postgres::session::quote::literal;
use BackupUse::{Refused, Taken};
use SecondDumpUse::{Kept, Left, Never, Untellable};

/// An option, with its long and its short name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DumpOption {
    pub name: &'static str,
    pub short: Option<char>,
    /// Whether it takes a value, which may be the next argument.
    pub valued: bool,
    pub backup: BackupUse,
    pub again: SecondDumpUse,
}

/// Whether `PG_DUMP_USER_ARGS` may hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackupUse {
    Taken,
    /// Refused; the text says what to do instead.
    Refused(&'static str),
}

/// Says whether the second dump, that of a restored database, has the option too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecondDumpUse {
    /// Yes: it determines what the text of COPY is, or which tables have any.
    Kept,
    /// No: it does not concern rows.
    Left,
    /// Neither: without it the comparison would be wrong, and it may not be used, for this reason.
    Untellable(&'static str),
    /// No backup was ever made with it.
    Never,
}

/// Says what an option means where pg_restore writes the script and pgbk reads the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScriptUse {
    /// pg_dump has heeded it in the table of contents, and [`row_settings`] does for the rows.
    Heeded,
    /// pg_restore is given it, too.
    Passed,
    /// Only pg_dump itself can do it.
    Alone,
}

const fn flag(name: &'static str, backup: BackupUse, again: SecondDumpUse) -> DumpOption {
    DumpOption { name, short: None, valued: false, backup, again }
}

const fn with(name: &'static str, backup: BackupUse, again: SecondDumpUse) -> DumpOption {
    DumpOption { name, short: None, valued: true, backup, again }
}

impl DumpOption {
    pub fn script(&self) -> ScriptUse {
        match self.name {
            "no-owner"
            | "no-tablespaces"
            | "no-table-access-method"
            | "use-set-session-authorization"
            | "superuser"
            | "enable-row-security"
            | "restrict-key" => ScriptUse::Passed,
            "attribute-inserts"
            | "column-inserts"
            | "inserts"
            | "rows-per-insert"
            | "on-conflict-do-nothing"
            // pg_restore does not know it, and writes the names of owners by itself.
            | "quote-all-identifiers" => ScriptUse::Alone,
            _ => ScriptUse::Heeded,
        }
    }

    const fn or(self, short: char) -> DumpOption {
        DumpOption { short: Some(short), ..self }
    }
}

const NO_TABLES: BackupUse = Refused(
    "a restore needs the tables that the rows belong to, and begins with an empty database: leave it out; --table and --exclude-table choose tables",
);
const EMPTIES: BackupUse = Refused("the restore empties the target where that is meant: pgbk restore --clean");

pub(crate) const OPTIONS: &[DumpOption] = &[
    flag("attribute-inserts", Taken, Kept),
    flag("binary-upgrade", Refused("it is for pg_upgrade alone"), Untellable("it is for pg_upgrade alone")),
    flag("blobs", Taken, Left),
    flag("clean", EMPTIES, Left).or('c'),
    flag("column-inserts", Taken, Kept),
    with("compress", Refused("DB_BACKUP_COMPRESS sets the compression"), Never).or('Z'),
    flag(
        "create",
        Refused(
            "a backup knows the database's own owner, grants, settings and locale, and the restore makes it with them",
        ),
        Left,
    )
    .or('C'),
    flag("data-only", NO_TABLES, Kept).or('a'),
    with("dbname", Refused("DB_NAME names the database"), Never).or('d'),
    flag("disable-dollar-quoting", Taken, Left),
    flag("disable-triggers", Taken, Left),
    flag("enable-row-security", Taken, Kept),
    with("encoding", Taken, Kept).or('E'),
    with("exclude-extension", Taken, Kept),
    with("exclude-schema", Taken, Kept).or('N'),
    with("exclude-table", Taken, Kept).or('T'),
    with("exclude-table-and-children", Taken, Kept),
    with("exclude-table-data", Taken, Kept),
    with("exclude-table-data-and-children", Taken, Kept),
    with("extension", Taken, Kept).or('e'),
    with("extra-float-digits", Taken, Kept),
    with("file", Refused("pgbk reads the dump from stdout; `pgbk download -o FILE` writes one"), Never).or('f'),
    with("filter", Taken, Untellable("the file that it names is of the host that made the backup")),
    with("format", Refused("DUMP_FORMAT sets the format"), Never).or('F'),
    flag("help", Refused("`pg_dump --help` shows pg_dump's help"), Never).or('?'),
    with("host", Refused("DB_HOST names the server"), Never).or('h'),
    flag("if-exists", EMPTIES, Left),
    with("include-foreign-data", Taken, Untellable("the restore would write its rows to the foreign server")),
    flag("inserts", Taken, Kept),
    with("jobs", Refused("DUMP_JOBS says how many connections read tables"), Never).or('j'),
    flag("large-objects", Taken, Left).or('b'),
    flag("load-via-partition-root", Taken, Kept),
    with("lock-wait-timeout", Taken, Left),
    flag("no-acl", Taken, Left),
    flag("no-blobs", Taken, Left),
    flag("no-comments", Taken, Left),
    flag("no-data", Taken, Kept),
    flag("no-large-objects", Taken, Left).or('B'),
    flag("no-owner", Taken, Left).or('O'),
    flag("no-password", Taken, Left).or('w'),
    flag("no-policies", Taken, Left),
    flag("no-privileges", Taken, Left).or('x'),
    flag("no-publications", Taken, Left),
    flag("no-reconnect", Taken, Left).or('R'),
    flag("no-schema", NO_TABLES, Kept),
    flag("no-security-labels", Taken, Left),
    flag("no-statistics", Taken, Left),
    flag("no-subscriptions", Taken, Left),
    flag("no-sync", Taken, Left),
    flag("no-synchronized-snapshots", Refused("the dump reads a snapshot that pgbk exports"), Left),
    flag("no-table-access-method", Taken, Left),
    flag("no-tablespaces", Taken, Left),
    flag("no-toast-compression", Taken, Left),
    flag("no-unlogged-table-data", Taken, Kept),
    flag("on-conflict-do-nothing", Taken, Kept),
    flag("password", Refused("DB_PASSWORD sets the password"), Never).or('W'),
    with("port", Refused("DB_PORT sets the port"), Never).or('p'),
    flag("quote-all-identifiers", Taken, Kept),
    with("restrict-key", Taken, Left),
    with("role", Taken, Left),
    with("rows-per-insert", Taken, Kept),
    with("schema", Taken, Kept).or('n'),
    flag("schema-only", Taken, Kept).or('s'),
    // Which sections: see `sections` in dump.rs.
    with("section", Taken, Kept),
    flag("sequence-data", Taken, Left),
    flag(
        "serializable-deferrable",
        Refused("the dump reads a snapshot that pgbk exports, and cannot wait for another"),
        Left,
    ),
    with("snapshot", Refused("pgbk exports the snapshot itself"), Never),
    flag("statistics", Taken, Left),
    flag("statistics-only", NO_TABLES, Kept),
    flag("strict-names", Taken, Left),
    with("superuser", Taken, Left).or('S'),
    with("sync-method", Taken, Left),
    with("table", Taken, Kept).or('t'),
    with("table-and-children", Taken, Kept),
    flag("use-set-session-authorization", Taken, Left),
    with("username", Refused("DB_USER names the user"), Never).or('U'),
    flag("verbose", Taken, Left).or('v'),
    flag("version", Refused("`pgbk doctor` shows the versions"), Never).or('V'),
];

/// An option among the arguments, with its value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OptionArgument<'a> {
    /// The argument as it was written.
    pub argument: &'a str,
    pub option: &'static DumpOption,
    pub value: Option<&'a str>,
}

/// Says why pgbk cannot give arguments to pg_dump.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OptionError<'a> {
    /// It is not an option.
    Bare(&'a str),
    Unknown(&'a str),
    /// Several options begin so; the first two of them.
    Ambiguous(&'a str, [&'static str; 2]),
    ValueMissing(&'a str),
    ValueNotTaken(&'a str),
}

/// Returns the arguments for the pg_restore that writes the script, made from those of pg_dump.
pub(crate) fn of_script(arguments: &[String]) -> Vec<String> {
    chosen(arguments, |option| option.script() == ScriptUse::Passed)
}

/// Returns the arguments for the pg_dump that writes the table of contents of a script, which is an archive: without those that pg_dump
/// takes for scripts alone.
pub(crate) fn of_contents(arguments: &[String]) -> Vec<String> {
    chosen(arguments, |option| option.name != "restrict-key")
}

fn chosen(arguments: &[String], is_chosen: impl Fn(&DumpOption) -> bool) -> Vec<String> {
    let given = read(arguments).unwrap_or_default();
    let chosen = given.iter().filter(|given| is_chosen(given.option));
    chosen
        .map(|given| match given.value {
            Some(value) => format!("--{}={value}", given.option.name),
            None => format!("--{}", given.option.name),
        })
        .collect()
}

/// Returns the statements that give a session what pg_dump with these arguments would set for reading rows.
pub(crate) fn row_settings(arguments: &[String]) -> Vec<String> {
    let given = read(arguments).unwrap_or_default();
    let settings = given.iter().filter_map(|OptionArgument { option, value, .. }| {
        let value = literal(value.unwrap_or("on"));
        match option.name {
            "enable-row-security" => Some(format!("SET row_security = {value}")),
            "extra-float-digits" => Some(format!("SET extra_float_digits = {value}")),
            "role" => Some(format!("SET ROLE {value}")),
            _ => None,
        }
    });
    settings.collect()
}

/// Reads arguments as pg_dump does: a long option may be shortened as long as it is unambiguous, short ones may be joined, and the
/// value of the last may follow without a space.
pub(crate) fn read<'a>(arguments: &'a [String]) -> Result<Vec<OptionArgument<'a>>, OptionError<'a>> {
    let mut given = Vec::new();
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        match (argument.strip_prefix("--"), argument.strip_prefix('-')) {
            (Some(long), _) if !long.is_empty() => given.push(read_long(argument, long, &mut rest)?),
            (None, Some(letters)) if !letters.is_empty() => read_short(argument, letters, &mut rest, &mut given)?,
            _ => return Err(OptionError::Bare(argument)),
        }
    }
    Ok(given)
}

fn read_long<'a>(
    argument: &'a str,
    long: &'a str,
    rest: &mut impl Iterator<Item = &'a str>,
) -> Result<OptionArgument<'a>, OptionError<'a>> {
    let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
    let option = named(argument, name)?;
    let value = match value {
        None if option.valued => Some(rest.next().ok_or(OptionError::ValueMissing(argument))?),
        Some(_) if !option.valued => return Err(OptionError::ValueNotTaken(argument)),
        value => value,
    };
    Ok(OptionArgument { argument, option, value })
}

fn read_short<'a>(
    argument: &'a str,
    letters: &'a str,
    rest: &mut impl Iterator<Item = &'a str>,
    given: &mut Vec<OptionArgument<'a>>,
) -> Result<(), OptionError<'a>> {
    for (at, letter) in letters.char_indices() {
        let option =
            OPTIONS.iter().find(|option| option.short == Some(letter)).ok_or(OptionError::Unknown(argument))?;
        if !option.valued {
            given.push(OptionArgument { argument, option, value: None });
            continue;
        }
        let value = match &letters[at + letter.len_utf8()..] {
            "" => rest.next().ok_or(OptionError::ValueMissing(argument))?,
            behind => behind,
        };
        given.push(OptionArgument { argument, option, value: Some(value) });
        return Ok(());
    }
    Ok(())
}

/// The option of this name, or the only one that begins so.
fn named<'a>(argument: &'a str, name: &str) -> Result<&'static DumpOption, OptionError<'a>> {
    if let Some(known) = OPTIONS.iter().find(|option| option.name == name) {
        return Ok(known);
    }
    let mut begun = OPTIONS.iter().filter(|option| !name.is_empty() && option.name.starts_with(name));
    match (begun.next(), begun.next()) {
        (Some(only), None) => Ok(only),
        (Some(one), Some(other)) => Err(OptionError::Ambiguous(argument, [one.name, other.name])),
        _ => Err(OptionError::Unknown(argument)),
    }
}
