//! Flags and environment, made into checked values once. Defaults that are not on the command line live here.

pub(crate) mod alerts;
pub mod arguments;
pub mod environment;
pub(crate) mod pipeline;
pub mod privileges;
pub(crate) mod restore_test;
pub(crate) mod retention;
pub(crate) mod runs;
pub mod s3;
pub(crate) mod server;
pub(crate) mod state;

use crate::base::error::{Fault, Result};
use crate::cli::settings::{KeyArgs, StateArgs, StoreArgs};
use crate::format::keys::{self, Key};
use crate::repository::Repository;
use crate::repository::fixed_name::FixedName;
use crate::store::Store;
use crate::store::directory::Directory;
use crate::store::remembered::Remembered;
use crate::store::s3::S3;
use state::state_dir;
use std::sync::Arc;

/// The store, and the S3 client itself if it is a bucket: `doctor` asks the client more than the `Store` trait offers.
pub(crate) struct Place {
    pub store: Arc<dyn Store>,
    pub s3: Option<Arc<S3>>,
}

pub(crate) fn place(args: &StoreArgs, check: bool) -> Result<Place> {
    if args.s3_bucket.is_some() || args.s3_host_base.is_some() {
        let s3 = Arc::new(S3::open(s3::settings(args, check)?)?);
        let store: Arc<dyn Store> = match &args.s3_object_name {
            None => Arc::clone(&s3) as Arc<dyn Store>,
            Some(name) => Arc::new(FixedName::new(Arc::clone(&s3), name)?),
        };
        return Ok(Place { store, s3: Some(s3) });
    }
    match &args.store_dir {
        Some(_) if args.s3_object_name.is_some() => {
            Err(Fault::usage("S3_OBJECT_NAME is set, and no S3 bucket: a directory keeps no versions")
                .hint("unset S3_OBJECT_NAME, or set S3_BUCKET")
                .into())
        }
        Some(folder) => Ok(Place { store: Arc::new(Directory::open(folder)?), s3: None }),
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

pub(crate) fn key() -> Result<Option<Key>> {
    let raw = environment::secret("DB_BACKUP_ENCRYPT_KEY")?;
    let iv = environment::secret("DB_BACKUP_ENCRYPT_IV")?;
    let password = environment::secret("ENC_PASSWORD")?;
    match (raw, password) {
        (Some(_), Some(_)) => Err(Fault::usage("both DB_BACKUP_ENCRYPT_KEY and ENC_PASSWORD are set")
            .hint("unset one of them; old backups need the one that they were made with")
            .into()),
        (Some(raw), None) => Key::raw(&raw, iv.as_ref().map(|iv| iv.reveal())).map(Some),
        (None, _) if iv.is_some() => Err(Fault::usage("DB_BACKUP_ENCRYPT_IV is set without DB_BACKUP_ENCRYPT_KEY")
            .hint("set the key (make one with: openssl rand -hex 32), or unset the IV")
            .into()),
        (None, password) => Ok(password.map(Key::Password)),
    }
}

pub(crate) fn repository(store: &StoreArgs, keys: &KeyArgs, state: &StateArgs) -> Result<Repository> {
    // The key first: a mistake in it is told before any network is touched.
    let key = key()?;
    remember(state);
    let place = place(store, keys.check)?;
    Ok(Repository {
        store: remembered(place, state),
        key,
        encrypt: !keys.no_encrypt,
        verify: keys.check,
        allow_unauthenticated: keys.allow_unauthenticated,
    })
}

/// Wraps the store of a bucket so that documents read from it are kept on this host and need not be fetched for every
/// command. A directory store stays as it is.
pub(crate) fn remembered(place: Place, state: &StateArgs) -> Arc<dyn Store> {
    match (place.s3, state_dir(state)) {
        (Some(_), Ok(folder)) => Arc::new(Remembered::new(place.store, &folder.join("documents"))),
        _ => place.store,
    }
}

/// Lets keys derived from a password be kept on this host. Without a state directory, each process derives them again.
pub(crate) fn remember(state: &StateArgs) {
    if let Ok(folder) = state_dir(state) {
        keys::ring::keep_in(&folder);
    }
}
