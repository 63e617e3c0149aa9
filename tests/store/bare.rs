//! A store that keeps objects and can do nothing else: it has no tags, no versions, no clock, and vouches for nothing.

use crate::prune::past::{made, repository};
use pgbk::base::error::Result;
use pgbk::format::manifest::upload_check::UploadCheck;
use pgbk::monitoring::doctor::store::look_at_store;
use pgbk::repository::fixed_name::FixedName;
use pgbk::store::capabilities::Capabilities;
use pgbk::store::memory::Memory;
use pgbk::store::{Object, ObjectInfo, PendingUpload, PutOptions, Store, Upload};
use std::sync::Arc;

#[derive(Debug, Clone, Default)]
pub struct Bare(Memory);

impl Store for Bare {
    fn location(&self) -> String {
        "a bare store".to_owned()
    }
    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities::default()
    }
    fn create(&self, key: &str, creation: &PutOptions) -> Result<Box<dyn Upload>> {
        self.0.create(key, creation)
    }
    fn open(&self, key: &str, version: Option<&str>) -> Result<Box<dyn Object>> {
        self.0.open(key, version)
    }
    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.0.list(prefix)
    }
    fn remove(&self, key: &str, version: Option<&str>) -> Result<()> {
        self.0.remove(key, version)
    }
    fn unfinished(&self, prefix: &str) -> Result<Vec<PendingUpload>> {
        self.0.unfinished(prefix)
    }
    fn discard(&self, unfinished: &PendingUpload) -> Result<()> {
        self.0.discard(unfinished)
    }
}

#[test]
fn a_store_that_can_do_nothing_else_keeps_backups_and_is_asked_for_nothing_else() {
    let store = Bare::default();
    let findings = look_at_store(&store, jiff::Timestamp::now());
    let looked_at: Vec<&str> = findings.iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(looked_at, ["store: write", "store: read", "store: list", "store: delete"]);
    assert!(store.list("").expect("list").is_empty());

    let refused = FixedName::new(Arc::new(store.clone()), "backup").map(|_| ()).unwrap_err();
    assert!(format!("{refused:#}").contains("S3_OBJECT_NAME"), "{refused:#}");

    // Nobody vouches for what was stored, and so it is read back.
    let repository = repository(store);
    let id = made(&repository, "shop", "2024-06-01T03:00:00Z");
    let manifest = repository.sealed(&id).expect("a document").unauthenticated().expect("unsealed");
    assert_eq!(manifest.verified, UploadCheck::ReadBack);
}
