//! What stays of captured changes: rules for bases hold for the segments behind them.

use super::*;

/// Lets so much of the server's log pass that a base needs nothing from before.
fn let_log_pass(scene: &Scene) {
    for _ in 0..5 {
        scene.sql("SELECT pg_logical_emit_message(false, 'noise', repeat('x', 1000000))");
        scene.sql("SELECT pg_switch_wal()");
    }
}

#[test]
fn segments_go_with_their_base_and_both_restore_and_capture_go_on() {
    let scene = Scene::new("kept", &format!("{TABLES}; CREATE TABLE keyless (n int)"));
    let run = scene.pgbk(&[]).key().set("DB_BACKUP_COMPRESS", "zstd").set("DB_NAME", &scene.name);
    run.args(["capture", "--setup"]).expect(0);
    let capture = run.args(["capture"]);
    let mut running = capture.start();
    scene.sql("INSERT INTO t VALUES (1, 'before the first base')");
    let first = run.backup(&scene.name, &[]);
    scene.sql("INSERT INTO t VALUES (2, 'behind the first base')");
    scene.sql("INSERT INTO keyless VALUES (1); UPDATE keyless SET n = 2");
    scene.await_all(&run, &mut running);
    let_log_pass(&scene);
    scene.sql("INSERT INTO t VALUES (3, 'much later')");
    scene.await_all(&run, &mut running);
    let second = run.args(["backup"]).set("KEEP_LAST", "9").set("KEEP_CAPTURE", "1h").json()["id"].clone();
    scene.sql("INSERT INTO t VALUES (4, 'behind the second base')");
    scene.await_all(&run, &mut running);

    let rules = ["prune", "--keep-last", "1"];
    let before = scene.keys();
    let by_time = run.args([&rules[..], &["--keep-capture", "1d", "--dry-run"]].concat()).expect(0).text();
    assert!(by_time.contains("capture 1d") && by_time.contains(" stay: base "), "{by_time}");
    let dry = run.args([&rules[..], &["--dry-run"]].concat()).json();
    assert!(dry[0]["changes"][0]["due"].as_u64() >= Some(2), "{dry:#}");
    assert_eq!(scene.keys(), before);
    let text = run.args(rules).expect(0).text();
    assert!(text.contains(&format!("{first}  removed")) && text.contains("segments removed"), "{text}");
    let second = second.as_str().expect("an id");
    assert!(text.contains(&format!("the others stay: base {second} needs them")), "{text}");
    let left = scene.keys();
    assert!(left.len() < before.len() && left.iter().any(|key| key.ends_with(".cut.meta")), "{left:#?}");

    // What was known of tables is known on.
    let uncovered = run.args(["capture", "--status"]).json()["uncovered"].clone();
    assert!(uncovered.to_string().contains("keyless"), "{uncovered}");
    stop(running);
    let mut running = capture.start();
    scene.sql("INSERT INTO t VALUES (5, 'behind the removal')");
    scene.await_all(&run, &mut running);
    let arguments = ["restore", "--at", "latest", "--database", &scene.name, "--to", "kept_latest", "--yes"];
    run.args(arguments).expect(0);
    assert_eq!(scene.rows("kept_latest", "t"), scene.rows(&scene.name, "t"));
    let third = run.backup(&scene.name, &[]);
    let at = ["restore", "--at", "latest", &third, "--to", "kept_third", "--yes"];
    run.args(at).expect(0);
    assert_eq!(scene.rows("kept_third", "t"), scene.rows(&scene.name, "t"));
    stop(running);
}
