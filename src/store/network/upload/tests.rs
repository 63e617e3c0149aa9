use super::*;
use crate::store::network::buffers::Buffers;
use crate::store::network::part_sink::{AbortResult, MIB, PartPlan};
use crate::store::network::waiter::Waiter;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
struct Seen {
    objects: BTreeMap<String, Vec<u8>>,
    /// The sizes of the parts of each object that was made from parts.
    parts: BTreeMap<String, Vec<usize>>,
    aborted: Vec<String>,
}

/// A host in memory. It refuses the part with the number `fails`, and notes how many parts it was sent at once.
struct InMemory {
    waiter: Waiter,
    buffers: Buffers,
    plan: PartPlan,
    fails: Option<u32>,
    now: AtomicUsize,
    most: AtomicUsize,
    seen: Mutex<Seen>,
}

impl InMemory {
    fn start(plan: PartPlan) -> InMemory {
        let waiter = Waiter::start("memory").unwrap();
        let (now, most, seen) = Default::default();
        InMemory { waiter, buffers: Buffers::new(), plan, fails: None, now, most, seen }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartSink for InMemory {
    type Begun = ();
    type Part = Vec<u8>;

    fn waiter(&self) -> &Waiter {
        &self.waiter
    }

    fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    fn plan(&self) -> PartPlan {
        self.plan.clone()
    }

    fn refuse_taken(&self, key: &str) -> Result<()> {
        match self.seen().objects.contains_key(key) {
            true => Err(Fault::new(crate::base::error::Kind::Exists, "taken").into()),
            false => Ok(()),
        }
    }

    fn put(self: &Arc<Self>, key: &str, bytes: Vec<u8>, _: &PutOptions) -> Result<PutResult> {
        let receipt = PutResult { bytes: bytes.len() as u64, ..PutResult::default() };
        self.seen().objects.insert(key.to_owned(), bytes);
        Ok(receipt)
    }

    fn begin(&self, _: &str, _: &PutOptions) -> Result<()> {
        Ok(())
    }

    async fn send(&self, _: &str, _: &(), number: u32, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        // Later parts end first, so that their order has to be kept.
        tokio::time::sleep(Duration::from_millis(if number % 2 == 1 { 6 } else { 1 })).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        match self.fails == Some(number) {
            true => Err(Fault::failed(format!("part {number} was refused")).into()),
            false => Ok(bytes),
        }
    }

    fn complete(self: &Arc<Self>, key: &str, _: &(), parts: Vec<Vec<u8>>, sizes: (u64, u64)) -> Result<PutResult> {
        let mut seen = self.seen();
        seen.parts.insert(key.to_owned(), parts.iter().map(Vec::len).collect());
        seen.objects.insert(key.to_owned(), parts.concat());
        Ok(PutResult { bytes: sizes.0, ..PutResult::default() })
    }

    async fn abort(&self, key: &str, _: &()) -> Result<AbortResult> {
        self.seen().aborted.push(key.to_owned());
        Ok(AbortResult::Now)
    }
}

fn plan(part_size: u64, in_flight: usize) -> PartPlan {
    PartPlan { part_size: Some(part_size), sizes: 1..=5120 * MIB, part_limit: 100, in_flight, larger_parts: "larger" }
}

fn write(host: &Arc<InMemory>, key: &str, bytes: &[u8]) -> Result<PutResult> {
    let mut upload = PartUpload::begin(host, key, &PutOptions::default())?;
    for piece in bytes.chunks(7) {
        upload.write_all(piece)?;
    }
    Box::new(upload).commit()
}

#[test]
fn what_was_written_arrives_whole_in_parts_of_one_size() {
    let host = Arc::new(InMemory::start(plan(10, 3)));
    for size in [0_usize, 1, 9, 10, 11, 20, 95, 300] {
        let key = size.to_string();
        let bytes: Vec<u8> = (0..size).map(|n| n as u8).collect();
        assert_eq!(write(&host, &key, &bytes).unwrap().bytes, size as u64);
        let seen = host.seen();
        assert_eq!(seen.objects[&key], bytes, "{size}");
        let parts = seen.parts.get(&key).map_or(&[][..], Vec::as_slice);
        assert!(parts.iter().all(|part| *part > 0), "{size}: {parts:?}");
        assert!(parts.iter().rev().skip(1).all(|part| *part == 10), "{size}: {parts:?}");
        assert_eq!(parts.is_empty(), size <= 10, "{size}");
    }
    assert_eq!(host.most.load(Ordering::SeqCst), 3);
    assert!(host.seen().aborted.is_empty());
}

#[test]
fn an_upload_that_ends_before_it_is_complete_is_aborted_and_leaves_nothing() {
    let bytes = [7; 55];
    let mut refusing = InMemory::start(plan(10, 2));
    refusing.fails = Some(3);
    let refusing = Arc::new(refusing);
    let error = write(&refusing, "refused", &bytes).unwrap_err();
    assert!(format!("{error:#}").contains("part 3 was refused"), "{error:#}");

    let short = Arc::new(InMemory::start(PartPlan { part_limit: 4, ..plan(10, 2) }));
    let error = write(&short, "refused", &bytes).unwrap_err();
    assert!(format!("{error:#}").contains("more than 4 parts of 10 bytes"), "{error:#}");

    let dropped = Arc::new(InMemory::start(plan(10, 2)));
    let mut upload = PartUpload::begin(&dropped, "refused", &PutOptions::default()).unwrap();
    upload.write_all(&bytes).unwrap();
    drop(upload);

    for host in [refusing, short, dropped] {
        assert_eq!(host.seen().aborted, ["refused"]);
        assert!(host.seen().objects.is_empty());
    }
}

#[test]
fn several_uploads_to_one_store_share_its_room() {
    // Four parts have room, and each upload alone may have eight on their way.
    let host = Arc::new(InMemory::start(plan(16 * MIB, 8)));
    std::thread::scope(|scope| {
        for number in 0..3 {
            let host = &host;
            scope.spawn(move || write_large(host, &number.to_string()));
        }
    });
    assert_eq!(host.seen().objects.len(), 3);
    assert!(host.most.load(Ordering::SeqCst) <= 4, "{:?}", host.most);
}

/// Writes six parts.
fn write_large(host: &Arc<InMemory>, key: &str) {
    let mut upload = PartUpload::begin(host, key, &PutOptions::default()).unwrap();
    let piece = vec![1; 16 << 20];
    for _ in 0..6 {
        upload.write_all(&piece).unwrap();
    }
    Box::new(upload).commit().unwrap();
}
