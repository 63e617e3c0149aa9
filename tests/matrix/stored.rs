//! What a cycle left in its bucket, as the server itself shows it, and whether that is what its cell asked for.

use super::cell::{Bucket, Cell};
use super::wire::Head;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use openssl::hash::{MessageDigest, hash};
use openssl::symm::{Cipher, decrypt};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use support::database::{assert_same, comparable};
use support::pgbk::KEY;
use support::s3::Server;

/// With the value's colon, and split in both of the ways that Doubletake's users write.
pub const HEADERS: &str = r"x-amz-meta-team:db:one\\x-amz-meta-room:7";
/// The same behind the example of Doubletake's manual.
pub const LOCKING_HEADERS: &str = r"x-amz-object-lock-retain-until-date:2099-12-31T00:00:00Z\x-amz-object-lock-mode:GOVERNANCE\x-amz-meta-team:db:one\x-amz-meta-room:7";
const LOCKED_UNTIL: i64 = 4_102_358_400;

const XZ: &[u8] = b"\xfd7zXZ\0";
const DUMP: &[u8] = b"--\n-- PostgreSQL database dump\n";

pub struct Object {
    key: String,
    bytes: Vec<u8>,
    found: GetObjectOutput,
    tags: BTreeMap<String, String>,
}

/// The only backup of a folder.
pub struct Stored {
    pub payload: Object,
    pub meta: Object,
    pub manifest: Value,
}

pub fn stored(server: &Server, bucket: &str, folder: &str) -> Stored {
    let (client, runtime) = server.client();
    let listed = client.list_objects_v2().bucket(bucket).prefix(format!("{folder}/")).send();
    let listed = runtime.block_on(listed).expect("list");
    let keys: Vec<&str> = listed.contents().iter().map(|object| object.key().expect("a key")).collect();
    let [meta, payload] = &keys[..] else { panic!("{keys:?}") };
    assert!(meta.ends_with(".meta"), "{keys:?}");
    let (payload, meta) = (object(server, bucket, payload), object(server, bucket, meta));
    let manifest = serde_json::from_slice(&meta.bytes).expect("a .meta");
    Stored { payload, meta, manifest }
}

fn object(server: &Server, bucket: &str, key: &str) -> Object {
    let (client, runtime) = server.client();
    let mut found = runtime.block_on(client.get_object().bucket(bucket).key(key).send()).expect("get");
    let bytes = runtime.block_on(std::mem::take(&mut found.body).collect()).expect("get").to_vec();
    let tagged = runtime.block_on(client.get_object_tagging().bucket(bucket).key(key).send()).expect("tags");
    let tags = tagged.tag_set().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
    Object { key: key.to_owned(), bytes, found, tags }
}

impl Stored {
    /// Every claim of the cell that can be seen in the bucket or on the wire, where `dump` is what the payload must come to.
    pub fn is_what(&self, cell: &Cell, dump: &[u8], wire: &[Head]) {
        self.has_form(cell, dump);
        for object in [&self.payload, &self.meta] {
            object.has_headers_and_tags(cell);
            object.was_sent_with_its_sum(cell, wire);
        }
        self.has_version(cell);
        self.was_looked_at_again(cell, wire);
    }

    fn has_form(&self, cell: &Cell, dump: &[u8]) {
        let Cell { encrypted, compressed, .. } = *cell;
        let end = format!("{}{}", if compressed { ".sql.xz" } else { ".sql" }, if encrypted { ".enc" } else { "" });
        let key = &self.payload.key;
        assert!(key.strip_suffix(&end).is_some_and(|id| !id.contains('.')), "{key} does not end with {end}");
        let opened = if encrypted { decrypted(self) } else { self.payload.bytes.clone() };
        assert_eq!(self.payload.bytes != opened, encrypted);
        assert_eq!(opened.starts_with(XZ), compressed, "{key}");
        let mut plain = opened;
        if compressed {
            let mut decoded = Vec::new();
            xz2::read::XzDecoder::new(&plain[..]).read_to_end(&mut decoded).expect("xz");
            plain = decoded;
        }
        assert!(plain.starts_with(DUMP), "{key}");
        assert_same(&comparable(&plain), dump);
    }

    fn has_version(&self, cell: &Cell) {
        let versioned = cell.bucket != Bucket::Plain;
        let version = self.payload.found.version_id().filter(|version| *version != "null");
        assert_eq!(version.is_some(), versioned, "{version:?}");
        assert_eq!(self.manifest["version_id"].as_str(), version);
    }

    /// Whoever validates asks the host for the payload between the two uploads; who does not, does not.
    fn was_looked_at_again(&self, cell: &Cell, wire: &[Head]) {
        assert_eq!(self.manifest["verified"], if cell.validated { "md5" } else { "no" });
        let [payload, meta] = [&self.payload, &self.meta].map(|object| put(wire, &object.key));
        let between = wire[payload + 1..meta].iter().filter(|head| head.is_about(&self.payload.key));
        let looks = between.filter(|head| ["GET", "HEAD"].contains(&head.method.as_str())).count();
        // A lock is looked at too.
        assert_eq!(looks, usize::from(cell.validated) + usize::from(cell.locks()), "{wire:#?}");
    }

    /// Removes what a person with all rights could remove; gives how many removals the host refused.
    pub fn remove(&self, server: &Server, bucket: &str) -> usize {
        let (client, runtime) = server.client();
        let refused = |object: &&Object| {
            let delete = client.delete_object().bucket(bucket).key(&object.key);
            let delete = delete.set_version_id(object.found.version_id().map(str::to_owned));
            runtime.block_on(delete.send()).is_err()
        };
        [&self.payload, &self.meta].iter().filter(|object| refused(object)).count()
    }
}

fn decrypted(stored: &Stored) -> Vec<u8> {
    let iv = hex::decode(stored.manifest["encryption"]["iv"].as_str().expect("an IV")).expect("hexadecimal");
    decrypt(Cipher::aes_256_cbc(), &hex::decode(KEY).expect("a key"), Some(&iv), &stored.payload.bytes).expect("AES")
}

impl Object {
    fn has_headers_and_tags(&self, cell: &Cell) {
        let said = |name: &str| self.found.metadata().and_then(|all| all.get(name)).map(String::as_str);
        let due = |value| cell.headers.then_some(value);
        assert_eq!((said("team"), said("room")), (due("db:one"), due("7")), "{}", self.key);
        let mode = self.found.object_lock_mode().map(|mode| mode.as_str());
        let until = self.found.object_lock_retain_until_date().map(|date| date.secs());
        assert_eq!(
            (mode, until),
            if cell.locks() { (Some("GOVERNANCE"), Some(LOCKED_UNTIL)) } else { (None, None) },
            "{}",
            self.key
        );
        let tags: Vec<(&str, &str)> = self.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        // The only backup is the newest.
        assert_eq!(tags, if cell.tags { vec![("lifecycle", "monthly")] } else { vec![] }, "{}", self.key);
    }

    /// `Content-MD5` is sent where it is asked for and where it is needed, and nowhere else.
    fn was_sent_with_its_sum(&self, cell: &Cell, wire: &[Head]) {
        let sum = openssl::base64::encode_block(&hash(MessageDigest::md5(), &self.bytes).expect("MD5"));
        let due = (cell.md5 || cell.validated || cell.locks()).then_some(&sum);
        assert_eq!(wire[put(wire, &self.key)].headers.get("content-md5"), due, "{}", self.key);
    }
}

/// Where the only request stands that made this object.
fn put(wire: &[Head], key: &str) -> usize {
    let makes =
        |head: &Head| head.method == "PUT" && head.is_about(key) && !head.asks("tagging") && !head.asks("retention");
    let found: Vec<usize> = (0..wire.len()).filter(|at| makes(&wire[*at])).collect();
    assert_eq!(found.len(), 1, "{key}: {wire:#?}");
    found[0]
}
