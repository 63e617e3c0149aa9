//! Files and folders as a tar archive: finds, packs, checks and unpacks them.
//!
//! Names in an archive are relative to `/` and sorted, so that the same files make the same archive. An archive is trusted only as
//! far as [`ArchiveContents`](contents::ArchiveContents) has checked it: no name leads out of where it is unpacked.

pub(crate) mod contents;
pub(crate) mod entry;
pub(crate) mod pack;
pub(crate) mod source;
pub(crate) mod unpack;
pub(crate) mod walk;
