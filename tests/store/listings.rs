//! How often each command lists what is stored: pairing two listings mixed rows of one with sizes of another, and each costs money.

use std::fs;
use std::path::Path;
use support::database::small;
use support::faulty::Faulty;
use support::pgbk::{Pgbk, connected};
use support::proof::counted;

const SCRIPT: &[u8] = b"SELECT 1;\n--\n-- PostgreSQL database dump complete\n--\n";

/// Each command, and how often it may list the backups of one subject.
fn commands<'a>(
    name: &'a str,
    copy: &'a str,
    id: &'a str,
    file: &'a str,
    script: &'a str,
    into: &'a str,
) -> Vec<(Vec<&'a str>, usize)> {
    vec![
        // One gives the name. What follows a dump of hours wants to know what is there then: one more, for tags, rules, and what is missed.
        (vec!["backup", name], 2),
        (vec!["backup", name, "--keep-last", "9"], 2),
        (vec!["list"], 1),
        (vec!["list", "--database", name], 1),
        (vec!["verify", id, "--level", "meta"], 0),
        (vec!["verify", "latest", "--level", "meta"], 1),
        (vec!["verify", "latest", "--level", "meta", "--database", name], 1),
        (vec!["verify", "--all", "--level", "meta"], 1),
        (vec!["verify", "latest", "--level", "restore", "--database", name], 1),
        (vec!["verify", "--all", "--level", "restore", "--database", name], 1),
        (vec!["download", id, "--output", file, "--force"], 0),
        (vec!["download", "latest", "--output", file, "--force"], 1),
        (vec!["restore", id, "--to", copy, "--yes"], 0),
        (vec!["restore", "latest", "--to", copy, "--yes", "--clean"], 1),
        (vec!["restore", "--all", "--yes", "--clean", "--over-source"], 1),
        (vec!["backup", "@files"], 2),
        (vec!["restore", "--files", "latest", "--into", into, "--yes"], 1),
        (vec!["list"], 1),
        (vec!["prune", "--keep-last", "9", "--dry-run"], 1),
        (vec!["prune", name, "--keep-last", "9", "--orphans"], 1),
        (vec!["prune", "*", "--keep-last", "9"], 1),
        (vec!["doctor", name], 1),
        (vec!["doctor", name, "--clean"], 1),
        (vec!["upload", script, "--database", name], 1),
        (vec!["pin", id], 0),
        (vec!["unpin", id], 0),
        (vec!["history"], 0),
        (vec!["status"], 0),
    ]
}

/// The text of an entry in the query, whose signs are encoded.
fn prefix(query: &str) -> &str {
    query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or_default()
}

#[test]
fn each_command_lists_the_backups_of_a_database_once_in_a_bucket() {
    let name = "listed_bucket";
    small(name, &["x"]);
    let place = tempfile::tempdir().unwrap();
    let host = Faulty::start(|_, _| None);
    let run = connected().at(&host.endpoint, "bucket", "key", "topsecret");
    let run = run.set("STATE_DIR", place.path().join("state").display()).set("AUTO_LIFECYCLE_POLICY_TAGS", "0");
    // Of the requests after the first so many.
    let listings = |before: usize| {
        let seen = host.seen().split_off(before);
        let listed = || seen.iter().filter(|request| request.call() == "list").map(|request| prefix(&request.query));
        let of = |subject| listed().filter(|prefix| prefix.is_empty() || prefix.starts_with(subject)).count();
        of(name).max(of("%40files"))
    };
    let tagged = run.set("AUTO_LIFECYCLE_POLICY_TAGS", "1");
    let before = host.seen().len();
    tagged.args(["backup", name, "--note", "x"]).expect(0);
    assert_eq!(listings(before), 2, "a backup with tags");
    walk(place.path(), &run, ("bucket", name), |run| {
        let before = host.seen().len();
        let outcome = run.end();
        // The host of the test tells no time, of which doctor makes a finding, and no scheduler runs, as status says.
        assert!(!outcome.err.contains("error:"), "{outcome:#?}");
        listings(before)
    });
}

#[test]
fn each_command_lists_the_backups_of_a_database_once_in_a_folder() {
    let name = "listed_folder";
    small(name, &["x"]);
    let place = tempfile::tempdir().unwrap();
    let (store, log) = (place.path().join("store"), place.path().join("log"));
    let run = connected().directory(&store).set("STATE_DIR", place.path().join("state").display());
    let tracer = ["strace", "-f", "-qq", "-y", "-e", "trace=getdents64", "-o", log.to_str().unwrap()];
    walk(place.path(), &run, ("folder", name), |run| {
        let output = run.command_by(&tracer).output().expect("strace");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("error:"), "{said}");
        // A folder is read until nothing more comes.
        let text = fs::read_to_string(&log).unwrap();
        let of = |subject: &str| {
            let folder = format!("<{}>", store.join(subject).display());
            text.lines().filter(|line| line.contains(&folder) && line.trim_end().ends_with("= 0")).count()
        };
        of(name).max(of("@files"))
    });
}

fn walk(place: &Path, run: &Pgbk, (kind, name): (&str, &str), listings: impl Fn(&Pgbk) -> usize) {
    let (id, copy) = (run.backup(name, &[]), format!("{name}_copy"));
    let paths = ["file", "script", "into"].map(|path| place.join(path).to_str().unwrap().to_owned());
    let [file, script, into] = &paths;
    fs::write(script, SCRIPT).unwrap();
    fs::create_dir(into).unwrap();
    let mut walked = 0;
    for (arguments, most) in commands(name, &copy, &id, file, script, into) {
        let run = run.args(arguments.iter().copied());
        let run = if arguments.contains(&"@files") { run.set("BACKUP_FILES", script) } else { run };
        let found = listings(&run);
        // In a folder uploads that were never finished are files too, of which no listing tells; a bucket has a request of its own for them.
        let most = most + usize::from(kind == "folder" && ["prune", "doctor"].contains(&arguments[0]));
        assert!(found <= most, "{arguments:?} lists {found} times in a {kind}");
        walked += 1;
    }
    counted("listings", &format!("commands, each with one listing of a database's backups, in a {kind}"), walked, 0);
}
