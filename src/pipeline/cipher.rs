//! AES-256-CBC with PKCS#7 padding, byte for byte what `openssl enc -aes-256-cbc` reads and writes.

use crate::base::error::Fault;
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::keys::note::KeyNote;
use crate::pipeline::Stage;
use openssl::symm::{Cipher, Crypter, Mode};
use std::io::{self, Read, Write};

/// Bytes of a block of the cipher.
pub(crate) const BLOCK: u64 = 16;
const PIECE: usize = 64 << 10;
/// The bytes that `openssl enc` puts before the salt in password mode.
const MAGIC: &[u8; 8] = b"Salted__";

/// Encrypts what is written, or passes it on unchanged when made [`plain`](Encryptor::plain).
pub struct Encryptor<W> {
    inner: W,
    crypter: Option<Crypter>,
    out: Vec<u8>,
}

impl<W: Write> Encryptor<W> {
    pub fn plain(inner: W) -> Self {
        Encryptor { inner, crypter: None, out: Vec::new() }
    }

    pub fn new(mut inner: W, derived_keys: &DerivedKeys) -> io::Result<Self> {
        if let KeyNote::Password { salt, .. } = &derived_keys.note {
            inner.write_all(MAGIC)?;
            inner.write_all(salt)?;
        }
        let crypter =
            Crypter::new(Cipher::aes_256_cbc(), Mode::Encrypt, &derived_keys.cipher[..], Some(&derived_keys.iv))?;
        Ok(Encryptor { inner, crypter: Some(crypter), out: vec![0; PIECE + BLOCK as usize] })
    }
}

impl<W: Write> Write for Encryptor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(crypter) = &mut self.crypter else { return self.inner.write(bytes) };
        let piece = &bytes[..bytes.len().min(PIECE)];
        let made = crypter.update(piece, &mut self.out)?;
        self.inner.write_all(&self.out[..made])?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Stage for Encryptor<W> {
    type Inner = W;

    fn finish(mut self) -> io::Result<W> {
        if let Some(mut crypter) = self.crypter.take() {
            let made = crypter.finalize(&mut self.out)?;
            self.inner.write_all(&self.out[..made])?;
        }
        Ok(self.inner)
    }
}

/// Returns how many bytes of a payload come before the first block: the salt of a password, or none.
pub(crate) fn header(derived_keys: &DerivedKeys) -> u64 {
    match &derived_keys.note {
        KeyNote::Raw { .. } => 0,
        KeyNote::Password { salt, .. } => (MAGIC.len() + salt.len()) as u64,
    }
}

/// Decrypts whole blocks out of the middle of a payload. `iv` is the block before them, or the payload's own before the first. Padding is
/// not looked at. The blocks must have been verified.
pub(crate) fn decrypt_blocks(derived_keys: &DerivedKeys, iv: &[u8; 16], blocks: &[u8]) -> io::Result<Vec<u8>> {
    let mut crypter = Crypter::new(Cipher::aes_256_cbc(), Mode::Decrypt, &derived_keys.cipher[..], Some(iv))?;
    crypter.pad(false);
    let mut plain = vec![0; blocks.len() + BLOCK as usize];
    let made = crypter.update(blocks, &mut plain)?;
    let rest = crypter.finalize(&mut plain[made..])?;
    plain.truncate(made + rest);
    Ok(plain)
}

/// Decrypts what it reads. The bytes beneath must have been verified: CBC alone detects hardly any damage.
pub struct Decryptor<R> {
    inner: R,
    crypter: Option<Crypter>,
    fetched: Vec<u8>,
    out: Vec<u8>,
    given: usize,
}

impl<R: Read> Decryptor<R> {
    pub fn new(mut inner: R, derived_keys: &DerivedKeys) -> io::Result<Self> {
        if let KeyNote::Password { salt, .. } = &derived_keys.note {
            let mut header = [0; MAGIC.len() + 8];
            inner.read_exact(&mut header)?;
            if header[..8] != MAGIC[..] || header[8..] != salt[..] {
                return Err(Fault::damaged("the payload does not begin with the salt that its .meta names").into());
            }
        }
        let crypter =
            Crypter::new(Cipher::aes_256_cbc(), Mode::Decrypt, &derived_keys.cipher[..], Some(&derived_keys.iv))?;
        Ok(Decryptor { inner, crypter: Some(crypter), fetched: vec![0; PIECE], out: Vec::new(), given: 0 })
    }

    /// Decrypts the next piece into `out`; false at the end.
    fn refill(&mut self) -> io::Result<bool> {
        let Some(crypter) = &mut self.crypter else { return Ok(false) };
        let count = self.inner.read(&mut self.fetched)?;
        self.out.resize(PIECE + BLOCK as usize, 0);
        let made = if count > 0 {
            crypter.update(&self.fetched[..count], &mut self.out)?
        } else {
            let made =
                crypter.finalize(&mut self.out).map_err(|_| Fault::damaged("the padding of the cipher is wrong"))?;
            self.crypter = None;
            made
        };
        self.out.truncate(made);
        self.given = 0;
        Ok(true)
    }
}

impl<R: Read> Read for Decryptor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() {
            if !self.refill()? {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.out.len() - self.given);
        buffer[..count].copy_from_slice(&self.out[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
