//! A lost answer at every request of a backup, on hosts of every kind of ETag: the backup is there whole, or nothing is.

use super::objects::PART;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pgbk::base::progress::NullMonitor;
use pgbk::format::backup_id::BackupId;
use pgbk::format::manifest::upload_check::UploadCheck;
use pgbk::format::manifest::{Format, Manifest};
use pgbk::jobs::lifecycle_tags::tag;
use pgbk::repository::Repository;
use pgbk::repository::writer::ManifestDetails;
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::{LockMode, LockSettings, LockTerm, S3Settings};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::faulty::{Etags, Fault, Faulty, Request};
use support::proof;

const ETAGS: [Etags; 5] = [Etags::Md5, Etags::Foreign, Etags::Absent, Etags::Weak, Etags::Parts];

/// One request of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    call: &'static str,
    of_meta: bool,
    /// Whether the dump is large enough to be sent in parts.
    in_parts: bool,
}

const STEPS: [Step; 9] = [
    Step { call: "put", of_meta: false, in_parts: false },
    Step { call: "put", of_meta: true, in_parts: false },
    Step { call: "begin", of_meta: false, in_parts: true },
    Step { call: "part", of_meta: false, in_parts: true },
    Step { call: "complete", of_meta: false, in_parts: true },
    Step { call: "retain", of_meta: false, in_parts: false },
    Step { call: "retain", of_meta: true, in_parts: false },
    Step { call: "tag", of_meta: false, in_parts: false },
    Step { call: "tag", of_meta: true, in_parts: false },
];

impl Step {
    fn is(&self, request: &Request) -> bool {
        request.call() == self.call && request.path.ends_with(".meta") == self.of_meta
    }
}

/// What becomes of the answers to a step, by its try.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Silent,
    AlwaysSilent,
    Error,
    AlwaysError,
    ThenTaken,
    ThenNoUpload,
    TimeOut,
}

const LOSSES: [Loss; 7] = [
    Loss::Silent,
    Loss::AlwaysSilent,
    Loss::Error,
    Loss::AlwaysError,
    Loss::ThenTaken,
    Loss::ThenNoUpload,
    Loss::TimeOut,
];

/// A busy machine is no host that says nothing.
const PATIENT: Duration = Duration::from_secs(120);

impl Loss {
    fn timeout(self) -> Duration {
        if matches!(self, Loss::TimeOut) { Duration::from_secs(12) } else { PATIENT }
    }

    fn fault(self, attempt: usize) -> Option<Fault> {
        match (self, attempt) {
            (Loss::AlwaysSilent, _) | (Loss::Silent | Loss::ThenTaken | Loss::ThenNoUpload, 1) => {
                Some(Fault::DoneButSilent)
            }
            (Loss::AlwaysError, _) | (Loss::Error, 1) => Some(Fault::DoneBut(500, "InternalError")),
            (Loss::ThenTaken, _) => Some(Fault::Answer(412, "PreconditionFailed")),
            (Loss::ThenNoUpload, _) => Some(Fault::Answer(404, "NoSuchUpload")),
            (Loss::TimeOut, 1) => Some(Fault::DoneButHangs(Duration::from_secs(60))),
            _ => None,
        }
    }
}

fn host(step: Step, loss: Loss, etags: Etags, blind: bool) -> Faulty {
    let tries = AtomicUsize::new(0);
    Faulty::start(move |request, _| {
        if blind && ["head", "get", "list", "uploads"].contains(&request.call()) {
            return Some(Fault::Answer(403, "AccessDenied"));
        }
        step.is(request).then(|| loss.fault(tries.fetch_add(1, Ordering::Relaxed) + 1)).flatten()
    })
    .with_etags(etags)
}

fn repository(host: &Faulty, locked: bool, timeout: Duration) -> Repository {
    let lock = locked.then_some(LockSettings { mode: LockMode::Governance, term: LockTerm::Days(1) });
    let settings = S3Settings { lock, timeout, ..host.settings() };
    let store = Arc::new(S3::open(settings).expect("open"));
    Repository {
        store,
        variant: Default::default(),
        key: None,
        encrypt: false,
        verify: true,
        allow_unauthenticated: true,
    }
}

fn dump(in_parts: bool) -> Vec<u8> {
    let rows = if in_parts { PART + 1 } else { 1000 };
    let mut text = b"-- a dump\n".to_vec();
    text.resize(rows, b'x');
    text
}

fn back_up(repository: &Repository, step: Step) -> pgbk::base::error::Result<Manifest> {
    let id = BackupId::new("app", Timestamp::from_second(1_790_000_000).unwrap());
    let mut writer = repository.begin(id.into(), Format::Plain, None, 0)?;
    writer.write_all(&dump(step.in_parts))?;
    let manifest = writer.finish(ManifestDetails::default(), &NullMonitor)?;
    if step.call == "tag" {
        tag(
            repository,
            repository.catalog(Some(&manifest.subject)).ok().as_ref(),
            &manifest,
            &TimeZone::UTC,
            &NullMonitor,
        )?;
    }
    Ok(manifest)
}

/// Of what is there: whether there is a `.meta`, and whether a payload.
fn found(host: &Faulty) -> (bool, bool) {
    let keys = host.keys();
    (keys.iter().any(|key| key.ends_with(".meta")), keys.iter().any(|key| !key.ends_with(".meta")))
}

fn walk(cases: Vec<(Step, Loss, Etags)>, blind: bool, check: impl Fn(&str, Step, &Faulty, &Repository, bool) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while let Some((step, loss, etags)) = cases.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    let host = host(step, loss, etags, blind);
                    let repository = repository(&host, step.call == "retain", loss.timeout());
                    let done = back_up(&repository, step);
                    let case = format!("{step:?} {loss:?} {etags:?}: {:?} {:?}", done.as_ref().err(), host.keys());
                    check(&case, step, &host, &repository, done.is_ok());
                }
            });
        }
    });
}

impl Step {
    /// Whether it makes an object appear.
    fn makes_the_object(&self) -> bool {
        ["put", "complete"].contains(&self.call)
    }
}

fn cases(etags: &[Etags]) -> Vec<(Step, Loss, Etags)> {
    let pairs = STEPS.into_iter().flat_map(|step| LOSSES.map(|loss| (step, loss)));
    // Of the requests that make no object, fewer will do: nothing is decided there by an ETag.
    let enough = proof::size(2, ETAGS.len());
    pairs
        .flat_map(|(step, loss)| {
            let etags = if step.makes_the_object() { etags } else { &etags[..etags.len().min(enough)] };
            etags.iter().map(move |etags| (step, loss, *etags))
        })
        .collect()
}

#[test]
fn a_lost_answer_at_any_request_leaves_a_whole_backup_or_none_whatever_the_hosts_etags() {
    let done = AtomicUsize::new(0);
    // Five kinds of ETags and every seventh case: each request meets several of them, each in another loss.
    let all: Vec<_> = proof::sample(cases(&ETAGS), 7, 0).collect();
    let count = all.len();
    walk(all, false, |case, step, host, repository, is_done| {
        assert_eq!(host.open_uploads(), 0, "{case}");
        assert!(is_done || !step.makes_the_object(), "{case}");
        // A backup that is not locked or not tagged stands; only that it is not is told.
        let stands = is_done || ["retain", "tag"].contains(&step.call);
        assert_eq!(found(host), (stands, stands), "{case}");
        if stands {
            let id = repository.catalog(Some(&"app".into())).expect("ids").ids().pop().expect("one");
            let mut plain = Vec::new();
            repository.open(&id).expect(case).plain().expect(case).read_to_end(&mut plain).expect(case);
            assert!(plain == dump(step.in_parts), "{case}");
            done.fetch_add(usize::from(is_done), Ordering::Relaxed);
        }
    });
    let done = done.into_inner();
    proof::counted("lost", "answers lost, by request, host and way", done, count - done);
}

#[test]
fn who_cannot_see_what_is_there_leaves_no_document_without_its_payload() {
    walk(proof::sample(cases(&[Etags::Md5]), 2, 1).collect(), true, |case, _, host, _, is_done| {
        let (meta, payload) = found(host);
        assert!(payload || !meta, "{case}");
        assert!(!is_done || meta, "{case}");
    });
}

#[test]
fn what_another_put_there_is_never_taken_for_ours() {
    for etags in ETAGS {
        for of_meta in [false, true] {
            let step = Step { call: "put", of_meta, in_parts: false };
            let tries = AtomicUsize::new(0);
            // As many bytes, of which the last is another.
            let host = Faulty::start(move |request, _| {
                match step.is(request).then(|| tries.fetch_add(1, Ordering::Relaxed)) {
                    Some(0) => Some(Fault::SpoilsInSilence),
                    _ => None,
                }
            })
            .with_etags(etags);
            let error = back_up(&repository(&host, false, PATIENT), step).unwrap_err();
            assert_eq!(pgbk::base::error::kind(&error), pgbk::base::error::Kind::Exists, "{etags:?} {error:#}");
            // What is not ours is not ours to remove. The other .meta states the same payload, which therefore stays.
            assert_eq!(found(&host), (of_meta, true), "{etags:?}");
        }
    }
}

#[test]
fn a_backup_says_how_it_was_checked() {
    let small = STEPS[0];
    for (etags, in_parts, verified) in ETAGS.into_iter().flat_map(|etags| {
        let verified = if etags == Etags::Md5 { UploadCheck::Md5 } else { UploadCheck::ReadBack };
        [(etags, false, verified), (etags, true, verified)]
    }) {
        let host = Faulty::start(|_, _| None).with_etags(etags);
        let made = back_up(&repository(&host, false, PATIENT), Step { in_parts, ..small }).expect("backup");
        assert_eq!(made.verified, verified, "{etags:?} {in_parts}");
        let reads =
            host.seen().iter().filter(|request| request.call() == "get" && request.path.ends_with(".sql")).count();
        assert_eq!(reads > 0, verified == UploadCheck::ReadBack, "{etags:?}");
    }
}

#[test]
fn a_host_that_keeps_other_bytes_is_found_out_whatever_its_etags() {
    for etags in ETAGS {
        let host = Faulty::start(|request, _| {
            (request.call() == "put" && request.path.ends_with(".sql")).then_some(Fault::Spoils)
        })
        .with_etags(etags);
        let error = back_up(&repository(&host, false, PATIENT), STEPS[0]).unwrap_err();
        assert!(format!("{error:#}").contains("gives back other bytes"), "{etags:?}: {error:#}");
        assert_eq!(host.keys(), Vec::<String>::new(), "{etags:?}");
    }
}
