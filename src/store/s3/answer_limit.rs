//! Limits the length of answers: the host may mean harm, and the SDK reads every answer but an object's bytes into memory.

use crate::store::s3::listing_times;
use crate::store::s3::listing_times::LONGEST;
use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::config::{ConfigBag, HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use http_body_util::Limited;

/// A client that passes on no more of an answer than the limit.
#[derive(Debug)]
pub(crate) struct CappedClient(pub SharedHttpClient);

#[derive(Debug)]
struct Connection(SharedHttpConnector);

impl HttpClient for CappedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connection(self.0.http_connector(settings, components)))
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_base_client_config(components, config)
    }

    fn validate_final_config(&self, components: &RuntimeComponents, config: &ConfigBag) -> Result<(), BoxError> {
        self.0.validate_final_config(components, config)
    }
}

impl HttpConnector for Connection {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // Only an object is asked for by ranges, and its reader counts what comes.
        let of_object = request.headers().contains_key("range");
        let is_listing = listing_times::is_listing(&request);
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            modified(&mut answer);
            let is_object = of_object && answer.status().is_success();
            match (is_object, is_listing) {
                (true, _) => Ok(answer),
                (false, true) => listing_times::cured(answer).await,
                (false, false) => Ok(answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, LONGEST)))),
            }
        })
    }
}

/// Gives the header with an object's time the only form that the SDK reads, or removes it.
fn modified(answer: &mut HttpResponse) {
    let Some(told) = answer.headers().get("last-modified").map(str::to_owned) else { return };
    if jiff::fmt::rfc2822::parse(&told).is_ok() {
        return;
    }
    let time = listing_times::plain(&told).and_then(|time| time.parse::<jiff::Timestamp>().ok());
    match time.and_then(|time| jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()) {
        Some(text) => drop(answer.headers_mut().insert("last-modified", text)),
        None => drop(answer.headers_mut().remove("last-modified")),
    }
}
