//! Derives keys from a password, each once in a process, and once on a host if the state directory can keep them. So the 600,000
//! rounds for an old backup are paid once, and not each time that it is read.

use crate::base::error::{Fault, Result};
use crate::base::secret::Secret;
use crate::base::{cancel, threads};
use crate::format::keys::ring::Ring;
use blake2::Blake2b;
use blake2::digest::Digest;
use blake2::digest::consts::U32;
use ring::pbkdf2;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Condvar, LazyLock, Mutex, OnceLock, PoisonError};
use zeroize::Zeroizing;

/// Key and IV from one derivation.
type KeyMaterial = Zeroizing<[u8; 48]>;
type Slot = Arc<OnceLock<KeyMaterial>>;

/// How many derivations are remembered. Documents with more salts than that may come from anyone.
const MOST: usize = 4_096;

/// The derivations by salt and hash of the password.
type DerivationCache = HashMap<([u8; 8], [u8; 32]), Slot>;
static KNOWN: LazyLock<Mutex<DerivationCache>> = LazyLock::new(Mutex::default);

/// Derivations that earlier processes have kept, as they were when first read.
static RING: OnceLock<Option<Ring>> = OnceLock::new();
/// A salt, and what was derived with it.
type SaltedMaterial = ([u8; 8], KeyMaterial);
/// Derivations of this process that are not kept yet.
static FRESH: Mutex<Vec<SaltedMaterial>> = Mutex::new(Vec::new());

/// Returns PBKDF2-HMAC-SHA256 of the password, as `openssl enc -pbkdf2` cuts it: 32 bytes of key, 16 of IV. A signal is an error,
/// and the derivation is left to itself: on a busy host even one may outlast the time that a run has to end in.
pub(crate) fn derive(password: &Secret, salt: &[u8; 8]) -> Result<KeyMaterial> {
    let (derived, new) = once(password, salt, true)?;
    if new {
        keep(password, salt, &derived)?;
    }
    Ok(derived)
}

/// Returns the derivation, and whether it was made by this call. `ring` allows one that an earlier process has kept.
fn once(password: &Secret, salt: &[u8; 8], ring: bool) -> Result<(KeyMaterial, bool)> {
    let (slot, mut new) = (slot(password, salt), false);
    if slot.get().is_none() {
        cancel::check()?;
        let (done, ended) = sync_channel(1);
        let (slot, password, salt) = (Arc::clone(&slot), password.clone(), *salt);
        threads::begin("derive", move || {
            let mut new = false;
            // Threads that want the same wait for one of them, and others go on.
            slot.get_or_init(|| {
                let kept = if ring { kept(&password, &salt) } else { None };
                new = kept.is_none();
                // The ring's own is what all others wait for to be kept.
                kept.unwrap_or_else(|| {
                    if ring { in_turn(|| stretched(&password, &salt)) } else { stretched(&password, &salt) }
                })
            });
            done.send(new).ok();
        })?;
        new = loop {
            match ended.recv_timeout(cancel::TICK) {
                Err(RecvTimeoutError::Timeout) => cancel::check()?,
                ended => break ended.unwrap_or(false),
            }
        };
    }
    let derived = slot.get().cloned().ok_or_else(|| Fault::failed("the key was not derived from the password"))?;
    Ok((derived, new))
}

/// Derives when a core is free: with more derivations than cores at a time all would end late, and a signal would find none done.
fn in_turn(make: impl FnOnce() -> KeyMaterial) -> KeyMaterial {
    static FREE: LazyLock<Mutex<usize>> =
        LazyLock::new(|| Mutex::new(std::thread::available_parallelism().map_or(1, usize::from)));
    static FREED: Condvar = Condvar::new();
    let free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    *FREED.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner) -= 1;
    let made = make();
    *FREE.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    FREED.notify_one();
    made
}

/// Returns the derivation that an earlier process has kept. `None`: there is none, or with another password.
fn kept(password: &Secret, salt: &[u8; 8]) -> Option<KeyMaterial> {
    let ring = RING.get_or_init(Ring::read).as_ref().filter(|ring| ring.salt != *salt && ring.holds(salt))?;
    let own = slot(password, &ring.salt);
    ring.find(salt, own.get_or_init(|| stretched(password, &ring.salt)))
}

/// Keeps the derivation for later processes. To seal it costs one more derivation, so a single one is not kept if nothing else is.
/// A file that cannot be written is no error: the key will be derived again.
fn keep(password: &Secret, salt: &[u8; 8], derived: &[u8; 48]) -> Result<()> {
    let mut fresh = FRESH.lock().unwrap_or_else(PoisonError::into_inner);
    fresh.push((*salt, Zeroizing::new(*derived)));
    let there = Ring::read();
    if there.is_none() && fresh.len() < 2 {
        return Ok(());
    }
    let Some(mut ring) = there.or_else(Ring::begin) else { return Ok(()) };
    let (own, _) = once(password, &ring.salt, false)?;
    for (salt, derived) in fresh.drain(..) {
        ring.add(&salt, &derived, &own)?;
    }
    // A folder that is full, or may not be written to.
    ring.write().ok();
    Ok(())
}

/// Derives by ring, which takes little more than half of the time that OpenSSL 3.0 does for the same.
fn stretched(password: &Secret, salt: &[u8; 8]) -> KeyMaterial {
    let mut derived = Zeroizing::new([0; 48]);
    let bytes = password.reveal().as_bytes();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt, bytes, derived.as_mut());
    derived
}

fn slot(password: &Secret, salt: &[u8; 8]) -> Slot {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() >= MOST {
        known.clear();
    }
    let hash: [u8; 32] = Blake2b::<U32>::digest(password.reveal().as_bytes()).into();
    Arc::clone(known.entry((*salt, hash)).or_default())
}

pub const KDF: &str = "pbkdf2-hmac-sha256";

pub const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();

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
