//! Each command, with little memory, beside documents that would take much.

use super::*;
use std::process::Stdio;
use support::database::small;

/// Of address space: the binary and its threads' stacks take a good part of it.
const LIMIT: u64 = 384 << 20;
/// Of each document. Taken apart into small things it would be some twenty times as many.
const SIZE: usize = 8 << 20;
const COPIES: i64 = 3;

/// What takes the place of a member of the document, over and over until it is large: before, again and again, between, behind.
type Shape = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

/// Arguments, and the exit codes that it may have.
type Command<'a> = (&'a [&'a str], &'a [i32]);

const SHAPES: &[Shape] = &[
    ("many empty lists", "\"previous\": null", "\"x\": [", "[]", ",", "]"),
    ("many empty objects", "\"previous\": null", "\"x\": [", "{}", ",", "]"),
    ("many members of one name", "\"previous\": null", "\"x\": 0", "", ", \"x\": 0", ""),
    ("deep lists", "\"previous\": null", "\"x\": ", "[", "", ""),
    ("deep objects", "\"previous\": null", "\"x\": ", "{\"x\":", "", ""),
    ("one long text", "\"previous\": null", "\"x\": \"", "aaaaaaaa", "", "\""),
    ("one long number", "\"previous\": null", "\"x\": ", "99999999", "", ""),
    ("many arguments", "\"arguments\": []", "\"arguments\": [", "\"\"", ",", "]"),
    ("many numbers for arguments", "\"arguments\": []", "\"arguments\": [", "1", ",", "]"),
    ("a long argument", "\"arguments\": []", "\"arguments\": [\"", "aaaaaaaa", "", "\"]"),
    ("many roles", "\"extensions\": []", "\"extensions\": [", "\"\"", ",", "]"),
    (
        "many tags",
        "\"tags\": [",
        "\"tags\": [",
        "\"0000000000000000000000000000000000000000000000000000000000000000\"",
        ",",
        ",",
    ),
    ("many seconds", "\"verified\": true", "\"verified\": true, \"seconds\": {\"a\": 1", "", ", \"a\": 1", "}"),
    ("many members in the key", "\"key\": null", "\"key\": {\"mode\": \"raw\", \"x\": [", "[]", ",", "]}"),
    ("many lists for what was verified", "\"verified\": true", "\"verified\": [", "[]", ",", "]"),
    ("many lists for properties", "\"previous\": null", "\"properties\": [", "[]", ",", "]"),
    ("many members in properties", "\"previous\": null", "\"properties\": {\"a\": 1", "", ", \"a\": 1", "}"),
    (
        "many tables",
        "\"tables\": [",
        "\"tables\": [",
        "{\"name\":\"\",\"rows\":0,\"bytes\":0,\"blake2b\":\"0000000000000000000000000000000000000000000000000000000000000000\"}",
        ",",
        ",",
    ),
];

fn grown((_, member, before, again, between, behind): &Shape, text: &str) -> Vec<u8> {
    assert!(text.contains(member), "no {member}");
    let mut inner = (*before).to_owned();
    inner.reserve(SIZE + 1024);
    while inner.len() < SIZE {
        inner.push_str(again);
        inner.push_str(between);
    }
    if !between.is_empty() {
        inner.push_str(again);
    }
    inner.push_str(behind);
    text.replacen(member, &inner, 1).into_bytes()
}

/// Several backups with a document of this shape, sealed as anybody can.
fn place(shape: &Shape, keyed: bool) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let (document, payload) = plain();
    let mut newest = String::new();
    for day in 0..COPIES {
        let old = id_of(&document);
        let id =
            BackupId::new("plain", old.taken_at() - std::time::Duration::from_secs(86_400 * (COPIES - day) as u64));
        let text = String::from_utf8(text(&document)).unwrap().replace(&old.to_string(), &id.to_string());
        let text = match keyed {
            true => text.replace("\"key\": null", "\"key\": {\"mode\": \"raw\", \"check\": \"8558b5b0bd6ac0a9\"}"),
            false => text,
        };
        let grown = grown(shape, &text);
        put(folder.path(), &id.meta_key(), &if keyed { under_a_key(grown) } else { sealed(grown) });
        put(folder.path(), &id.object_key("sql"), &payload);
        newest = id.to_string();
    }
    (folder, newest)
}

/// With so little memory, it must end by itself, with one of these codes.
fn ends(what: &str, run: &Pgbk, codes: &[i32]) {
    let limit = format!("--as={LIMIT}");
    let mut command = run.command_by(&["prlimit", &limit]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| codes.contains(&code)), "{what}: {}: {said}", output.status);
}

#[test]
fn no_command_needs_much_memory_for_a_document_of_any_shape() {
    small("bombed", &["a"]);
    let mut refused = 0;
    let shapes = SHAPES.iter().enumerate().filter(|(at, _)| proof::whole() || at % 16 == 1 || *at == 14);
    for (at, shape) in shapes {
        let keyed = at % 2 == 1 && !shape.1.contains("key");
        let (folder, newest) = place(shape, keyed);
        let out = tempfile::tempdir().unwrap();
        let run = connected().directory(folder.path()).set("STATE_DIR", out.path().join("state").display());
        let run = if keyed { run.key() } else { run };
        let file = out.path().join("file.sql").display().to_string();
        let commands: [Command; 7] = [
            (&["list"], &[0]),
            (&["prune", "plain", "--keep-last", "1", "--dry-run"], &[0]),
            (&["verify", &newest, "--level", "meta"], &[0, 3]),
            (&["verify", "--all", "--level", "meta"], &[0, 3]),
            (&["restore", &newest, "--to", "bombed_to", "--yes"], &[0, 3]),
            (&["download", &newest, "-o", &file], &[0, 3]),
            (&["doctor", "bombed"], &[0, 1, 2, 3]),
        ];
        for (arguments, codes) in commands {
            ends(&format!("{}, {arguments:?}", shape.0), &run.args(arguments.iter().copied()), codes);
            refused += 1;
        }
        // What is made beside them is kept, and what is good among them still counts.
        let own = run.set("DB_NAME", "plain").set("KEEP_LAST", "1").set("AUTO_LIFECYCLE_POLICY_TAGS", "0");
        // A document that cannot be read may be an encrypted backup's.
        let own = if keyed { own } else { own.set("NO_ENCRYPT", "1") };
        if at % 8 == 1 || proof::whole() {
            if !support::database::exists("plain") {
                small("plain", &["b"]);
            }
            ends(&format!("{}, a run with retention", shape.0), &own.args(["backup"]), &[0]);
            let once = own.set("CRON_SCHEDULE", "* * * * * *").args(["schedule", "--once"]);
            ends(&format!("{}, one turn of the scheduler", shape.0), &once, &[0]);
            refused += 2;
        }
    }
    proof::counted("documents", &format!("forged to ask for memory, with {} MiB of it", LIMIT >> 20), 0, refused);
}
