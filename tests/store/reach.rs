//! Hosts that cannot be reached, let nobody in or are waited for when a signal comes.

use super::objects::{PART, bytes, keys, put};
use super::trouble::large;
use pgbk::base::error::{Kind, hints, kind};
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use pgbk::store::{Store, read_small, write_small};
use std::process::Stdio;
use std::time::{Duration, Instant};
use support::cluster::PATIENCE;
use support::faulty::{Fault, Faulty};
use support::process::{free_ports, until};
use support::s3::{WRITER, radosgw, seaweedfs};

#[test]
fn a_refused_connection_says_which_host_and_what_to_check() {
    let port = free_ports(1);
    let settings =
        S3Settings { endpoint: Some(format!("http://127.0.0.1:{port}")), ..Faulty::start(|_, _| None).settings() };
    let error = S3::open(settings).expect("open").list("").unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains(&format!("cannot reach 127.0.0.1:{port}")) && text.contains("onnection refused"), "{text}");
    assert!(hints(&error).join(" ").contains("S3_HOST_BASE"));
}

#[test]
fn a_host_that_does_not_answer_is_given_up_at_the_deadline() {
    let host = Faulty::start(|_, _| Some(Fault::Hang(Duration::from_secs(60))));
    let store = S3::open(S3Settings { timeout: Duration::from_secs(3), ..host.settings() }).expect("open");
    let start = Instant::now();
    let error = store.list("").unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert!(format!("{error:#}").contains("no answer within"), "{error:#}");

    let host = Faulty::start(|request, _| (request.call() == "part").then_some(Fault::Hang(Duration::from_secs(60))));
    let store = S3::open(S3Settings { timeout: Duration::from_secs(3), ..host.settings() }).expect("open");
    let start = Instant::now();
    large(&store).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(host.open_uploads(), 0);
}

#[test]
fn wrong_keys_are_told_with_the_setting_to_check() {
    for server in [seaweedfs(), radosgw()] {
        let bucket = server.bucket("keys");
        let wrong_secret = S3Settings { secret_key: Some("wrongsecret".to_owned().into()), ..server.settings(&bucket) };
        let wrong_key = S3Settings { access_key: Some("nobody".to_owned()), ..server.settings(&bucket) };
        for (settings, named) in [(wrong_secret, "S3_SECRET_ACCESS_KEY"), (wrong_key, "S3_ACCESS_KEY_ID")] {
            let store = S3::open(settings).expect("open");
            for error in
                [store.list("").map(|_| ()).unwrap_err(), write_small(&store, "x", b"x").map(|_| ()).unwrap_err()]
            {
                assert_eq!(kind(&error), Kind::Unauthenticated, "{error:#}");
                assert!(hints(&error).join(" ").contains(named), "{}: {error:#} {:?}", server.name, hints(&error));
                assert!(!format!("{error:#} {error:?}").contains("wrongsecret"));
            }
        }
    }
}

#[test]
fn a_role_that_may_only_write_can_write() {
    let server = seaweedfs();
    let bucket = server.bucket("writeonly");
    let (access, secret) = WRITER;
    let settings = S3Settings {
        access_key: Some(access.to_owned()),
        secret_key: Some(secret.to_owned().into()),
        part_size: Some(PART as u64),
        ..server.settings(&bucket)
    };
    let store = S3::open(settings).expect("open");
    assert_eq!(kind(&store.open("app/x", None).map(|_| ()).unwrap_err()), Kind::Denied);
    write_small(&store, "app/x", b"text").expect("put");
    large(&store).expect("put");
    assert_eq!(kind(&write_small(&store, "app/x", b"other").unwrap_err()), Kind::Exists);
    let reader = S3::open(server.settings(&bucket)).expect("open");
    assert_eq!(keys(&reader, ""), ["app/large", "app/x"]);
    assert_eq!(read_small(&reader, "app/x", 9).expect("read"), b"text");
}

#[test]
fn a_host_with_its_own_authority_needs_s3_ca_file() {
    let host = Faulty::start_tls();
    let place = tempfile::tempdir().expect("temp dir");
    let ca_file = place.path().join("ca.pem");
    std::fs::write(&ca_file, host.ca.as_ref().expect("ca")).expect("write");
    let trusting = S3Settings { ca_file: Some(ca_file.clone()), ..host.settings() };
    let store = S3::open(trusting.clone()).expect("open");
    large(&store).expect("put");
    assert!(store.open("app/large", None).expect("open").read(0..10).expect("read") == bytes(10));

    let error = host.store().list("").unwrap_err();
    assert!(hints(&error).join(" ").contains("S3_CA_FILE"), "{error:#} {:?}", hints(&error));

    std::fs::write(&ca_file, "no certificate").expect("write");
    assert_eq!(kind(&S3::open(trusting).map(|_| ()).unwrap_err()), Kind::Usage);
}

#[test]
fn http_and_https_mixed_up_are_told_apart() {
    let plain = Faulty::start(|_, _| None);
    let endpoint = Some(plain.endpoint.replace("http://", ""));
    let error = S3::open(S3Settings { endpoint, ..plain.settings() }).expect("open").list("").unwrap_err();
    assert!(hints(&error).join(" ").contains("http://127.0.0.1"), "{error:#} {:?}", hints(&error));
    let tls = Faulty::start_tls();
    let endpoint = Some(tls.endpoint.replace("https://", "http://"));
    let error = S3::open(S3Settings { endpoint, ..tls.settings() }).expect("open").list("").unwrap_err();
    // It hangs up without a word, as others do for other reasons.
    assert!(hints(&error).join(" ").contains("(http:// or https://"), "{error:#} {:?}", hints(&error));
}

const INTERRUPTED: &str = "PGBK_TEST_INTERRUPTED_AT";

/// The part of the next test that has to be a process of its own: signals come to all threads.
#[test]
#[ignore = "the next test runs it"]
fn interrupted() {
    let endpoint = std::env::var_os(INTERRUPTED).expect("the next test sets it");
    pgbk::base::cancel::install().expect("install");
    let settings = S3Settings { endpoint: endpoint.into_string().ok(), ..Faulty::start(|_, _| None).settings() };
    let store = S3::open(settings).expect("open");
    let error = put(&store, "app/x", &bytes(40 * PART)).unwrap_err();
    assert!(matches!(kind(&error), Kind::Interrupted(15)), "{error:#}");
}

#[test]
fn a_signal_ends_a_waiting_upload_and_aborts_it() {
    let host = Faulty::start(|request, _| (request.call() == "part").then_some(Fault::Hang(Duration::from_secs(60))));
    let child = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "store::reach::interrupted", "--nocapture", "--include-ignored"])
        .env(INTERRUPTED, &host.endpoint)
        // Its report would be taken for one of the whole suite.
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start");
    assert!(until(PATIENCE, || host.count("part") >= 4));
    let start = Instant::now();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("kill");
    let output = child.wait_with_output().expect("wait");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && report.contains("1 passed"), "{report}");
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
    assert_eq!(host.open_uploads(), 0);
    assert!(host.objects().is_empty());
}
