//! Flags and environment, made into checked values once. Defaults that are not on the command line live here.

pub(crate) mod alerts;
pub(crate) mod anonymise;
pub mod arguments;
pub(crate) mod aws;
pub(crate) mod capture;
pub mod environment;
pub(crate) mod journal;
pub(crate) mod outputs;
pub(crate) mod pipeline;
pub mod privileges;
pub(crate) mod restore_test;
pub(crate) mod retention;
pub(crate) mod runs;
pub mod s3;
pub(crate) mod server;
pub(crate) mod state;

use crate::base::error::{Fault, Result};
use crate::base::variant::Variant;
use crate::cli::settings::{KeyArgs, StateArgs, StoreArgs};
use crate::format::keys::{self, Key};
use crate::repository::Repository;
use crate::repository::fixed_name::FixedName;
use crate::store::Store;
use crate::store::caching_store::CachingStore;
use crate::store::capabilities::Medium;
use crate::store::directory::Directory;
use crate::store::s3::S3;
use state::state_dir;
use std::sync::Arc;

/// Opens the store that the settings name. `check`: what is stored is looked at once more, which the host must be able for.
pub(crate) fn store(args: &StoreArgs, check: bool) -> Result<Arc<dyn Store>> {
    let store = kind_of_store(args, check)?;
    Ok(match &args.s3_object_name {
        Some(name) => Arc::new(FixedName::new(store, name)?),
        None => store,
    })
}

fn kind_of_store(args: &StoreArgs, check: bool) -> Result<Arc<dyn Store>> {
    if args.s3_bucket.is_some() || args.s3_host_base.is_some() {
        return Ok(Arc::new(S3::open(s3::settings(args, check)?)?));
    }
    match &args.store_dir {
        Some(folder) => Ok(Arc::new(Directory::open(folder)?.with_largest(args.max_object_size))),
        None => Err(Fault::usage("no store is set")
            .hint("set S3_BUCKET (with S3_HOST_BASE for hosts other than AWS), or STORE_DIR for a directory")
            .into()),
    }
}

/// Makes the folder of `STORE_DIR` and all its missing parents, and marks it as one that may be empty.
pub(crate) fn make_store(args: &StoreArgs) -> Result<()> {
    match (&args.store_dir, &args.s3_bucket, &args.s3_host_base) {
        (Some(folder), None, None) => Directory::open(folder)?.make(),
        _ => Err(Fault::usage("--make-store makes a folder, and STORE_DIR names none")
            .hint("set STORE_DIR; pgbk does not make buckets")
            .into()),
    }
}

/// The names of the secrets that make a key.
pub(crate) struct KeyNames {
    pub key: &'static str,
    pub iv: &'static str,
    pub password: &'static str,
}

const KEY: KeyNames = KeyNames { key: "DB_BACKUP_ENCRYPT_KEY", iv: "DB_BACKUP_ENCRYPT_IV", password: "ENC_PASSWORD" };

/// Returns the key of the backups; `None` if none is set.
pub(crate) fn key() -> Result<Option<Key>> {
    key_of(&KEY)
}

/// Returns the key that these secrets make; `None` if none is set.
pub(crate) fn key_of(names: &KeyNames) -> Result<Option<Key>> {
    let KeyNames { key, iv, password } = names;
    let raw = environment::secret(key)?;
    let fixed = environment::secret(iv)?;
    match (raw, environment::secret(password)?) {
        (Some(_), Some(_)) => Err(Fault::usage(format!("both {key} and {password} are set"))
            .hint("unset one of them; old backups need the one that they were made with")
            .into()),
        (Some(raw), None) => Key::raw_named([key, iv], &raw, fixed.as_ref().map(|iv| iv.reveal())).map(Some),
        (None, _) if fixed.is_some() => Err(Fault::usage(format!("{iv} is set without {key}"))
            .hint("set the key (make one with: openssl rand -hex 32), or unset the IV")
            .into()),
        (None, password) => Ok(password.map(Key::Password)),
    }
}

pub(crate) fn repository(store: &StoreArgs, keys: &KeyArgs, state: &StateArgs) -> Result<Repository> {
    // The key first: a mistake in it is told before any network is touched.
    let key = key()?;
    remember(state);
    let store = self::store(store, keys.check)?;
    Ok(Repository {
        store: remembered(store, state),
        variant: Variant::Plain,
        key,
        encrypt: !keys.no_encrypt,
        verify: keys.check,
        allow_unauthenticated: keys.allow_unauthenticated,
    })
}

/// Wraps a store on a host so that documents read from it are kept here and need not be fetched for every command. Any other store
/// stays as it is.
pub(crate) fn remembered(store: Arc<dyn Store>, state: &StateArgs) -> Arc<dyn Store> {
    match (store.capabilities().medium, state_dir(state)) {
        (Medium::Host, Ok(state)) => Arc::new(CachingStore::new(store, state)),
        _ => store,
    }
}

/// Lets keys derived from a password be kept on this host. Without a state directory, each process derives them again.
pub(crate) fn remember(state: &StateArgs) {
    if let Ok(state) = state_dir(state) {
        keys::ring::keep_in(&state);
    }
}
