//! What a person sees without a server: help, mistakes, messages, exit codes, completions.
//!
//! `tests/cmd/*.txt` are sessions: a line `$ …` is run by bash in a folder of its own, and below it stands what came out, stderr
//! marked with `! ` and a code other than 0 with `? `. `PGBK_UPDATE=1 cargo test cli::` writes what comes out into the
//! sessions and `completions/`; read the difference before you commit it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::golden::{same, updating};
use support::process::root;

const PGBK: &str = env!("CARGO_BIN_EXE_pgbk");
/// Stands in every secret of the sessions; never in what they print.
const SENTINEL: &str = "5EC2E7";
const COMMANDS: [&str; 18] = [
    "",
    "backup",
    "restore",
    "download",
    "upload",
    "verify",
    "list",
    "log",
    "pin",
    "unpin",
    "schedule",
    "history",
    "status",
    "capture",
    "prune",
    "doctor",
    "anonymise",
    "completions",
];

/// pgbk in an environment that holds nothing but what a test gives it.
fn pgbk(arguments: &[&str]) -> Command {
    let mut command = Command::new(PGBK);
    command.args(arguments).env_clear().envs(profile()).env("HOME", "/nonexistent").stdin(Stdio::null());
    command
}

/// Where a build that notes which lines ran leaves its notes: else it makes files in the folder that it runs in.
fn profile() -> Option<(&'static str, std::ffi::OsString)> {
    std::env::var_os("LLVM_PROFILE_FILE").map(|path| ("LLVM_PROFILE_FILE", path))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

fn session(name: &str) {
    let path = root().join("tests/cmd").join(format!("{name}.txt"));
    let expected = fs::read_to_string(&path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut found = String::new();
    for line in expected.lines().filter(|line| line.is_empty() || line.starts_with("# ") || line.starts_with("$ ")) {
        let Some(command) = line.strip_prefix("$ ") else {
            // The blank lines of an output come with the output.
            if !line.is_empty() {
                found.push_str(&format!("\n{line}"));
            }
            continue;
        };
        found.push_str(&format!("\n{line}\n{}", shown(&run(command, folder.path()), folder.path())));
    }
    let found = format!("{}\n", found.trim());
    let leaks: Vec<&str> = found.lines().filter(|line| !line.starts_with("$ ") && line.contains(SENTINEL)).collect();
    assert!(leaks.is_empty(), "{name} shows a secret: {leaks:#?}");
    if updating() {
        fs::write(&path, found).unwrap();
    } else {
        assert!(found == expected, "{} differs:\n{}", path.display(), difference(&expected, &found));
    }
}

fn run(command: &str, folder: &Path) -> Output {
    let mut path = std::ffi::OsString::from(Path::new(PGBK).parent().unwrap());
    path.push(":/usr/local/bin:/usr/bin:/bin");
    Command::new("bash")
        .args(["-c", command])
        .current_dir(folder)
        .env_clear()
        .envs(profile())
        .env("PATH", path)
        .env("HOME", folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn shown(output: &Output, folder: &Path) -> String {
    let mut text = String::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        text.push_str(format!("! {line}").trim_end());
        text.push('\n');
    }
    match output.status.code() {
        Some(0) => {}
        Some(code) => text.push_str(&format!("? {code}\n")),
        None => text.push_str("? killed\n"),
    }
    let text = text.replace(folder.to_str().unwrap(), "[FOLDER]").replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    [
        ("ddddddddTddddddZ", "[STAMP]"),
        ("dddd-dd-ddTdd:dd:dd.dddZ", "[TIME]"),
        ("dddd-dd-ddTdd:dd:ddZ", "[TIME]"),
        ("d.d s", "[SECONDS]"),
    ]
    .iter()
    .fold(text, |text, (pattern, name)| mask(&text, pattern, name))
}

/// Puts a name where the pattern is; `d` in it is a digit.
fn mask(text: &str, pattern: &str, name: &str) -> String {
    let fits = |at: usize| {
        text.len() >= at + pattern.len()
            && text.bytes().skip(at).zip(pattern.bytes()).all(|(byte, sign)| match sign {
                b'd' => byte.is_ascii_digit(),
                sign => byte == sign,
            })
    };
    let mut masked = String::new();
    let mut at = 0;
    while let Some(sign) = text[at..].chars().next() {
        if fits(at) {
            masked.push_str(name);
            at += pattern.len();
        } else {
            masked.push(sign);
            at += sign.len_utf8();
        }
    }
    masked
}

fn difference(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), found.lines().collect());
    let first = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let part = |lines: &[&str]| lines.iter().skip(first).take(12).copied().collect::<Vec<_>>().join("\n");
    format!("from line {} on, expected:\n{}\nfound:\n{}", first + 1, part(&expected), part(&found))
}

macro_rules! sessions {
    ($($test:ident $name:literal;)*) => {
        $(#[test] fn $test() { session($name); })*

        #[test]
        fn every_session_is_run() {
            let mut names: Vec<String> = fs::read_dir(root().join("tests/cmd"))
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            names.sort();
            let mut run = vec![$($name),*];
            run.sort();
            assert_eq!(names, run);
        }
    };
}

sessions! {
    short_help_is_as_written_down "help-short";
    long_help_is_as_written_down "help-long";
    mistakes_on_the_command_line_are_told "usage";
    mistakes_in_the_store_settings_are_told "store";
    mistakes_in_the_key_settings_are_told_without_the_key "keys";
    mistakes_in_the_dump_settings_are_told_before_a_server_is_asked "backup";
    a_restore_without_a_terminal_needs_yes "restore";
    files_become_backups_and_files_again "files";
    several_databases_are_told_apart "several";
    variables_come_by_file_and_flags_win "variables";
    mistakes_in_a_schedule_are_told_before_anything_is_waited_for "schedule";
    failures_are_documents_where_machines_read "machines";
    mistakes_in_the_rules_of_retention_are_told_before_anything_goes "prune";
    mistakes_in_the_alert_settings_are_told_before_a_backup_starts "alerts";
}

#[test]
fn every_help_has_examples_exit_codes_and_its_groups_in_order() {
    let order = [
        "Options:",
        "Pipeline:",
        "Server:",
        "Store:",
        "Keys:",
        "Retention:",
        "State:",
        "Alerts:",
        "Output:",
        "Examples:",
        "Exit codes:",
    ];
    for command in COMMANDS {
        for flag in ["-h", "--help"] {
            let arguments: Vec<&str> = [command, flag].into_iter().filter(|word| !word.is_empty()).collect();
            let output = pgbk(&arguments).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{command} {flag}");
            let help = text(&output);
            let at: Vec<usize> = order.iter().filter_map(|heading| help.find(&format!("\n{heading}"))).collect();
            assert!(at.is_sorted(), "{command} {flag}: {help}");
            let line = format!("\n  pgbk {command}");
            assert!(
                help.contains(line.trim_end()) && help.contains("\nExamples:\n"),
                "{command} {flag} has no example"
            );
            for code in ["0 done", "1 failed", "2 usage", "3 backup", "4 not", "5 busy", "130/143"] {
                assert!(help.contains(code), "{command} {flag} does not list {code}");
            }
            let widest = help.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= 100, "{command} {flag} has a line of {widest} characters");
        }
    }
}

#[test]
fn no_value_from_the_environment_is_in_any_help_or_completion() {
    let plain = |arguments: &[&str]| text(&pgbk(arguments).output().unwrap());
    let secret = |arguments: &[&str]| {
        let mut command = pgbk(arguments);
        for name in [
            "DB_PASSWORD",
            "PGPASSWORD",
            "S3_ACCESS_KEY_ID",
            "S3_SECRET_ACCESS_KEY",
            "S3_SESSION_TOKEN",
            "DB_BACKUP_ENCRYPT_KEY",
            "DB_BACKUP_ENCRYPT_IV",
            "ENC_PASSWORD",
            "S3_REQUEST_HEADERS",
            "S3_HOST_BASE",
            "S3_BUCKET",
            "S3_FOLDER",
            "S3_REGION",
            "STORE_DIR",
            "DB_HOST",
            "DB_USER",
            "DB_NAME",
            "PG_DUMP_USER_ARGS",
            "DB_BACKUP_COMPRESS",
            "PG_BIN_DIR",
            "S3_CA_FILE",
            "STATE_DIR",
            "CRON_SCHEDULE",
            "LISTEN",
            "TZ",
            "WEBHOOK_URL",
            "WEBHOOK_TEMPLATE",
            "PING_URL",
            "SMTP_HOST",
            "SMTP_USER",
            "SMTP_PASSWORD",
            "MAIL_TO",
            "MAIL_FROM",
            "MAIL_SUBJECT_PREFIX",
            "ALERT_CA_FILE",
        ] {
            command.env(name, SENTINEL);
        }
        text(&command.output().unwrap())
    };
    for command in COMMANDS {
        for flag in ["-h", "--help"] {
            let arguments: Vec<&str> = [command, flag].into_iter().filter(|word| !word.is_empty()).collect();
            assert_eq!(plain(&arguments), secret(&arguments), "{command} {flag} depends on the environment");
        }
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert_eq!(plain(&["completions", shell]), secret(&["completions", shell]), "{shell}");
    }
    // Mistakes quote what was given, but nothing else.
    for arguments in [vec!["lits"], vec!["list", "--no-such-flag"], vec!["verify", "x"], vec![]] {
        assert!(!secret(&arguments).contains(SENTINEL), "{arguments:?}");
    }
}

#[test]
fn every_command_is_covered_by_these_tests() {
    let mut names: Vec<String> =
        pgbk::cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    names.insert(0, String::new());
    assert_eq!(names, COMMANDS, "add the new command to COMMANDS and to the two help sessions");
}

#[test]
fn the_checked_in_completions_are_what_the_binary_prints() {
    for (shell, name) in [("bash", "pgbk.bash"), ("zsh", "_pgbk"), ("fish", "pgbk.fish")] {
        let output = pgbk(&["completions", shell]).output().unwrap();
        assert!(output.status.success());
        same(&format!("completions/{name}"), &output.stdout, "cli::");
    }
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let complete = |words: &str| {
        let script = format!(
            "source completions/pgbk.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _pgbk pgbk \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &script]).current_dir(root()).output().unwrap();
        assert!(output.stderr.is_empty(), "{}", text(&output));
        text(&output).trim().to_owned()
    };
    assert_eq!(complete("pgbk ba"), "backup");
    assert_eq!(complete("pgbk restore --over"), "--over-source");
    assert_eq!(complete("pgbk verify --level ''"), "meta stored content restore");
}

#[test]
fn a_reader_that_leaves_early_is_no_error_for_a_listing() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["pgbk list", "pgbk list --json", "pgbk --help", "pgbk completions bash"] {
        // The pipe has no reader by the time that pgbk writes.
        let script = format!("export STORE_DIR=s; {{ sleep 0.2; {command}; echo $? >&2; }} | head -0");
        assert_eq!(text(&run(&script, folder.path())), "0\n", "{command}");
    }
}

#[test]
fn a_variable_that_is_no_text_is_a_mistake_and_not_unset() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    for name in ["ENC_PASSWORD", "DB_BACKUP_ENCRYPT_KEY"] {
        let output = pgbk(&["verify", "--all", "--store-dir", "s"])
            .current_dir(&folder)
            .env(name, std::ffi::OsStr::from_bytes(b"\xff\xfe"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(text(&output), format!("error: {name} is not UTF-8 text\n"));
    }
}
