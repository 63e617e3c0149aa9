//! The files of alerts below the state directory: their largest size, and how they are written.

use crate::base::atomic_file::NewFile;
use crate::base::error::Result;
use anyhow::Context;
use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Largest size of a file, in bytes.
pub(crate) const LARGEST: u64 = 1 << 20;

/// Writes a file as a whole or not at all. Creates its folder if it is missing.
pub fn write(path: &Path, text: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("create the folder \"{}\"", folder.display()))?;
    }
    let mut file = NewFile::create(path, true)?;
    file.write_all(text)?;
    file.commit()
}
