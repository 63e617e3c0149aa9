//! Sends what an upload consists of: an object in one request, or the parts of a multipart upload.

use crate::base::error::Result;
use crate::store::network::buffers::Buffers;
use crate::store::network::part_sink::{AbortResult, PartPlan, PartSink};
use crate::store::network::patience::OverloadLimit;
use crate::store::network::waiter::Waiter;
use crate::store::s3::content_md5::ContentMd5;
use crate::store::s3::errors::{S3Answer, status};
use crate::store::s3::host::Host;
use crate::store::s3::multipart::{abort, begin};
use crate::store::s3::object::real_version;
use crate::store::s3::object_lock::confirm;
use crate::store::s3::overload::says_busy;
use crate::store::s3::put_headers::PutHeaders;
use crate::store::s3::put_if_absent::{PutIfAbsent, claim, refuse_taken};
use crate::store::s3::settings::PART_SIZES;
use crate::store::s3::upload_sums::UploadSums;
use crate::store::{IfExists, PutOptions, PutResult};
use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use jiff::Timestamp;
use std::sync::Arc;

/// A multipart upload that was begun with these headers.
pub(crate) struct S3Upload {
    id: String,
    making: PutHeaders,
}

pub(crate) struct S3Part {
    number: i32,
    sum: ContentMd5,
    /// The ETag as the host gave it, for hosts whose ETags are not MD5.
    etag: Option<String>,
}

impl PartSink for Host {
    type Begun = S3Upload;
    type Part = S3Part;

    fn waiter(&self) -> &Waiter {
        &self.waiter
    }

    fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    fn plan(&self) -> PartPlan {
        let settings = &self.address.settings;
        PartPlan {
            part_size: settings.part_size,
            sizes: PART_SIZES,
            part_limit: settings.part_limit,
            in_flight: settings.parts_in_flight,
            larger_parts: "set S3_PART_SIZE to a larger size, or DUMP_SIZE_ESTIMATE to the size of the dump",
        }
    }

    fn refuse_taken(&self, key: &str) -> Result<()> {
        refuse_taken(self, key)
    }

    fn put(self: &Arc<Self>, key: &str, bytes: Vec<u8>, creation: &PutOptions) -> Result<PutResult> {
        let making = making(self, creation)?;
        let sum = ContentMd5::of(&bytes)?;
        let sent = UploadSums::whole(&bytes, sum);
        let doing = format!("write \"{key}\"");
        let send = async |claim| put_object(self, key, &bytes, sum, &making, claim).await;
        let receipt = claim(self, key, &doing, making.taken, &sent, send)?;
        Ok(locked(self, key, &making, receipt))
    }

    fn begin(&self, key: &str, creation: &PutOptions) -> Result<S3Upload> {
        let making = making(self, creation)?;
        Ok(S3Upload { id: begin(self, key, &making)?, making })
    }

    async fn send(&self, key: &str, begun: &S3Upload, number: u32, bytes: Vec<u8>) -> Result<S3Part> {
        send_part(self, key, &begun.id, number as i32, bytes).await
    }

    fn complete(
        self: &Arc<Self>,
        key: &str,
        begun: &S3Upload,
        parts: Vec<S3Part>,
        (bytes, part_size): (u64, u64),
    ) -> Result<PutResult> {
        let sums: Vec<ContentMd5> = parts.iter().map(|part| part.sum).collect();
        let sent = UploadSums::in_parts(bytes, part_size, sums)?;
        let taken = begun.making.taken;
        if taken == IfExists::Refuse {
            // Some hosts honour the condition for whole objects only.
            refuse_taken(self, key)?;
        }
        let doing = format!("complete the upload of \"{key}\"");
        let send = async |claim| complete(self, key, &begun.id, &parts, claim).await;
        let receipt = claim(self, key, &doing, taken, &sent, send)?;
        Ok(locked(self, key, &begun.making, receipt))
    }

    async fn abort(&self, key: &str, begun: &S3Upload) -> Result<AbortResult> {
        match abort(self, key, &begun.id).await {
            Ok(()) => Ok(AbortResult::Now),
            Err(error) if status(&error) == Some(404) => Ok(AbortResult::Before),
            Err(error) => Err(self.fault(&format!("abort the upload of \"{key}\""), error).into()),
        }
    }
}

/// Returns the headers of the request that makes the object. A lock's days count from here, not from when the dump began.
fn making(host: &Host, creation: &PutOptions) -> Result<PutHeaders> {
    PutHeaders::new(&host.address.settings, creation, Timestamp::now())
}

/// Adds to the receipt whether the host keeps the lock that was asked for.
fn locked(host: &Host, key: &str, making: &PutHeaders, receipt: PutResult) -> PutResult {
    match making.hold {
        None => receipt,
        Some(hold) => PutResult { held: confirm(host, key, receipt.version.as_deref(), hold), ..receipt },
    }
}

async fn put_object(
    host: &Host,
    key: &str,
    bytes: &[u8],
    sum: ContentMd5,
    making: &PutHeaders,
    claim: PutIfAbsent,
) -> S3Answer<Option<String>, PutObjectError> {
    let request = host
        .client()
        .put_object()
        .bucket(host.address.bucket())
        .key(host.address.full(key))
        .set_if_none_match(claim.condition.clone())
        .set_content_md5(host.address.settings.content_md5.then(|| sum.base64()))
        .body(ByteStream::from(bytes.to_vec()))
        .customize()
        .mutate_request(making.headers())
        .mutate_request(claim.tries.count());
    Ok(request.send().await?.version_id().and_then(real_version))
}

async fn send_part(host: &Host, key: &str, id: &str, number: i32, bytes: Vec<u8>) -> Result<S3Part> {
    // Not on the runtime's own threads, which have the network to serve.
    let (bytes, sum) = tokio::task::spawn_blocking(move || {
        let sum = ContentMd5::of(&bytes);
        (bytes, sum)
    })
    .await?;
    let sum = sum?;
    // Shared by all tries.
    let body = SdkBody::from(bytes);
    let mut patience = OverloadLimit::start(host.address.settings.timeout);
    let answer = loop {
        let request = host
            .client()
            .upload_part()
            .bucket(host.address.bucket())
            .key(host.address.full(key))
            .upload_id(id)
            .part_number(number)
            .set_content_md5(host.address.settings.content_md5.then(|| sum.base64()))
            .body(ByteStream::new(body.try_clone().unwrap_or_else(SdkBody::taken)))
            .customize();
        // Content-MD5 is one of the signed headers and binds the body; a SHA-256 of every part beside it would cost more than AES.
        let request = if host.address.settings.content_md5 { request.disable_payload_signing() } else { request };
        let answer = request.send().await;
        if !patience.lasts(answer.as_ref().is_err_and(says_busy)).await {
            break answer.map_err(|error| host.fault(&format!("write part {number} of \"{key}\""), error))?;
        }
    };
    Ok(S3Part { number, sum, etag: answer.e_tag })
}

async fn complete(
    host: &Host,
    key: &str,
    id: &str,
    parts: &[S3Part],
    claim: PutIfAbsent,
) -> S3Answer<Option<String>, CompleteMultipartUploadError> {
    let parts = parts.iter().map(|part| {
        let etag = part.etag.clone().unwrap_or_else(|| format!("\"{}\"", part.sum.hex()));
        CompletedPart::builder().part_number(part.number).e_tag(etag).build()
    });
    let request = host
        .client()
        .complete_multipart_upload()
        .bucket(host.address.bucket())
        .key(host.address.full(key))
        .upload_id(id)
        .set_if_none_match(claim.condition.clone())
        .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build())
        .customize()
        .mutate_request(claim.tries.count());
    Ok(request.send().await?.version_id().and_then(real_version))
}
