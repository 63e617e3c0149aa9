//! A base and its changes are restored by what every host has: the script beside the segments, on a machine without pgbk.

use super::*;
use std::path::Path;
use support::pgbk::KEY;

const PAGE: &str = include_str!("../../docs/continuous.md");

/// Returns the block of the page that tells how.
fn recipe() -> &'static str {
    let mut blocks = PAGE.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains("restore.sh")).expect("a block that runs the script")
}

/// Runs commands of a shell in a folder, where no pgbk is on the PATH.
fn shell(scene: &Scene, folder: &Path, commands: &str, more: &[(&str, &str)]) -> std::process::Output {
    let mut sh = Command::new("sh");
    sh.args(["-euc", commands]).current_dir(folder).env_clear();
    sh.env("PATH", format!("{}:/usr/bin:/bin", scene.cluster.clients.display()));
    let port = scene.cluster.port.to_string();
    sh.envs([("PGHOST", "127.0.0.1"), ("PGPORT", &port), ("PGUSER", USER), ("PGPASSWORD", PASSWORD)]);
    sh.envs(more.iter().copied()).output().unwrap()
}

fn told(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_block_of_the_page_restores_a_base_and_its_changes_where_there_is_no_pgbk() {
    let cluster = logical();
    cluster.psql("postgres", "CREATE DATABASE shop");
    let place = Place::new("without_pgbk");
    let store = place.path.join("store");
    fs::create_dir(&store).unwrap();
    let scene = Scene { cluster, name: "shop".to_owned(), place };
    scene.sql(TABLES);
    scene.sql(
        "CREATE TABLE kept (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t int REFERENCES t, \"odd \"\"name\" text);
         CREATE SEQUENCE \"It's\"\"; DROP TABLE t; -- \\\" INCREMENT -3; CREATE SEQUENCE put; CREATE SEQUENCE fallen;
         CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := NEW.n + 1; RETURN NEW; END';
         CREATE TRIGGER up BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION count_up()",
    );
    let run = scene.pgbk(&[]).key().set("DB_BACKUP_COMPRESS", "zstd").set("DB_NAME", "shop");
    run.args(["capture", "--setup"]).expect(0);
    let capture = run.args(["capture"]);
    let mut running = capture.start();
    scene.sql(WORK);
    let id = run.backup("shop", &[]);
    scene.sql("INSERT INTO t SELECT i, E'two\\nlines \\\\. ' || i, repeat('y', 3000) FROM generate_series(100, 140) i");
    scene.await_all(&run, &mut running);
    scene.sql("INSERT INTO kept (t, \"odd \"\"name\") VALUES (100, '-- tx 1 0/1 1'), (101, E'\\\\.')");
    scene.sql("UPDATE t SET v = v || '!' WHERE id % 2 = 0; INSERT INTO u VALUES (50, 50)");
    scene.sql("SELECT nextval(oid::regclass) FROM pg_class WHERE relname LIKE 'It%'; SELECT setval('put', 9, false); SELECT setval('fallen', 9)");
    let tables = ["t", "u", "kept"];
    scene.await_all(&run, &mut running);
    let (moment, due) = (scene.position(), tables.map(|table| scene.rows("shop", table)));
    scene.sql("TRUNCATE kept RESTART IDENTITY; DELETE FROM t WHERE id > 110; TRUNCATE u");
    scene.sql("ALTER SEQUENCE fallen RESTART WITH 4; CREATE SEQUENCE later");
    scene.await_all(&run, &mut running);
    stop(running);

    let key = ("DB_BACKUP_ENCRYPT_KEY", KEY);
    assert!(!shell(&scene, &store, "command -v pgbk", &[]).status.success(), "pgbk is on the PATH");
    let output = shell(&scene, &store, recipe(), &[key]);
    assert!(output.status.success(), "{}", told(&output));
    for table in tables {
        assert_eq!(scene.rows("shop_restored", table), scene.rows("shop", table), "{table}");
    }
    assert_eq!(
        cluster.psql(
            "shop_restored",
            "SELECT attidentity FROM pg_attribute WHERE attrelid = 'kept'::regclass AND attnum = 1"
        ),
        "a"
    );

    assert!(told(&output).contains("\"later\" is not set: the base does not have it"), "{}", told(&output));
    let values =
        scene.sequences("shop").lines().filter(|line| !line.starts_with("later")).collect::<Vec<_>>().join("\n");
    assert_eq!(scene.sequences("shop_restored"), values);

    // Up to a position, and what is refused before anything is made.
    let generation = run.args(["capture", "--status"]).json()["chain"]["generation"].as_str().unwrap().to_owned();
    let script = format!("@changes/shop/{generation}/restore.sh");
    let to = |database: &str, more: &str| format!("sh {script} shop/{id}.meta {database} {more}");
    cluster.psql("postgres", "CREATE DATABASE shop_before");
    let output = shell(&scene, &store, &to("shop_before", &moment.to_string()), &[key]);
    assert!(output.status.success(), "{}", told(&output));
    assert_eq!(tables.map(|table| scene.rows("shop_before", table)), due);
    // The first segment behind it has the sequence where the accident set it back to.
    assert_eq!(cluster.psql("shop_before", "INSERT INTO kept (t) VALUES (100) RETURNING id"), "3");
    cluster.psql("postgres", "CREATE DATABASE shop_refused");
    for (database, more, environment, why) in [
        ("shop_before", "", &[key][..], "database shop_before is not empty"),
        ("shop_refused", "", &[], "DB_BACKUP_ENCRYPT_KEY is not set"),
        ("shop_refused", "FFFF/0", &[key], "end at"),
        ("shop_refused", "0/1", &[key], "take an older one"),
    ] {
        let output = shell(&scene, &store, &to(database, more), environment);
        assert!(!output.status.success() && told(&output).contains(why), "{why}: {}", told(&output));
    }
    // A payload that was changed, and a segment that is missing.
    let segments: Vec<String> = scene.keys().into_iter().filter(|key| key.ends_with(".sql.zst.enc")).collect();
    let last = store.join(segments.last().unwrap());
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[1..]).unwrap();
    let output = shell(&scene, &store, &to("shop_refused", ""), &[key]);
    assert!(!output.status.success() && told(&output).contains("missing or damaged"), "{}", told(&output));
    fs::write(&last, &bytes).unwrap();
    let of_segments = |key: &String| key.ends_with(".meta") && !key.ends_with("gen.meta");
    let documents: Vec<String> = scene.keys().into_iter().filter(of_segments).collect();
    assert!(documents.len() >= 3, "{documents:?}");
    fs::remove_file(store.join(&documents[documents.len() - 2])).unwrap();
    let output = shell(&scene, &store, &to("shop_refused", ""), &[key]);
    assert!(!output.status.success() && told(&output).contains("in no segment here"), "{}", told(&output));
    assert_eq!(
        cluster.psql("shop_refused", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
        "0"
    );
}

#[test]
fn a_capture_puts_the_script_where_it_is_missing_and_never_writes_over_one() {
    let scene = Scene::new("script", TABLES);
    scene.set_up();
    let script = scene.keys().into_iter().find(|key| key.ends_with("/restore.sh")).expect("a script");
    let path = scene.place.path.join("store").join(&script);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("#!/bin/sh\n"));
    fs::remove_file(&path).unwrap();
    stop(scene.start());
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    fs::write(&path, "# changed by hand\n").unwrap();
    stop(scene.start());
    assert_eq!(fs::read_to_string(&path).unwrap(), "# changed by hand\n");
}
