//! What people and monitors hear, of many databases, through strict receivers, and of runs that could not speak for themselves.

use super::receiver::{Answer, Receiver};
use super::{Scene, TOKEN, checked, holding, is_quiet};
use rustix::process::Signal;
use support::cluster::{PATIENCE, cluster};
use support::pgbk::Pgbk;
use support::process::{free_ports, until};
use support::proof::counted;

#[test]
fn databases_that_fail_for_one_reason_share_a_message_and_so_do_those_that_work_again() {
    let (hook, port) = (Receiver::start(), free_ports(1));
    let scene = Scene::new("storm").webhook(&hook);
    let names: Vec<String> = (0..12).map(|at| cluster().database(&format!("storm{at}"))).collect();
    let mut arguments = vec!["backup"];
    arguments.extend(names.iter().map(String::as_str));
    let away =
        |run: Pgbk| run.at(&format!("http://127.0.0.1:{port}"), "bucket", "key", "secret").set("S3_ATTEMPTS", "1");
    for _ in 0..2 {
        checked(away(scene.run(&arguments)).expect(1));
    }
    let heard = hook.heard();
    assert_eq!(heard.len(), 1, "{heard:#?}");
    let failed = heard[0].json();
    assert_eq!((&failed["state"], &failed["database"]), (&"failed".into(), &names.join(", ").into()));
    assert!(failed["subject"].as_str().unwrap().starts_with("backup of 12 databases failed on "), "{failed:#}");
    assert!(failed["error"].as_str().unwrap().contains("cannot reach"), "{failed:#}");

    // Another reason is another message.
    arguments.push("missing");
    checked(away(scene.run(&arguments)).expect(1));
    assert_eq!(hook.states(), ["failed"]);
    checked(scene.run(&arguments).expect(1));
    let heard = hook.heard();
    assert_eq!(heard.len(), 1, "{heard:#?}");
    let recovered = heard[0].json();
    assert_eq!((&recovered["state"], &recovered["database"]), (&"recovered".into(), &names.join(", ").into()));
    counted(
        "alerts",
        "databases that failed for one reason, and worked again, each told by one message",
        2 * names.len(),
        0,
    );
}

#[test]
fn a_run_that_a_person_starts_at_a_terminal_tells_nobody_unless_asked_to() {
    let (hook, ping) = (Receiver::start(), Receiver::start());
    let scene = Scene::new("by_hand").webhook(&hook).ping(&ping);
    let at_a_terminal = |arguments: &[&str]| {
        let options = rexpect::reader::Options::new().timeout_ms(Some(60_000));
        let mut session = rexpect::session::spawn_with_options(scene.run(arguments).command(), options).unwrap();
        session.exp_eof().unwrap()
    };
    let text = at_a_terminal(&["backup", "nowhere_to_be_found"]);
    assert!(text.contains("does not exist"), "{text}");
    assert!(hook.heard().is_empty() && ping.heard().is_empty());
    at_a_terminal(&["backup", "nowhere_to_be_found", "--alert"]);
    assert_eq!(hook.states(), ["failed"]);
    let status = scene.run(&["status", "--json"]).end();
    assert!(!status.text().contains("\"name\": \"nowhere_to_be_found\""), "{status:#?}");
    // Nobody at a terminal is a timer.
    checked(scene.run(&["backup", "nowhere_either"]).expect(4));
    assert_eq!(hook.states(), ["failed"]);
}

/// A receiver as Discord is: no text of more than 2,000 characters; and one that is stricter than any that is known.
#[test]
fn what_a_receiver_does_not_take_is_cut_and_at_last_told_in_a_few_words() {
    let long = "x".repeat(3000);
    for (limit, template) in [
        (2000, Some(r#"{"content": "{text}"}"#)),
        (2000, Some(r#"{"embeds": [{"title": "{subject}", "description": "{error}\n{text}"}]}"#)),
        (900, Some(r#"{"content": "{text}"}"#)),
        (900, None),
    ] {
        let hook = Receiver::start();
        hook.always(Answer::UpTo(limit));
        let scene = Scene::new("long").webhook(&hook);
        let scene = match template {
            Some(template) => scene.set("WEBHOOK_TEMPLATE", template),
            None => scene,
        };
        // The query that this makes fail is part of what pg_dump says.
        let pattern = format!("--table='({long}'");
        let outcome = scene.run(&["backup", &scene.database, "--pg-dump-args", &pattern]).expect(1);
        is_quiet(&outcome);
        let heard = hook.heard();
        let last = &heard.last().unwrap().body;
        assert!(heard.len() == if limit < 1900 { 2 } else { 1 } && scene.kept() == 0, "{limit}: {heard:#?}");
        assert!(last.contains(&scene.database) && last.contains("pgbk history "), "{last}");
    }
}

#[test]
fn a_push_monitor_of_uptime_kuma_hears_up_and_down() {
    let monitor = Receiver::start();
    let scene = Scene::new("kuma").set("PING_URL", monitor.url("/api/push/TOKEN?status=up&msg=OK&ping="));
    is_quiet(&scene.succeed());
    is_quiet(&scene.fail());
    let paths = monitor.paths();
    assert_eq!((paths.len(), paths[0].as_str()), (2, "/api/push/TOKEN?status=up&msg=OK&ping="));
    assert!(paths[1].starts_with("/api/push/TOKEN?status=down&msg=") && paths[1].contains("failed%3A"), "{paths:?}");
}

#[test]
fn a_run_that_was_killed_is_told_once_by_the_next_start() {
    let (hook, monitor) = (Receiver::start(), Receiver::start());
    let scene = Scene::new("killed").webhook(&hook).ping(&monitor);
    let held = holding(&scene.database);
    let run = scene.run(&["backup", &scene.database]).start();
    let waits = format!(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND database =
        (SELECT oid FROM pg_database WHERE datname = '{}')",
        scene.database
    );
    assert!(until(PATIENCE, || cluster().psql(&scene.database, &waits) != "0"));
    run.signal(Signal::KILL);
    run.end();
    drop(held);
    monitor.heard();
    scene.run(&["backup", "missing"]).expect(4);
    let told = hook.heard();
    assert_eq!(told[0].json()["error"], "the process ended without a word");
    assert_eq!((&told[0].json()["database"], told.len()), (&scene.database.as_str().into(), 2));
    let pinged = monitor.paths();
    assert!(pinged.contains(&format!("/{TOKEN}/fail")), "{pinged:?}");
    scene.run(&["backup", "missing"]).expect(4);
    assert_eq!(hook.heard().len(), 0);
}
