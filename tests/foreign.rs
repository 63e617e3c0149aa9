//! Foreign text on terminal, log and prompt: whoever made it, nothing of it is obeyed, and none of it passes for a line of pgbk's own.

mod answers;

use rexpect::reader::Options;
use rexpect::session::spawn_with_options;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::cluster::{PASSWORD, cluster};
use support::database::script;
use support::fake::Fake;
use support::pgbk::{Pgbk, connected, pgbk, quoted};
use support::proof::{counted, sample};
use support::scheduler::Place;

/// What a terminal obeys; what forges lines; what turns a line around, or is not seen.
const TEXTS: [&str; 3] = [
    "\u{1b}]0;OWNED\u{7}\u{1b}[2J\u{9b}31m\u{8}\u{7f}\u{85}\u{b}",
    "\r\nerror: forged\nhint: forged\n  forged  x",
    "\u{202e}\u{2066}\u{2069}\u{200f}\u{61c}\u{feff}\u{200b}\u{2028}\u{2029}\u{ad}\u{2060}\u{180e}",
];
const PATIENCE: u64 = 60_000;

/// Returns the texts that a test walks: all in a proof, and else one, another for each test.
fn texts(test: usize) -> impl Iterator<Item = &'static str> {
    sample(TEXTS, TEXTS.len(), test)
}

static WALKED: AtomicUsize = AtomicUsize::new(0);

fn is_obeyed(sign: char) -> bool {
    sign.is_control() || TEXTS[2].contains(sign) || "\u{202a}\u{202d}\u{200e}\u{200c}".contains(sign)
}

/// Nothing of it is obeyed, and no line begins as one of pgbk's own would.
#[track_caller]
fn assert_clean(what: &str, said: &str) {
    assert!(!said.contains(|sign| sign != '\n' && is_obeyed(sign)), "{what}: {said:?}");
    let forged = |line: &str| ["error: forged", "hint: forged", "  forged"].iter().any(|begin| line.starts_with(begin));
    assert!(!said.lines().any(forged), "{what}: {said}");
    WALKED.fetch_add(1, Ordering::Relaxed);
}

/// Runs for people and for machines, whatever comes of it. Returns the document of the second run.
#[track_caller]
fn walk(run: &Pgbk, arguments: &[&str]) -> Value {
    let people = run.args(arguments.iter().copied()).set("LOG_LEVEL", "debug").end();
    // What is indented belongs to the message above it.
    let what = format!("{arguments:?}");
    assert_clean(&what, &people.text());
    assert_clean(&what, &people.err.replace("\n  ", "\n> "));
    if ["download", "completions"].contains(&arguments[0]) {
        return Value::Null;
    }
    let machine = run.args(arguments.iter().copied().chain(["--json"])).set("LOG_FORMAT", "json").end();
    assert_clean(&what, &machine.text());
    assert_clean(&what, &machine.err);
    for line in machine.err.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{what}: {error}: {line}"));
    }
    if machine.out.is_empty() { Value::Null } else { machine.json() }
}

/// Answers the first question on a real terminal with no. What dialoguer draws is its own; nothing of the text is obeyed.
#[track_caller]
fn ask(run: &Pgbk, arguments: &[&str], question: &str) {
    let command = run.args(arguments.iter().copied()).set("TERM", "xterm").command();
    let mut session = spawn_with_options(command, Options::new().timeout_ms(Some(PATIENCE))).unwrap();
    let mut said = session.exp_string(question).unwrap();
    session.send("no such name\r").unwrap();
    session.flush().unwrap();
    said += &session.exp_eof().unwrap();
    let said = said.replace("\r\n", "\n");
    for part in ["\u{1b}]0;", "\u{1b}[2J\u{9b}", "\u{9b}", "\u{7}", "\u{8}\u{7f}"] {
        assert!(!said.contains(part), "{arguments:?}: {said:?}");
    }
    assert!(!said.contains(|sign: char| TEXTS[2].contains(sign)), "{arguments:?}: {said:?}");
    let forged = |line: &str| ["error: forged", "hint: forged", "  forged"].iter().any(|begin| line.starts_with(begin));
    assert!(!said.lines().any(forged), "{arguments:?}: {said}");
    assert!(said.contains("\\u{") || said.contains("\\n"), "nothing of it was shown: {said}");
    WALKED.fetch_add(1, Ordering::Relaxed);
}

/// A database in which every name and every text is hostile.
fn database(text: &str) -> String {
    let name = format!("d{text}");
    let psql = |database: &str, sql: &str| cluster().psql(database, sql);
    psql("postgres", &format!("CREATE DATABASE \"{name}\""));
    psql("postgres", &format!("CREATE ROLE \"r{text}\""));
    psql(
        &name,
        &format!(
            "CREATE SCHEMA \"s{text}\"; CREATE TABLE \"s{text}\".\"t{text}\" (\"c{text}\" int, CONSTRAINT \"k{text}\" CHECK (true)); \
             INSERT INTO \"s{text}\".\"t{text}\" VALUES (1); ALTER TABLE \"s{text}\".\"t{text}\" OWNER TO \"r{text}\"; \
             COMMENT ON TABLE \"s{text}\".\"t{text}\" IS 'm{text}'; COMMENT ON DATABASE \"{name}\" IS 'm{text}'; \
             ALTER DATABASE \"{name}\" SET my.setting = 'v{text}'; GRANT CONNECT ON DATABASE \"{name}\" TO \"r{text}\"; \
             CREATE TABLE circle (a int PRIMARY KEY, b int REFERENCES circle)"
        ),
    );
    name
}

/// A backup of which the document was changed, and sealed anew as anyone can without a key.
fn forge(store: &Path, id: &str, change: impl Fn(&mut Value)) {
    let folder = fs::read_dir(store).unwrap().flatten().map(|entry| entry.path());
    let path = folder.map(|folder| folder.join(format!("{id}.meta"))).find(|path| path.exists());
    let path = path.unwrap_or_else(|| panic!("no {id}.meta"));
    let mut document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    document.as_object_mut().unwrap().remove("checksum");
    change(&mut document);
    let text = serde_json::to_string_pretty(&document).unwrap();
    let text = text.strip_suffix("\n}").unwrap();
    let sum = blake2b_simd::Params::new().hash_length(32).hash(text.as_bytes()).to_hex();
    fs::write(&path, format!("{text},\n  \"checksum\": \"{sum}\"\n}}\n")).unwrap();
}

#[test]
fn names_in_a_database_and_what_its_server_says_are_written_out_by_every_command() {
    cluster().psql("postgres", &format!("CREATE ROLE lowly LOGIN PASSWORD '{}'", PASSWORD.replace('\'', "''")));
    for text in texts(1) {
        let name = database(text);
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let run = connected().directory(&store).set("STATE_DIR", folder.path().join("state").display());
        let (lowly, named) = (run.set("DB_USER", "lowly"), quoted(&name));
        let made = walk(&run, &["backup", &named]);
        assert_eq!(made["database"], *name, "JSON says the name as it is");
        let id = made["id"].as_str().unwrap();
        for arguments in [
            &["backup", named.as_str(), "missing"][..],
            &["backup", "@globals"],
            &["verify", id, "--level", "restore"],
            &["verify", "--all", "--level", "content"],
            &["doctor", &named],
            &["list"],
            &["status"],
            &["prune", &named, "--keep-last", "1", "--dry-run"],
            &["restore", id, "--to", &format!("n{text}"), "--yes"],
            &["restore", id, "--to", &format!("n{text}"), "--yes"],
            &["restore", id, "--to", &format!("n{text}"), "--yes", "--clean", "--no-properties"],
            &["download", id, "--output", folder.path().join(format!("o{text}")).to_str().unwrap()],
            &["download", id, "--output", folder.path().join(format!("o{text}")).to_str().unwrap()],
            &["schedule", &named, "--next", "2", "--schedule", "@daily"],
        ] {
            walk(&run, arguments);
        }
        for arguments in [&["backup", named.as_str()][..], &["doctor", &named], &["restore", id, "--yes", "--clean"]] {
            walk(&lowly, arguments);
        }
        ask(&run, &["restore", id, "--to", &format!("p{text}")], "to restore");
        ask(&run, &["restore", id, "--clean"], "to restore");
        ask(&run, &["restore", "latest", "--database", "@globals"], "Type yes");

        // What a server says of a statement, and what a document says.
        let raised = script(&format!(
            "DO $$BEGIN RAISE EXCEPTION USING MESSAGE='a{text}', DETAIL='b{text}', HINT='c{text}', TABLE='d{text}', SCHEMA='e{text}';END$$;"
        ));
        let upload = run.args(["upload", "-", "--database", "raised", "--json"]).input(raised.as_bytes()).expect(0);
        let uploaded = upload.json()["id"].as_str().unwrap().to_owned();
        walk(&run, &["restore", &uploaded, "--to", "raised", "--yes"]);
        walk(&run, &["verify", &uploaded, "--level", "restore"]);
        forge(&store, &uploaded, |document| {
            document["note"] = json!(format!("n{text}"));
            document["warnings"] = json!([format!("w{text}")]);
            document["requires"] = json!({"roles": [format!("q{text}")], "extensions": [format!("x{text}")]});
            document["tables"] = json!([]);
        });
        forge(&store, id, |document| document["id"] = json!(format!("i{text}")));
        for arguments in [
            &["list"][..],
            &["verify", &uploaded],
            &["restore", &uploaded, "--to", "raised", "--yes"],
            &["verify", id],
            &["prune", &named, "--keep-last", "1", "--dry-run"],
            &["backup", &named],
            &["history", "--limit", "200"],
            &["doctor", &named],
        ] {
            walk(&run, arguments);
        }
        let records = run.args(["history", "--json", "--limit", "200"]).expect(0).json();
        for record in records.as_array().unwrap().iter().filter(|record| record["state"] != "running") {
            walk(&run, &["history", record["run"].as_str().unwrap()]);
        }
        assert!(records.to_string().contains(&json!(name).to_string()), "{records:#}");
    }
    counted("foreign", "names in a database and words of its server, by command", WALKED.load(Ordering::Relaxed), 0);
}

#[test]
fn names_of_files_are_written_out_and_forge_no_line_of_what_is_confirmed() {
    for text in texts(2) {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        fs::create_dir_all(files.join(format!("d{text}"))).unwrap();
        fs::write(files.join(format!("f{text}")), "x").unwrap();
        fs::write(files.join(format!("d{text}/f{text}")), "x").unwrap();
        symlink(format!("l{text}"), files.join(format!("l{text}"))).unwrap();
        assert!(Command::new("mkfifo").arg(files.join(format!("p{text}"))).status().unwrap().success());
        let store = folder.path().join("store");
        let run = connected().directory(&store).set("STATE_DIR", folder.path().join("state").display());
        let run = run.set("BACKUP_FILES", files.display());
        walk(&run, &["backup", "@files"]);
        ask(&run, &["restore", "--files", "latest"], "Type yes");
        let into = folder.path().join(format!("into{text}"));
        let into = into.to_str().unwrap();
        for arguments in [
            &["restore", "--files", "latest", "--into", into, "--yes"][..],
            &["restore", "--files", "latest", "--into", into, "--yes"],
            &["verify", "latest", "--database", "@files", "--level", "content"],
            &["list"],
        ] {
            walk(&run, arguments);
        }
        // A folder that stands where a file comes back.
        fs::remove_file(Path::new(into).join(files.strip_prefix("/").unwrap()).join(format!("f{text}"))).unwrap();
        fs::create_dir(Path::new(into).join(files.strip_prefix("/").unwrap()).join(format!("f{text}"))).unwrap();
        walk(&run, &["restore", "--files", "latest", "--into", into, "--yes"]);
        // Whatever lies in a folder of the store.
        for name in [format!("x{text}.meta"), format!("x{text}-20260101T000000Z.meta"), format!("y{text}")] {
            fs::write(store.join("@files").join(name), "{}").unwrap();
        }
        fs::create_dir(store.join(format!("z{text}"))).unwrap();
        for arguments in [
            &["list"][..],
            &["prune", "@files", "--keep-last", "1", "--orphans", "--dry-run"],
            &["doctor", "--clean"],
            &["verify", "--all"],
        ] {
            walk(&run, arguments);
        }
    }
    counted("foreign", "names of files, by command", WALKED.load(Ordering::Relaxed), 0);
}

#[test]
fn what_programs_and_hosts_answer_is_written_out() {
    for text in texts(3) {
        let folder = tempfile::tempdir().unwrap();
        let run = connected().directory(&folder.path().join("store"));
        let run = run.set("STATE_DIR", folder.path().join("state").display());
        let database = cluster().database("answers");
        for end in ["exit 1", "exec \"$REAL\" \"$@\""] {
            let body = format!(
                "printf '%s\\n' 'pg_dump: warning: {text}' 'pg_dump: error: {text}' 'pg_dump: hint: {text}' >&2; {end}"
            );
            let fake = Fake::new(&body);
            walk(&run.set("PG_BIN_DIR", fake.bin().display()), &["backup", &database]);
            walk(&run, &["history"]);
        }
        let port = answers::postgres(text.to_owned());
        for arguments in [
            &["backup", "shop"][..],
            &["backup", "*"],
            &["doctor", "shop"],
            &["restore", "latest", "--database", &database, "--to", "shop", "--yes"],
            &["verify", "latest", "--database", &database, "--level", "restore"],
        ] {
            walk(&run.set("DB_PORT", port), arguments);
        }
        let error =
            format!("<Error><Code>C{text}</Code><Message>M{text}</Message><RequestId>{text}</RequestId></Error>");
        let listing = format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>shop/x{text}.meta</Key><Size>1</Size></Contents>\
             <Contents><Key>shop/shop-20260101T000000Z.meta</Key><Size>1</Size><ETag>{text}</ETag></Contents></ListBucketResult>"
        );
        for (status, body) in
            [(403, error.clone()), (400, error.clone()), (503, error), (200, listing), (200, text.to_owned())]
        {
            let port = answers::s3(status, body);
            let host = format!("http://127.0.0.1:{port}");
            let bucket = run.unset("STORE_DIR").at(&host, "bucket", "access", "secret").set("S3_ATTEMPTS", "1");
            // One that is overloaded is asked until the time is over.
            let bucket = if status == 503 { bucket.set("S3_TIMEOUT", "1s") } else { bucket };
            for arguments in [
                &["list"][..],
                &["backup", &database],
                &["verify", "shop-20260101T000000Z"],
                &["prune", "shop", "--keep-last", "1"],
            ] {
                walk(&bucket, arguments);
            }
            walk(&run.set("WEBHOOK_URL", &host).set("PING_URL", &host), &["doctor", "--test-alerts"]);
        }
        let port = answers::mail(text.replace("\r\n", "\r"));
        let mail = run.set("SMTP_HOST", "127.0.0.1").set("SMTP_PORT", port).set("SMTP_SECURITY", "none");
        walk(&mail.set("MAIL_TO", "a@example.org"), &["doctor", "--test-alerts"]);
    }
    counted("foreign", "answers of programs, servers, stores and hosts, by command", WALKED.load(Ordering::Relaxed), 0);
}

#[test]
fn what_is_quoted_back_from_the_command_line_and_from_variables_is_written_out() {
    let folder = tempfile::tempdir().unwrap();
    let run = pgbk([]).directory(&folder.path().join("store")).set("DB_HOST", "127.0.0.1").set("DB_PORT", "1");
    let run = run.set("STATE_DIR", folder.path().join("state").display()).set("DB_USER", "u");
    let names: Vec<String> = pgbk::cli::setting::all().into_iter().map(|setting| setting.name).collect();
    let plain = |run: Pgbk, what: &str| {
        // What it writes under such a name lies in a folder of the test's.
        let output = run.command().current_dir(folder.path()).output().unwrap();
        assert_clean(what, &String::from_utf8_lossy(&output.stdout));
        assert_clean(what, &String::from_utf8_lossy(&output.stderr).replace("\n  ", "\n> "));
    };
    for text in texts(4) {
        for name in &names {
            plain(run.args(["backup"]).set(name, format!("v{text}")), name);
        }
        for name in ["S3_BUCKE", "DB_HOSTS"] {
            plain(run.args(["backup", "shop"]).set(&format!("{name}{text}"), "x"), name);
            plain(run.args(["doctor", "shop"]).set(&format!("{name}{text}"), "x"), name);
        }
        for arguments in [
            vec!["restore", text, "--yes"],
            vec!["verify", text],
            vec!["history", text],
            vec!["pin", text],
            vec!["list", text],
            vec!["backup", "--note", text],
            vec!["backup", "--keep-last", text],
            vec!["backup", "--store-dir", text],
            vec!["backup", text],
            vec!["upload", text, "--database", "d"],
            vec!["upload", "-", "--database", text],
            vec!["download", "latest", "--output", text],
            vec!["prune", text, "--keep-last", "1"],
            vec!["doctor", text],
            vec![text],
        ] {
            plain(run.args(arguments.iter().copied()), &format!("{arguments:?}"));
        }
    }
    counted("foreign", "arguments and variables that are quoted back", 0, WALKED.load(Ordering::Relaxed));
}

#[test]
fn the_log_of_a_scheduler_writes_them_out() {
    for text in texts(5) {
        let place = Place::new();
        let name = format!("log{text}");
        cluster().psql("postgres", &format!("CREATE DATABASE \"{name}\""));
        cluster().psql(&name, &format!("CREATE TABLE \"t{text}\" (a int)"));
        let run = place.run(&["schedule", &quoted(&name), &quoted(&format!("missing{text}"))]);
        let scheduler = place.start(&run.set("CRON_SCHEDULE", "* * * * * *").set("LOG_LEVEL", "debug"));
        place.await_count("done", 1);
        place.await_count("failed", 1);
        assert_clean("schedule", &scheduler.stop().replace("\n  ", "\n> "));
        walk(&place.run(&["status"]), &["status"]);
    }
}
