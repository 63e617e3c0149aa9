//! Taking a key that nobody has: the condition under which an object appears, and what a refused or lost answer means.

use super::fault::{Answer, status, uncertain};
use super::host::Host;
use super::object::head_in_time;
use super::patience::patiently;
use super::sent::Sent;
use super::tries::Tries;
use crate::error::{Fault, Kind, Result, kind};
use crate::store::{Info, Receipt, Taken};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::sync::Arc;

/// What the request that makes an object appear is to carry.
pub(super) struct Claim {
    /// For `If-None-Match`; none for a host that does not know it.
    pub condition: Option<String>,
    pub tries: Tries,
}

/// Makes the object appear by this request, which gives the version, unless its key is taken and may not be.
///
/// A refused or lost answer tells nothing of what is there: whether the object is ours is decided by its bytes.
pub(super) fn claim<E>(
    host: &Arc<Host>,
    key: &str,
    doing: &str,
    taken: Taken,
    sent: &Sent,
    request: impl AsyncFn(Claim) -> Answer<Option<String>, E>,
) -> Result<Receipt>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let mut condition = (taken == Taken::Refuse).then(|| "*".to_owned());
    loop {
        let tries = Tries::default();
        let send = async || request(Claim { condition: condition.clone(), tries: tries.clone() }).await;
        let error = match host.wait_out(patiently(host, send))? {
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

/// Returns the object if it is what was sent. Where it cannot be seen, it is not known for ours.
fn look(host: &Arc<Host>, key: &str, sent: &Sent) -> Result<Option<Info>> {
    match sent.find(host, key) {
        Err(error) if !matches!(kind(&error), Kind::Interrupted(_)) => Ok(None),
        found => found,
    }
}

/// Looks first: not every host honours `If-None-Match`, and a taken name should be known before the work.
pub(super) fn refuse_taken(host: &Host, key: &str) -> Result<()> {
    match host.wait(head_in_time(host, key, None))? {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(exists(host, key).into()),
        // Who may only write cannot look.
        Err(fault) if fault.kind() == Kind::Denied => Ok(()),
        Err(fault) => Err(fault.into()),
    }
}

fn exists(host: &Host, key: &str) -> Fault {
    Fault::new(Kind::Exists, format!("\"{key}\" exists already in {}", host.location()))
}

/// Whether the host says that the key is taken, or is being written by another at this moment.
fn is_taken<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    status(error) == Some(412) || error.code() == Some("ConditionalRequestConflict")
}
