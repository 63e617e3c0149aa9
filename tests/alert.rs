//! Who hears of what: the real binary, a real mail server, and an HTTP server that can fail.

mod clerk;
mod doctor;
mod endless;
mod heard;
pub mod post_office;
pub mod receiver;
mod recipients;
mod slow;

use post_office::{PASSWORD, USER, post_office};
use postgres::{Client, NoTls};
use receiver::{Answer, Receiver};
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::cluster::{self, PATIENCE, cluster};
use support::pgbk::{Outcome, Pgbk, pgbk};
use support::process::{free_ports, until};

/// In every address and in none of what pgbk shows.
const TOKEN: &str = "T0K3N-5ec2e7";

/// One database, with a store and a state directory of its own.
struct Scene {
    folder: tempfile::TempDir,
    database: String,
    settings: Vec<(String, String)>,
}

impl Scene {
    fn new(hint: &str) -> Scene {
        let database = cluster().database(hint);
        cluster().psql(&database, "CREATE TABLE t AS SELECT 1 AS v");
        Scene { folder: tempfile::tempdir().unwrap(), database, settings: Vec::new() }
    }

    fn set(mut self, name: &str, value: impl ToString) -> Scene {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    fn webhook(self, receiver: &Receiver) -> Scene {
        self.set("WEBHOOK_URL", receiver.url(&format!("/hook/{TOKEN}?key={TOKEN}")))
    }

    fn ping(self, receiver: &Receiver) -> Scene {
        self.set("PING_URL", receiver.url(&format!("/{TOKEN}")))
    }

    fn mail(self, port: u16, to: &str) -> Scene {
        let scene = self.set("SMTP_HOST", "localhost").set("SMTP_PORT", port).set("MAIL_TO", to);
        let scene = scene.set("MAIL_FROM", "pgbk <pgbk@example.org>").set("ALERT_CA_FILE", cluster().tls("ca.crt"));
        // The post office is slow on a machine that others load.
        scene.set("ALERT_TIMEOUT", "80s")
    }

    fn login(self) -> Scene {
        self.set("SMTP_USER", USER).set("SMTP_PASSWORD", PASSWORD)
    }

    fn run(&self, arguments: &[&str]) -> Pgbk {
        let run = pgbk(arguments.iter().copied()).server(cluster()).directory(&self.folder.path().join("store"));
        let run = run.set("STATE_DIR", self.state().display()).set("LOG_LEVEL", "debug").set("NO_ENCRYPT", "1");
        self.settings.iter().fold(run, |run, (name, value)| run.set(name, value))
    }

    /// A backup that succeeds.
    fn succeed(&self) -> Outcome {
        checked(self.run(&["backup", &self.database]).expect(0))
    }

    /// A backup that fails.
    fn fail(&self) -> Outcome {
        checked(self.run(&["backup", &self.database, "--pg-dump-args", "--table=missing"]).expect(1))
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// How many messages have not arrived.
    fn kept(&self) -> usize {
        std::fs::read_dir(self.state().join("alerts/unsent")).map_or(0, Iterator::count)
    }
}

/// Nothing secret is in what a run said.
#[track_caller]
fn checked(outcome: Outcome) -> Outcome {
    for secret in [TOKEN, PASSWORD] {
        assert!(!outcome.text().contains(secret) && !outcome.err.contains(secret), "{outcome:#?}");
    }
    outcome
}

#[track_caller]
fn is_quiet(outcome: &Outcome) {
    assert!(!outcome.err.contains("warning"), "{outcome:#?}");
}

#[test]
fn people_hear_once_of_an_outage_and_once_of_its_end_and_monitors_of_every_run() {
    let (hook, monitor) = (Receiver::start(), Receiver::start());
    let to = "outage@example.org";
    let scene = Scene::new("outage").webhook(&hook).ping(&monitor).mail(post_office().starttls(), to).login();
    let scene = scene.set("MAIL_SUBJECT_PREFIX", "[prod]");
    is_quiet(&scene.succeed());
    let first = scene.succeed().text().lines().next().unwrap().to_owned();
    assert_eq!((hook.heard().len(), post_office().mails(to).len()), (0, 0));
    for _ in 0..3 {
        is_quiet(&scene.fail());
    }
    let failed = hook.heard().remove(0).json();
    assert_eq!((&failed["state"], &failed["database"]), (&"failed".into(), &scene.database.as_str().into()));
    assert!(failed["error"].as_str().unwrap().contains("no matching tables"), "{failed:#}");
    assert!(failed["last_success"].as_str().unwrap().starts_with(&first), "{failed:#}");
    assert_eq!(hook.heard().len(), 0);
    scene.succeed();
    is_quiet(&scene.succeed());
    assert_eq!(hook.states(), ["recovered"]);

    let mails = post_office().mails(to);
    let subjects: Vec<String> = mails.iter().map(|mail| mail.header("Subject").unwrap()).collect();
    let host = failed["host"].as_str().unwrap();
    let expected = ["failed", "works again"].map(|how| format!("[prod] backup of {} {how} on {host}", scene.database));
    assert_eq!(subjects, expected);
    let server = format!("127.0.0.1:{} as postgres", cluster().port);
    for part in
        [server.as_str(), "no matching tables", &first, "pgbk history ", &format!("pgbk doctor {}", scene.database)]
    {
        assert!(mails[0].body().contains(part), "{part} is not in {}", mails[0].text);
    }
    assert!(mails[1].body().contains("It had failed 3 times since "), "{}", mails[1].text);

    let (start, done, fail) = (format!("/{TOKEN}/start"), format!("/{TOKEN}"), format!("/{TOKEN}/fail"));
    let (good, bad) = ([start.clone(), done], [start, fail]);
    let runs = [&good, &good, &bad, &bad, &bad, &good, &good];
    assert_eq!(monitor.paths(), runs.into_iter().flatten().cloned().collect::<Vec<_>>());
    assert_eq!(scene.kept(), 0);
}

#[test]
fn mail_goes_out_by_starttls_tls_and_plain() {
    for (name, port, security) in [
        ("starttls", post_office().starttls(), "starttls"),
        ("tls", post_office().tls(), "tls"),
        ("plain", post_office().plain(), "none"),
    ] {
        let to = format!("{name}@example.org");
        let scene = Scene::new(name).mail(port, &to).set("SMTP_SECURITY", security);
        let scene = if name == "plain" { scene } else { scene.login() };
        is_quiet(&scene.fail());
        let mails = post_office().mails(&to);
        assert_eq!(mails.len(), 1, "{name}");
        assert_eq!((mails[0].server.as_str(), mails[0].tls, mails[0].login), (name, name != "plain", name != "plain"));
        assert_eq!(mails[0].from, "pgbk@example.org");
        assert_eq!(mails[0].header("From").unwrap(), "pgbk <pgbk@example.org>");
        assert_eq!(mails[0].header("Auto-Submitted").unwrap(), "auto-generated");
    }
}

#[test]
fn mail_never_goes_out_unprotected_or_to_a_stranger() {
    let office = post_office();
    let to = "protected@example.org";
    let scene = |port| Scene::new("protected").mail(port, to).login();
    let unprotected = scene(office.plain());
    unprotected.fail().says("STARTTLS");
    let stranger = scene(office.starttls()).set("ALERT_CA_FILE", cluster().tls("other.crt"));
    stranger.fail().says("certificate");
    let mistaken = scene(office.tls()).set("SMTP_SECURITY", "tls").set("SMTP_PASSWORD", TOKEN);
    mistaken.fail().says("535");
    assert_eq!([unprotected.kept(), stranger.kept(), mistaken.kept()], [1, 1, 1]);
    assert_eq!(office.mails(to).len(), 0);
}

#[test]
fn a_receiver_that_is_away_gets_its_messages_in_order_when_it_is_back() {
    let port = free_ports(1);
    let scene = Scene::new("away").set("WEBHOOK_URL", format!("http://127.0.0.1:{port}/{TOKEN}"));
    let outcome = scene.fail();
    let outcome = outcome.says(&format!("no webhook at 127.0.0.1:{port}: Connection refused"));
    outcome.says("the alert is kept and sent with the next run");
    assert_eq!(scene.kept(), 1);
    is_quiet(&Scene { settings: Vec::new(), ..Scene::new("other") }.succeed());

    let hook = Receiver::start();
    let scene = scene.webhook(&hook);
    is_quiet(&scene.succeed());
    assert_eq!((hook.states(), scene.kept()), (vec!["failed".to_owned(), "recovered".to_owned()], 0));
}

#[test]
fn a_server_error_is_tried_again_in_the_same_run_and_a_refusal_is_not() {
    let hook = Receiver::start();
    let scene = Scene::new("tries").webhook(&hook);
    hook.answers([Answer::Status(500), Answer::HangUp]);
    is_quiet(&scene.fail());
    assert_eq!((hook.heard().len(), scene.kept()), (3, 0));

    let scene = Scene::new("refusal").webhook(&hook);
    hook.always(Answer::Status(404));
    scene.fail().says("it answered 404 Not Found");
    assert_eq!((hook.heard().len(), scene.kept()), (1, 1));
    hook.always(Answer::Status(307));
    scene.fail().says("not sent on to another address");
    hook.always(Answer::Status(204));
    is_quiet(&scene.fail());
    assert_eq!((hook.states().last().unwrap().as_str(), scene.kept()), ("failed", 0));
}

#[test]
fn receivers_that_hang_neither_stop_a_backup_nor_change_how_it_ends() {
    let (hook, monitor) = (Receiver::start(), Receiver::start());
    hook.always(Answer::Hang);
    monitor.always(Answer::Hang);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let scene = Scene::new("hangs").webhook(&hook).ping(&monitor).mail(port, "nobody@example.org");
    let scene = scene.set("ALERT_TIMEOUT", "1s");
    for outcome in [scene.fail(), scene.succeed()] {
        // Each request would last for ever; how fast the rest is, is the machine's business.
        assert!(outcome.took < Duration::from_secs(30), "{outcome:#?}");
        for channel in ["webhook at localhost", "ping to localhost", "mail through localhost"] {
            assert!(outcome.err.contains(channel), "no {channel:?} in {outcome:#?}");
        }
    }
    assert_eq!(scene.kept(), 4);
}

#[test]
fn nothing_secret_is_written_into_the_state() {
    let port = free_ports(1);
    let scene = Scene::new("secrets").set("WEBHOOK_URL", format!("http://127.0.0.1:{port}/{TOKEN}"));
    let scene = scene.set("PING_URL", format!("http://{TOKEN}:{TOKEN}@127.0.0.1:{port}/{TOKEN}"));
    let scene = scene.mail(port, "secrets@example.org").login();
    scene.fail();
    checked(scene.run(&["doctor", "--test-alerts", "--json"]).expect(1));
    let grep =
        std::process::Command::new("grep").args(["-rFl", "-e", TOKEN, "-e", PASSWORD]).arg(scene.state()).output();
    assert_eq!(String::from_utf8(grep.unwrap().stdout).unwrap(), "");
    assert_eq!(scene.kept(), 2);
    let mode = |path: &Path| std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777;
    assert_eq!(mode(&scene.state().join("alerts")), 0o700);
}

#[test]
fn no_name_of_a_database_breaks_a_document_or_a_header() {
    let hook = Receiver::start();
    let to = "names@example.org";
    let scene = Scene::new("names").webhook(&hook).mail(post_office().starttls(), to).login();
    let scene =
        scene.set("WEBHOOK_TEMPLATE", r#"{"text": "*{subject}*\n{error}", "blocks": [{"state": "{state}"}], "n": 1}"#);
    let name = "evil\"\\{text}\r\nBcc: spy@example.org\r\n\r\nü";
    scene.run(&["backup", name]).expect(4);
    let document = hook.heard().remove(0).json();
    let text = document["text"].as_str().unwrap();
    assert!(text.starts_with(&format!("*backup of {name} failed on ")), "{text}");
    assert!(text.contains("does not exist"), "{text}");
    assert_eq!((&document["blocks"][0]["state"], &document["n"]), (&"failed".into(), &1.into()));

    let mail = post_office().mails(to).remove(0);
    assert_eq!((mail.to.as_slice(), mail.header("Bcc")), ([to.to_owned()].as_slice(), None));
    assert!(post_office().mails("spy@example.org").is_empty());
}

#[test]
fn one_ping_address_stands_for_all_databases_and_one_with_a_name_for_each() {
    let monitor = Receiver::start();
    let scene = Scene::new("pings").ping(&monitor);
    scene.run(&["backup", &scene.database, "missing"]).expect(1);
    let heard = monitor.heard();
    assert_eq!(
        heard.iter().map(|heard| heard.path.as_str()).collect::<Vec<_>>(),
        [format!("/{TOKEN}/start"), format!("/{TOKEN}/fail")]
    );
    assert_eq!(heard[1].method, "POST");
    assert!(heard[1].body.contains(&format!("{}: done, ", scene.database)), "{}", heard[1].body);
    assert!(heard[1].body.contains("missing: failed: "), "{}", heard[1].body);

    let scene = scene.set("PING_URL", monitor.url(&format!("/{TOKEN}/{{database}}?create=1")));
    scene.run(&["backup", &scene.database, "missing"]).expect(1);
    let own = |database: &str, end: &str| format!("/{TOKEN}/{database}{end}?create=1");
    let expected =
        [own(&scene.database, "/start"), own(&scene.database, ""), own("missing", "/start"), own("missing", "/fail")];
    assert_eq!(monitor.paths(), expected);
}

/// Holds a table of this database, so that a dump waits for it until this is dropped.
fn holding(database: &str) -> Client {
    let mut config = postgres::Config::new();
    config.host("127.0.0.1").port(cluster().port).user(cluster::USER).password(cluster::PASSWORD).dbname(database);
    let mut client = config.connect(NoTls).unwrap();
    client.batch_execute("BEGIN; LOCK TABLE t").unwrap();
    client
}

#[test]
fn a_run_that_another_one_keeps_from_working_is_no_outage_and_one_that_is_stopped_is() {
    let (hook, monitor) = (Receiver::start(), Receiver::start());
    let scene = Scene::new("busy").webhook(&hook).ping(&monitor);
    let _held = holding(&scene.database);
    let first = scene.run(&["backup", &scene.database]).start();
    // Until then the first has not got its lock yet, and the second waits for the table as well.
    let waits = format!(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database =
        (SELECT oid FROM pg_database WHERE datname = '{}')",
        scene.database
    );
    assert!(until(PATIENCE, || cluster().psql(&scene.database, &waits) != "0"));
    monitor.heard();
    checked(scene.run(&["backup", &scene.database]).expect(5));
    assert_eq!((hook.heard().len(), monitor.paths()), (0, vec![format!("/{TOKEN}/start")]));

    first.signal(Signal::TERM);
    let stopped = first.end();
    assert_eq!(stopped.code, Some(143), "{stopped:#?}");
    let heard = hook.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].json()["error"], "interrupted by signal 15");
    assert_eq!(monitor.paths(), [format!("/{TOKEN}/fail")]);
}

#[test]
fn without_a_place_to_remember_alerts_still_go_out() {
    let hook = Receiver::start();
    let scene = Scene::new("forgetful").webhook(&hook);
    std::fs::write(scene.state(), "a file").unwrap();
    for _ in 0..2 {
        scene.fail().says("nothing can be remembered");
    }
    scene.succeed().says("nothing can be remembered");
    assert_eq!(hook.states(), ["failed", "failed"]);
}

#[test]
fn a_receiver_with_a_certificate_of_ones_own_is_trusted_by_setting_only() {
    let hook = Receiver::start_tls();
    let scene = Scene::new("trust").webhook(&hook);
    scene.fail().says("certificate");
    assert_eq!((hook.heard().len(), scene.kept()), (0, 1));
    is_quiet(&scene.set("ALERT_CA_FILE", cluster().tls("ca.crt")).fail());
    assert_eq!(hook.states(), ["failed"]);
}
