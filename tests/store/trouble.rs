//! What becomes of objects when a host fails a request, and what requests carry.

use super::objects::{PART, bytes, put};
use pgbk::base::error::{Kind, Result, hints, kind};
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use pgbk::store::{PutOptions, PutResult, Store, read_small, write_small};
use std::io::Write;
use std::time::Duration;
use support::faulty::{Fault, Faulty, Request};

pub fn large(store: &dyn Store) -> Result<PutResult> {
    put(store, "app/large", &bytes(2 * PART + 1))
}

/// Fails these calls until that many of them have been made.
fn fail(call: &'static str, times: usize, fault: Fault) -> Faulty {
    Faulty::start(move |request, count| (request.call() == call && count <= times).then(|| fault.clone()))
}

#[test]
fn a_host_in_trouble_is_asked_again_and_gets_one_object() {
    for call in ["put", "begin", "part", "complete"] {
        for fault in [Fault::Answer(503, "SlowDown"), Fault::Answer(500, "InternalError"), Fault::ErrorIn200] {
            if matches!(fault, Fault::ErrorIn200) && call != "complete" {
                continue;
            }
            let host = fail(call, 2, fault.clone());
            let sent = bytes(if call == "put" { 10 } else { 2 * PART + 1 });
            put(&host.store(), "app/x", &sent).unwrap_or_else(|error| panic!("{call} {fault:?}: {error:#}"));
            assert!(host.objects() == [sent], "{call} {fault:?}");
            assert_eq!(host.open_uploads(), 0);
        }
    }
}

/// More refusals than there are tries: what counts is time.
#[test]
fn a_host_that_is_overloaded_is_waited_for_longer_than_tries_last() {
    for (call, status, code) in [
        ("put", 503, "SlowDown"),
        ("begin", 503, "ServiceUnavailable"),
        ("part", 429, "TooManyRequests"),
        ("complete", 503, "SlowDown"),
        ("head", 503, "SlowDown"),
    ] {
        let host = fail(call, 2, Fault::Answer(status, code));
        let store = S3::open(S3Settings { attempts: 1, ..host.settings() }).expect("open");
        let sent = bytes(if call == "put" { 10 } else { 2 * PART + 1 });
        put(&store, "app/x", &sent).unwrap_or_else(|error| panic!("{call} {code}: {error:#}"));
        assert!(host.objects() == [sent] && host.open_uploads() == 0, "{call} {code}");
    }
}

#[test]
fn when_every_try_fails_the_upload_is_aborted() {
    for call in ["part", "complete"] {
        let host = fail(call, usize::MAX, Fault::Answer(503, "SlowDown"));
        let store = S3::open(S3Settings { timeout: Duration::from_secs(4), ..host.settings() }).expect("open");
        let error = large(&store).unwrap_err();
        assert!(format!("{error:#}").contains("503 SlowDown"), "{error:#}");
        assert!(host.objects().is_empty() && host.open_uploads() == 0, "{call}");
        assert!(host.count("abort") >= 1, "{call}");
    }
}

#[test]
fn an_abort_is_tried_again() {
    let host = Faulty::start(|request, count| match request.call() {
        "part" => Some(Fault::Answer(403, "AccessDenied")),
        "abort" if count <= 4 => Some(Fault::Answer(503, "SlowDown")),
        _ => None,
    });
    large(&host.store()).unwrap_err();
    assert_eq!(host.open_uploads(), 0);
}

#[test]
fn an_upload_that_failed_stays_failed() {
    let host = fail("part", usize::MAX, Fault::Answer(403, "AccessDenied"));
    let store = host.store();
    let mut upload = store.create("app/x", &PutOptions::default()).expect("create");
    upload.write_all(&bytes(20 * PART)).unwrap_err();
    upload.write_all(b"more").unwrap_err();
    upload.commit().unwrap_err();
    assert!(host.objects().is_empty() && host.open_uploads() == 0);
}

#[test]
fn an_error_within_a_200_is_a_failure() {
    let host = fail("complete", usize::MAX, Fault::ErrorIn200);
    let error = large(&host.store()).unwrap_err();
    assert!(format!("{error:#}").contains("InternalError"), "{error:#}");
    assert!(host.objects().is_empty() && host.open_uploads() == 0);
}

#[test]
fn a_lost_answer_to_what_succeeded_is_a_success() {
    for call in ["put", "part", "complete"] {
        let host = fail(call, 1, Fault::DoneButSilent);
        let sent = bytes(if call == "put" { 10 } else { 2 * PART + 1 });
        let receipt = put(&host.store(), "app/x", &sent).unwrap_or_else(|error| panic!("{call}: {error:#}"));
        assert_eq!(receipt.bytes, sent.len() as u64);
        assert!(host.objects() == [sent], "{call}");
        assert_eq!(host.open_uploads(), 0);
    }
}

#[test]
fn an_upload_whose_id_was_lost_with_the_answer_is_aborted() {
    let hang = Fault::DoneButHangs(Duration::from_secs(60));
    for (fault, times) in [(Fault::DoneButSilent, 2), (Fault::DoneButSilent, usize::MAX), (hang, usize::MAX)] {
        let host = fail("begin", times, fault.clone());
        // Its name begins like that of the one that is lost.
        host.begin_another("app/large-too");
        let store = S3::open(S3Settings { timeout: Duration::from_secs(4), ..host.settings() }).expect("open");
        let stored = large(&store);
        assert_eq!(stored.is_ok(), times == 2, "{fault:?}: {stored:?}");
        assert!(host.count("begin") > 1, "{fault:?}");
        assert_eq!((host.objects().len(), host.open_uploads()), (usize::from(times == 2), 1), "{fault:?} {times}");
    }
}

#[test]
fn a_refused_beginning_is_looked_into_no_further() {
    let host = fail("begin", usize::MAX, Fault::Answer(403, "AccessDenied"));
    assert_eq!(kind(&large(&host.store()).unwrap_err()), Kind::Denied);
    assert_eq!((host.count("begin"), host.count("uploads")), (1, 0));
}

#[test]
fn a_lost_completion_of_another_object_is_no_success() {
    let host = fail("complete", 1, Fault::DoneByAnother);
    let error = large(&host.store()).unwrap_err();
    assert!(format!("{error:#}").contains("NoSuchUpload"), "{error:#}");
}

#[test]
fn a_condition_that_fails_on_the_second_try_because_the_first_succeeded_is_a_success() {
    let host = Faulty::start(|request, count| match (request.call(), count) {
        ("put", 1) => Some(Fault::DoneButSilent),
        ("put", _) => Some(Fault::Answer(412, "PreconditionFailed")),
        _ => None,
    });
    write_small(&host.store(), "app/x", b"text").expect("put");
    let host = fail("put", usize::MAX, Fault::Answer(412, "PreconditionFailed"));
    assert_eq!(kind(&write_small(&host.store(), "app/x", b"text").unwrap_err()), Kind::Exists);
}

#[test]
fn a_host_without_conditional_writes_is_written_to_without_them() {
    let host = Faulty::start(|request: &Request, _| {
        request.headers.contains_key("if-none-match").then_some(Fault::Answer(501, "NotImplemented"))
    });
    write_small(&host.store(), "app/small", b"text").expect("put");
    large(&host.store()).expect("put");
    assert_eq!(host.objects().len(), 2);
}

#[test]
fn bodies_carry_their_md5_and_no_checksum_that_only_some_hosts_know() {
    let host = Faulty::start(|_, _| None);
    let store = host.store();
    write_small(&store, "app/small", b"text").expect("put");
    large(&store).expect("put");
    let seen = host.seen();
    let bodies: Vec<&Request> = seen.iter().filter(|request| ["put", "part"].contains(&request.call())).collect();
    assert_eq!(bodies.len(), 4);
    for request in bodies {
        let sum = openssl::hash::hash(openssl::hash::MessageDigest::md5(), &request.body).expect("md5");
        assert_eq!(request.headers.get("content-md5"), Some(&openssl::base64::encode_block(&sum)));
    }
    for request in seen {
        let odd =
            |name: &str| name.starts_with("x-amz-checksum") || name.contains("trailer") || name == "transfer-encoding";
        assert!(!request.headers.keys().any(|name| odd(name)), "{:?}", request.headers);
        assert!(!request.headers.get("content-encoding").is_some_and(|value| value.contains("chunked")));
    }
}

#[test]
fn the_md5_is_left_out_where_it_is_not_wanted_and_the_receipt_has_the_etag_all_the_same() {
    let host = Faulty::start(|_, _| None);
    let store = S3::open(S3Settings { content_md5: false, ..host.settings() }).expect("open");
    assert!(large(&store).expect("put").etag.is_some_and(|etag| etag.ends_with("-3")));
    assert!(!host.seen().iter().any(|request| request.headers.contains_key("content-md5")));
}

#[test]
fn extra_headers_are_signed_and_go_with_what_makes_an_object_only() {
    let host = Faulty::start(|_, _| None);
    let headers = vec![("X-Amz-Storage-Class".to_owned(), "STANDARD_IA".to_owned())];
    let store = S3::open(S3Settings { headers, ..host.settings() }).expect("open");
    write_small(&store, "app/small", b"text").expect("put");
    large(&store).expect("put");
    read_small(&store, "app/small", 9).expect("read");
    for request in host.seen() {
        let wanted = ["put", "begin"].contains(&request.call());
        assert_eq!(request.headers.contains_key("x-amz-storage-class"), wanted, "{}", request.call());
        assert_eq!(request.headers["authorization"].contains("x-amz-storage-class"), wanted);
    }
    let bad = S3Settings { headers: vec![("a b".to_owned(), "hidden".to_owned())], ..host.settings() };
    let error = S3::open(bad).map(|_| ()).unwrap_err();
    assert!(kind(&error) == Kind::Usage && !format!("{error:#}").contains("hidden"));
}

#[test]
fn a_stream_that_outgrows_the_parts_fails_early_and_names_the_settings() {
    let host = Faulty::start(|_, _| None);
    let store = S3::open(S3Settings { part_limit: 2, ..host.settings() }).expect("open");
    put(&store, "app/fits", &bytes(2 * PART)).expect("put");
    let error = put(&store, "app/x", &bytes(2 * PART + 1)).unwrap_err();
    let hints = hints(&error).join(" ");
    assert!(hints.contains("S3_PART_SIZE") && hints.contains("DUMP_SIZE_ESTIMATE"), "{error:#} {hints}");
    assert_eq!((host.objects().len(), host.open_uploads()), (1, 0));
}

#[test]
fn a_short_answer_is_asked_for_again_and_never_taken_for_whole() {
    for fault in [Fault::Short, Fault::Less] {
        let host = fail("get", 2, fault.clone());
        let store = host.store();
        write_small(&store, "app/x", &bytes(100_000)).expect("put");
        let object = store.open("app/x", None).expect("open");
        assert!(object.read(0..100_000).expect("read") == bytes(100_000));
        assert_eq!(host.count("get"), 3);

        let host = fail("get", usize::MAX, fault);
        let store = host.store();
        write_small(&store, "app/x", &bytes(100_000)).expect("put");
        let error = store.open("app/x", None).expect("open").read(0..100_000).unwrap_err();
        assert!(format!("{error:#}").contains("broke off"), "{error:#}");
    }
}

#[test]
fn an_answer_without_its_range_is_refused() {
    let host = fail("get", usize::MAX, Fault::NoRange);
    let store = host.store();
    write_small(&store, "app/x", &bytes(1000)).expect("put");
    let error = store.open("app/x", None).expect("open").read(0..1000).unwrap_err();
    assert!(format!("{error:#}").contains("answered with \"no range\""), "{error:#}");
}
