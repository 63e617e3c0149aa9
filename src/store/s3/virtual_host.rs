//! Makes addresses with the bucket before the host's name. The SDK makes them, too, but puts a bucket of one or two
//! letters, or with a dot, into the path, where such a host does not look for it.

use aws_sdk_s3::config::endpoint::{Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_s3::error::BoxError;

#[derive(Debug)]
pub(crate) struct HostResolver {
    /// The URL of the host, with its path if there is one.
    pub url: String,
}

impl ResolveEndpoint for HostResolver {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        let address = match (self.url.split_once("://"), params.bucket()) {
            (Some((scheme, rest)), Some(bucket)) => Ok(format!("{scheme}://{bucket}.{rest}")),
            _ => Err(BoxError::from("no bucket to put before the host's name")),
        };
        EndpointFuture::ready(address.map(|url| Endpoint::builder().url(url).build()))
    }
}
