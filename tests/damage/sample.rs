//! Backups made by the real binary from a real server, and copies of them to spoil.

use pgbk::base::error::Result;
use pgbk::base::secret::Secret;
use pgbk::format::backup_id::BackupId;
use pgbk::format::keys::Key;
use pgbk::format::keys::derived_keys::DerivedKeys;
use pgbk::format::manifest::Manifest;
use pgbk::repository::Repository;
use pgbk::store::memory::Memory;
use pgbk::store::write_small;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use support::cluster::cluster;
use support::pgbk::{ENC_PASSWORD, KEY, Pgbk, pgbk};

pub const ROWS: &str = "CREATE TABLE client (id int PRIMARY KEY, name text, note text);
    INSERT INTO client SELECT n, 'client ' || n, md5(n::text) FROM generate_series(1, 1000) n;";
/// Three chunks of it do not compress.
pub const MANY_ROWS: &str = "CREATE TABLE big AS SELECT n AS id, md5(n::text) || md5((-n)::text) AS noise
    FROM generate_series(1, 40000) n;";

/// A pair as it is stored, and what it holds.
#[derive(Clone)]
pub struct Sample {
    pub id: BackupId,
    pub object: String,
    pub payload: Vec<u8>,
    pub meta: Vec<u8>,
    pub plain: Arc<Vec<u8>>,
    pub key: Option<Key>,
}

pub fn raw_key(hex: &str) -> Key {
    Key::raw(&Secret::new(hex), None).expect("a key")
}

pub fn repository(store: &Memory, key: Option<&Key>) -> Repository {
    Repository {
        store: Arc::new(store.clone()),
        variant: Default::default(),
        key: key.cloned(),
        encrypt: true,
        verify: true,
        allow_unauthenticated: false,
    }
}

/// A database of its own with these rows.
pub fn database(hint: &str, sql: &str) -> String {
    let name = cluster().database(hint);
    cluster().psql(&name, sql);
    name
}

pub fn backup(run: Pgbk, folder: &Path) -> Manifest {
    let made = run.server(cluster()).directory(folder).json();
    let id: BackupId = made["id"].as_str().expect("an id").parse().expect("an id");
    let meta = std::fs::read(folder.join(id.meta_key())).expect("the .meta");
    serde_json::from_slice(&without_seal(&meta)).expect("a manifest")
}

/// The document without its last member.
pub fn without_seal(meta: &[u8]) -> Vec<u8> {
    let mut value: serde_json::Value = serde_json::from_slice(meta).expect("JSON");
    let map = value.as_object_mut().expect("an object");
    map.remove("mac");
    map.remove("checksum");
    serde_json::to_vec(&value).expect("JSON")
}

impl Sample {
    fn make(hint: &str, sql: &str, compress: &str, secret: Option<(&str, &str)>, key: Option<Key>) -> Sample {
        let folder = tempfile::tempdir().expect("a folder");
        let name = database(hint, sql);
        let run = pgbk(["backup", &name, "--compress", compress]);
        let run = secret.into_iter().fold(run, |run, (name, value)| run.set(name, value));
        let manifest = backup(run, folder.path());
        let read = |key: &str| std::fs::read(folder.path().join(key)).expect("a stored file");
        let mut sample = Sample {
            payload: read(&manifest.object),
            meta: read(&manifest.meta_key()),
            id: manifest.id,
            object: manifest.object,
            plain: Arc::default(),
            key,
        };
        let (plain, outcome) = sample.read();
        outcome.expect("an undamaged backup can be read");
        sample.plain = Arc::new(plain);
        sample
    }

    /// Compressed and encrypted with a raw key, in one chunk.
    pub fn keyed() -> Sample {
        static MADE: OnceLock<Sample> = OnceLock::new();
        let secret = Some(("DB_BACKUP_ENCRYPT_KEY", KEY));
        MADE.get_or_init(|| Sample::make("damage", ROWS, "xz", secret, Some(raw_key(KEY)))).clone()
    }

    pub fn with_password() -> Sample {
        static MADE: OnceLock<Sample> = OnceLock::new();
        let secret = Some(("ENC_PASSWORD", ENC_PASSWORD));
        let key = Key::Password(Secret::new(ENC_PASSWORD));
        MADE.get_or_init(|| Sample::make("password", ROWS, "zstd", secret, Some(key))).clone()
    }

    pub fn without_key() -> Sample {
        static MADE: OnceLock<Sample> = OnceLock::new();
        MADE.get_or_init(|| Sample::make("nokey", ROWS, "gzip", None, None)).clone()
    }

    /// Several chunks, not compressed, so that every chunk's own bytes come out.
    pub fn of_several_chunks() -> Sample {
        static MADE: OnceLock<Sample> = OnceLock::new();
        let secret = Some(("DB_BACKUP_ENCRYPT_KEY", KEY));
        MADE.get_or_init(|| Sample::make("chunks", MANY_ROWS, "0", secret, Some(raw_key(KEY)))).clone()
    }

    pub fn store(&self) -> Memory {
        let store = Memory::default();
        self.put_into(&store);
        store
    }

    pub fn put_into(&self, store: &Memory) {
        write_small(store, &self.object, &self.payload).expect("put");
        write_small(store, &self.id.meta_key(), &self.meta).expect("put");
    }

    pub fn put_into_folder(&self, folder: &Path) -> PathBuf {
        let payload = folder.join(&self.object);
        std::fs::create_dir_all(payload.parent().expect("a parent")).expect("mkdir");
        std::fs::write(&payload, &self.payload).expect("write");
        std::fs::write(folder.join(self.id.meta_key()), &self.meta).expect("write");
        payload
    }

    /// What comes out before the end or the error.
    pub fn read(&self) -> (Vec<u8>, Result<()>) {
        read(&repository(&self.store(), self.key.as_ref()), &self.id)
    }

    /// The same backup with another document, sealed with its own key: authentic, whatever it says.
    pub fn resealed(&self, change: impl FnOnce(&mut Manifest)) -> Sample {
        let (mut manifest, derived_keys): (Manifest, Option<DerivedKeys>) =
            repository(&self.store(), self.key.as_ref()).manifest(&self.id).expect("authentic");
        change(&mut manifest);
        let meta = manifest.seal(derived_keys.as_ref()).expect("sealed");
        Sample { meta, id: manifest.id, object: manifest.object, ..self.clone() }
    }

    /// The document with one text in another's place, as somebody without the key could change it.
    pub fn edited(&self, from: &str, to: &str) -> Sample {
        let text = String::from_utf8(self.meta.clone()).expect("text");
        assert!(text.contains(from), "no {from:?} in the .meta");
        Sample { meta: text.replacen(from, to, 1).into_bytes(), ..self.clone() }
    }
}

pub fn read(repository: &Repository, id: &BackupId) -> (Vec<u8>, Result<()>) {
    let mut plain = Vec::new();
    let outcome = repository.open(id).and_then(|opened| {
        opened.plain()?.read_to_end(&mut plain)?;
        Ok(())
    });
    (plain, outcome)
}
