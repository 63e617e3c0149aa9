//! Settings of a store on an S3 host.

use crate::base::error::{Fault, Result};
use crate::base::secret::Secret;
use crate::store::keys::check;
use crate::store::network::part_sink::MIB;
use jiff::{SignedDuration, Timestamp};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The smallest and the largest part that every host accepts, in bytes.
pub(crate) const PART_SIZES: std::ops::RangeInclusive<u64> = 5 * MIB..=5120 * MIB;

/// The largest object that every host accepts, in bytes: 5 TiB.
pub(crate) const LARGEST_OBJECT: u64 = 5 << 40;

/// Everything that the store needs to know. The names are those of the variables.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// `S3_HOST_BASE`: a bare host (https), or a URL, with a path if need be. None: AWS.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// `S3_ADDRESSING`. None: as the host is known or says to want it, else in the path.
    pub addressing: Option<Addressing>,
    pub bucket: String,
    pub folder: String,
    /// None, here or for the secret key: the AWS chain finds the credentials.
    pub access_key: Option<String>,
    pub secret_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// Told to the AWS chain, where that finds the credentials.
    pub chain: Chain,
    /// PEM certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Sends `Content-MD5` with every object and part.
    pub content_md5: bool,
    /// `S3_REQUEST_HEADERS`, for the requests that make objects.
    pub headers: Vec<(String, String)>,
    /// `S3_STORAGE_CLASS`, for payloads.
    pub storage_class: Option<String>,
    pub encryption: Option<ServerEncryption>,
    /// The lock of payloads and their `.meta`. None: they are not locked.
    pub lock: Option<LockSettings>,
    pub parts_in_flight: usize,
    /// The most parts that the host takes for one object; at least one.
    pub part_limit: u32,
    /// None: chosen from the expected size.
    pub part_size: Option<u64>,
    /// The largest size of an object in bytes.
    pub largest_object: u64,
    /// Time limit of one call with all its attempts.
    pub timeout: Duration,
    pub attempts: u32,
}

/// Values for the AWS chain that differ from the variables of the process, which it reads by itself. None: what it reads is right.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    pub keys: Option<Keys>,
    pub region: Option<String>,
    pub profile: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Keys {
    pub access: Secret,
    pub secret: Secret,
    pub token: Option<Secret>,
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
            chain: Chain::default(),
            ca_file: None,
            content_md5: true,
            headers: Vec::new(),
            storage_class: None,
            encryption: None,
            lock: None,
            parts_in_flight: 4,
            part_limit: 10_000,
            part_size: None,
            largest_object: LARGEST_OBJECT,
            timeout: Duration::from_secs(600),
            attempts: 5,
        }
    }
}

impl S3Settings {
    pub(crate) fn check(&self) -> Result<()> {
        if self.bucket.is_empty() || self.bucket.contains(['/', '?', '#']) || self.bucket.contains(char::is_whitespace)
        {
            return Err(Fault::usage(format!("S3_BUCKET {:?} is not the name of a bucket", self.bucket)).into());
        }
        let folder = self.folder.trim_matches('/');
        if !folder.is_empty() {
            check(folder).map_err(|error| error.context("S3_FOLDER"))?;
        }
        if self.part_size.is_some_and(|size| !PART_SIZES.contains(&size)) {
            return Err(Fault::usage("S3_PART_SIZE is not between 5 MiB and 5 GiB").into());
        }
        self.check_headers()
    }

    pub(crate) fn check_headers(&self) -> Result<()> {
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
        let key = self.encryption.as_ref().and_then(ServerEncryption::key);
        for (name, value) in [("S3_STORAGE_CLASS", self.storage_class.as_deref()), ("S3_SSE_KMS_KEY_ID", key)] {
            if let Some(value) = value.filter(|value| value.is_empty() || !is_header("x", value)) {
                return Err(Fault::usage(format!("{name} {value:?} cannot be the value of a header")).into());
            }
        }
        Ok(())
    }

    /// Whether a setting asks for anything that not every host and bucket can do.
    pub(crate) fn asks_for_more(&self) -> bool {
        self.storage_class.is_some() || self.encryption.is_some() || self.lock.is_some() || !self.headers.is_empty()
    }
}

fn is_header(name: &str, value: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(is_name) && value.chars().all(|c| c == '\t' || (' '..='~').contains(&c))
}

/// The place of the bucket's name in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// In the path: `https://host/bucket/key`.
    Path,
    /// Before the host's name: `https://bucket.host/key`.
    Virtual,
}

/// The server-side encryption that `S3_SSE` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEncryption {
    /// Encryption with the host's own keys.
    Host,
    /// Encryption with a key of the host's key service: the named one, else the bucket's.
    KeyService(Option<String>),
}

impl ServerEncryption {
    pub(crate) fn key(&self) -> Option<&str> {
        match self {
            ServerEncryption::Host => None,
            ServerEncryption::KeyService(key) => key.as_deref(),
        }
    }
}

/// Returns whether a setting of its own is set for this header.
fn is_set_elsewhere(settings: &S3Settings, name: &str) -> bool {
    match name.to_ascii_lowercase().as_str() {
        "x-amz-storage-class" => settings.storage_class.is_some(),
        "x-amz-server-side-encryption" | "x-amz-server-side-encryption-aws-kms-key-id" => settings.encryption.is_some(),
        "x-amz-object-lock-mode" | "x-amz-object-lock-retain-until-date" => settings.lock.is_some(),
        _ => false,
    }
}

/// The lock of new objects: `S3_OBJECT_LOCK_MODE` and `S3_OBJECT_LOCK_DAYS`, or Doubletake's two headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockSettings {
    pub mode: LockMode,
    pub term: LockTerm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    /// GOVERNANCE: users with `s3:BypassGovernanceRetention` may delete it.
    Governance,
    /// COMPLIANCE: nobody may delete it.
    Compliance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockTerm {
    /// Number of days from when each object is made.
    Days(u32),
    Until(Timestamp),
}

impl LockMode {
    pub fn name(self) -> &'static str {
        match self {
            LockMode::Governance => "GOVERNANCE",
            LockMode::Compliance => "COMPLIANCE",
        }
    }
}

impl LockSettings {
    /// Returns the lock of an object that is made now. Hosts keep whole seconds, so an end that is counted in days is
    /// rounded up to one. It is an error if the lock would end in the past.
    pub(crate) fn hold(self, now: Timestamp) -> Result<LockUntil> {
        let second = |time: Timestamp| Timestamp::from_second(time.as_second().saturating_add(1));
        let until = match self.term {
            LockTerm::Days(days) => second(now.checked_add(SignedDuration::from_hours(24 * i64::from(days)))?)?,
            LockTerm::Until(until) if until <= now => {
                return Err(Fault::usage(format!("the lock of new backups would end in the past, at {until}"))
                    .hint("set S3_OBJECT_LOCK_DAYS, or a later x-amz-object-lock-retain-until-date")
                    .into());
            }
            LockTerm::Until(until) => until,
        };
        Ok(LockUntil { mode: self.mode, until })
    }
}

/// The lock of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LockUntil {
    pub mode: LockMode,
    pub until: Timestamp,
}

impl fmt::Display for LockUntil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} until {:.0}", self.mode.name(), self.until)
    }
}

impl LockUntil {
    pub(crate) fn covers(self, asked: LockUntil) -> bool {
        self.mode >= asked.mode && self.until.as_second() >= asked.until.as_second()
    }
}
