//! What goes with the request that makes an object, whether that is a PutObject or a CreateMultipartUpload.

use super::S3Settings;
use super::lock::Hold;
use crate::error::Result;
use crate::store::{Creation, Purpose, Taken};
use aws_sdk_s3::config::http::HttpRequest;
use jiff::Timestamp;

#[derive(Debug, Clone)]
pub(super) struct Making {
    pub taken: Taken,
    pub hold: Option<Hold>,
    headers: Vec<(String, String)>,
}

/// `S3_SSE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// With the host's own keys.
    Host,
    /// With a key of its key service: the named one, or the bucket's.
    KeyService(Option<String>),
}

impl Encryption {
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Encryption::Host => None,
            Encryption::KeyService(key) => key.as_deref(),
        }
    }
}

impl Making {
    pub fn new(settings: &S3Settings, creation: &Creation, now: Timestamp) -> Result<Making> {
        let lock = settings.lock.filter(|_| creation.purpose != Purpose::Note);
        let hold = lock.map(|lock| lock.hold(now)).transpose()?;
        let mut headers = Vec::new();
        let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
        // A .meta in an archive's class could not be read for a listing.
        if let (Some(class), Purpose::Payload) = (&settings.storage_class, creation.purpose) {
            add("x-amz-storage-class", class);
        }
        match &settings.encryption {
            None => {}
            Some(Encryption::Host) => add("x-amz-server-side-encryption", "AES256"),
            Some(Encryption::KeyService(key)) => {
                add("x-amz-server-side-encryption", "aws:kms");
                if let Some(key) = key {
                    add("x-amz-server-side-encryption-aws-kms-key-id", key);
                }
            }
        }
        if let Some(hold) = hold {
            add("x-amz-object-lock-mode", hold.mode.name());
            add("x-amz-object-lock-retain-until-date", &hold.until.to_string());
        }
        for (name, value) in &settings.headers {
            add(&name.to_ascii_lowercase(), value);
        }
        Ok(Making { taken: creation.taken, hold, headers })
    }

    /// For `mutate_request`, which comes before the signature.
    pub fn headers(&self) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
        let headers = self.headers.clone();
        move |request| {
            for (name, value) in &headers {
                // Checked when the store was opened.
                let _ = request.headers_mut().try_insert(name.clone(), value.clone());
            }
        }
    }
}

/// The headers that settings of their own stand for.
pub(super) fn is_set_elsewhere(settings: &S3Settings, name: &str) -> bool {
    match name.to_ascii_lowercase().as_str() {
        "x-amz-storage-class" => settings.storage_class.is_some(),
        "x-amz-server-side-encryption" | "x-amz-server-side-encryption-aws-kms-key-id" => settings.encryption.is_some(),
        "x-amz-object-lock-mode" | "x-amz-object-lock-retain-until-date" => settings.lock.is_some(),
        _ => false,
    }
}
