//! Compares who can read the next backup of a series with who can read the one before, so that encryption is never lost by a slip.

use crate::base::error::{Fault, Kind, Result, kind};
use crate::base::progress::Monitor;
use crate::format::backup_id::BackupId;
use crate::format::keys::Key;
use crate::format::keys::note::KeyNote;
use crate::format::manifest::Manifest;
use crate::format::manifest::payload_objects::payload_of;
use crate::repository::Repository;
use crate::repository::catalog::Catalog;

/// Number of backups that are tried, from the newest on, until one can be read.
const TRIES: usize = 5;
/// Suffix of an encrypted payload's name.
const SEALED: &str = ".enc";

impl Repository {
    /// Refuses a backup in plain text if the series was or may have been encrypted, unless `NO_ENCRYPT` says that it is meant. Announces it
    /// if another key is used. `previous` is the newest backup of the series; `None`: there is none. Plain text is also refused if one of
    /// `beside` is encrypted. `catalog` is the catalog of that database.
    pub fn guard(
        &self,
        previous: Option<&BackupId>,
        beside: &[BackupId],
        catalog: &Catalog,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let plain = self.encrypt && self.key.is_none();
        let told = if plain { self.refuse_plain(previous, beside, catalog)? } else { None };
        let Some(previous) = previous else {
            if plain {
                monitor.warn(
                    "no key is set: what is stored can be read by anyone who can read the store; set DB_BACKUP_ENCRYPT_KEY \
                     (openssl rand -hex 32), or NO_ENCRYPT=1 if that is meant",
                );
            }
            return Ok(());
        };
        let before = match told {
            Some(before) => Some((previous.clone(), before)),
            None => self.readable(previous, catalog, monitor)?,
        };
        match before {
            Some((id, Manifest { key: Some(note), .. })) => self.compare_keys(&id, &note, monitor),
            _ => Ok(()),
        }
    }

    /// Refuses if one of these backups is encrypted, or may be: an unreadable `.meta`, or an encrypted payload without
    /// one, may be the newest of the series, no matter who put it there. Returns the unauthenticated manifest of
    /// `previous`; `None` if there is none, or as for `told`.
    fn refuse_plain(
        &self,
        previous: Option<&BackupId>,
        beside: &[BackupId],
        catalog: &Catalog,
    ) -> Result<Option<Manifest>> {
        let plain = |id: &BackupId| -> Result<Option<Manifest>> {
            match self.told(id, catalog)? {
                Some(before) if before.encryption.is_some() => Err(plaintext(id, &before).into()),
                before => Ok(before),
            }
        };
        let before = previous.map(plain).transpose()?.flatten();
        for id in beside {
            plain(id)?;
        }
        let newer = |id: &BackupId| previous.is_none_or(|previous| id > previous);
        for entry in catalog.entries().iter().filter(|entry| newer(&entry.id)) {
            self.told(&entry.id, catalog)?;
        }
        let alone = |id: &BackupId| newer(id) && !catalog.entries().iter().any(|entry| entry.id == *id);
        let sealed = catalog.keys().filter(|key| is_sealed(key));
        match sealed.filter_map(|key| Some((key, BackupId::of_any_payload_key(key)?))).find(|(_, id)| alone(id)) {
            Some((key, _)) => Err(unknown(&format!("\"{key}\" is encrypted and has no .meta")).into()),
            None => Ok(before),
        }
    }

    /// Returns the unauthenticated manifest of a backup. `None`: it has gone meanwhile, or this role may not read it and its payload has no
    /// name of an encrypted one. Any other `.meta` that cannot be read is an error.
    fn told(&self, id: &BackupId, catalog: &Catalog) -> Result<Option<Manifest>> {
        let sealed = |key: &str| is_sealed(key) && BackupId::of_any_payload_key(key).as_ref() == Some(id);
        match self.listed_manifest(catalog, id) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(error) => match kind(&error) {
                Kind::NotFound => Ok(None),
                Kind::Denied if !catalog.keys().any(sealed) => Ok(None),
                Kind::Damaged | Kind::Denied => {
                    Err(unknown(&format!("\"{}\" cannot be read ({error:#})", id.meta_key())).into())
                }
                // Trouble that may be over soon. Whoever tries again is told all of it.
                _ => Err(error),
            },
        }
    }

    /// Returns whether the configured key opens a backup. True for a backup without a key; false if it has one and none is configured.
    pub fn opens(&self, manifest: &Manifest) -> Result<bool> {
        let (Some(note), Some(key)) = (&manifest.key, &self.key) else { return Ok(manifest.key.is_none()) };
        match key.resume(note) {
            Err(error) if kind(&error) == Kind::OtherKey => Ok(false),
            resumed => resumed.map(|_| true),
        }
    }

    fn compare_keys(&self, id: &BackupId, note: &KeyNote, monitor: &dyn Monitor) -> Result<()> {
        let Some(key) = &self.key else {
            monitor.warn(&format!("{id} was sealed with a key, and none is set: forgery will not be noticed"));
            return Ok(());
        };
        match key.resume(note) {
            Err(error) if kind(&error) == Kind::OtherKey => {
                monitor.announce(&format!(
                    "the newest backup of \"{}\" was made with {}, and this one is made with {}: whoever restores needs both; if that \
                     is not meant, set the key that was in force",
                    id.subject(),
                    name(note),
                    own_name(key)?,
                ));
                Ok(())
            }
            resumed => resumed.map(|_| ()),
        }
    }

    /// Returns the newest readable manifest from `newest` downwards, unauthenticated. `None` if there is none; a message says so.
    fn readable(
        &self,
        newest: &BackupId,
        catalog: &Catalog,
        monitor: &dyn Monitor,
    ) -> Result<Option<(BackupId, Manifest)>> {
        let mut ids = vec![newest.clone()];
        for tried in 0..TRIES {
            let Some(id) = ids.get(tried).cloned() else { break };
            match self.listed_manifest(catalog, &id) {
                Ok(manifest) => return Ok(Some((id, manifest))),
                Err(error) if kind(&error) == Kind::Denied => break,
                Err(error) if matches!(kind(&error), Kind::Damaged | Kind::NotFound) => {
                    if tried == 0 {
                        let all = catalog.entries().iter().rev().map(|entry| &entry.id);
                        ids.extend(all.filter(|id| *id < newest).cloned());
                    }
                }
                // Whether a key is lost by a slip is looked at before.
                Err(error) if self.key.is_none() => return Err(error),
                Err(error) => {
                    monitor.note(&format!("{id} cannot be compared: {error:#}"));
                    return Ok(None);
                }
            }
        }
        monitor.warn(&format!(
            "the .meta of {newest} may not be read: whether it was encrypted, and with which key, is not compared"
        ));
        Ok(None)
    }
}

/// Returns the name of a backup's key for messages: the check id of a raw key. A password has
/// no check id, for each backup has its own salt.
pub fn name(note: &KeyNote) -> String {
    match note {
        KeyNote::Raw { check, .. } => format!("key {}", short(check)),
        KeyNote::Password { .. } => "a password".to_owned(),
    }
}

/// Returns the name of the configured key for messages.
pub fn own_name(key: &Key) -> Result<String> {
    match key {
        Key::Raw { .. } => Ok(name(&key.begin()?.note)),
        Key::Password(_) => Ok("another password".to_owned()),
    }
}

/// Returns the first half of a check id in hexadecimal, which is enough to distinguish keys.
pub fn short(check: &[u8]) -> String {
    hex::encode(&check[..check.len().min(4)])
}

fn plaintext(id: &BackupId, before: &Manifest) -> Fault {
    let with = before.key.as_ref().map_or("a key".to_owned(), name);
    let what = format!("{id}, the newest backup of \"{}\", is encrypted with {with}", id.subject());
    Fault::usage(format!("{what}, and no key is set: nothing is stored")).hint(
        "set DB_BACKUP_ENCRYPT_KEY or ENC_PASSWORD (an empty or misspelt variable counts as unset); if backups are to be plain \
         text from now on, say NO_ENCRYPT=1",
    )
}

/// Returns the refusal for a series that may have been encrypted; `what` says why that is unknown.
fn unknown(what: &str) -> Fault {
    Fault::usage(format!("{what}, so the series may be encrypted, and no key is set: nothing is stored")).hint(
        "set DB_BACKUP_ENCRYPT_KEY or ENC_PASSWORD (an empty or misspelt variable counts as unset), or let pgbk read that file; if \
         backups are to be plain text, say NO_ENCRYPT=1",
    )
}

/// Returns whether a payload's object with this key is encrypted, as its name says.
fn is_sealed(key: &str) -> bool {
    payload_of(key).unwrap_or(key).ends_with(SEALED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::progress::{ProgressId, Update};
    use crate::base::secret::Secret;
    use crate::format::manifest::Format;
    use crate::repository::writer::ManifestDetails;
    use crate::store::memory::Memory;
    use crate::store::refusing_store::RefusingStore;
    use crate::store::{Store, write_small};
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    const KEYS: [&str; 2] = [
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    ];

    #[derive(Default)]
    struct Said(Mutex<Vec<String>>);

    impl Monitor for Said {
        fn begin(&self, _: &str, _: Option<u64>) -> ProgressId {
            ProgressId::default()
        }
        fn update(&self, _: ProgressId, _: Update<'_>) {}
        fn warn(&self, message: &str) {
            self.0.lock().unwrap().push(message.to_owned());
        }
        fn announce(&self, message: &str) {
            self.0.lock().unwrap().push(format!("ALOUD {message}"));
        }
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum With {
        Nothing,
        Raw(usize),
        Password(&'static str),
    }

    const ALL: [With; 5] = [With::Nothing, With::Raw(0), With::Raw(1), With::Password("one"), With::Password("other")];

    fn repository(store: &Arc<dyn Store>, with: With, encrypt: bool) -> Repository {
        let key = match with {
            With::Nothing => None,
            With::Raw(which) => Some(Key::raw(&Secret::new(KEYS[which]), None).unwrap()),
            With::Password(word) => Some(Key::Password(Secret::new(word))),
        };
        Repository {
            store: store.clone(),
            variant: Default::default(),
            key,
            encrypt,
            verify: false,
            allow_unauthenticated: false,
        }
    }

    fn store(repository: &Repository, second: i64) -> BackupId {
        let id = BackupId::new("shop", jiff::Timestamp::from_second(1_790_000_000 + second).unwrap());
        let mut writer = repository.begin(id.clone().into(), Format::Plain, None, 0).unwrap();
        writer.write_all(b"SELECT 1;\n").unwrap();
        writer.finish(ManifestDetails::default(), &crate::base::progress::NullMonitor).unwrap();
        id
    }

    #[test]
    fn every_key_after_every_other_is_refused_told_aloud_or_silent_as_it_should_be() {
        for before in ALL {
            for encrypted in [true, false] {
                let memory: Arc<dyn Store> = Arc::new(Memory::default());
                let id = store(&repository(&memory, before, encrypted), 0);
                let was_encrypted = encrypted && before != With::Nothing;
                for now in ALL {
                    for encrypt in [true, false] {
                        let (repository, said) = (repository(&memory, now, encrypt), Said::default());
                        let done = repository.guard(Some(&id), &[], &repository.catalog(None).unwrap(), &said);
                        let said = said.0.into_inner().unwrap();
                        let case = format!("{before:?} {encrypted} then {now:?} {encrypt}: {said:?}");
                        let refused = was_encrypted && now == With::Nothing && encrypt;
                        assert_eq!(done.is_err(), refused, "{case}");
                        if let Err(error) = done {
                            assert_eq!(kind(&error), Kind::Usage);
                        }
                        let other = before != With::Nothing && now != With::Nothing && before != now;
                        assert_eq!(said.iter().any(|line| line.starts_with("ALOUD")), other, "{case}");
                        let seal_lost = before != With::Nothing && now == With::Nothing && !refused;
                        assert_eq!(said.len(), usize::from(other) + usize::from(seal_lost), "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_newest_document_that_is_no_document_does_not_hide_that_the_series_is_encrypted() {
        let memory: Arc<dyn Store> = Arc::new(Memory::default());
        store(&repository(&memory, With::Raw(0), true), 0);
        let broken = BackupId::new("shop", jiff::Timestamp::from_second(1_790_000_100).unwrap());
        write_small(memory.as_ref(), &broken.meta_key(), b"{}").unwrap();
        let said = Said::default();
        let catalog = repository(&memory, With::Nothing, true).catalog(None).unwrap();
        assert!(repository(&memory, With::Nothing, true).guard(Some(&broken), &[], &catalog, &said).is_err());
        assert!(repository(&memory, With::Nothing, false).guard(Some(&broken), &[], &catalog, &said).is_ok());
    }

    #[test]
    fn while_the_newest_document_is_out_of_reach_nothing_is_stored_without_the_key_and_no_key_is_compared() {
        let memory = Memory::default();
        let id = store(&repository(&(Arc::new(memory.clone()) as Arc<dyn Store>), With::Raw(0), true), 0);
        for refusal in [Kind::Failed, Kind::Unauthenticated, Kind::Interrupted(15)] {
            let refusing =
                RefusingStore { memory: memory.clone(), end: id.meta_key(), open: Some(refusal), remove: None };
            let refusing: Arc<dyn Store> = Arc::new(refusing);
            for (now, encrypt) in [(With::Nothing, true), (With::Nothing, false), (With::Raw(1), true)] {
                let (repository, said) = (repository(&refusing, now, encrypt), Said::default());
                let done = repository.guard(Some(&id), &[], &repository.catalog(None).unwrap(), &said);
                match now {
                    With::Nothing => assert_eq!(kind(&done.unwrap_err()), refusal, "{encrypt}"),
                    _ => done.unwrap(),
                }
                assert!(said.0.into_inner().unwrap().is_empty());
            }
        }
    }

    #[test]
    fn a_first_backup_in_plain_text_is_allowed_and_said() {
        let memory: Arc<dyn Store> = Arc::new(Memory::default());
        for (encrypt, lines) in [(true, 1), (false, 0)] {
            let said = Said::default();
            repository(&memory, With::Nothing, encrypt).guard(None, &[], &Catalog::default(), &said).unwrap();
            assert_eq!(said.0.into_inner().unwrap().len(), lines);
        }
    }
}
