//! A store in a bucket of an S3 host, whichever: AWS, Ceph, SeaweedFS, and the many others.
//!
//! Only what is below here knows of tokio and the AWS SDK: [`S3`] owns a runtime and everything above it blocks. Every wait
//! ends soon after a signal, and every request has a deadline. What the host is asked for is what all hosts know: path-style
//! addresses, `Content-MD5`, parts of one size, and looking first where `If-None-Match` may be ignored.

mod before_host;
mod begin;
mod capped;
mod claim;
mod client;
mod date;
mod dated;
mod fault;
mod host;
mod listing;
mod lock;
mod making;
mod object;
mod pages;
mod parts;
mod patience;
mod resolver;
mod sent;
mod spelling;
mod sum;
mod tries;
mod upload;
mod versions;
mod whole;

pub use client::Addressing;
pub use lock::{Lock, LockMode, Term};
pub use making::Encryption;
pub use versions::Version;

use super::directory::check;
use super::{Creation, Listed, Object, Store, Unfinished, Upload, Vouches};
use crate::error::{Fault, Result};
use crate::secret::Secret;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{Tag, Tagging};
use fault::status;
use host::Host;
use making::is_set_elsewhere;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything that the store needs to know; the names are those of the variables.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// `S3_HOST_BASE`: a bare host (https), or a URL, with a path if need be. None: AWS.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// `S3_ADDRESSING`. None: as the host is known or says to want it, else in the path.
    pub addressing: Option<Addressing>,
    pub bucket: String,
    pub folder: String,
    /// Without it or the secret key: the AWS chain.
    pub access_key: Option<String>,
    pub secret_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Sends `Content-MD5` with every object and part.
    pub content_md5: bool,
    /// `S3_REQUEST_HEADERS`, for the requests that make objects.
    pub headers: Vec<(String, String)>,
    /// `S3_STORAGE_CLASS`, for payloads.
    pub storage_class: Option<String>,
    pub encryption: Option<Encryption>,
    /// For payloads and their `.meta`.
    pub lock: Option<Lock>,
    pub parts_in_flight: usize,
    /// The most parts that the host takes for one object; at least one.
    pub part_limit: u32,
    /// None: chosen from the expected size.
    pub part_size: Option<u64>,
    /// For one call with all its tries.
    pub timeout: Duration,
    pub attempts: u32,
}

impl Default for S3Settings {
    fn default() -> Self {
        S3Settings {
            endpoint: None,
            region: None,
            addressing: None,
            bucket: String::new(),
            folder: String::new(),
            access_key: None,
            secret_key: None,
            session_token: None,
            ca_file: None,
            content_md5: true,
            headers: Vec::new(),
            storage_class: None,
            encryption: None,
            lock: None,
            parts_in_flight: 4,
            part_limit: 10_000,
            part_size: None,
            timeout: Duration::from_secs(600),
            attempts: 5,
        }
    }
}

impl S3Settings {
    fn check(&self) -> Result<()> {
        if self.bucket.is_empty() || self.bucket.contains(['/', '?', '#']) || self.bucket.contains(char::is_whitespace)
        {
            return Err(Fault::usage(format!("S3_BUCKET {:?} is not the name of a bucket", self.bucket)).into());
        }
        let folder = self.folder.trim_matches('/');
        if !folder.is_empty() {
            check(folder).map_err(|error| error.context("S3_FOLDER"))?;
        }
        if self.part_size.is_some_and(|size| !upload::PART_SIZES.contains(&size)) {
            return Err(Fault::usage("S3_PART_SIZE is not between 5 MiB and 5 GiB").into());
        }
        self.check_headers()
    }

    fn check_headers(&self) -> Result<()> {
        // Values may be secrets, such as the keys of server-side encryption.
        for (name, value) in &self.headers {
            if !is_header(name, value) {
                let text = format!("S3_REQUEST_HEADERS: {name:?} is not a header, or its value is none");
                return Err(Fault::usage(text).into());
            }
            if is_set_elsewhere(self, name) {
                let text = format!("S3_REQUEST_HEADERS: {name} is set by a setting of its own too");
                return Err(Fault::usage(text).hint("leave one of the two out").into());
            }
        }
        let key = self.encryption.as_ref().and_then(Encryption::key);
        for (name, value) in [("S3_STORAGE_CLASS", self.storage_class.as_deref()), ("S3_SSE_KMS_KEY_ID", key)] {
            if let Some(value) = value.filter(|value| value.is_empty() || !is_header("x", value)) {
                return Err(Fault::usage(format!("{name} {value:?} cannot be the value of a header")).into());
            }
        }
        Ok(())
    }

    /// Whether there is anything that not every host and bucket can do.
    fn asks_for_more(&self) -> bool {
        self.storage_class.is_some() || self.encryption.is_some() || self.lock.is_some() || !self.headers.is_empty()
    }
}

fn is_header(name: &str, value: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(is_name) && value.chars().all(|c| c == '\t' || (' '..='~').contains(&c))
}

#[derive(Debug)]
pub struct S3(Arc<Host>);

impl S3 {
    /// Reads the settings and finds the credentials; asks nothing of the host yet.
    pub fn open(settings: S3Settings) -> Result<S3> {
        settings.check()?;
        Ok(S3(Arc::new(Host::open(settings)?)))
    }

    /// By how many seconds the host's clock is ahead of ours; None when it does not tell its time.
    pub fn clock_skew(&self) -> Result<Option<i64>> {
        date::skew(&self.0)
    }

    /// Whether the bucket keeps objects under Object Lock; an error where the host does not tell.
    pub fn object_lock(&self) -> Result<bool> {
        let host = &self.0;
        let answer = host.wait(host.client().get_object_lock_configuration().bucket(host.bucket()).send())?;
        match answer {
            Ok(answer) => Ok(answer.object_lock_configuration.and_then(|lock| lock.object_lock_enabled).is_some()),
            Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => Ok(false),
            Err(error) => Err(host.fault("read the bucket's Object Lock settings", error).into()),
        }
    }

    /// Whether what is overwritten stays as an older version.
    pub fn keeps_versions(&self) -> Result<bool> {
        versions::are_kept(&self.0)
    }

    /// All versions of the objects whose key begins with `prefix`, those of one key newest first.
    pub fn versions(&self, prefix: &str) -> Result<Vec<Version>> {
        versions::all(&self.0, prefix)
    }

    /// Whether new backups are to be locked.
    pub fn locks(&self) -> bool {
        self.0.settings.lock.is_some()
    }

    /// Whether the host itself refuses a second object under a taken key, asked with `key`, which must exist.
    pub fn refuses_taken(&self, key: &str) -> Result<bool> {
        let host = &self.0;
        let body = aws_sdk_s3::primitives::ByteStream::from_static(b"");
        let request =
            host.client().put_object().bucket(host.bucket()).key(host.full(key)).if_none_match("*").body(body);
        match host.wait(request.send())? {
            Ok(_) => Ok(false),
            Err(error) if matches!(status(&error), Some(409 | 412)) => Ok(true),
            Err(error) => Err(host.fault(&format!("try to overwrite \"{key}\""), error).into()),
        }
    }
}

impl Store for S3 {
    fn location(&self) -> String {
        self.0.location()
    }

    fn place(&self, key: &str) -> String {
        self.0.place(key)
    }

    fn vouches(&self) -> Vouches {
        Vouches::BySum
    }

    fn create(&self, key: &str, creation: &Creation) -> Result<Box<dyn Upload>> {
        check(key)?;
        Ok(Box::new(upload::S3Upload::begin(&self.0, key, creation)?))
    }

    fn open(&self, key: &str, version: Option<&str>) -> Result<Box<dyn Object>> {
        check(key)?;
        Ok(Box::new(object::Pinned::open(&self.0, key, version)?))
    }

    fn open_small(&self, key: &str) -> Result<Box<dyn Object>> {
        check(key)?;
        whole::open(&self.0, key)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        listing::objects(&self.0, prefix)
    }

    fn remove(&self, key: &str, version: Option<&str>) -> Result<()> {
        check(key)?;
        let host = &self.0;
        let request = host.client().delete_object().bucket(host.bucket()).key(host.full(key));
        let request = request.set_version_id(version.map(str::to_owned));
        match host.wait(request.send())? {
            Ok(_) => Ok(()),
            // Some hosts say that it was not there; a missing bucket is told apart by its code.
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion")) => Ok(()),
            Err(error) => Err(host.fault(&format!("remove \"{key}\""), error).into()),
        }
    }

    fn tag(&self, key: &str, version: Option<&str>, tags: &[(String, String)]) -> Result<()> {
        check(key)?;
        let host = &self.0;
        let tags: std::result::Result<Vec<Tag>, _> =
            tags.iter().map(|(name, value)| Tag::builder().key(name).value(value).build()).collect();
        let tags = Tagging::builder().set_tag_set(Some(tags?)).build()?;
        let request = host.client().put_object_tagging().bucket(host.bucket()).key(host.full(key)).tagging(tags);
        let answer = host.wait(request.set_version_id(version.map(str::to_owned)).send())?;
        answer.map(|_| ()).map_err(|error| host.fault(&format!("tag \"{key}\""), error).into())
    }

    fn tags(&self, key: &str, version: Option<&str>) -> Result<Vec<(String, String)>> {
        check(key)?;
        let host = &self.0;
        let request = host.client().get_object_tagging().bucket(host.bucket()).key(host.full(key));
        let answer = host.wait(request.set_version_id(version.map(str::to_owned)).send())?;
        let answer = answer.map_err(|error| host.fault(&format!("read the tags of \"{key}\""), error))?;
        Ok(answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }

    fn unfinished(&self, prefix: &str) -> Result<Vec<Unfinished>> {
        self.0.wait(listing::unfinished(&self.0, prefix))?
    }

    fn discard(&self, unfinished: &Unfinished) -> Result<()> {
        let Unfinished { key, token, .. } = unfinished;
        check(key)?;
        match self.0.wait(parts::abort(&self.0, key, token))? {
            Ok(()) => Ok(()),
            // Some hosts say NoSuchKey for an upload that is not there.
            Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => Ok(()),
            Err(error) => Err(self.0.fault(&format!("abort the upload of \"{key}\""), error).into()),
        }
    }
}
