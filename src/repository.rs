//! A backup repository: an object store plus the key that seals and encrypts what is in it.
//!
//! The payload is written first and the `.meta` last; only a `.meta` makes a backup. A manifest is authenticated before it is trusted.

pub(crate) mod adoption;
pub(crate) mod budget;
pub mod catalog;
pub mod chain;
pub mod chain_tail;
pub(crate) mod check;
pub(crate) mod document_readers;
pub(crate) mod doubletake;
pub mod fixed_name;
pub(crate) mod guard;
pub(crate) mod inventory;
pub(crate) mod journal_store;
pub(crate) mod lifecycle;
#[cfg(test)]
pub(crate) mod made_backups;
pub mod name;
pub mod new_backup;
pub mod newest;
pub mod newest_base;
pub mod orphans;
pub(crate) mod payload;
pub(crate) mod pin;
pub(crate) mod publish;
pub(crate) mod reader;
pub(crate) mod restore_script;
pub mod retention;
pub mod segment_writer;
pub(crate) mod tables;
pub(crate) mod walk;
pub(crate) mod whole_server;
pub mod writer;

use crate::base::variant::Variant;
use crate::format::keys::Key;
use crate::store::Store;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub struct Repository {
    pub store: Arc<dyn Store>,
    /// The variant whose backups this repository writes and finds; those of other variants that the store holds are not its own.
    pub variant: Variant,
    pub key: Option<Key>,
    /// `NO_ENCRYPT`: keys still seal and decrypt, new backups are not encrypted.
    pub encrypt: bool,
    /// `DB_BACKUP_VERIFY`: each payload is checked in the store before its `.meta` is written.
    pub verify: bool,
    pub allow_unauthenticated: bool,
}

impl Repository {
    /// Opens a store without a key, to read what anybody may see: documents are not authenticated.
    pub(crate) fn without_key(store: Arc<dyn Store>) -> Repository {
        Repository {
            store,
            variant: Variant::Plain,
            key: None,
            encrypt: false,
            verify: true,
            allow_unauthenticated: true,
        }
    }
}
