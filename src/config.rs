//! Flags and environment, made into checked values once. Defaults that are not on the command line live here.

mod alert;
mod runs;
mod s3;
mod scratch;
mod upkeep;

pub use alert::{Ways, alerts};
pub use runs::{beside, databases, files, history, plan, state_dir, timetable, verify_timetable};
pub use s3::headers as request_headers;
pub use scratch::proof;
pub use upkeep::{policy, upkeep, zone};

use crate::cli::{KeyArgs, PipelineArgs, ServerArgs, StateArgs, StoreArgs};
use crate::environment;
use crate::error::{Fault, Result};
use crate::keys::{self, Key};
use crate::manifest::{Compression, Method};
use crate::postgres::dump;
use crate::postgres::settings::{Given, Settings};
use crate::store::Store;
use crate::store::directory::Directory;
use crate::store::remembered::Remembered;
use crate::store::s3::S3;
use crate::stream::codec::levels;
use crate::vault::Vault;
use crate::vault::fixed_name::FixedName;
use std::sync::Arc;

/// The store, and the S3 client itself where it is one: `doctor` asks it more than a store can tell.
pub struct Place {
    pub store: Arc<dyn Store>,
    pub s3: Option<Arc<S3>>,
}

pub fn place(args: &StoreArgs, check: bool) -> Result<Place> {
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

/// Makes the folder of `STORE_DIR` with everything that it is in, and marks it as one that may be empty.
pub fn make_store(args: &StoreArgs) -> Result<()> {
    match (&args.store_dir, &args.s3_bucket, &args.s3_host_base) {
        (Some(folder), None, None) => Directory::open(folder)?.make(),
        _ => Err(Fault::usage("--make-store makes a folder, and STORE_DIR names none")
            .hint("set STORE_DIR; pgbk does not make buckets")
            .into()),
    }
}

pub fn key() -> Result<Option<Key>> {
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

pub fn vault(store: &StoreArgs, keys: &KeyArgs, state: &StateArgs) -> Result<Vault> {
    // The key first: a mistake in it is told before any network is touched.
    let key = key()?;
    remember(state);
    let place = place(store, keys.check)?;
    Ok(Vault {
        store: remembered(place, state),
        key,
        encrypt: !keys.no_encrypt,
        verify: keys.check,
        allow_unauthenticated: keys.allow_unauthenticated,
    })
}

/// Keeps on this host what was read of a bucket, so that it need not be fetched for every command.
pub fn remembered(place: Place, state: &StateArgs) -> Arc<dyn Store> {
    match (place.s3, state_dir(state)) {
        (Some(_), Ok(folder)) => Arc::new(Remembered::new(place.store, &folder.join("documents"))),
        _ => place.store,
    }
}

/// Lets what is derived from a password be kept on this host. Without a folder for it, it is derived in each process.
pub fn remember(state: &StateArgs) {
    if let Ok(folder) = state_dir(state) {
        keys::keep_in(&folder);
    }
}

pub fn compression(args: &PipelineArgs) -> Result<Option<Compression>> {
    let method = match args.compress.trim().to_ascii_lowercase().as_str() {
        "" | "0" | "none" => return Ok(None),
        "1" | "xz" => Method::Xz,
        "zstd" | "zst" => Method::Zstd,
        "gzip" | "gz" => Method::Gzip,
        other => {
            return Err(Fault::usage(format!("DB_BACKUP_COMPRESS: \"{other}\" is not known"))
                .hint("use 0 (none), 1 (xz), xz, zstd or gzip")
                .into());
        }
    };
    let (lowest, highest, default) = levels(method);
    let level = args.compress_level.unwrap_or(default);
    if !(lowest..=highest).contains(&level) {
        return Err(Fault::usage(format!(
            "DB_BACKUP_COMPRESS_LEVEL: {level} is out of range for {}: {lowest} to {highest}",
            method.name()
        ))
        .into());
    }
    Ok(Some(Compression { method, level }))
}

pub fn server(args: &ServerArgs) -> Result<Settings> {
    let given = Given {
        host: args.host.clone(),
        port: args.port,
        user: args.user.clone(),
        password: environment::secret("DB_PASSWORD")?,
        named: None,
    };
    Settings::resolve(given, &environment::plain)
}

/// `PG_DUMP_USER_ARGS` split as a shell would, and never given to one.
pub fn pg_dump_arguments(text: Option<&str>) -> Result<Vec<String>> {
    let arguments = shlex::split(text.unwrap_or_default()).ok_or_else(|| {
        Fault::usage("PG_DUMP_USER_ARGS has a quote that is not closed").hint("quote it as for a shell")
    })?;
    dump::check(&arguments)?;
    Ok(arguments)
}
