//! A file of certificates to trust.

use crate::base::error::{Fault, Result};
use crate::base::plain_file;
use openssl::x509::X509;
use std::path::Path;

/// Reads all certificates of a PEM file; a file without any is an error. `setting` is the setting that named the file.
pub fn read(path: &Path, setting: &str) -> Result<Vec<X509>> {
    let fail = |why: String| {
        Fault::usage(format!("cannot read the certificates in \"{}\": {why}", path.display()))
            .hint(format!("{setting} names a file of PEM certificates"))
    };
    let text = plain_file::read_named(path).map_err(|error| fail(error.to_string()))?;
    let found = X509::stack_from_pem(&text).map_err(|error| fail(error.to_string()))?;
    if found.is_empty() {
        return Err(fail("there are none".to_owned()).into());
    }
    Ok(found)
}
