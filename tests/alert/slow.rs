//! Mail servers that take their time: each answer may take long, and all of them together have a limit as well.

use super::clerk::{Clerk, GREETING};
use super::{Scene, checked, is_quiet};
use serde_json::Value;
use std::thread::sleep;
use std::time::Duration;

fn through(clerk: &Clerk, limit: &str) -> Scene {
    let scene = Scene::new("slow").mail(clerk.port, "ops@example.org").set("SMTP_SECURITY", "none");
    scene.set("ALERT_TIMEOUT", limit)
}

/// As servers do to whoever they do not know. A quarter of the limit would be over before the first word.
#[test]
fn a_server_that_lets_strangers_wait_before_its_first_word_gets_its_mail() {
    let clerk = Clerk::start(|line| {
        sleep(Duration::from_millis(if line == GREETING { 2_200 } else { 100 }));
        None
    });
    let scene = through(&clerk, "8s");
    is_quiet(&scene.fail());
    assert_eq!((clerk.taken().len(), scene.kept()), (1, 0));
}

#[test]
fn a_server_whose_answers_are_in_time_each_and_not_together_is_left() {
    let clerk = Clerk::start(|_| {
        sleep(Duration::from_millis(500));
        None
    });
    let scene = through(&clerk, "2s");
    let outcome = checked(scene.run(&["doctor", &scene.database, "--test-alerts", "--json"]).expect(1));
    let document: Value = outcome.json();
    let findings = document["findings"].as_array().unwrap();
    let found = findings.iter().find(|one| one["what"].as_str().unwrap().starts_with("mail through")).unwrap();
    assert_eq!((&found["status"], &found["detail"]), (&"fail".into(), &"it did not answer in time".into()));
    assert_eq!(clerk.taken().len(), 0);
}
