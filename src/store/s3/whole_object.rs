//! Reads a small object by one request: what a HEAD would say of it comes with its bytes.

use crate::base::error::Result;
use crate::store::s3::host::Host;
use crate::store::s3::object::{S3Object, collect, info};
use crate::store::s3::overload::patiently;
use crate::store::{Info, Object};
use aws_sdk_s3::primitives::ByteStream;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::timeout;

struct WholeObject {
    host: Arc<Host>,
    pinned: S3Object,
    /// The bytes that are on their way. None: they were read.
    body: Mutex<Option<ByteStream>>,
}

/// Opens an object that is read whole. If anything is wrong with the answer, the object is looked up as any other is.
pub(crate) fn open(host: &Arc<Host>, key: &str) -> Result<Box<dyn Object>> {
    let send =
        async || host.client().get_object().bucket(host.address.bucket()).key(host.address.full(key)).send().await;
    let answer = host.waiter.wait(patiently(host, send))?.ok();
    let known = answer.and_then(|answer| {
        let info = info(answer.content_length(), answer.e_tag(), answer.version_id(), answer.last_modified())?;
        Some((info, answer.body))
    });
    Ok(match known {
        None => Box::new(S3Object::open(host, key, None)?),
        Some((info, body)) => Box::new(WholeObject {
            host: Arc::clone(host),
            pinned: S3Object::known(host, key, info),
            body: Mutex::new(Some(body)),
        }),
    })
}

impl Object for WholeObject {
    fn info(&self) -> &Info {
        self.pinned.info()
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(body) = body.filter(|_| range == (0..self.info().bytes)) {
            let limit = self.host.address.settings.timeout;
            let length = (range.end - range.start) as usize;
            let read = self.host.waiter.wait(async { timeout(limit, collect(body, length)).await })?;
            if let Ok(Ok(bytes)) = read {
                return Ok(bytes);
            }
        }
        // What broke off is read again, with all the tries that there are.
        self.pinned.read(range)
    }
}
