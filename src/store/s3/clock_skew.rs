//! Reads the host's clock, which requests are signed against.

use crate::base::error::Result;
use crate::store::s3::errors::{no_bucket, status};
use crate::store::s3::host::Host;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use std::sync::{Arc, Mutex, PoisonError};

/// Notes the `Date` of the answer, whatever else the answer says.
#[derive(Debug, Clone, Default)]
struct DateRecorder(Arc<Mutex<Option<i64>>>);

impl Intercept for DateRecorder {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        let date = context.response().headers().get("date").and_then(|date| rfc2822::parse(date).ok());
        let skew = date.map(|date| date.timestamp().as_second() - Timestamp::now().as_second());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = skew;
        Ok(())
    }
}

pub(crate) fn skew(host: &Host) -> Result<Option<i64>> {
    let clock = DateRecorder::default();
    let request = host.client().head_bucket().bucket(host.address.bucket()).customize().interceptor(clock.clone());
    match host.waiter.wait(request.send())? {
        Err(error) if status(&error) == Some(404) => return Err(no_bucket(&host.address).into()),
        // Every answer has a date.
        Err(error) if status(&error).is_none() => return Err(host.fault("look up the bucket", error).into()),
        _ => {}
    }
    Ok(*clock.0.lock().unwrap_or_else(PoisonError::into_inner))
}
