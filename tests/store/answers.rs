//! What hosts may answer, or not answer at all, and what is made of it.

use super::objects::{bytes, put};
use pgbk::base::error::{Kind, Result, hints, kind};
use pgbk::store::capabilities::{Clock, ConditionalWrite, ObjectLock, Versions};
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::{Addressing, LockMode, LockSettings, LockTerm, S3Settings};
use pgbk::store::{LockStatus, ObjectKind, PendingUpload, PutOptions, Store};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpListener;
use support::faulty::{Fault, Faulty, Headers, Request};
use support::pgbk::pgbk;
use support::process::free_ports;

/// Fails so, says this, and to do that.
#[track_caller]
fn refuses<T>(done: Result<T>, expected: Kind, said: &str, hint: &str) {
    let error = done.map(|_| ()).expect_err(said);
    assert_eq!(format!("{error:#}"), said);
    assert_eq!((kind(&error), hints(&error).join(", ").as_str()), (expected, hint), "{said}");
}

fn name(host: &Faulty) -> &str {
    host.endpoint.strip_prefix("http://").expect("http")
}

fn at(endpoint: String) -> S3 {
    S3::open(S3Settings { endpoint: Some(endpoint), ..Faulty::start(|_, _| None).settings() }).expect("open")
}

/// A host that has buckets only before its name, as Alibaba's; without being told, a listing finds it out.
#[test]
fn a_host_that_wants_the_bucket_before_its_name_gets_it_there() {
    let plan = |request: &Request, _: usize| {
        let before = request.headers.get("host").is_some_and(|host| host.starts_with("bucket."));
        (!before).then_some(Fault::Answer(403, "SecondLevelDomainForbidden"))
    };
    for addressing in [None, Some(Addressing::Virtual)] {
        let host = Faulty::start(plan);
        let endpoint = Some(host.endpoint.replace("127.0.0.1", "localhost"));
        let store = S3::open(S3Settings { endpoint, addressing, ..host.settings() }).expect("open");
        let hinted = store
            .are_kept()
            .is_err_and(|error| hints(&error).iter().any(|hint| hint.contains("S3_ADDRESSING=virtual")));
        assert_eq!(hinted, addressing.is_none());
        store.list("app/").ok();
        let last = host.seen().pop().unwrap();
        assert!(last.headers["host"].starts_with("bucket.localhost:") && last.path == "/", "{last:?}");
    }
    let host = Faulty::start(plan);
    let store = S3::open(S3Settings { addressing: Some(Addressing::Path), ..host.settings() }).expect("open");
    assert!(store.list("").is_err());
    assert_eq!(host.seen().len(), 1);
}

#[test]
fn a_host_below_a_path_is_asked_there() {
    let host = Faulty::start(|_, _| None);
    let endpoint = Some(format!("{}/storage/v1/s3/", host.endpoint));
    S3::open(S3Settings { endpoint, ..host.settings() }).expect("open").list("app/").ok();
    assert_eq!(host.seen()[0].path.trim_end_matches('/'), "/storage/v1/s3/bucket");
}

/// It takes what is asked for an object that is not there: that is no empty listing.
#[test]
fn a_host_without_a_listing_is_not_taken_for_an_empty_one() {
    let host = Faulty::start(|request, _| (request.call() == "list").then_some(Fault::Answer(404, "NoSuchKey")));
    let error = host.store().list("app/").map(|_| ()).unwrap_err();
    assert_eq!(kind(&error), Kind::Denied);
    assert!(hints(&error).join("").contains("no listing at this address"), "{error:#}");
}

#[test]
fn a_refused_question_names_the_right_that_it_needs() {
    let host = Faulty::start(|_, _| Some(Fault::Answer(403, "AccessDenied")));
    let (store, name) = (host.store(), name(&host));
    let left = PendingUpload { key: "app/x".to_owned(), token: "id".to_owned(), started: None };
    let said = |doing: &str| format!("cannot {doing}: {name} answered 403 AccessDenied: as planned");
    for (asked, doing) in [
        (store.is_there().map(|_| ()), "read the bucket's Object Lock settings"),
        (store.refuses_taken("app/x").map(|_| ()), "try to overwrite \"app/x\""),
        (store.discard(&left), "abort the upload of \"app/x\""),
    ] {
        let hint =
            format!("the key of S3_ACCESS_KEY_ID needs the right to {doing}, or is not the key that {name} knows");
        refuses(asked, Kind::Denied, &said(doing), &hint);
    }
    let said = said("ask whether the bucket keeps versions");
    refuses(store.are_kept(), Kind::Denied, &said, "allow the role s3:GetBucketVersioning on the bucket");
}

#[test]
fn whoever_asks_for_the_time_of_a_host_learns_that_the_bucket_or_the_host_is_not_there() {
    let host = Faulty::start(|_, _| None);
    let said = format!("bucket \"bucket\" does not exist on {}", name(&host));
    let hint = "check S3_BUCKET and S3_REGION; pgbk does not make buckets";
    refuses(host.store().skew(), Kind::NotFound, &said, hint);

    let port = free_ports(1);
    let error = at(format!("http://127.0.0.1:{port}")).skew().unwrap_err();
    let said = format!("{error:#}");
    assert!(said.starts_with(&format!("cannot look up the bucket: cannot reach 127.0.0.1:{port}: ")), "{said}");
    assert_eq!(kind(&error), Kind::Failed);
    assert_eq!(hints(&error), ["check S3_HOST_BASE (http:// or https://, and the port) and the network"]);
}

/// Answers every list as if it went on, with this to tell where.
fn endless(place: &'static str) -> Faulty {
    Faulty::start(move |request, _| {
        let lists = [
            ("list-type", "ListBucketResult"),
            ("uploads", "ListMultipartUploadsResult"),
            ("versions", "ListVersionsResult"),
        ];
        let (_, list) = lists.into_iter().find(|(query, _)| request.query.contains(query))?;
        Some(Fault::Says(format!("<{list}><IsTruncated>true</IsTruncated>{place}</{list}>")))
    })
}

#[test]
fn a_list_that_goes_on_but_nowhere_is_a_failure_and_neither_whole_nor_endless() {
    let again = "<NextContinuationToken>a</NextContinuationToken><NextKeyMarker>a</NextKeyMarker>";
    for (place, pages) in [("", 3), (again, 6)] {
        let host = endless(place);
        let store = host.store();
        for (asked, doing) in [
            (store.list("app/").map(|_| ()), "list the objects"),
            (store.unfinished("app/").map(|_| ()), "list the unfinished uploads"),
            (store.all("app/").map(|_| ()), "list the versions"),
        ] {
            let name = name(&host);
            let said = format!("cannot {doing} below \"app/\": {name} says that there is more, but not where");
            refuses(asked, Kind::Failed, &said, "");
        }
        assert_eq!(host.seen().len(), pages, "{place}");
    }
}

#[test]
fn a_lock_that_was_set_and_may_not_be_read_is_told_from_one_that_nobody_knows_of() {
    for (status, code) in [(403, "AccessDenied"), (500, "InternalError")] {
        let host = Faulty::start(move |request, _| match request.method.as_str() {
            _ if !request.query.contains("retention") => None,
            "PUT" => Some(Fault::Ignored),
            _ => Some(Fault::Answer(status, code)),
        });
        let lock = Some(LockSettings { mode: LockMode::Governance, term: LockTerm::Days(1) });
        let store = S3::open(S3Settings { lock, attempts: 1, ..host.settings() }).expect("open");
        let payload = PutOptions { purpose: ObjectKind::Payload, ..PutOptions::default() };
        let mut upload = store.create("app/x", &payload).expect("create");
        upload.write_all(b"text").expect("write");
        let held = upload.commit().expect("commit").held;
        let said = format!("cannot read the lock of \"app/x\": {} answered {status} {code}: as planned", name(&host));
        assert_eq!(held, if status == 403 { LockStatus::Unread } else { LockStatus::Unlocked(said) });
    }
}

/// A host that changes the headers of its answers to such requests.
fn spoilt(call: &'static str, change: fn(&mut Headers)) -> (Faulty, S3) {
    let host = Faulty::start(move |request, _| (request.call() == call).then_some(Fault::Headers(change)));
    let store = host.store();
    put(&store, "app/x", &bytes(1000)).expect("put");
    (host, store)
}

#[test]
fn an_object_that_has_another_size_than_before_has_changed() {
    let (_host, store) = spoilt("get", |headers| {
        *headers = vec![("Content-Range", "bytes 0-9/2000".to_owned())];
    });
    let object = store.open("app/x", None).expect("open");
    let said = "\"app/x\" changed while being read";
    refuses(object.read(0..10), Kind::Damaged, said, "another program writes this key");
}

#[test]
fn an_object_whose_size_the_host_does_not_tell_is_not_read() {
    let (host, store) = spoilt("head", |headers| headers.push(("Transfer-Encoding", "chunked".to_owned())));
    let said = format!("cannot look up \"app/x\": {} does not tell its size", name(&host));
    refuses(store.open("app/x", None), Kind::Failed, &said, "");
}

/// As servers do that speak TLS only.
#[test]
fn a_host_that_answers_plain_http_as_if_it_spoke_tls_only_is_to_be_asked_by_https() {
    let go = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    let nginx = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n\
                 <html>\r\n<body>\r\n<center>The plain HTTP request was sent to HTTPS port</center>\r\n</body>\r\n</html>\r\n";
    // Fatal: protocol version.
    let alert: &[u8] = &[21, 3, 1, 0, 2, 2, 70];
    for (answer, said) in [(alert, "cannot reach "), (go.as_bytes(), ""), (nginx.as_bytes(), "")] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let answer = answer.to_owned();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                BufReader::new(&stream).lines().map_while(io::Result::ok).find(String::is_empty);
                stream.write_all(&answer).ok();
            }
        });
        let store = at(format!("http://{address}"));
        for error in [store.list("").map(|_| ()).unwrap_err(), store.open("x", None).map(|_| ()).unwrap_err()] {
            let text = format!("{error:#}");
            assert!(text.contains(&format!(": {said}{address}")), "{text}");
            assert_eq!(kind(&error), Kind::Failed, "{text}");
            let hint = format!("the host seems to speak https: try S3_HOST_BASE=https://{address}");
            assert_eq!(hints(&error), [hint], "{text}");
        }
    }
}

#[test]
fn without_credentials_the_host_is_not_asked_and_the_settings_are_named() {
    let host = Faulty::start(|_, _| None);
    let run = pgbk(["list"]).set("S3_HOST_BASE", &host.endpoint).set("S3_BUCKET", "bucket");
    let silent = format!("http://127.0.0.1:{}/", free_ports(1));
    for (name, value) in [("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &silent)] {
        let ran = run.set(name, value).expect(1);
        let ran = ran.says("cannot list the objects: no S3 credentials were found: ");
        ran.says("hint: set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or run where AWS gives a role");
    }
    assert!(host.seen().is_empty());
}
