//! What pgbk says to people: the messages that new users stumbled over, each in words that say what to do next.

use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use support::cluster::{cluster, free_port};
use support::database::{create, small};
use support::pgbk::{OTHER_KEY, Outcome, Pgbk, connected, pgbk};
use support::s3::seaweedfs;
use support::scheduler::Place;
use tempfile::TempDir;

fn place() -> (TempDir, Pgbk) {
    let folder = tempfile::tempdir().unwrap();
    let run =
        connected().directory(&folder.path().join("store")).set("STATE_DIR", folder.path().join("state").display());
    (folder, run)
}

/// 1. "no scheduler has left word of itself"
#[test]
fn a_status_without_a_scheduler_says_where_it_looked_what_there_is_and_what_to_ask() {
    let (folder, run) = place();
    small("people_status", &["x"]);
    let state = folder.path().join("state");
    let said = run.args(["status"]).expect(1).text();
    let none = format!("STATE_DIR is \"{}\"; newest backups: none that this host knows of", state.display());
    assert!(said.contains("no scheduler has been started with this STATE_DIR") && said.contains(&none), "{said}");
    run.backup("people_status", &[]);
    let said = run.args(["status"]).expect(1).text();
    assert!(said.contains("newest backups: people_status ") && said.contains("pgbk status --max-age 26h"), "{said}");
    run.args(["status", "--max-age", "26h", "people_status"]).expect(0);
}

/// 2. "DAMAGED  wrong key or password"
#[test]
fn another_key_is_told_by_both_check_ids_and_is_no_damage() {
    let (_folder, run) = place();
    small("people_key", &["x"]);
    let id = run.key().backup("people_key", &[]);
    let said = run.set("DB_BACKUP_ENCRYPT_KEY", OTHER_KEY).args(["verify", &id]).expect(3).text();
    assert!(said.contains("OTHER KEY") && said.contains("(with key ") && said.contains(", yours is "), "{said}");
    assert!(!said.contains("DAMAGED"), "{said}");
}

/// 3. "place s3://my-backups/laptop on 127.0.0.1:24333/shop/x.zst.enc"; 16. the level of a look and what --all is all of.
#[test]
fn the_place_of_a_backup_can_be_pasted_and_a_look_says_how_deep_it_was_and_at_what() {
    small("people_place", &["x"]);
    let (bucket, host) = (seaweedfs().bucket("people"), seaweedfs().endpoint.trim_start_matches("http://").to_owned());
    let run = connected().key().s3(seaweedfs(), &bucket).set("S3_FOLDER", "laptop");
    let said = run.args(["backup", "people_place"]).expect(0).text();
    let id = said.lines().next().unwrap().to_owned();
    assert!(said.contains(&format!("s3://{bucket}/laptop/people_place/{id}.sql.enc ({host})\n")), "{said}");
    let name = run.set("DB_NAME", "people_place");
    for (arguments, level, all, words) in [
        (&["verify", "latest"][..], "content", Value::Null, "1 backup; level content: decrypted"),
        (
            &["verify", "--all", "--level", "meta"],
            "meta",
            "*".into(),
            "1 backup, all that there are; level meta: the .meta",
        ),
        (
            &["verify", "--all", "--level", "stored", "--database", "people_place"],
            "stored",
            "people_place".into(),
            "1 backup, all of \"people_place\"; level stored: every stored byte",
        ),
    ] {
        let said = name.args(arguments.iter().copied()).expect(0).text();
        assert!(said.contains(words), "{said}");
        let document = name.args(arguments.iter().copied()).json();
        assert_eq!((&document["level"], &document["all"]), (&level.into(), &all), "{document:#}");
    }
}

/// 4. "no key is set: damage will be noticed, but not forgery"
#[test]
fn a_backup_in_plain_text_is_called_one() {
    let (_folder, run) = place();
    small("people_plain", &["x"]);
    let said =
        run.args(["backup", "people_plain"]).expect(0).says("no key is set: what is stored can be read by anyone");
    let said = said.text();
    assert!(said.contains("NOT ENCRYPTED: no DB_BACKUP_ENCRYPT_KEY or ENC_PASSWORD is set"), "{said}");
    assert!(said.contains("in 1 table, 1 row\n") && said.contains(" s (dump "), "{said}");
}

/// 7. "is not a backup id"
#[test]
fn what_is_nearly_an_id_is_answered_with_it() {
    let (_folder, run) = place();
    for near in ["shop-20261126T112350", "shop/shop-20261126T112350Z.sql.zst.enc", "shop-20261126t112350z"] {
        for command in ["restore", "download", "verify"] {
            run.args([command, near]).expect(2).says("did you mean shop-20261126T112350Z?");
        }
    }
}

/// 8. "dump 693 B in 0 tables, 0 rows"
#[test]
fn a_database_without_tables_is_a_warning_and_none_named_lists_them() {
    let (_folder, run) = place();
    create("people_empty", "");
    run.args(["backup", "people_empty"]).expect(0).says("\"people_empty\" holds no tables");
    run.unset("DB_NAME").args(["backup"]).expect(2).says("no database is named").says("people_empty");
}

/// 9. "cannot write …: Read-only file system (os error 30) at path \"/./.pgbk-8TJ5tt.partial\""
#[test]
fn a_folder_that_cannot_be_written_to_is_named_with_the_way_around_it() {
    let (_folder, run) = place();
    small("people_file", &["x"]);
    let id = run.backup("people_file", &[]);
    // Nobody makes files there, and not even root.
    for path in ["/sys/kernel/shop.sql", "/sys/shop.sql"] {
        let said = run.args(["download", &id, "--output", path]).expect(1).err;
        assert!(said.contains(&format!("cannot write \"{path}\": ")) && !said.contains(".partial"), "{said}");
        assert!(said.contains("pgbk download latest -o - > shop.sql") && said.contains("exec -T"), "{said}");
    }
    assert!(run.args(["download", &id, "--output", "-"]).expect(0).text().contains("PostgreSQL database dump"));
}

/// 11. "there is no backup of …" with backup.sql.xz.enc beside it
#[test]
fn what_doubletake_left_is_pointed_at_wherever_it_is_not_found() {
    let (folder, run) = place();
    let name = "people_old";
    create(name, "");
    fs::create_dir_all(folder.path().join("store")).unwrap();
    for file in ["backup.sql.xz.enc", "backup.meta", "notes.txt"] {
        fs::write(folder.path().join("store").join(file), "x").unwrap();
    }
    let hint =
        "\"backup.sql.xz.enc\" looks like what Doubletake wrote: pgbk restore --object backup.sql.xz.enc --to NAME";
    for arguments in [&["restore", "latest", "--yes"][..], &["download"], &["verify"], &["verify", "--all"]] {
        run.set("DB_NAME", name).args(arguments.iter().copied()).expect(4).says(hint);
    }
    assert!(run.args(["list"]).expect(0).says(hint).text().contains("no backups"));
    assert!(run.args(["doctor", name]).end().text().contains(hint));
}

/// 12. "cannot find host \"127.0.0.1:24432\"", 14. "bytes remaining on stream"
#[test]
fn a_port_in_the_host_and_what_is_no_postgresql_are_told_apart() {
    let run = |host: &str, port: u16| {
        let run = pgbk(["doctor", "shop"]).set("STORE_DIR", "/nonexistent/store").set("PGCONNECT_TIMEOUT", 2);
        run.set("DB_HOST", host).set("DB_PORT", port).set("DB_USER", "u").end().text()
    };
    let said = run("127.0.0.1:24432", 5432);
    assert!(said.contains("put the port into DB_PORT: DB_HOST=127.0.0.1 DB_PORT=24432"), "{said}");
    assert!(run("nowhere.invalid", 5432).contains("DB_HOST names the server"));
    let stranger = "is this a PostgreSQL server, and is it the one that DB_HOST and DB_PORT should name?";
    for (what, said, words) in [
        ("HTTP", Some("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "which no PostgreSQL server does"),
        ("one that hangs up", Some(""), "closed the connection"),
        ("one that is silent", None, "took the connection, but did not answer within 2 s as a PostgreSQL server would"),
    ] {
        let text = run("127.0.0.1", answering(said));
        assert!(text.contains(words) && text.contains(stranger), "{what}: {text}");
    }
    let closed = run("127.0.0.1", free_port());
    assert!(closed.contains("is the server running there, and do DB_HOST and DB_PORT name it?"), "{closed}");
}

/// Returns the port of one that takes connections and says this to each; None: nothing, for longer than anybody waits.
fn answering(said: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            match said {
                Some(text) => {
                    stream.read_exact(&mut [0; 8]).ok();
                    stream.write_all(text.as_bytes()).ok();
                }
                None => held.push(stream),
            }
        }
    });
    port
}

/// The password of the server that proofs use is not that of the other one.
#[test]
fn a_hint_names_the_variable_of_the_server_that_it_is_about() {
    let (_folder, run) = place();
    small("people_proof", &["x"]);
    let id = run.backup("people_proof", &[]);
    let port = cluster().port;
    let run = run.set("VERIFY_DB_HOST", "127.0.0.1").set("VERIFY_DB_PORT", port).set("VERIFY_DB_USER", "postgres");
    let said = run.set("VERIFY_DB_PASSWORD", "wrong").args(["verify", &id, "--level", "restore"]).end().err;
    assert!(said.contains("set VERIFY_DB_PASSWORD, or VERIFY_DB_PASSWORD_FILE"), "{said}");
    let said = run.set("VERIFY_DB_PORT", free_port()).args(["verify", &id, "--level", "restore"]).end().err;
    assert!(said.contains("VERIFY_DB_HOST and VERIFY_DB_PORT name it?"), "{said}");
}

/// 13. ten lines "cannot connect to …" without a database
#[test]
fn each_line_of_a_run_names_it_in_json_and_in_the_log_of_a_scheduler() {
    let (_folder, run) = place();
    ["people_one", "people_two"].into_iter().for_each(|name| small(name, &["x"]));
    let outcome = run.args(["backup", "people_one", "people_two", "people_none"]).set("LOG_FORMAT", "json").expect(1);
    let lines = entries(&outcome);
    let of = |name: &str| lines.iter().filter(|line| line["database"] == name).collect::<Vec<_>>();
    for name in ["people_one", "people_two"] {
        let own = of(name);
        assert!(own.iter().all(|line| line["run"] == own[0]["run"] && line["run"].is_string()), "{own:#?}");
        let begun = own.iter().find(|line| line["message"].as_str().unwrap().starts_with("backup ")).unwrap();
        assert!(begun["backup_id"].as_str().unwrap().starts_with(&format!("{name}-2")), "{begun}");
    }
    let failed = of("people_none");
    assert!(failed.iter().any(|line| line["level"] == "error" && line["hints"].is_array()), "{lines:#?}");
    assert!(failed.iter().all(|line| line.get("backup_id").is_none()), "{failed:#?}");

    let place = Place::new();
    small("people_night", &["x"]);
    let scheduler = place.start(&place.schedule("* * * * * *", "people_night"));
    place.await_count("done", 1);
    let said = scheduler.stop();
    let run = place.history(&[]).last().unwrap()["run"].as_str().unwrap().to_owned();
    assert!(said.contains(&format!("[people_night {run}] people_night-")), "{said}");
    assert!(said.lines().any(|line| line.contains("stopped by signal") && !line.starts_with('[')), "{said}");
}

fn entries(outcome: &Outcome) -> Vec<Value> {
    outcome.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Two schedulers in one STATE_DIR: afterwards the first was "not running".
#[test]
fn a_second_scheduler_in_one_state_dir_is_refused_and_the_first_stays_healthy() {
    let place = Place::new();
    small("people_first", &["x"]);
    let schedule = place.schedule("0 0 1 1 *", "people_first");
    let first = place.start(&schedule);
    first.await_words("next run");
    let refused = schedule.expect(5).says("is at work with this STATE_DIR").says("a STATE_DIR of its own");
    assert!(refused.err.contains(&format!("process {}", first.child.id())), "{refused:#?}");
    schedule.args(["schedule", "--once"]).expect(5);
    place.run(&["status"]).expect(0);
    // The lock dies with its process.
    first.signal(rustix::process::Signal::KILL);
    let mut first = first;
    first.child.wait().unwrap();
    let second = place.start(&schedule);
    second.await_words("next run");
    second.stop();
}

/// An alert never fails a backup, even one that cannot be sent for what its settings say.
#[test]
fn a_mistake_in_the_settings_of_alerts_is_a_warning_of_a_backup_and_an_error_of_doctor() {
    let (_folder, run) = place();
    small("people_alert", &["x"]);
    let mails = [("SMTP_HOST", "127.0.0.1"), ("MAIL_TO", "a@example.org"), ("MAIL_FROM", "b@example.org")];
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[("WEBHOOK_URL", "hooks.example")], "WEBHOOK_URL is not an http:// or https:// URL"),
        (&[("PING_URL", "ping.example")], "PING_URL is not an http:// or https:// URL"),
        (&[("WEBHOOK_URL", "http://127.0.0.1:9/"), ("WEBHOOK_TEMPLATE", "{")], "WEBHOOK_TEMPLATE is not JSON"),
        (&mails[1..], "MAIL_TO is set without SMTP_HOST"),
        (&[mails[0], mails[1], ("MAIL_FROM", "b")], "MAIL_FROM: \"b\" is no mail address"),
        (&[mails[0], mails[1], mails[2], ("SMTP_USER", "u")], "SMTP_USER is set without SMTP_PASSWORD"),
        (&[("ALERT_CA_FILE", "/nonexistent")], "cannot read the certificates in \"/nonexistent\""),
    ];
    for (settings, words) in cases {
        let wrong = settings.iter().fold(run.clone(), |run, (name, value)| run.set(name, value));
        wrong.args(["backup", "people_alert"]).expect(0).says(words).says("some of them reach nobody");
        let found = wrong.args(["doctor", "people_alert"]).expect(1).text();
        assert!(found.lines().any(|line| line.starts_with("FAIL  alerts") && line.contains(words)), "{found}");
    }
    // One broken way leaves the other: it is told by that, once.
    let heard = crate::alert::receiver::Receiver::start();
    let both = run.set("WEBHOOK_URL", heard.url("/hook")).set("PING_URL", "ping.example");
    both.args(["backup", "people_alert"]).expect(0);
    both.args(["backup", "people_alert"]).expect(0);
    let told = heard.heard();
    assert!(told.len() == 1 && told[0].json()["text"].as_str().unwrap().contains("PING_URL is not"), "{told:#?}");
}

/// What only the scheduler reads was found wrong at night.
#[test]
fn doctor_tries_the_settings_of_the_scheduler_too() {
    let (_folder, run) = place();
    small("people_doctor", &["x"]);
    let run = run.args(["doctor", "people_doctor"]);
    assert!(run.expect(0).text().contains("TZ, CRON_SCHEDULE, VERIFY_SCHEDULE, PG_DUMP_USER_ARGS and the rules"));
    for (name, value, words) in [
        ("TZ", "Europe/Berln", "there is no time zone \"Europe/Berln\""),
        ("CRON_SCHEDULE", "0 25 * * *", "the hour is \"25\", and may be 0 to 23"),
        ("CRON_SCHEDULE", "0 3 30 2 *", "\"0 3 30 2 *\" never comes"),
        ("VERIFY_SCHEDULE", "0 3 30 2 *", "\"0 3 30 2 *\" never comes"),
        ("PG_DUMP_USER_ARGS", "--create", "--create"),
        ("KEEP_DAILY", "many", "KEEP_DAILY"),
        ("KEEP_MINIMUM", "3", "KEEP_"),
        ("DB_BACKUP_COMPRESS_LEVEL", "99", "DB_BACKUP_COMPRESS_LEVEL"),
        ("SCHEDULE_RETRY", "soon", "SCHEDULE_RETRY"),
    ] {
        let compress = if name.ends_with("LEVEL") { "zstd" } else { "0" };
        let said = run.set("DB_BACKUP_COMPRESS", compress).set(name, value).expect(1).text();
        assert!(said.contains("FAIL  scheduler's settings") && said.contains(words), "{name}={value}: {said}");
    }
}

/// Forty databases were two hundred lines.
#[test]
fn doctor_has_one_line_for_each_of_several_databases_that_are_well() {
    let (_folder, run) = place();
    ["people_a", "people_b"].into_iter().for_each(|name| small(name, &["x"]));
    let said = run.args(["doctor", "people_a", "people_b", "people_c"]).expect(1).text();
    for name in ["people_a", "people_b"] {
        let own: Vec<&str> = said.lines().filter(|line| line.contains(&format!("\"{name}\""))).collect();
        assert!(own.len() == 1 && own[0].contains("good: pg_dump, rights, backup lock, snapshot"), "{said}");
    }
    assert!(said.contains("FAIL  database \"people_c\""), "{said}");
}

#[test]
fn a_target_that_is_its_source_is_refused_once_for_both_reasons_and_a_table_of_runs_keeps_its_lines() {
    let (_folder, run) = place();
    small("people_source", &["x"]);
    let id = run.backup("people_source", &[]);
    run.args(["restore", &id, "--yes"]).expect(1).says("say --clean --over-source to replace what is there");
    run.args(["restore", &id, "--yes", "--clean", "--over-source"]).expect(0);
    // pg_dump says why in several lines.
    run.args(["backup", "people_source", "--pg-dump-args", "--table=("]).expect(1);
    let table = run.args(["history"]).expect(0).text();
    assert_eq!(table.lines().count(), 3, "{table}");
    let runs = table.lines().skip(1).all(|line| line.starts_with("20"));
    assert!(runs && table.contains("FAILED") && table.contains('…'), "{table}");
}

#[test]
fn completion_offers_latest_where_an_id_stands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = pgbk(["completions", shell]).expect(0).text();
        assert!(script.contains("latest"), "{shell}");
    }
}
