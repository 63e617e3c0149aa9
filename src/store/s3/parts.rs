//! Sends the parts of a multipart upload, and completes it. An upload that is dropped before it is complete is aborted.

use crate::base::error::{Fault, Result};
use crate::store::s3::begin::begin;
use crate::store::s3::begin::{ABORT_LIMIT, abort};
use crate::store::s3::content_md5::ContentMd5;
use crate::store::s3::errors::{Answer, status};
use crate::store::s3::host::{GRACE, Host};
use crate::store::s3::object::real_version;
use crate::store::s3::patience::Patience;
use crate::store::s3::put_headers::PutHeaders;
use crate::store::s3::put_if_absent::{PutIfAbsent, claim, refuse_taken};
use crate::store::s3::sent::Sent;
use crate::store::{IfExists, PutResult};
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};

/// Bytes that are on their way together, unless two parts alone are more.
const IN_FLIGHT_BYTES: usize = 64 << 20;

pub(crate) struct Parts {
    host: Arc<Host>,
    key: String,
    id: String,
    taken: IfExists,
    part_size: u64,
    in_flight: usize,
    tasks: JoinSet<Result<Part>>,
    done: Vec<Part>,
    begun: u32,
    /// Whether the upload is still to be completed, and to be aborted if it is dropped.
    open: bool,
}

struct Part {
    number: i32,
    sum: ContentMd5,
    /// The ETag as the host gave it, for hosts whose ETags are not MD5.
    etag: Option<String>,
}

impl Parts {
    pub fn begin(host: &Arc<Host>, key: &str, part_size: usize, making: &PutHeaders) -> Result<Parts> {
        let id = begin(host, key, making)?;
        let in_flight = host.address.settings.parts_in_flight.min((IN_FLIGHT_BYTES / part_size.max(1)).max(2)).max(1);
        let (host, key) = (Arc::clone(host), key.to_owned());
        Ok(Parts {
            host,
            key,
            id,
            taken: making.taken,
            part_size: part_size as u64,
            in_flight,
            tasks: JoinSet::new(),
            done: Vec::new(),
            begun: 0,
            open: true,
        })
    }

    /// Waits until another part may be sent. A part that has failed is an error here.
    pub fn make_room(&mut self) -> Result<()> {
        while let Some(ended) = self.tasks.try_join_next() {
            self.end(ended)?;
        }
        while self.tasks.len() >= self.in_flight {
            self.wait_for_one()?;
        }
        Ok(())
    }

    pub fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        let limit = self.host.address.settings.part_limit;
        if self.begun >= limit {
            return Err(Fault::failed(format!(
                "\"{}\" needs more than {limit} parts of {} bytes",
                self.key,
                bytes.len()
            ))
            .hint("set S3_PART_SIZE to a larger size, or DUMP_SIZE_ESTIMATE to the size of the dump")
            .into());
        }
        self.begun += 1;
        let number = self.begun as i32;
        let work = send_part(Arc::clone(&self.host), self.key.clone(), self.id.clone(), number, bytes);
        self.tasks.spawn_on(work, self.host.handle());
        Ok(())
    }

    pub fn complete(&mut self, bytes: u64) -> Result<PutResult> {
        while !self.tasks.is_empty() {
            self.wait_for_one()?;
        }
        self.done.sort_by_key(|part| part.number);
        let sums: Vec<ContentMd5> = self.done.iter().map(|part| part.sum).collect();
        let sent = Sent::in_parts(bytes, self.part_size, sums)?;
        if self.taken == IfExists::Refuse {
            // Some hosts honour the condition for whole objects only.
            refuse_taken(&self.host, &self.key)?;
        }
        let doing = format!("complete the upload of \"{}\"", self.key);
        let receipt = claim(&self.host, &self.key, &doing, self.taken, &sent, async |claim| {
            self.request_completion(claim).await
        })?;
        self.open = false;
        Ok(receipt)
    }

    async fn request_completion(&self, claim: PutIfAbsent) -> Answer<Option<String>, CompleteMultipartUploadError> {
        let parts = self.done.iter().map(|part| {
            let etag = part.etag.clone().unwrap_or_else(|| format!("\"{}\"", part.sum.hex()));
            CompletedPart::builder().part_number(part.number).e_tag(etag).build()
        });
        let request = self
            .host
            .client()
            .complete_multipart_upload()
            .bucket(self.host.address.bucket())
            .key(self.host.address.full(&self.key))
            .upload_id(&self.id)
            .set_if_none_match(claim.condition.clone())
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build())
            .customize()
            .mutate_request(claim.tries.count());
        Ok(request.send().await?.version_id().and_then(real_version))
    }

    fn wait_for_one(&mut self) -> Result<()> {
        let host = Arc::clone(&self.host);
        match host.wait(self.tasks.join_next())? {
            Some(ended) => self.end(ended),
            None => Ok(()),
        }
    }

    fn end(&mut self, ended: std::result::Result<Result<Part>, JoinError>) -> Result<()> {
        self.done.push(ended??);
        Ok(())
    }

    /// Aborts the upload. The parts on their way end first: the host may store a part that comes after the abort, and
    /// keep it for ever.
    fn abort(&mut self) {
        let host = Arc::clone(&self.host);
        let all_ended = host.clean_up(async { while self.tasks.join_next().await.is_some() {} }, GRACE).is_some();
        self.tasks.abort_all();
        host.clean_up(
            async {
                for attempt in 0..3 {
                    match abort(&host, &self.key, &self.id).await {
                        Ok(()) if all_ended => return,
                        Err(error) if status(&error) == Some(404) => return,
                        _ => tokio::time::sleep(Duration::from_millis(300 << attempt)).await,
                    }
                }
            },
            ABORT_LIMIT,
        );
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if self.open {
            self.abort();
        }
    }
}

async fn send_part(host: Arc<Host>, key: String, id: String, number: i32, bytes: Vec<u8>) -> Result<Part> {
    // Not on the runtime's own threads, which have the network to serve.
    let (bytes, sum) = tokio::task::spawn_blocking(move || {
        let sum = ContentMd5::of(&bytes);
        (bytes, sum)
    })
    .await?;
    let sum = sum?;
    // Shared by all tries.
    let body = SdkBody::from(bytes);
    let mut patience = Patience::with(&host);
    let answer = loop {
        let request = host
            .client()
            .upload_part()
            .bucket(host.address.bucket())
            .key(host.address.full(&key))
            .upload_id(&id)
            .part_number(number)
            .set_content_md5(host.address.settings.content_md5.then(|| sum.base64()))
            .body(ByteStream::new(body.try_clone().unwrap_or_else(SdkBody::taken)))
            .customize();
        // Content-MD5 is one of the signed headers and binds the body; a SHA-256 of every part beside it would cost more than AES.
        let request = if host.address.settings.content_md5 { request.disable_payload_signing() } else { request };
        let answer = request.send().await;
        if !patience.lasts(answer.as_ref().err().and_then(status)).await {
            break answer.map_err(|error| host.fault(&format!("write part {number} of \"{key}\""), error))?;
        }
    };
    Ok(Part { number, sum, etag: answer.e_tag })
}
