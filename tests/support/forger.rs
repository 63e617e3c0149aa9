//! Whoever has the key can state anything: changes a stored document and seals it anew.

use crate::pgbk::KEY;
use pgbk::base::secret::Secret;
use pgbk::format::changes::chain_document::SealedChainDocument;
use pgbk::format::changes::segment::Segment;
use pgbk::format::keys::Key;
use pgbk::format::keys::derived_keys::DerivedKeys;
use pgbk::format::manifest::Manifest;
use pgbk::repository::Repository;
use pgbk::store::directory::Directory;
use std::path::Path;
use std::sync::Arc;

/// Seals the `.meta` of a backup in a folder anew, with what is made of it.
pub fn reseal(folder: &Path, id: &str, change: impl FnOnce(&mut Manifest)) {
    let store = Arc::new(Directory::open(folder).expect("a folder"));
    let key = Some(Key::raw(&Secret::new(KEY), None).expect("a key"));
    let repository = Repository {
        store,
        variant: Default::default(),
        key,
        encrypt: true,
        verify: true,
        allow_unauthenticated: false,
    };
    let (mut manifest, derived_keys) = repository.manifest(&id.parse().expect("an id")).expect("authentic");
    change(&mut manifest);
    let document = manifest.seal(derived_keys.as_ref()).expect("sealed");
    std::fs::write(folder.join(manifest.meta_key()), document).expect("written");
}

/// Seals the document of a segment in a folder anew, with what is made of it, by the keys that are returned.
pub fn reseal_segment(folder: &Path, segment: &Segment, change: impl FnOnce(&mut Segment, DerivedKeys) -> DerivedKeys) {
    let path = folder.join(segment.key_name());
    let key = Key::raw(&Secret::new(KEY), None).expect("a key");
    let document = SealedChainDocument::parse("x", std::fs::read(&path).expect("a document")).expect("sealed");
    let place = (&segment.folder(), segment.start);
    let (mut stated, keys) = Segment::open(&document, place, Some(&key), false).expect("authentic");
    let keys = change(&mut stated, keys.expect("keys"));
    std::fs::write(path, stated.seal(Some(&keys)).expect("sealed")).expect("written");
}
