//! Every request of a backup in several objects, failed: either it is a backup, or nothing is left.

use crate::prune::past::repository;
use pgbk::base::error::Result;
use pgbk::base::progress::NullMonitor;
use pgbk::format::backup_id::BackupId;
use pgbk::format::manifest::{Format, Manifest};
use pgbk::repository::writer::ManifestDetails;
use pgbk::store::s3::S3;
use pgbk::store::s3::settings::S3Settings;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::faulty::{Fault, Faulty};

const LIMIT: u64 = 1000;
/// Three objects.
const BYTES: usize = 2500;

fn store(host: &Faulty, largest_object: u64) -> S3 {
    S3::open(S3Settings { largest_object, attempts: 1, ..host.settings() }).expect("open")
}

/// A backup of so many bytes.
fn backup(host: &Faulty, largest: u64, bytes: usize) -> Result<Manifest> {
    let repository = repository(store(host, largest));
    let id: BackupId = "shop-20260822T031500Z".parse().expect("an id");
    let mut writer = repository.begin(id.into(), Format::Plain, None, 0)?;
    writer.write_all(&noise(bytes))?;
    writer.finish(ManifestDetails::default(), &NullMonitor)
}

fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 % 251) as u8).collect()
}

/// Asserts that the host has all of the backup, and nothing else.
fn is_whole(host: &Faulty, manifest: &Manifest) {
    assert_eq!((host.keys().len(), host.open_uploads()), (4, 0), "{:?}", host.keys());
    let repository = repository(store(host, LIMIT));
    let mut plain = Vec::new();
    repository.open(&manifest.id).expect("open").plain().expect("a reader").read_to_end(&mut plain).expect("read");
    assert!(plain == noise(BYTES));
}

#[test]
fn whichever_request_fails_it_is_a_backup_or_nothing_is_left() {
    let host = Faulty::start(|_, _| None);
    let manifest = backup(&host, LIMIT, BYTES).expect("a backup");
    let requests = host.seen().len();
    is_whole(&host, &manifest);
    assert!(requests > 12, "{requests}");
    for fault in [Fault::Answer(500, "InternalError"), Fault::DoneButSilent, Fault::ErrorIn200] {
        let (mut whole, mut refused) = (0, 0);
        for nth in 1..=requests {
            let (count, fault) = (Arc::new(AtomicUsize::new(0)), fault.clone());
            let host =
                Faulty::start(move |_, _| (count.fetch_add(1, Ordering::SeqCst) + 1 == nth).then(|| fault.clone()));
            match backup(&host, LIMIT, BYTES) {
                Ok(manifest) => {
                    is_whole(&host, &manifest);
                    whole += 1;
                }
                Err(error) => {
                    let seen: Vec<String> =
                        host.seen().iter().map(|one| format!("{} {}", one.call(), one.path)).collect();
                    assert!(
                        host.keys().is_empty() && host.open_uploads() == 0,
                        "{nth}: {error:#}: {:?} {seen:#?}",
                        host.keys()
                    );
                    refused += 1;
                }
            }
        }
        assert!(refused > 5, "{whole} {refused}");
    }
}

/// As many requests as ever: the limit makes no difference to what is below it.
#[test]
fn a_payload_of_one_object_takes_no_request_more() {
    let calls = |largest: u64, bytes: usize| {
        let host = Faulty::start(|_, _| None);
        backup(&host, largest, bytes).expect("a backup");
        host.seen().iter().map(|request| request.call()).collect::<Vec<_>>()
    };
    assert_eq!(calls(LIMIT, LIMIT as usize), calls(1 << 40, LIMIT as usize));
    assert!(calls(LIMIT, LIMIT as usize + 1).len() > calls(LIMIT, LIMIT as usize).len());
}

/// Objects that are full wait at the host, and none of them is visible.
#[test]
fn nothing_is_visible_while_a_dump_goes_on() {
    let host = Faulty::start(|_, _| None);
    let repository = repository(store(&host, 64 << 10));
    let id: BackupId = "shop-20260822T031500Z".parse().expect("an id");
    let mut writer = repository.begin(id.into(), Format::Plain, None, 0).expect("begin");
    // More than the buffers between the stages hold.
    writer.write_all(&noise(4 << 20)).expect("write");
    assert!(support::process::until(std::time::Duration::from_secs(20), || host.count("part") > 10));
    assert!(host.keys().is_empty());
    drop(writer);
    assert!(support::process::until(std::time::Duration::from_secs(20), || host.open_uploads() == 0));
    assert!(host.keys().is_empty());
}
