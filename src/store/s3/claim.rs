//! Taking a key that nobody has: the condition under which an object appears, and what a refused or lost answer means.

use super::fault::{Answer, status, uncertain};
use super::host::Host;
use super::object::head;
use super::tries::Tries;
use crate::error::{Fault, Kind, Result};
use crate::store::{Receipt, Taken};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// What the request that makes an object appear is to carry.
pub(super) struct Claim {
    /// For `If-None-Match`; none for a host that does not know it.
    pub condition: Option<String>,
    pub tries: Tries,
}

/// Makes the object appear by this request, which gives the version, unless its key is taken and may not be.
pub(super) fn claim<E>(
    host: &Host,
    key: &str,
    doing: &str,
    taken: Taken,
    sent: Receipt,
    request: impl AsyncFn(Claim) -> Answer<Option<String>, E>,
) -> Result<Receipt>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let mut condition = (taken == Taken::Refuse).then(|| "*".to_owned());
    loop {
        let tries = Tries::default();
        let claim = Claim { condition: condition.clone(), tries: tries.clone() };
        let error = match host.wait_out(request(claim))? {
            Ok(version) => return Ok(Receipt { version, ..sent }),
            Err(error) => error,
        };
        if condition.is_some() && status(&error) == Some(501) {
            // A host without conditional writes: looking first has to do.
            condition = None;
            continue;
        }
        let refused = is_taken(&error);
        // Done, with the answer lost: then a second try finds the key taken, or no upload any more.
        let may_be_done = uncertain(&error) || matches!(status(&error), Some(200 | 404)) || refused && tries.several();
        if may_be_done && let Some(found) = look_up(host, key, &sent)? {
            return Ok(found);
        }
        return Err(if refused { exists(host, key) } else { host.fault(doing, error) }.into());
    }
}

/// Looks first: not every host honours `If-None-Match`, and a taken name should be known before the work.
pub(super) fn refuse_taken(host: &Host, key: &str) -> Result<()> {
    match host.wait(head(host, key, None))? {
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

/// Whether the object is there and is what was sent.
fn look_up(host: &Host, key: &str, sent: &Receipt) -> Result<Option<Receipt>> {
    let found = host.wait_out(head(host, key, None))?;
    Ok(match found {
        Ok(Some(info)) if info.bytes == sent.bytes && (info.etag == sent.etag || !host.settings.etag_is_md5()) => {
            Some(Receipt { version: info.version, ..sent.clone() })
        }
        _ => None,
    })
}

/// Whether the host says that the key is taken, or is being written by another at this moment.
fn is_taken<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    status(error) == Some(412) || error.code() == Some("ConditionalRequestConflict")
}
