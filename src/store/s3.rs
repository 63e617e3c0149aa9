//! A store in a bucket of an S3 host, whichever: AWS, Ceph, SeaweedFS, and the many others.
//!
//! Only what is below here knows of the AWS SDK, and everything above it blocks. Every wait ends soon after a signal, and every request
//! has a deadline. What the host is asked for is what all hosts know: path-style
//! addresses, `Content-MD5`, parts of one size, and looking first where `If-None-Match` may be ignored.

pub(crate) mod address;
pub(crate) mod answer_limit;
pub(crate) mod attempts;
pub(crate) mod client;
pub(crate) mod clock_skew;
pub(crate) mod content_md5;
pub(crate) mod errors;
pub(crate) mod host;
pub(crate) mod listing;
pub(crate) mod listing_times;
pub(crate) mod multipart;
pub(crate) mod object;
pub(crate) mod object_lock;
pub(crate) mod overload;
pub(crate) mod pages;
pub(crate) mod put_headers;
pub(crate) mod put_if_absent;
pub(crate) mod resolver;
pub mod settings;
pub(crate) mod spelling;
pub(crate) mod upload;
pub(crate) mod upload_sums;
pub(crate) mod versions;
pub(crate) mod virtual_host;
pub(crate) mod whole_object;

use crate::base::error::Result;
use crate::store::capabilities::{
    Capabilities, Clock, ConditionalWrite, Integrity, Medium, ObjectLock, Tags, Version, Versions,
};
use crate::store::keys::check;
use crate::store::network::upload::PartUpload;
use crate::store::s3::settings::S3Settings;
use crate::store::{Object, ObjectInfo, PendingUpload, PutOptions, Store, Upload};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{Tag, Tagging};
use errors::status;
use host::Host;
use std::sync::Arc;

#[derive(Debug)]
pub struct S3(Arc<Host>);

impl S3 {
    /// Reads the settings and finds the credentials; asks nothing of the host yet.
    pub fn open(settings: S3Settings) -> Result<S3> {
        settings.check()?;
        Ok(S3(Arc::new(Host::open(settings)?)))
    }
}

impl Store for S3 {
    fn location(&self) -> String {
        self.0.address.location()
    }

    fn place(&self, key: &str) -> String {
        self.0.address.place(key)
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            integrity: Integrity::Etag,
            medium: Medium::Host,
            largest_object: Some(self.0.address.settings.largest_object),
            tags: Some(self),
            versions: Some(self),
            lock: Some(self),
            condition: Some(self),
            clock: Some(self),
        }
    }

    fn create(&self, key: &str, creation: &PutOptions) -> Result<Box<dyn Upload>> {
        check(key)?;
        Ok(Box::new(PartUpload::begin(&self.0, key, creation)?))
    }

    fn open(&self, key: &str, version: Option<&str>) -> Result<Box<dyn Object>> {
        check(key)?;
        Ok(Box::new(object::S3Object::open(&self.0, key, version)?))
    }

    fn open_listed(&self, listed: &ObjectInfo) -> Result<Box<dyn Object>> {
        check(&listed.key)?;
        whole_object::open(&self.0, &listed.key)
    }

    fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        listing::objects(&self.0, prefix)
    }

    fn remove(&self, key: &str, version: Option<&str>) -> Result<()> {
        check(key)?;
        let host = &self.0;
        let request = host.client().delete_object().bucket(host.address.bucket()).key(host.address.full(key));
        let request = request.set_version_id(version.map(str::to_owned));
        match host.waiter.wait(request.send())? {
            Ok(_) => Ok(()),
            // Some hosts say that it was not there; a missing bucket is told apart by its code.
            Err(error) if matches!(error.code(), Some("NoSuchKey" | "NoSuchVersion")) => Ok(()),
            Err(error) => Err(host.fault(&format!("remove \"{key}\""), error).into()),
        }
    }

    fn unfinished(&self, prefix: &str) -> Result<Vec<PendingUpload>> {
        self.0.waiter.wait(listing::unfinished(&self.0, prefix))?
    }

    fn discard(&self, unfinished: &PendingUpload) -> Result<()> {
        let PendingUpload { key, token, .. } = unfinished;
        check(key)?;
        match self.0.waiter.wait(multipart::abort(&self.0, key, token))? {
            Ok(()) => Ok(()),
            // Some hosts say NoSuchKey for an upload that is not there.
            Err(error) if status(&error) == Some(404) && error.code() != Some("NoSuchBucket") => Ok(()),
            Err(error) => Err(self.0.fault(&format!("abort the upload of \"{key}\""), error).into()),
        }
    }
}

impl Tags for S3 {
    fn tag(&self, key: &str, version: Option<&str>, tags: &[(String, String)]) -> Result<()> {
        check(key)?;
        let host = &self.0;
        let tags: std::result::Result<Vec<Tag>, _> =
            tags.iter().map(|(name, value)| Tag::builder().key(name).value(value).build()).collect();
        let tags = Tagging::builder().set_tag_set(Some(tags?)).build()?;
        let request =
            host.client().put_object_tagging().bucket(host.address.bucket()).key(host.address.full(key)).tagging(tags);
        let answer = host.waiter.wait(request.set_version_id(version.map(str::to_owned)).send())?;
        answer.map(|_| ()).map_err(|error| host.fault(&format!("tag \"{key}\""), error).into())
    }

    fn tags(&self, key: &str, version: Option<&str>) -> Result<Vec<(String, String)>> {
        check(key)?;
        let host = &self.0;
        let request = host.client().get_object_tagging().bucket(host.address.bucket()).key(host.address.full(key));
        let answer = host.waiter.wait(request.set_version_id(version.map(str::to_owned)).send())?;
        let answer = answer.map_err(|error| host.fault(&format!("read the tags of \"{key}\""), error))?;
        Ok(answer.tag_set.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }
}

impl Versions for S3 {
    fn are_kept(&self) -> Result<bool> {
        versions::are_kept(&self.0)
    }

    fn all(&self, prefix: &str) -> Result<Vec<Version>> {
        versions::all(&self.0, prefix)
    }
}

impl ObjectLock for S3 {
    fn is_there(&self) -> Result<bool> {
        object_lock::is_there(&self.0)
    }

    fn is_asked_for(&self) -> bool {
        self.0.address.settings.lock.is_some()
    }
}

impl ConditionalWrite for S3 {
    fn refuses_taken(&self, key: &str) -> Result<bool> {
        put_if_absent::is_refused_by_host(&self.0, key)
    }
}

impl Clock for S3 {
    fn skew(&self) -> Result<Option<i64>> {
        clock_skew::skew(&self.0)
    }
}
