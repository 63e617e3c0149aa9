//! Finds what this stream put into an error. The driver wraps it in errors of its own.

use std::error::Error;
use std::io;

/// Returns the cause of this type that an I/O error among the causes carries; `None` if another thing caused the error.
pub(crate) fn carried<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut causes = Some(error);
    while let Some(cause) = causes {
        if let Some(found) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = found.downcast_ref()
        {
            return Some(found);
        }
        causes = cause.source();
    }
    None
}
