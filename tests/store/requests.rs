//! What many backups cost: requests that grow with their number are paid for with every run.

use jiff::{Timestamp, ToSpan};
use pgbk::format::backup_id::BackupId;
use pgbk::store::{Store, read_small, write_small};
use std::path::Path;
use support::database::small;
use support::faulty::Faulty;
use support::pgbk::{Pgbk, connected};
use tempfile::TempDir;

struct Shop {
    host: Faulty,
    place: TempDir,
    name: &'static str,
}

impl Shop {
    /// A bucket with so many backups, of which one was made by pgbk and the others are like it.
    fn with(name: &'static str, count: i64) -> Shop {
        small(name, &["x"]);
        let shop = Shop { host: Faulty::start(|_, _| None), place: tempfile::tempdir().unwrap(), name };
        let id: BackupId = shop.run().backup(name, &[]).parse().unwrap();
        let store = shop.host.store();
        let read = |key: &str| read_small(&store, key, 1 << 20).unwrap();
        let (meta, payload) = (String::from_utf8(read(&id.meta_key())).unwrap(), read(&id.object_key("sql")));
        let covered = meta.split(",\n  \"checksum\"").next().unwrap();
        for at in 1..count {
            let other = BackupId::new(name, Timestamp::from_second(1_700_000_000).unwrap() + (at * 30).minutes());
            let covered = covered.replace(&id.to_string(), &other.to_string());
            let covered = covered.replace(&id.taken_at().to_string(), &other.taken_at().to_string());
            let sum = blake2b_simd::Params::new().hash_length(32).hash(covered.as_bytes()).to_hex();
            let meta = format!("{covered},\n  \"checksum\": \"{sum}\"\n}}\n");
            write_small(&store, &other.meta_key(), meta.as_bytes()).unwrap();
            write_small(&store, &other.object_key("sql"), &payload).unwrap();
        }
        shop
    }

    fn run(&self) -> Pgbk {
        let run = connected().at(&self.host.endpoint, "bucket", "key", "topsecret");
        run.set("STATE_DIR", self.state().display())
    }

    fn state(&self) -> std::path::PathBuf {
        self.place.path().join("state")
    }

    fn listed(&self) -> usize {
        self.run().args(["list", "--database", self.name]).json().as_array().unwrap().len()
    }
}

/// Every file of a folder and of those in it.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_run_whose_rules_let_nothing_go_asks_no_more_where_there_are_many_backups() {
    let asked = [("few_asked", 10), ("many_asked", 150)].map(|(name, count)| {
        let shop = Shop::with(name, count);
        // A year has one newest: by that rule most would go, which is refused once all of them were read.
        [("KEEP_LAST", "1000"), ("KEEP_YEARLY", "5")].map(|(rule, kept)| {
            let before = shop.host.seen().len();
            shop.run().args(["backup", name]).set(rule, kept).expect(0);
            shop.host.seen().len() - before
        })
    });
    assert_eq!(asked[0][0], asked[1][0], "{asked:?}");
    assert!(asked[1][1] >= asked[0][1] + 140, "{asked:?}");
}

#[test]
fn each_document_is_fetched_once_by_one_request_and_again_only_when_it_is_another() {
    let shop = Shop::with("fetched_once", 40);
    let list = shop.run().args(["list"]);
    let calls = |run: &Pgbk| {
        let before = ["get", "head"].map(|call| shop.host.count(call));
        run.expect(0);
        let after = ["get", "head"].map(|call| shop.host.count(call));
        [after[0] - before[0], after[1] - before[1]]
    };
    assert_eq!(calls(&list), [40, 0]);
    assert_eq!(calls(&list), [0, 0]);
    let kept = files(&shop.state().join("documents"));
    assert_eq!(kept.len(), 40);
    // What was changed here is not what was kept, nor is a file that is cut.
    std::fs::write(&kept[0], vec![b'x'; std::fs::metadata(&kept[0]).unwrap().len() as usize]).unwrap();
    std::fs::write(&kept[1], b"x").unwrap();
    assert_eq!(calls(&list), [2, 0]);
    assert_eq!(calls(&list), [0, 0]);
    // Another document under the same name is fetched, and of one that is gone nothing is kept.
    let store = shop.host.store();
    let keys: Vec<String> = store.list("").unwrap().into_iter().map(|listed| listed.key).collect();
    let metas: Vec<&String> = keys.iter().filter(|key| key.ends_with(".meta")).collect();
    store.remove(metas[3], None).unwrap();
    store.remove(metas[4], None).unwrap();
    write_small(&store, metas[4], b"{}").unwrap();
    let run = list.args(["list"]);
    assert_eq!(calls(&run), [1, 0]);
    assert_eq!(files(&shop.state().join("documents")).len(), 39);
    assert_eq!(shop.listed(), 39);
    // Without a place to keep anything all of it is fetched, and nothing fails.
    let homeless = list.set("STATE_DIR", "/proc/nowhere");
    assert_eq!(calls(&homeless), [39, 0]);
    assert_eq!(calls(&homeless), [39, 0]);
}
