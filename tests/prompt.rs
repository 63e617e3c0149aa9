//! What a person at a real terminal sees and can do.

use rexpect::process::WaitStatus;
use rexpect::reader::Options;
use rexpect::session::{PtySession, spawn_with_options};
use std::fs;
use support::database::{assert_same, dump, exists, features, small, sql, stdout_of, tool};
use support::pgbk::{Pgbk, connected};
use tempfile::TempDir;

/// For what a person has to wait for; a dump, at most.
const PATIENCE: u64 = 60_000;
const DOWN: &str = "\x1b[B";
const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";

fn directory() -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let pgbk = connected().directory(folder.path()).set("TERM", "xterm");
    (folder, pgbk)
}

/// The same run, on a terminal of its own. Escape sequences stay in what is read.
fn at_a_terminal(pgbk: &Pgbk, arguments: &[&str]) -> PtySession {
    let command = pgbk.args(arguments.iter().copied()).command();
    spawn_with_options(command, Options::new().timeout_ms(Some(PATIENCE))).unwrap()
}

fn press(session: &mut PtySession, keys: &str) {
    session.send(keys).unwrap();
    session.flush().unwrap();
}

/// Reads to the end, and gives what was read and the exit code.
fn end(mut session: PtySession) -> (String, i32) {
    let text = session.exp_eof().unwrap();
    match session.process().wait().unwrap() {
        WaitStatus::Exited(_, code) => (text, code),
        other => panic!("{other:?}: {text}"),
    }
}

#[test]
fn the_newest_twenty_are_offered_and_one_is_restored_once_its_target_is_typed() {
    let (folder, pgbk) = directory();
    small("offered", &["old"]);
    let first = pgbk.backup("offered", &[]);
    sql("offered", "UPDATE t SET v = 'new'");
    let second = pgbk.backup("offered", &[]);
    // Older ones, which nobody can read but which count.
    for month in 1..=12 {
        for day in [1, 2] {
            let id = format!("offered-2020{month:02}{day:02}T000000Z");
            fs::write(folder.path().join("offered").join(format!("{id}.meta")), "{}").unwrap();
        }
    }
    let mut session = at_a_terminal(&pgbk, &["restore", "--to", "offered_copy"]);
    let mut list = session.exp_string(&second).unwrap();
    list += &session.exp_string(&first).unwrap();
    assert!(list.contains("Which backup:"), "{list}");
    let rest = session.exp_string("offered-20200401T000000Z").unwrap();
    assert!(rest.contains(" ago") && rest.contains(" stored, ") && rest.contains(" dump"), "{rest}");
    press(&mut session, DOWN);
    press(&mut session, "\r");
    let shown = session.exp_string("Type the database's name (offered_copy) to restore").unwrap();
    assert!(!shown.contains("offered-20200302"), "more than twenty are offered: {shown}");
    for part in [first.as_str(), "1 row", "127.0.0.1", "\"offered_copy\" does not exist and will be created"] {
        assert!(shown.contains(part), "\"{part}\" is not in: {shown}");
    }
    assert!(!exists("offered_copy"));
    press(&mut session, "offered_copy\r");
    let (text, code) = end(session);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("restored"), "{text}");
    assert_eq!(sql("offered_copy", "SELECT v FROM t"), "old");
}

#[test]
fn a_wrong_name_restores_nothing() {
    let (_folder, pgbk) = directory();
    small("mistyped", &["x"]);
    let id = pgbk.backup("mistyped", &[]);
    for (typed, more) in [("mistyped", &[][..]), ("Mistyped_copy", &[]), ("", &[]), ("mistyped", &["--table", "t"])] {
        let arguments = [&["restore", &id, "--to", "mistyped_copy"], more].concat();
        let mut session = at_a_terminal(&pgbk, &arguments);
        session.exp_string("to restore").unwrap();
        press(&mut session, &format!("{typed}\r"));
        let (text, code) = end(session);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("nothing was restored"), "{text}");
        assert!(!exists("mistyped_copy"));
    }
}

#[test]
fn what_doubletake_wrote_is_restored_once_its_target_is_typed() {
    let (folder, pgbk) = directory();
    small("doubletake", &["x"]);
    fs::write(folder.path().join("backup.sql"), stdout_of(&mut tool("pg_dump", "doubletake"))).unwrap();
    for (typed, code) in [("doubletake", 1), ("doubletake_copy", 0)] {
        let mut session = at_a_terminal(&pgbk, &["restore", "--object", "backup.sql", "--to", "doubletake_copy"]);
        let shown = session.exp_string("Type the database's name (doubletake_copy) to restore").unwrap();
        assert!(shown.contains("\"backup.sql\" of 2") && shown.contains("1 row"), "{shown}");
        assert!(!exists("doubletake_copy"));
        press(&mut session, &format!("{typed}\r"));
        assert_eq!(end(session).1, code);
    }
    assert_eq!(sql("doubletake_copy", "SELECT v FROM t"), "x");
}

#[test]
fn leaving_the_list_restores_nothing() {
    let (_folder, pgbk) = directory();
    small("left", &["x"]);
    pgbk.backup("left", &[]);
    let mut session = at_a_terminal(&pgbk, &["restore", "--to", "left_copy"]);
    session.exp_string("Which backup:").unwrap();
    session.exp_string(" dump").unwrap();
    press(&mut session, "q");
    let (text, code) = end(session);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("nothing was restored") && !exists("left_copy"), "{text}");
}

#[test]
fn control_c_at_a_prompt_changes_nothing_and_gives_the_cursor_back() {
    let (_folder, pgbk) = directory();
    small("broken_off", &["x"]);
    let id = pgbk.backup("broken_off", &[]);
    for (arguments, prompt) in [(&["restore"][..], " dump"), (&["restore", &id, "--to", "off_copy"], "to restore")] {
        let mut session = at_a_terminal(&pgbk, arguments);
        let mut text = session.exp_string(prompt).unwrap();
        session.send_control('c').unwrap();
        session.flush().unwrap();
        let (rest, code) = end(session);
        text += &rest;
        assert_eq!(code, 130, "{text}");
        assert!(text.rfind(HIDE_CURSOR) <= text.rfind(SHOW_CURSOR), "the cursor stays hidden: {text:?}");
    }
    assert!(!exists("off_copy"));
}

#[test]
fn the_source_is_replaced_only_when_its_name_is_typed_twice() {
    let (_folder, pgbk) = directory();
    small("beloved", &["first"]);
    let id = pgbk.backup("beloved", &[]);
    sql("beloved", "UPDATE t SET v = 'second'");
    let before = dump("beloved");
    for (again, code_due) in [("belove", 1), ("beloved", 0)] {
        let mut session = at_a_terminal(&pgbk, &["restore", &id, "--clean"]);
        let shown = session.exp_string("to restore").unwrap();
        assert!(shown.contains("ALL OF WHICH WILL BE REPLACED"), "{shown}");
        press(&mut session, "beloved\r");
        session.exp_string("again to replace it").unwrap();
        assert_same(&before, &dump("beloved"));
        press(&mut session, &format!("{again}\r"));
        let (text, code) = end(session);
        assert_eq!(code, code_due, "{text}");
    }
    assert_eq!(sql("beloved", "SELECT v FROM t"), "first");
}

#[test]
fn what_is_not_empty_is_refused_before_anything_is_asked() {
    let (_folder, pgbk) = directory();
    small("occupied", &["x"]);
    let id = pgbk.backup("occupied", &[]);
    let (text, code) = end(at_a_terminal(&pgbk, &["restore", &id]));
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("is not empty") && !text.contains("Type the database"), "{text}");
}

#[test]
fn who_chooses_a_backup_of_a_database_that_is_not_empty_is_asked_where_to_put_it() {
    let (_folder, pgbk) = directory();
    small("elsewhere", &["x"]);
    let id = pgbk.backup("elsewhere", &[]);
    let proposed = format!("elsewhere_{}", &id["elsewhere-".len()..][..8]);
    for (typed, database) in [("", proposed.as_str()), ("elsewhere_named", "elsewhere_named")] {
        let mut session = at_a_terminal(&pgbk, &["restore", "--database", "elsewhere"]);
        session.exp_string("Which backup:").unwrap();
        session.exp_string(" dump").unwrap();
        press(&mut session, "\r");
        let shown = session.exp_string("Into which database").unwrap();
        assert!(shown.contains("\"elsewhere\" is not empty"), "{shown}");
        press(&mut session, &format!("{typed}\r"));
        session.exp_string(&format!("Type the database's name ({database}) to restore")).unwrap();
        press(&mut session, &format!("{database}\r"));
        let (text, code) = end(session);
        assert_eq!(code, 0, "{text}");
        assert_eq!(sql(database, "SELECT v FROM t"), "x");
    }
}

#[test]
fn without_a_terminal_a_restore_has_to_be_told_yes() {
    let (_folder, pgbk) = directory();
    small("unasked", &["x"]);
    let id = pgbk.backup("unasked", &[]);
    for arguments in [&["restore"][..], &["restore", &id, "--to", "unasked_copy"]] {
        pgbk.args(arguments.iter().copied()).input(b"unasked_copy\n").expect(2).says("--yes");
    }
    assert!(!exists("unasked_copy"));
}

#[test]
fn progress_is_drawn_on_a_terminal_and_nowhere_else() {
    let (_folder, pgbk) = directory();
    features("drawn");
    let (text, code) = end(at_a_terminal(&pgbk, &["backup", "drawn"]));
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("backup drawn-") && text.contains(" of ~") && text.contains("so far"), "{text:?}");

    let ran = pgbk.args(["backup", "drawn"]).expect(0).says("backup drawn-");
    for drawn in ["\x1b", " of ~", "\r"] {
        assert!(!ran.err.contains(drawn) && !ran.text().contains(drawn), "{:?}", ran.err);
    }
    // The result is what a pipe is for.
    assert!(ran.text().contains("rows"), "{}", ran.text());

    let (text, code) = end(at_a_terminal(&pgbk, &["backup", "drawn", "--log-format", "json"]));
    assert_eq!(code, 0);
    assert!(!text.contains('\x1b'), "{text:?}");
}
