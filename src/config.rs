//! Flags and environment, made into checked values once. Defaults that are not on the command line live here.

mod alert;

pub use alert::alerts;

use crate::cli::{KeyArgs, PipelineArgs, ServerArgs, StateArgs, StoreArgs};
use crate::environment;
use crate::error::{Fault, Result};
use crate::keys::Key;
use crate::manifest::{Compression, Method};
use crate::postgres::dump;
use crate::postgres::settings::{Given, Settings};
use crate::store::Store;
use crate::store::directory::Directory;
use crate::store::s3::{S3, S3Settings};
use crate::stream::codec::levels;
use crate::vault::Vault;
use std::path::PathBuf;
use std::sync::Arc;

/// The store, and the S3 client itself where it is one: `doctor` asks it more than a store can tell.
pub struct Place {
    pub store: Arc<dyn Store>,
    pub s3: Option<Arc<S3>>,
}

pub fn place(args: &StoreArgs, check: bool) -> Result<Place> {
    if args.s3_bucket.is_some() || args.s3_host_base.is_some() {
        let s3 = Arc::new(S3::open(s3_settings(args, check)?)?);
        return Ok(Place { store: Arc::clone(&s3) as Arc<dyn Store>, s3: Some(s3) });
    }
    match &args.store_dir {
        Some(folder) => Ok(Place { store: Arc::new(Directory::open(folder)?), s3: None }),
        None => Err(Fault::usage("no store is set")
            .hint("set S3_BUCKET (with S3_HOST_BASE for hosts other than AWS), or STORE_DIR for a directory")
            .into()),
    }
}

fn s3_settings(args: &StoreArgs, check: bool) -> Result<S3Settings> {
    let bucket = args.s3_bucket.clone().ok_or_else(|| {
        Fault::usage("S3_HOST_BASE is set, but no bucket").hint("set S3_BUCKET, or unset S3_HOST_BASE to use STORE_DIR")
    })?;
    let access_key = environment::secret("S3_ACCESS_KEY_ID")?;
    let secret_key = environment::secret("S3_SECRET_ACCESS_KEY")?;
    if access_key.is_some() != secret_key.is_some() {
        return Err(Fault::usage("only one of S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY is set")
            .hint("set both, or neither for the AWS chain (profile, web identity, container, instance role)")
            .into());
    }
    Ok(S3Settings {
        endpoint: args.s3_host_base.clone(),
        region: args.s3_region.clone(),
        bucket,
        folder: args.s3_folder.clone().unwrap_or_default(),
        access_key: access_key.map(|key| key.reveal().to_owned()),
        secret_key,
        session_token: environment::secret("S3_SESSION_TOKEN")?,
        ca_file: args.s3_ca_file.clone(),
        content_md5: check || args.s3_md5_required,
        headers: headers(args.s3_request_headers.as_deref().unwrap_or_default())?,
        parts_in_flight: usize::from(args.s3_parts_in_flight),
        part_limit: args.s3_part_limit,
        part_size: args.s3_part_size,
        timeout: args.s3_timeout,
        attempts: args.s3_attempts,
    })
}

/// `key:value` pairs split at `\` or `\\`; a value may hold colons. An env file hands its quotes on as part of the value.
fn headers(text: &str) -> Result<Vec<(String, String)>> {
    let text = text.trim().trim_matches(['"', '\'']);
    text.split('\\')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .enumerate()
        .map(|(at, pair)| {
            let (name, value) = pair.split_once(':').unwrap_or((pair, ""));
            let (name, value) = (name.trim(), value.trim());
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let good = !name.is_empty()
                && name.bytes().all(token)
                && !value.is_empty()
                && value.bytes().all(|b| b >= b' ' && b != 127);
            if good {
                return Ok((name.to_owned(), value.to_owned()));
            }
            // Nothing of it is shown: it may be a secret, such as a key of server-side encryption.
            Err(Fault::usage(format!("S3_REQUEST_HEADERS: number {} is not a key:value pair", at + 1))
                .hint("for example x-amz-object-lock-mode:GOVERNANCE\\x-amz-meta-team:db")
                .into())
        })
        .collect()
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

pub fn vault(store: &StoreArgs, keys: &KeyArgs) -> Result<Vault> {
    // The key first: a mistake in it is told before any network is touched.
    let key = key()?;
    let place = place(store, keys.check)?;
    Ok(Vault {
        store: place.store,
        key,
        encrypt: !keys.no_encrypt,
        verify: keys.check,
        allow_unauthenticated: keys.allow_unauthenticated,
    })
}

/// Where pgbk remembers things between runs. It need not be there yet.
pub fn state_dir(args: &StateArgs) -> PathBuf {
    let below =
        |variable: &str, path: &str| environment::plain(variable).map(|folder| PathBuf::from(folder).join(path));
    args.state_dir
        .clone()
        .or_else(|| below("XDG_STATE_HOME", "pgbk"))
        .or_else(|| below("HOME", ".local/state/pgbk"))
        .unwrap_or_else(|| PathBuf::from("/var/lib/pgbk"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_split_at_one_or_two_backslashes_and_values_hold_colons() {
        let text =
            r#""x-amz-object-lock-retain-until-date:2027-12-31T00:00:00Z\\x-amz-object-lock-mode:GOVERNANCE\x-a:b""#;
        let expected = [
            ("x-amz-object-lock-retain-until-date", "2027-12-31T00:00:00Z"),
            ("x-amz-object-lock-mode", "GOVERNANCE"),
            ("x-a", "b"),
        ];
        let found = headers(text).unwrap();
        assert!(found.iter().map(|(k, v)| (k.as_str(), v.as_str())).eq(expected), "{found:?}");
        assert!(headers("").unwrap().is_empty());
        for wrong in ["novalue", "a b:c", ":x", "x:", "x:a\r\nb:c"] {
            assert!(headers(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_text_panics_or_breaks_out_of_its_line(text in "([a-z:\\\\ \"\r\n]|\\PC){0,40}") {
            for (name, value) in headers(&text).unwrap_or_default() {
                prop_assert!(!name.is_empty() && !value.is_empty());
                let together = name + &value;
                prop_assert!(!together.contains(['\r', '\n', '\\']));
            }
        }
    }
}
