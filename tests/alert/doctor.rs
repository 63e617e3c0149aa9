//! What the doctor says of those who are to hear.

use super::post_office::post_office;
use super::receiver::{Answer, Receiver};
use super::{Scene, TOKEN, checked};
use serde_json::Value;

fn finding<'a>(document: &'a Value, what: &str) -> &'a Value {
    let findings = document["findings"].as_array().unwrap();
    let starts = |finding: &&Value| finding["what"].as_str().unwrap().starts_with(what);
    findings.iter().find(starts).unwrap_or_else(|| panic!("no {what} in {document:#}"))
}

#[test]
fn the_doctor_reaches_out_without_telling_anybody_and_tells_when_asked_to() {
    let (hook, monitor) = (Receiver::start(), Receiver::start());
    let to = "doctor@example.org";
    let scene = Scene::new("doctor").webhook(&hook).ping(&monitor).mail(post_office().starttls(), to).login();
    let look = |arguments: &[&str], code| {
        let run = scene.run(&[&["doctor", &scene.database, "--json"], arguments].concat());
        checked(run.expect(code)).json()
    };
    let document = look(&[], 0);
    for what in ["webhook at localhost:", "ping to localhost:", "mail through localhost:", "alert memory"] {
        assert_eq!(finding(&document, what)["status"], "ok", "{document:#}");
    }
    assert_eq!(post_office().mails(to).len(), 0);
    for heard in hook.heard().into_iter().chain(monitor.heard()) {
        assert_eq!((heard.method.as_str(), heard.path.as_str()), ("HEAD", "/"));
    }

    look(&["--test-alerts"], 0);
    let test = hook.heard().remove(0);
    assert_eq!((test.json()["state"].as_str(), test.path), (Some("test"), format!("/hook/{TOKEN}?key={TOKEN}")));
    assert!(test.head.to_ascii_lowercase().contains("content-type: application/json"), "{}", test.head);
    assert_eq!(monitor.paths(), [format!("/{TOKEN}/log")]);
    assert!(post_office().mails(to)[0].header("Subject").unwrap().starts_with("test of alerts on "));

    hook.always(Answer::Status(403));
    let document = look(&["--test-alerts"], 1);
    let refused = finding(&document, "webhook");
    assert_eq!((&refused["status"], &refused["detail"]), (&"fail".into(), &"it answered 403 Forbidden".into()));
    assert_eq!(finding(&document, "mail")["status"], "ok");
}

#[test]
fn the_doctor_says_that_nobody_would_hear_and_what_has_not_arrived() {
    let scene = Scene::new("nobody");
    let look = |scene: &Scene, code| scene.run(&["doctor", &scene.database, "--json"]).expect(code).json();
    assert_eq!(finding(&look(&scene, 0), "alerts")["status"], "note");
    scene.run(&["doctor", &scene.database, "--test-alerts"]).expect(1);

    let hook = Receiver::start();
    hook.always(Answer::Status(403));
    let scene = scene.webhook(&hook);
    scene.fail();
    let memory = finding(&look(&scene, 0), "alert memory")["detail"].clone();
    assert_eq!(memory, "1 alert has not arrived yet");
}
