//! Several recipients of one mail: what becomes of one of them costs no other the mail, and is told.

use super::clerk::Clerk;
use super::post_office::post_office;
use super::{Scene, checked, is_quiet};
use jiff::Timestamp;
use pgbk::alerts::delivery::DeliveryLimits;
use pgbk::alerts::mail::{Mail, mailbox};
use pgbk::alerts::message::{AlertMessage, AlertOrigin};
use pgbk::alerts::smtp::{MailServer, Security};
use pgbk::alerts::tls_roots::TlsRoots;
use serde_json::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::proof;

const GONE: &str = "gone@example.org: permanent error (550): 5.1.1 nobody of that name";

/// In plain text, to a server that answers at once.
fn through(clerk: &Clerk, hint: &str, to: &str) -> Scene {
    // Tried again once: for the second pause there is no time.
    Scene::new(hint).mail(clerk.port, to).set("SMTP_SECURITY", "none").set("ALERT_TIMEOUT", "5s")
}

fn recipients(clerk: &Clerk) -> Vec<Vec<String>> {
    clerk.taken().into_iter().map(|taken| taken.to).collect()
}

#[test]
fn one_that_the_server_does_not_know_is_told_and_costs_nobody_else_the_mail() {
    let office = post_office();
    let cases = [
        (office.starttls(), "starttls", [0, 1, 2]),
        (office.tls(), "tls", [1, 0, 2]),
        (office.plain(), "none", [1, 2, 0]),
    ];
    for (port, security, order) in cases {
        let heirs = ["heir", "widow"].map(|who| format!("{who}-{security}@example.org"));
        let all = ["gone@example.org".to_owned(), format!("Heir <{}>", heirs[0]), heirs[1].clone()];
        let scene = Scene::new("gone").mail(port, &order.map(|at| all[at].clone()).join(", "));
        let scene = scene.set("SMTP_SECURITY", security);
        let scene = if security == "none" { scene } else { scene.login() };
        scene.fail().says(&format!("warning: no mail through localhost:{port}: {GONE}; it is not tried again"));
        assert_eq!(scene.kept(), 0);
        let mails = office.mails(&heirs[0]);
        assert_eq!((mails.len(), office.mails(&heirs[1]).len()), (1, 1), "{security}");
        assert_eq!(mails[0].to, heirs, "{security}");
        is_quiet(&scene.fail());
    }
    proof::counted("recipients", "of whom a real server does not know one", cases.len(), 0);
}

/// What a server may say to a recipient, by how his address begins.
const SAID: [(&str, Option<&str>); 3] =
    [("taken", None), ("refused", Some("550 5.1.1 no")), ("later", Some("450 4.2.0 later"))];

/// Whatever it says to each of up to four recipients, in every order.
#[test]
fn whatever_becomes_of_each_recipient_nobody_else_loses_or_doubles_a_mail_for_it() {
    let clerk = Clerk::start(|line| {
        let address = line.strip_prefix("RCPT TO:<")?;
        SAID.iter().find(|(begin, _)| address.starts_with(begin)).expect("an address of this test").1
    });
    let server = MailServer {
        host: "localhost".to_owned(),
        port: clerk.port,
        security: Security::None,
        login: None,
        trust: TlsRoots::default(),
    };
    let origin = AlertOrigin { host: "here".to_owned(), server: "there".to_owned() };
    let message = AlertMessage::test(&origin, Timestamp::UNIX_EPOCH);
    let from = mailbox("MAIL_FROM", "pgbk@example.org").unwrap();
    let mut counts = [0, 0];
    for number in 1..=4 {
        for case in 0..SAID.len().pow(number) {
            let said: Vec<usize> = (0..number).map(|place| case / SAID.len().pow(place) % SAID.len()).collect();
            let all: Vec<String> = (0..).zip(&said).map(|(at, what)| format!("{}{at}@x.org", SAID[*what].0)).collect();
            let of = |begin: &str| all.iter().filter(|one| one.starts_with(begin)).cloned().collect::<Vec<_>>();
            let to = all.iter().map(|one| mailbox("MAIL_TO", one).unwrap()).collect();
            let mail = Mail { server: server.clone(), from: from.clone(), to, prefix: String::new() };
            let send =
                |settled: &[String]| mail.send(&message, settled, &DeliveryLimits::once(Duration::from_secs(60)));
            let (taken, later) = (of("taken"), of("later"));
            match send(&[]) {
                Ok(sent) => {
                    let put_off = sent.refused.iter().filter(|one| one.undelivered.passing);
                    assert_eq!((&sent.by, sent.refused.len()), (&taken, all.len() - taken.len()), "{all:?}");
                    assert!(put_off.map(|one| &one.address).eq(&later), "{all:?}: {sent:?}");
                    counts[0] += 1;
                    // Once more for those who are not settled.
                    let settled: Vec<String> = all.iter().filter(|one| !later.contains(one)).cloned().collect();
                    let again = send(&settled).unwrap();
                    assert_eq!((again.by.len(), again.refused.len()), (0, later.len()), "{all:?}");
                }
                Err(undelivered) => {
                    assert!(taken.is_empty() && undelivered.passing != later.is_empty(), "{all:?}: {undelivered:?}");
                    assert!(all.len() == 1 || all.iter().all(|one| undelivered.why.contains(one)), "{undelivered:?}");
                    counts[1] += 1;
                }
            }
            let mails = recipients(&clerk);
            assert_eq!(mails, if taken.is_empty() { vec![] } else { vec![taken] }, "{all:?}");
        }
    }
    proof::counted("recipients", "what a server may say to each of up to four", counts[0], counts[1]);
}

#[test]
fn the_doctor_names_whom_a_test_did_not_reach() {
    let scene = Scene::new("doctor_gone");
    let scene = scene.mail(post_office().starttls(), "gone@example.org, heir-of-doctor@example.org").login();
    let run = scene.run(&["doctor", &scene.database, "--test-alerts", "--json"]);
    let document = checked(run.expect(1)).json();
    let findings = document["findings"].as_array().unwrap();
    let found = findings.iter().find(|one| one["what"].as_str().unwrap().starts_with("mail through")).unwrap();
    let detail = format!("has taken the test message, but not for {GONE}");
    assert_eq!((&found["status"], &found["detail"]), (&"fail".into(), &Value::from(detail)));
    assert_eq!(post_office().mails("heir-of-doctor@example.org").len(), 1);
}

#[test]
fn a_mail_that_nobody_may_have_is_kept_and_each_reason_told() {
    let clerk = Clerk::start(|line| match line {
        "RCPT TO:<a@example.org>" => Some("550 no"),
        "RCPT TO:<b@example.org>" => Some("551 gone away"),
        "DATA" => panic!("a mail without a recipient"),
        _ => None,
    });
    let scene = through(&clerk, "nobody", "a@example.org, b@example.org");
    let told = format!(
        "no mail through localhost:{}: a@example.org: permanent error (550): no; b@example.org: permanent error (551): gone away; \
         the alert is kept and sent with the next run",
        clerk.port
    );
    scene.fail().says(&told);
    assert_eq!((recipients(&clerk).len(), scene.kept()), (0, 1));
}

#[test]
fn one_who_is_put_off_gets_it_a_moment_later_and_the_others_once() {
    let asked = AtomicUsize::new(0);
    let clerk = Clerk::start(move |line| match line {
        "RCPT TO:<gray@example.org>" => (asked.fetch_add(1, Ordering::Relaxed) == 0).then_some("451 4.7.1 come again"),
        _ => None,
    });
    let scene = through(&clerk, "gray", "heir@example.org, gray@example.org");
    is_quiet(&scene.fail());
    assert_eq!(recipients(&clerk), [["heir@example.org"], ["gray@example.org"]]);
    assert_eq!(scene.kept(), 0);
}

#[test]
fn a_server_that_takes_one_recipient_at_a_time_gets_them_one_after_the_other() {
    let taken = AtomicUsize::new(0);
    let clerk = Clerk::start(move |line| {
        match line.split(':').next().unwrap() {
            "MAIL FROM" => taken.store(0, Ordering::Relaxed),
            "RCPT TO" if taken.fetch_add(1, Ordering::Relaxed) > 0 => return Some("452 too many recipients"),
            _ => {}
        }
        None
    });
    let to = ["a", "b", "c", "d", "e"].map(|who| format!("{who}@example.org"));
    let scene = through(&clerk, "each", &to.join(",")).set("ALERT_TIMEOUT", "20s");
    is_quiet(&scene.fail());
    assert_eq!(recipients(&clerk), to.map(|one| [one]));
}

#[test]
fn what_one_is_put_off_from_for_long_is_kept_for_him_alone_and_holds_up_nobody() {
    let clerk = Clerk::start(|line| (line == "RCPT TO:<full@example.org>").then_some("452 4.2.2 the box is full"));
    let scene = through(&clerk, "full", "full@example.org, heir@example.org");
    let told = format!(
        "no mail through localhost:{}: full@example.org: transient error (452): 4.2.2 the box is full; the alert is kept and sent \
         with the next run",
        clerk.port
    );
    scene.fail().says(&told);
    assert_eq!((recipients(&clerk), scene.kept()), (vec![vec!["heir@example.org".to_owned()]], 1));
    scene.succeed().says(&told);
    let taken = clerk.taken();
    assert_eq!((taken.len(), scene.kept()), (1, 2));
    assert!(taken[0].to == ["heir@example.org"] && taken[0].text.contains("works again"), "{taken:?}");

    // Whoever comes in his place gets both, and nobody gets one twice.
    let scene = scene.set("MAIL_TO", "heir@example.org, next@example.org");
    is_quiet(&scene.succeed());
    assert_eq!((recipients(&clerk), scene.kept()), (vec![vec!["next@example.org".to_owned()]; 2], 0));
}

#[test]
fn what_is_kept_for_one_who_is_no_recipient_any_more_is_forgotten() {
    let clerk = Clerk::start(|line| (line == "RCPT TO:<full@example.org>").then_some("452 the box is full"));
    let scene = through(&clerk, "left", "full@example.org, heir@example.org");
    scene.fail();
    assert_eq!((recipients(&clerk).len(), scene.kept()), (1, 1));
    let scene = scene.set("MAIL_TO", "heir@example.org");
    is_quiet(&scene.succeed());
    // Of the end of the outage.
    assert_eq!((recipients(&clerk).len(), scene.kept()), (1, 0));
}

#[test]
fn a_server_that_closes_among_the_recipients_has_taken_nothing() {
    let asked = AtomicUsize::new(0);
    let clerk = Clerk::start(move |line| match line {
        "RCPT TO:<b@example.org>" => (asked.fetch_add(1, Ordering::Relaxed) == 0).then_some("421 closing"),
        _ => None,
    });
    let scene = through(&clerk, "closing", "a@example.org, b@example.org");
    is_quiet(&scene.fail());
    assert_eq!(
        (recipients(&clerk), scene.kept()),
        (vec![["a@example.org", "b@example.org"].map(str::to_owned).to_vec()], 0)
    );
}

#[test]
fn an_address_beyond_ascii_is_for_servers_that_take_one_and_costs_nobody_else_the_mail() {
    let clerk = Clerk::start(|_| None);
    let scene = through(&clerk, "beyond", "jörg@example.org, heir@example.org");
    let outcome = scene.fail();
    outcome.says("jörg@example.org: the server takes no address beyond ASCII (SMTPUTF8), of sender or recipient");
    let taken = clerk.taken();
    assert_eq!((taken.len(), taken[0].to.as_slice()), (1, ["heir@example.org".to_owned()].as_slice()));
    assert!(taken[0].text.is_ascii(), "{}", taken[0].text);

    let office = post_office();
    let scene = Scene::new("beyond").mail(office.starttls(), "jörg@example.org, heir-of-jörg@example.org").login();
    is_quiet(&scene.fail());
    assert_eq!(office.mails("jörg@example.org")[0].to, ["jörg@example.org", "heir-of-jörg@example.org"]);
}
