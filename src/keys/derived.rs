//! Derivations from a password, each made once in a process: what 600,000 rounds cost, an old backup costs once and not each time
//! that it is looked at.

use crate::error::{Fault, Result};
use crate::interrupt;
use crate::secret::Secret;
use blake2::Blake2b;
use blake2::digest::{Digest, consts::U32};
use openssl::{hash::MessageDigest, pkcs5::pbkdf2_hmac};
use std::collections::HashMap;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use zeroize::Zeroizing;

/// Key and IV, as one derivation gives them; None where it failed.
type Derived = Option<Zeroizing<[u8; 48]>>;
type Slot = Arc<OnceLock<Derived>>;

/// So many are remembered; documents with more salts than that may be anybody's.
const MOST: usize = 4_096;

/// The salt, and the hash of the password.
type Known = HashMap<([u8; 8], [u8; 32]), Slot>;
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// Returns PBKDF2-HMAC-SHA256 of the password, as `openssl enc -pbkdf2` cuts it: 32 bytes of key, 16 of IV. With a signal it is left
/// to itself: on a busy host even one derivation may outlast the time that a run has to end in.
pub(super) fn derive(password: &Secret, salt: &[u8; 8]) -> Result<Zeroizing<[u8; 48]>> {
    let slot = slot(password, salt);
    if slot.get().is_none() {
        interrupt::check()?;
        let (done, ended) = sync_channel(1);
        let (slot, password, salt) = (Arc::clone(&slot), password.clone(), *salt);
        std::thread::Builder::new().name("derive".into()).spawn(move || {
            // Threads that want the same wait for one of them, and others go on.
            slot.get_or_init(|| stretched(&password, &salt));
            done.send(()).ok();
        })?;
        while ended.recv_timeout(interrupt::TICK) == Err(RecvTimeoutError::Timeout) {
            interrupt::check()?;
        }
    }
    let derived = slot.get().cloned().flatten();
    derived.ok_or_else(|| Fault::failed("OpenSSL could not derive the key from the password").into())
}

fn stretched(password: &Secret, salt: &[u8; 8]) -> Derived {
    let (mut derived, iterations) = (Zeroizing::new([0; 48]), super::ITERATIONS as usize);
    let bytes = password.reveal().as_bytes();
    pbkdf2_hmac(bytes, salt, iterations, MessageDigest::sha256(), derived.as_mut()).ok()?;
    Some(derived)
}

fn slot(password: &Secret, salt: &[u8; 8]) -> Slot {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= MOST {
        known.clear();
    }
    let hash: [u8; 32] = Blake2b::<U32>::digest(password.reveal().as_bytes()).into();
    Arc::clone(known.entry((*salt, hash)).or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_derivation_is_made_once_and_another_salt_or_password_is_another() {
        let one = Secret::new("one");
        let first = derive(&one, &[1; 8]).unwrap();
        assert!(Arc::ptr_eq(&slot(&one, &[1; 8]), &slot(&Secret::new("one"), &[1; 8])));
        assert_eq!(derive(&one, &[1; 8]).unwrap(), first);
        assert_ne!(derive(&one, &[2; 8]).unwrap(), first);
        assert_ne!(derive(&Secret::new("two"), &[1; 8]).unwrap(), first);
    }
}
