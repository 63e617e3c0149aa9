//! Whatever a setting refuses, the error names the setting, the value and what is accepted, by variable and by flag.

use pgbk::cli::setting::{self, Setting, SettingKind};
use support::pgbk::{Outcome, pgbk};
use support::proof::counted;

/// Parsers' words that say nothing of what is accepted.
const BARE: [&str; 5] = ["not a boolean", "invalid digit", "number too", "cannot parse integer", "is not in "];

/// Wrong values of every kind of setting that has such, and words of what is accepted.
fn wrong(kind: &SettingKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        SettingKind::Choice(words) if words == &["0", "1"] => &[("perhaps", "0 or 1"), ("2", "0 or 1")],
        SettingKind::Choice(_) => &[("perhaps", "possible values")],
        SettingKind::Value(kind) => match kind.as_str() {
            "TIME" => &[("soon", "looks like"), ("-1h", "time"), ("24", "24")],
            "SIZE" => &[("much", "looks like 64M"), ("99999999T", "at most"), ("-1", "looks like 64M")],
            "N" | "PORT" | "DAYS" | "LEVEL" => {
                &[("many", "a whole number from "), ("-1", "a whole number from "), ("99999999999999999999", "from ")]
            }
            "ADDR" => &[("9187", "looks like 127.0.0.1:9187")],
            _ => &[],
        },
        _ => &[],
    }
}

/// The first command that has a setting.
fn command_of(name: &str) -> &'static str {
    let command = pgbk::cli::command();
    let has =
        |command: &&clap::Command| command.get_arguments().any(|argument| argument.get_env() == Some(name.as_ref()));
    // One that every command has is no one's own.
    command.get_subcommands().find(has).map_or("list", |command| command.get_name())
}

fn told(outcome: &Outcome, words: &[&str], what: &str) {
    for word in words {
        assert!(outcome.err.contains(word), "{what} does not say {word:?}: {}", outcome.err);
    }
    for bare in BARE {
        assert!(!outcome.err.contains(bare), "{what}: {}", outcome.err);
    }
}

#[test]
fn every_refusal_of_a_setting_names_the_setting_the_value_and_what_is_accepted() {
    let mut refused = 0;
    let settings = setting::all();
    for Setting { name, flag, kind, .. } in settings.iter().filter(|setting| setting.flag.is_some()) {
        let flag = flag.as_deref().unwrap();
        for (value, accepted) in wrong(kind) {
            let (option, command) = (format!("--{flag}"), command_of(name));
            let by_variable = pgbk([command]).set(name, value).expect(2);
            told(&by_variable, &[name, &option, value, accepted], &format!("{name}={value}"));
            let by_flag = pgbk([command, &format!("{option}={value}")]).expect(2);
            told(&by_flag, &[&option, value, accepted], &format!("{option}={value}"));
            refused += 2;
        }
    }
    // Without a flag: they are read where anonymised backups are made.
    let copies = settings.iter().filter(|setting| setting.flag.is_none());
    for (Setting { name, .. }, (value, accepted)) in
        copies.flat_map(|setting| wrong(&setting.kind).iter().map(move |wrong| (setting, wrong)))
    {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules");
        std::fs::write(&rules, "").unwrap();
        let run = pgbk(["backup", "shop"]).directory(folder.path()).key().set("OUTPUTS", "plain,anonymised");
        let run = run.set("STATE_DIR", folder.path().join("state").display());
        let run = run.set("ANONYMISE_SECRET", "0123456789abcdef").set("ANONYMISE_RULES", rules.display());
        told(&run.set(name, value).expect(2), &[name, value, accepted], &format!("{name}={value}"));
        refused += 1;
    }
    assert!(refused > 200, "{refused}");
    counted("values", "wrong values of settings, each told with what is accepted", 0, refused);
}

#[test]
fn what_is_read_later_is_refused_by_its_name_with_what_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let base = pgbk([]).directory(folder.path()).key().set("STATE_DIR", folder.path().join("state").display());
    for (command, name, value, accepted) in [
        ("schedule", "CRON_SCHEDULE", "sometimes", "schedule"),
        ("schedule", "VERIFY_SCHEDULE", "sometimes", "schedule"),
        ("prune", "TZ", "Nowhere/Here", "looks like"),
        ("backup", "DB_BACKUP_COMPRESS", "zip", "xz, zstd or gzip"),
        ("capture", "CAPTURE_SLOT", "A slot", "letters"),
        ("backup", "PG_DUMP_USER_ARGS", "--file=x", "--file"),
    ] {
        let outcome = base.args([command]).set("DB_NAME", "shop").set("KEEP_LAST", "1").set(name, value).expect(2);
        told(&outcome, &[name, value, accepted], name);
    }
    // Secrets are never shown.
    let key = base.args(["backup", "shop"]).set("DB_BACKUP_ENCRYPT_KEY", "sesame").expect(2);
    told(&key, &["DB_BACKUP_ENCRYPT_KEY", "64 hexadecimal digits"], "the key");
    assert!(!key.err.contains("sesame"));
}
