//! Names a bucket and its objects, as the host knows them and as messages show them.

use crate::store::s3::settings::S3Settings;

/// Holds what messages say of a bucket: its host, its name, and the folder of the store in it.
pub(crate) struct Address {
    pub settings: S3Settings,
    /// The host, as messages name it.
    pub name: String,
    /// The folder without a slash at either end. Empty: the store is the whole bucket.
    pub folder: String,
}

impl Address {
    pub fn bucket(&self) -> &str {
        &self.settings.bucket
    }

    /// Returns the name by which the host knows a key.
    pub fn full(&self, key: &str) -> String {
        if self.folder.is_empty() { key.to_owned() } else { format!("{}/{key}", self.folder) }
    }

    /// Returns the key of one of the host's names. None: it is not in the folder.
    pub fn key<'a>(&self, full: &'a str) -> Option<&'a str> {
        if self.folder.is_empty() { Some(full) } else { full.strip_prefix(&self.folder)?.strip_prefix('/') }
    }

    /// Whether the host is asked without TLS.
    pub fn is_plain(&self) -> bool {
        self.settings.endpoint.as_deref().is_some_and(|base| base.trim().starts_with("http://"))
    }

    pub fn location(&self) -> String {
        format!("s3://{}/{} on {}", self.bucket(), self.folder, self.name)
    }

    /// Returns where an object is, as the AWS tools take it, and then the host.
    pub fn place(&self, key: &str) -> String {
        format!("s3://{}/{} ({})", self.bucket(), self.full(key), self.name)
    }
}
