//! Makes the headers of the request that makes an object, whether that is a PutObject or a CreateMultipartUpload.

use crate::base::error::Result;
use crate::store::s3::settings::{LockUntil, S3Settings, ServerEncryption};
use crate::store::{IfExists, ObjectKind, PutOptions};
use aws_sdk_s3::config::http::HttpRequest;
use jiff::Timestamp;

#[derive(Debug, Clone)]
pub(crate) struct PutHeaders {
    pub taken: IfExists,
    pub hold: Option<LockUntil>,
    headers: Vec<(String, String)>,
}

impl PutHeaders {
    pub fn new(settings: &S3Settings, creation: &PutOptions, now: Timestamp) -> Result<PutHeaders> {
        let lock = settings.lock.filter(|_| creation.purpose != ObjectKind::Note);
        let hold = lock.map(|lock| lock.hold(now)).transpose()?;
        let mut headers = Vec::new();
        let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
        // A .meta in an archive's class could not be read for a listing.
        if let (Some(class), ObjectKind::Payload) = (&settings.storage_class, creation.purpose) {
            add("x-amz-storage-class", class);
        }
        match &settings.encryption {
            None => {}
            Some(ServerEncryption::Host) => add("x-amz-server-side-encryption", "AES256"),
            Some(ServerEncryption::KeyService(key)) => {
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
        Ok(PutHeaders { taken: creation.taken, hold, headers })
    }

    /// Returns a function that sets the headers, for `mutate_request`, which comes before the signature.
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
