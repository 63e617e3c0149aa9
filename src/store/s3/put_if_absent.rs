//! Makes an object appear under a key that nobody has, and decides what a refused or lost answer means.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::store::s3::attempts::Attempts;
use crate::store::s3::errors::{S3Answer, status, uncertain};
use crate::store::s3::host::Host;
use crate::store::s3::object::head_in_time;
use crate::store::s3::overload::patiently;
use crate::store::s3::upload_sums::UploadSums;
use crate::store::{IfExists, Info, PutResult};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use std::sync::Arc;

/// Holds what the request that makes an object appear is to carry.
pub(crate) struct PutIfAbsent {
    /// The value of `If-None-Match`. None: the key may be taken, or the host does not know the condition.
    pub condition: Option<String>,
    pub tries: Attempts,
}

/// Makes the object appear by this request, which returns the version. `Exists` if its key is taken and that is to be refused.
///
/// A refused or lost answer does not show what is there. Whether the object is ours is decided by its bytes.
pub(crate) fn claim<E>(
    host: &Arc<Host>,
    key: &str,
    doing: &str,
    taken: IfExists,
    sent: &UploadSums,
    request: impl AsyncFn(PutIfAbsent) -> S3Answer<Option<String>, E>,
) -> Result<PutResult>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let mut condition = (taken == IfExists::Refuse).then(|| "*".to_owned());
    loop {
        let tries = Attempts::default();
        let send = async || request(PutIfAbsent { condition: condition.clone(), tries: tries.clone() }).await;
        let error = match host.waiter.wait_out(patiently(host, send))? {
            Ok(version) => return Ok(sent.receipt(version)),
            Err(error) => error,
        };
        if condition.is_some() && status(&error) == Some(501) {
            // A host without conditional writes: looking first has to do.
            condition = None;
            continue;
        }
        let refused = is_taken(&error);
        // An earlier try, ours or that of a proxy between, may have done it: then the key is taken, or the upload is no more.
        let may_be_done = refused || tries.several() || uncertain(&error) || matches!(status(&error), Some(200 | 404));
        if may_be_done && let Some(found) = look(host, key, sent)? {
            return Ok(sent.receipt(found.version));
        }
        return Err(if refused { exists(host, key) } else { host.fault(doing, error) }.into());
    }
}

/// Returns the object if it is what was sent. None: it is not, or it cannot be read.
fn look(host: &Arc<Host>, key: &str, sent: &UploadSums) -> Result<Option<Info>> {
    match sent.find(host, key) {
        Err(error) if !matches!(kind(&error), Kind::Interrupted(_)) => Ok(None),
        found => found,
    }
}

/// Fails with `Exists` if the key is taken. It is called first, because not every host honours `If-None-Match`, and a
/// taken name should be known before the work.
pub(crate) fn refuse_taken(host: &Host, key: &str) -> Result<()> {
    match host.waiter.wait(head_in_time(host, key, None))? {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(exists(host, key).into()),
        // Who may only write cannot look.
        Err(fault) if fault.kind() == Kind::Denied => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

/// Returns whether the host itself refuses a second object under a taken key, asked with `key`, which must exist.
pub(crate) fn is_refused_by_host(host: &Host, key: &str) -> Result<bool> {
    let request = host.client().put_object().bucket(host.address.bucket()).key(host.address.full(key));
    let request = request.if_none_match("*").body(ByteStream::from_static(b""));
    match host.waiter.wait(request.send())? {
        Ok(_) => Ok(false),
        Err(error) if matches!(status(&error), Some(409 | 412)) => Ok(true),
        Err(error) => Err(host.fault(&format!("try to overwrite \"{key}\""), error).into()),
    }
}

fn exists(host: &Host, key: &str) -> Fault {
    Fault::new(Kind::Exists, format!("\"{key}\" exists already in {}", host.address.location()))
}

/// Whether the host says that the key is taken, or is being written by another at this moment.
fn is_taken<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    status(error) == Some(412) || error.code() == Some("ConditionalRequestConflict")
}
