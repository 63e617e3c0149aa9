//! The settings of the S3 store.

use crate::base::error::{Fault, Result};
use crate::cli::settings::StoreArgs;
use crate::config::aws::{self, one_word, region};
use crate::config::environment::{self, plain};
use crate::store::s3::settings::{
    Addressing, Chain, LARGEST_OBJECT, LockMode, LockSettings, LockTerm, S3Settings, ServerEncryption,
};

const MODE: &str = "x-amz-object-lock-mode";
const UNTIL: &str = "x-amz-object-lock-retain-until-date";

pub(crate) fn settings(args: &StoreArgs, check: bool) -> Result<S3Settings> {
    let bucket = args.s3_bucket.clone().ok_or_else(|| {
        Fault::usage("S3_HOST_BASE is set, but no bucket").hint("set S3_BUCKET, or unset S3_HOST_BASE to use STORE_DIR")
    })?;
    let access_key = one_word("S3_ACCESS_KEY_ID", environment::secret("S3_ACCESS_KEY_ID")?)?;
    let secret_key = environment::secret("S3_SECRET_ACCESS_KEY")?;
    if access_key.is_some() != secret_key.is_some() {
        return Err(Fault::usage("only one of S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY is set")
            .hint("set both, or neither for the AWS chain (profile, web identity, container, instance role)")
            .into());
    }
    let chain =
        if access_key.is_none() { aws::chain(&plain, &environment::changed("AWS_"))? } else { Chain::default() };
    let mut headers = headers(args.s3_request_headers.as_deref().unwrap_or_default())?;
    let lock = lock(args, &mut headers)?;
    Ok(S3Settings {
        endpoint: args.s3_host_base.clone(),
        region: region("S3_REGION", args.s3_region.clone())?,
        addressing: args.s3_addressing.as_deref().map(|how| match how.eq_ignore_ascii_case("virtual") {
            true => Addressing::Virtual,
            false => Addressing::Path,
        }),
        bucket,
        folder: args.s3_folder.clone().unwrap_or_default(),
        access_key: access_key.map(|key| key.reveal().to_owned()),
        secret_key,
        session_token: one_word("S3_SESSION_TOKEN", environment::secret("S3_SESSION_TOKEN")?)?,
        chain,
        ca_file: args.s3_ca_file.clone(),
        // AWS refuses what is to be locked without it.
        content_md5: check || args.s3_md5_required || lock.is_some(),
        headers,
        storage_class: args.s3_storage_class.clone(),
        encryption: encryption(args)?,
        lock,
        parts_in_flight: usize::from(args.s3_parts_in_flight),
        part_limit: args.s3_part_limit,
        part_size: args.s3_part_size,
        largest_object: args.max_object_size.map_or(LARGEST_OBJECT, |size| size.min(LARGEST_OBJECT)),
        timeout: args.s3_timeout,
        attempts: args.s3_attempts,
    })
}

/// Splits `key:value` pairs at `\` or `\\`. A value may hold colons.
pub fn headers(text: &str) -> Result<Vec<(String, String)>> {
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

/// Returns the Object Lock that the settings ask for, or the headers as Doubletake has it. None: no lock. Takes the
/// two headers out: only locked objects get them, and the lock that they ask for is read back.
fn lock(args: &StoreArgs, headers: &mut Vec<(String, String)>) -> Result<Option<LockSettings>> {
    let mut take = |name: &str| {
        let at = headers.iter().position(|(header, _)| header.eq_ignore_ascii_case(name))?;
        Some(headers.remove(at).1)
    };
    let asked = (take(MODE), take(UNTIL));
    let lock = match (&args.s3_object_lock_mode, args.s3_object_lock_days) {
        (None, None) => return by_headers(asked),
        (Some(lock_mode), Some(days)) => LockSettings { mode: mode(lock_mode)?, term: LockTerm::Days(days) },
        (Some(_), None) => return Err(half("S3_OBJECT_LOCK_MODE", "S3_OBJECT_LOCK_DAYS")),
        (None, Some(_)) => return Err(half("S3_OBJECT_LOCK_DAYS", "S3_OBJECT_LOCK_MODE")),
    };
    if asked != (None, None) {
        return Err(Fault::usage("S3_REQUEST_HEADERS asks for a lock, and S3_OBJECT_LOCK_MODE does too")
            .hint("leave one of the two out")
            .into());
    }
    Ok(Some(lock))
}

fn by_headers(asked: (Option<String>, Option<String>)) -> Result<Option<LockSettings>> {
    match asked {
        (None, None) => Ok(None),
        (Some(lock_mode), Some(until)) => {
            let until = until.parse().map_err(|_| {
                Fault::usage(format!("S3_REQUEST_HEADERS: {UNTIL} is not a time"))
                    .hint("a time looks like 2027-12-31T00:00:00Z; S3_OBJECT_LOCK_DAYS counts from each backup instead")
            })?;
            Ok(Some(LockSettings { mode: mode(&lock_mode)?, term: LockTerm::Until(until) }))
        }
        (Some(_), None) => Err(half(&format!("S3_REQUEST_HEADERS: {MODE}"), UNTIL)),
        (None, Some(_)) => Err(half(&format!("S3_REQUEST_HEADERS: {UNTIL}"), MODE)),
    }
}

fn mode(text: &str) -> Result<LockMode> {
    let modes = [LockMode::Governance, LockMode::Compliance];
    modes
        .into_iter()
        .find(|mode| mode.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| Fault::usage("the mode of a lock is neither GOVERNANCE nor COMPLIANCE").into())
}

fn half(given: &str, missing: &str) -> anyhow::Error {
    Fault::usage(format!("{given} is set without {missing}")).hint("a lock needs both").into()
}

fn encryption(args: &StoreArgs) -> Result<Option<ServerEncryption>> {
    match (args.s3_sse.as_deref(), &args.s3_sse_kms_key_id) {
        (Some("aws:kms"), key) => Ok(Some(ServerEncryption::KeyService(key.clone()))),
        (_, Some(_)) => Err(Fault::usage("S3_SSE_KMS_KEY_ID is set, and S3_SSE is not aws:kms")
            .hint("set S3_SSE=aws:kms, or unset the key's id")
            .into()),
        (Some(_), None) => Ok(Some(ServerEncryption::Host)),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_split_at_one_or_two_backslashes_and_values_hold_colons() {
        let text = r"x-amz-object-lock-retain-until-date:2027-12-31T00:00:00Z\\x-amz-object-lock-mode:GOVERNANCE\x-a:b";
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
