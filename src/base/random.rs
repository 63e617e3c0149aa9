//! Makes random values, from OpenSSL's generator.

use crate::base::error::Result;

/// Returns random bytes. It is an error if the system gives none.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    openssl::rand::rand_bytes(&mut bytes)?;
    Ok(bytes)
}

/// Returns `N` random bytes in hexadecimal digits.
pub(crate) fn hex<const N: usize>() -> Result<String> {
    bytes::<N>().map(hex::encode)
}
