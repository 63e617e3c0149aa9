//! The script that restores a base and its changes without pgbk. It is stored beside the segments that it is for.

use crate::base::error::{Kind, Result, kind};
use crate::format::changes::generation::Generation;
use crate::format::changes::segment_name::GenerationObject;
use crate::repository::Repository;
use crate::store::{ObjectKind, write_as};

const SCRIPT: &str = include_str!("../format/changes/restore.sh");

impl Repository {
    /// Stores the script in the folder of a generation, unless it is there.
    pub(crate) fn put_restore_script(&self, generation: &Generation) -> Result<()> {
        let key = generation.folder().key(&GenerationObject::Script);
        match write_as(self.store.as_ref(), &key, SCRIPT.as_bytes(), ObjectKind::Meta) {
            Err(error) if kind(&error) == Kind::Exists => Ok(()),
            written => written.map(drop),
        }
    }
}
