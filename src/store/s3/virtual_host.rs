//! Makes addresses with the bucket before the host's name. The SDK makes them, too, but puts a bucket of one or two
//! letters, or with a dot, into the path, where such a host does not look for it.

use aws_sdk_s3::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};

/// Gives the address of one bucket: a client asks for no other.
#[derive(Debug)]
pub(crate) struct HostResolver(String);

impl HostResolver {
    /// Puts the bucket before the host of this URL, which may have a path.
    pub fn of(url: &str, bucket: &str) -> HostResolver {
        HostResolver(url.replacen("://", &format!("://{bucket}."), 1))
    }
}

impl ResolveEndpoint for HostResolver {
    fn resolve_endpoint<'a>(&'a self, _: &'a Params) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(Endpoint::builder().url(self.0.clone()).build()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_comes_before_the_host_and_the_path_stays() {
        for (url, bucket, address) in [
            ("https://s3.example.com", "a", "https://a.s3.example.com"),
            ("http://host:9000/s3", "my.bucket", "http://my.bucket.host:9000/s3"),
        ] {
            assert_eq!(HostResolver::of(url, bucket).0, address);
        }
    }
}
