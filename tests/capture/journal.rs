//! A journal brings the latest state back: the text of a mail, the key, and the store.

use super::*;
use crate::alert::post_office::post_office;
use std::path::Path;
use support::s3::seaweedfs;

/// The journal that a capture has written into its state directory; empty: there is none.
fn written(state: &Path) -> String {
    let files = fs::read_dir(state.join("journals")).into_iter().flatten().flatten();
    let journal = files.map(|file| file.path()).find(|path| path.extension().is_some_and(|end| end == "meta"));
    journal.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
}

/// Up to where changes are stored by the words of a journal.
fn end_of(journal: &str) -> Option<Lsn> {
    let stated = journal.lines().rev().find_map(|line| line.strip_prefix("  \"end\": \"")?.strip_suffix("\","));
    stated.map(|stated| stated.parse().unwrap())
}

/// Returns a place behind all that was done. Something of this database lies behind it, whatever other tests write into the log.
fn mark(scene: &Scene) -> Lsn {
    let place = scene.position();
    scene.sql("UPDATE t SET v = v WHERE id = 0");
    place
}

fn restore(scene: &Scene, run: &Pgbk, journal: &Path, into: &str, code: i32) -> support::pgbk::Outcome {
    let file = journal.display().to_string();
    run.args(["restore", "--journal", &file, "--to", into, "--yes"]).server(scene.cluster).expect(code)
}

#[test]
fn a_mailed_journal_restores_the_latest_state_and_no_other_text_does() {
    let scene = Scene::new("journalled", &format!("{TABLES}; CREATE TABLE keyless (n int)"));
    let run = scene.pgbk(&[]).key().set("DB_BACKUP_COMPRESS", "zstd").set("DB_NAME", &scene.name);
    run.args(["capture", "--setup"]).expect(0);
    run.args(["capture"]).set("JOURNAL_MAIL", "1").expect(2).says("JOURNAL_MAIL is set, and no mail is");
    scene.sql(WORK);
    let to = "journal@example.org";
    let mailed = run.args(["capture"]).set("SMTP_HOST", "localhost").set("SMTP_PORT", post_office().plain());
    let mailed = mailed.set("SMTP_SECURITY", "none").set("MAIL_TO", to).set("MAIL_FROM", "pgbk@example.org");
    let mailed = mailed.set("ALERT_TIMEOUT", "80s").set("JOURNAL_MAIL", "1").set("JOURNAL_EVERY", "1s");
    let mut running = mailed.start();
    let base = run.backup(&scene.name, &[]);
    scene
        .sql("INSERT INTO t VALUES (500, 'behind the base'); INSERT INTO keyless VALUES (1); UPDATE keyless SET n = 2");
    let reaches = |place: Lsn| {
        let mails = post_office().mails(to);
        end_of(&mails.last().map(|mail| mail.body()).unwrap_or_default()) > Some(place)
    };
    let place = mark(&scene);
    assert!(until(PATIENCE, || !running.runs() || reaches(place)), "no journal was mailed");
    assert!(running.runs());
    let mail = post_office().mails(to).pop().unwrap();
    assert!(mail.header("Subject").unwrap().contains("journal of") && mail.body().contains(&base), "{mail:?}");
    let file = scene.place.path.join("mail.txt");
    fs::write(&file, mail.body().replace('\n', "\r\n")).unwrap();
    // What was stored since is found too.
    scene.sql("UPDATE t SET v = 'later' WHERE id = 500; INSERT INTO t VALUES (501, 'later')");
    scene.await_all(&run, &mut running);
    stop(running);
    // Not more often than is asked for, whoever mailed before: nothing is mailed when the next but one is written.
    let mails = || post_office().mails(to).len();
    let before = mails();
    let mut running = mailed.set("JOURNAL_EVERY", "1h").start();
    for _ in 0..2 {
        let place = mark(&scene);
        let is_written = || end_of(&written(&scene.place.path.join("state"))) > Some(place);
        assert!(until(PATIENCE, || !running.runs() || is_written()) && running.runs(), "no journal was written");
    }
    assert_eq!(mails(), before);
    stop(running);

    // The place of the store is the journal's.
    let alone = pgbk(["restore"]).key().set("STATE_DIR", scene.place.path.join("elsewhere").display());
    restore(&scene, &alone, &file, "journalled_again", 0).says("the store has a newer journal");
    assert_eq!(scene.rows("journalled_again", "t"), scene.rows(&scene.name, "t"));
    // What somebody has done there since stays as it is.
    scene.cluster.psql("journalled_again", "DELETE FROM t WHERE id > 10; CREATE TABLE mine (n int)");
    let before = ["t", "u", "mine"].map(|table| scene.rows("journalled_again", table));
    let at = ["restore", "--at", "latest", "--to", "journalled_again", "--yes"];
    for refused in [restore(&scene, &alone, &file, "journalled_again", 1), run.args(at).expect(1)] {
        let refused = refused.says("is not empty").says("drop this one first");
        assert!(!refused.err.contains("--clean"), "{refused:#?}");
    }
    assert_eq!(["t", "u", "mine"].map(|table| scene.rows("journalled_again", table)), before);
    // The stored one and the one of the state directory are as good.
    let journals: Vec<String> = scene.keys().into_iter().filter(|key| key.ends_with("journal.meta")).collect();
    let [stored] = journals.as_slice() else { panic!("{journals:?}") };
    let stored = scene.place.path.join("store").join(stored);
    assert_eq!(fs::read_to_string(&stored).unwrap(), written(&scene.place.path.join("state")));
    restore(&scene, &alone, &stored, "journalled_stored", 0);
    assert_eq!(scene.rows("journalled_stored", "t"), scene.rows(&scene.name, "t"));

    let text = fs::read_to_string(&file).unwrap();
    for (what, code, why) in [
        (text.replace(&scene.name, "another"), 3, "its seal does not hold"),
        (text.split_once("\r\n{").unwrap().0.to_owned(), 3, "holds no journal"),
        ("x".repeat(5 << 20), 2, "larger than a journal is"),
    ] {
        fs::write(&file, what).unwrap();
        restore(&scene, &alone, &file, "journalled_refused", code).says(why).says("hint: ");
    }
    let piped = alone.args(["restore", "--journal", "-", "--to", "journalled_refused", "--yes"]);
    piped.server(scene.cluster).expect(3).says("it is empty").says("hint: ");
    fs::write(&file, &text).unwrap();
    alone
        .args(["restore", "--journal", "-", "--to", "journalled_piped", "--yes"])
        .server(scene.cluster)
        .input(text.as_bytes())
        .expect(0);
    assert_eq!(scene.rows("journalled_piped", "t"), scene.rows(&scene.name, "t"));
    let other = alone.set("DB_BACKUP_ENCRYPT_KEY", support::pgbk::OTHER_KEY);
    restore(&scene, &other, &file, "journalled_refused", 3).says("wrong key").says("hint: set ");
    restore(&scene, &alone, Path::new("/nowhere/journal"), "journalled_refused", 4).says("hint: ");
}

#[test]
fn a_journal_in_a_bucket_is_written_over_and_names_the_bucket_and_no_secret() {
    let scene = Scene::new("bucketed", TABLES);
    let bucket = seaweedfs().bucket("journal");
    let run = scene.pgbk(&[]).unset("STORE_DIR").s3(seaweedfs(), &bucket).key().set("DB_BACKUP_COMPRESS", "zstd");
    let run = run.set("S3_FOLDER", "prod").set("DB_NAME", &scene.name);
    run.args(["capture", "--setup"]).expect(0);
    let id = run.backup(&scene.name, &[]);
    let mut running = run.args(["capture"]).set("JOURNAL", "1").set("JOURNAL_EVERY", "1s").start();
    let journal = || written(&scene.place.path.join("state"));
    for round in 1..=3 {
        scene.sql(&format!("INSERT INTO t VALUES ({round}, 'round {round}')"));
        let place = mark(&scene);
        let is_written = || end_of(&journal()) > Some(place);
        assert!(until(PATIENCE, || !running.runs() || is_written()) && running.runs(), "no journal was written");
    }
    let text = journal();
    assert!(text.contains(&bucket) && text.contains("\"prod\"") && text.contains(&id), "{text}");
    stop(running);
    let alone = run.unset("S3_BUCKET").unset("S3_HOST_BASE").unset("S3_FOLDER").unset("DB_NAME");
    let copy = scene.place.path.join("journal");
    fs::write(&copy, text).unwrap();
    restore(&scene, &alone, &copy, "bucketed_again", 0);
    assert_eq!(scene.rows("bucketed_again", "t"), scene.rows(&scene.name, "t"));
}

#[test]
fn a_journal_names_each_base_as_soon_as_the_capture_has_taken_it_and_leads_from_it_to_the_latest_state() {
    let scene = Scene::new("rebased", TABLES);
    let run = scene.pgbk(&[]).set("CAPTURE_BASES", "1").set("CAPTURE_BASE_CHANGES", "20").set("JOURNAL", "1");
    // Only what the capture knows itself leads to another base within so long.
    let mut running = run.set("JOURNAL_EVERY", "1h").start();
    let journal = || written(&scene.place.path.join("state"));
    let bases = || -> Vec<String> {
        let list = run.args(["list"]).json();
        list.as_array().into_iter().flatten().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let named = |count: usize| {
        let bases = bases();
        bases.len() >= count && bases.iter().max().is_some_and(|newest| journal().contains(newest))
    };
    assert!(until(PATIENCE, || !running.runs() || named(1)) && running.runs(), "{:?}: {}", bases(), journal());
    let first = journal();
    scene.sql("INSERT INTO t SELECT i, 'many' FROM generate_series(100, 160) i");
    assert!(until(PATIENCE, || !running.runs() || named(2)) && running.runs(), "{:?}: {}", bases(), journal());
    scene.sql("UPDATE t SET v = 'behind' WHERE id = 100");
    scene.await_all(&run, &mut running);
    stop(running);
    let file = scene.place.path.join("journal");
    let (newest, oldest) = (bases().into_iter().max().unwrap(), bases().into_iter().min().unwrap());
    for (number, text) in [journal(), first].iter().enumerate() {
        fs::write(&file, text).unwrap();
        let into = format!("rebased_by_{number}");
        let restored = restore(&scene, &run, &file, &into, 0);
        assert!(number > 0 || restored.err.contains(&newest), "{}", restored.err);
        assert_eq!(scene.rows(&into, "t"), scene.rows(&scene.name, "t"));
        // A checksum is no reason to believe where the store is.
        let unset = run.unset("STORE_DIR");
        restore(&scene, &unset, &file, "rebased_nowhere", 2).says("sealed with no key");
    }
    // The base of an old journal may be gone, and the newest journal with it.
    for key in scene.keys().into_iter().filter(|key| key.ends_with("journal.meta")) {
        fs::remove_file(scene.place.path.join("store").join(key)).unwrap();
    }
    let folder = scene.place.path.join("store").join(&scene.name);
    for file in
        fs::read_dir(folder).unwrap().flatten().filter(|file| file.path().display().to_string().contains(&oldest))
    {
        fs::remove_file(file.path()).unwrap();
    }
    restore(&scene, &run, &file, "rebased_gone", 0).says("another one is looked for");
    assert_eq!(scene.rows("rebased_gone", "t"), scene.rows(&scene.name, "t"));
    // What a journal promises must be there.
    fs::write(&file, journal()).unwrap();
    let is_segment =
        |key: &String| key.rsplit('/').next().is_some_and(|name| name.len() == "00000016B374D848.meta".len());
    let last = scene.keys().into_iter().filter(is_segment).max().unwrap();
    fs::remove_file(scene.place.path.join("store").join(last)).unwrap();
    restore(&scene, &run, &file, "rebased_cut", 3).says("the journal says that changes are stored up to");
}
