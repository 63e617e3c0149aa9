//! `man/` and `docs/commands.md` say what the command line says. `PGBK_UPDATE=1 cargo test manual::` writes both; read the
//! difference before you commit it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command as Process;
use support::golden::same;
use support::process::root;

const HEAD: &str = "# Commands\n\nEvery command with its usual flags, as `pgbk COMMAND -h` prints them. `pgbk COMMAND --help` and the man \
pages have all\nflags. The variable of a flag stands behind it; [Settings](settings.md) lists all variables.\n";

/// Returns pgbk's commands in the order of its help, each with the name by which it is called. `help` is clap's own.
fn commands() -> Vec<(String, clap::Command)> {
    // On a terminal, help is as wide as the terminal.
    let mut whole = pgbk::cli::command().clone().term_width(100);
    whole.build();
    let of = |command: &clap::Command| (format!("pgbk {}", command.get_name()), command.clone().term_width(100));
    let commands = whole.get_subcommands().filter(|command| command.get_name() != "help").map(of).collect::<Vec<_>>();
    [("pgbk".to_owned(), whole)].into_iter().chain(commands).collect()
}

#[test]
fn the_page_of_commands_is_their_help() {
    let mut page = HEAD.to_owned();
    for (name, mut command) in commands() {
        let help = command.render_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        page.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end()));
    }
    same("docs/commands.md", page.as_bytes(), "manual::");
}

/// Gives a command the synopsis of its man page. The one that clap_mangen would make has no values of options.
fn with_synopsis(command: clap::Command) -> clap::Command {
    if command.has_subcommands() {
        return command;
    }
    let option = |argument: &clap::Arg| {
        let short = argument.get_short().map(|short| format!("-{short}|")).unwrap_or_default();
        format!("[{short}{argument}]")
    };
    let shown = || command.get_arguments().filter(|argument| !argument.is_hide_set());
    let options = shown().filter(|argument| !argument.is_positional()).map(option);
    let positionals = shown().filter(|argument| argument.is_positional()).map(ToString::to_string);
    let name = command.get_bin_name().unwrap_or_default().to_owned();
    let words: Vec<String> = [name].into_iter().chain(options).chain(positionals).collect();
    command.override_usage(words.join(" "))
}

#[test]
fn the_synopsis_of_a_man_page_has_the_values_of_options() {
    let page = fs::read_to_string(root().join("man/pgbk-restore.1")).unwrap();
    let synopsis = page.lines().skip_while(|line| *line != ".SH SYNOPSIS").nth(1).unwrap().replace('\\', "");
    for part in ["fBpgbk restorefR [--object <KEY>] [--all]", "[-y|--yes]", "[--jobs <N>]", " [ID|latest]"] {
        assert!(synopsis.contains(part), "no {part}: {synopsis}");
    }
}

#[test]
fn the_man_pages_are_those_of_the_commands() {
    let mut wanted = BTreeMap::new();
    for (name, command) in commands() {
        let name = name.replace(' ', "-");
        let mut page = Vec::new();
        // A flag that the short help leaves out has a description here.
        let command = with_synopsis(command).mut_args(|argument| argument.hide_short_help(false));
        clap_mangen::Man::new(command).manual("pgbk").render(&mut page).unwrap();
        wanted.insert(format!("{name}.1"), page);
    }
    for (name, page) in &wanted {
        same(&format!("man/{name}"), page, "manual::");
    }
    let mut there: Vec<_> = fs::read_dir(root().join("man")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, wanted.keys().map(|name| name.as_str()).collect::<Vec<_>>());
}

#[test]
fn groff_reads_every_man_page_without_a_complaint() {
    for entry in fs::read_dir(root().join("man")).unwrap() {
        let page = entry.unwrap().path();
        let read = Process::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-rLL=100n", "-P-cbou"])
            .arg(&page)
            .output()
            .expect("run groff");
        assert!(
            read.status.success() && read.stderr.is_empty(),
            "{}: {}",
            page.display(),
            String::from_utf8_lossy(&read.stderr)
        );
        let text = String::from_utf8_lossy(&read.stdout).into_owned();
        for part in ["NAME", "SYNOPSIS", "EXIT", "LOG_LEVEL", "Which log lines are shown"].map(str::to_uppercase) {
            assert!(text.to_uppercase().contains(&part), "{}: no {part}", page.display());
        }
    }
}
