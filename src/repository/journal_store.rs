//! Stores journals, and finds a chain by the names that a journal gives: nothing is listed.

use crate::base::error::{Kind, Result, kind};
use crate::base::{cancel, threads};
use crate::format::changes::journal::{JOURNAL_LIMIT, Journal};
use crate::format::changes::segment_name::{GenerationFolder, GenerationObject};
use crate::format::keys::Key;
use crate::format::lsn::Lsn;
use crate::repository::Repository;
use crate::repository::chain::generation_listing::GenerationListing;
use crate::store::{IfExists, ObjectInfo, PutOptions, Store, read_small};
use std::collections::BTreeMap;
use std::io::Write;

/// Objects looked up at the same time.
const READERS: usize = 64;
/// Most segments that are looked up one after the other: more are faster to list.
const MOST_FOLLOWED: usize = 200;

impl Repository {
    /// Returns the text of a journal, sealed with the key.
    pub(crate) fn sealed_journal(&self, journal: &Journal) -> Result<Vec<u8>> {
        let derived_keys = self.key.as_ref().map(Key::begin).transpose()?;
        let key = derived_keys.as_ref().map(|derived_keys| derived_keys.note.clone());
        Journal { key, ..journal.clone() }.seal(derived_keys.as_ref())
    }

    /// Stores a journal in the place of the one before it, and returns its key. In a store that writes over nothing it gets a name of its
    /// own, and those before it, which are `before`, are removed.
    pub(crate) fn put_journal(&self, journal: &Journal, text: &[u8], before: &[String]) -> Result<String> {
        let store = self.store.as_ref();
        let key = journal.key_name();
        if before.iter().all(|before| *before == key) {
            match write_over(store, &key, text) {
                Err(error) if kind(&error) == Kind::Exists => {}
                written => return written.map(|()| key),
            }
        }
        let key = journal.folder().key(&GenerationObject::Journal(Some(journal.end)));
        match write_over(store, &key, text) {
            // The same state, written again for another base.
            Err(error) if kind(&error) == Kind::Exists => {
                store.remove(&key, None)?;
                write_over(store, &key, text)?;
            }
            written => written?,
        }
        before.iter().filter(|before| **before != key).try_for_each(|before| store.remove(before, None))?;
        Ok(key)
    }

    /// Returns the newest journal that is stored of the generation of this one, if it is authentic and not older; else this one.
    pub fn newest_journal(&self, journal: Journal) -> Journal {
        let key = journal.key_name();
        let age = |journal: &Journal| (journal.written_at, journal.base.id.clone());
        let is_newer = |stored: &Journal| stored.folder() == journal.folder() && age(stored) >= age(&journal);
        let stored = match self.stored_journal(&key) {
            // In a store that writes over nothing each has a name of its own.
            Err(error) if kind(&error) == Kind::NotFound => self.named_journals(&journal),
            stored => stored.into_iter().collect(),
        };
        stored.into_iter().filter(is_newer).max_by_key(age).unwrap_or(journal)
    }

    fn stored_journal(&self, key: &str) -> Result<Journal> {
        let text = String::from_utf8_lossy(&read_small(self.store.as_ref(), key, JOURNAL_LIMIT)?).into_owned();
        Journal::open(key, &text, self.key.as_ref(), self.allow_unauthenticated)
    }

    /// Returns the journals of a generation that have names of their own. One that cannot be read is none.
    fn named_journals(&self, journal: &Journal) -> Vec<Journal> {
        let listed = self.store.list(&journal.folder().prefix()).unwrap_or_default();
        let is_named =
            |key: &str| matches!(GenerationFolder::of_key(key), Some((_, GenerationObject::Journal(Some(_)))));
        let keys = listed.iter().map(|listed| listed.key.as_str()).filter(|key| is_named(key));
        keys.filter_map(|key| self.stored_journal(key).ok()).collect()
    }

    /// Finds the objects of a generation by their names: the segments that a journal lists, those before them from the beginning of the chain,
    /// and those that were stored since. A chain that was cut elsewhere since, or of which the journal names too few, is listed after all.
    pub fn listing_of_journal(&self, journal: &Journal) -> Result<GenerationListing> {
        let folder = journal.folder();
        let document = Some(self.looked_up(&folder.key(&GenerationObject::Generation))?);
        let mut listing = GenerationListing {
            folder: folder.clone(),
            document,
            segments: BTreeMap::new(),
            cuts: BTreeMap::new(),
            others: Vec::new(),
            payloads: BTreeMap::new(),
        };
        if journal.is_cut {
            match self.looked_up(&folder.key(&GenerationObject::Cut(journal.begin))) {
                Ok(cut) => drop(listing.cuts.insert(journal.begin, cut)),
                Err(error) if kind(&error) == Kind::NotFound => return self.listed_again(journal),
                Err(error) => return Err(error),
            }
        }
        let found = threads::each(&journal.segments, READERS, |segment| {
            cancel::check()?;
            match self.looked_up(&folder.key(&GenerationObject::Segment(segment.start))) {
                Err(error) if kind(&error) == Kind::NotFound => Ok(None),
                found => found.map(|listed| Some((segment.start, listed))),
            }
        })?;
        listing.segments.extend(found.into_iter().flatten());
        let ends: BTreeMap<Lsn, Lsn> = journal.segments.iter().map(|segment| (segment.start, segment.end)).collect();
        let (mut next, mut followed) = (journal.begin, 0);
        loop {
            cancel::check()?;
            if let Some(end) = ends.get(&next).filter(|_| listing.segments.contains_key(&next)) {
                next = *end;
                continue;
            }
            let listed = match self.looked_up(&folder.key(&GenerationObject::Segment(next))) {
                Err(error) if kind(&error) == Kind::NotFound => break,
                found => found?,
            };
            let end = self.link(&listing, next, &listed)?.segment.end;
            listing.segments.insert(next, listed);
            (next, followed) = (end, followed + 1);
            if followed == MOST_FOLLOWED {
                return self.listed_again(journal);
            }
        }
        // A chain that has lost its beginning was cut; one that has lost its end is damaged, which the listing shows as well.
        if next < journal.end { self.listed_again(journal) } else { Ok(listing) }
    }

    /// Lists the generation of a journal.
    fn listed_again(&self, journal: &Journal) -> Result<GenerationListing> {
        let listings = self.generations(&journal.database)?;
        let found = listings.into_iter().find(|listing| listing.folder.generation == journal.generation);
        found.ok_or_else(|| self.missing(&journal.base.id).into())
    }

    pub(super) fn looked_up(&self, key: &str) -> Result<ObjectInfo> {
        let object = self.store.open(key, None)?;
        let info = object.info();
        Ok(ObjectInfo { key: key.to_owned(), bytes: info.bytes, modified: info.modified, etag: info.etag.clone() })
    }
}

/// Writes a small object over another one, where the store does that.
fn write_over(store: &dyn Store, key: &str, bytes: &[u8]) -> Result<()> {
    let options = PutOptions { expected: bytes.len() as u64, taken: IfExists::Replace, ..PutOptions::default() };
    let mut upload = store.create(key, &options)?;
    upload.write_all(bytes)?;
    upload.commit().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::hints;
    use crate::format::changes::chain_cut::ChainCut;
    use crate::format::changes::chain_document::CHAIN_FORMAT;
    use crate::format::changes::journal::{JournalBase, JournalPlace, JournalSegment};
    use crate::repository::chain::forged_chain::{DATABASE, ForgedChain};
    use crate::repository::made_backups::{put, repository};
    use crate::store::directory::Directory;
    use crate::store::memory::Memory;
    use std::sync::Arc;

    const GENERATION: &str = "20260822T031500Z-5f0c21ab";

    fn journal(repository: &Repository, chain: &ForgedChain<'_>, listed: usize) -> Journal {
        let id = put(repository, DATABASE, 1, Some("7"), &[]).id;
        journal_behind(JournalBase { meta: id.meta_key(), id, after_lsn: Lsn(0x300), key_id: None }, chain, listed)
    }

    fn journal_behind(base: JournalBase, chain: &ForgedChain<'_>, listed: usize) -> Journal {
        let segments = chain.segments[1..listed].iter().map(|(segment, _)| JournalSegment {
            meta: format!("{}.meta", segment.start.sortable()),
            start: segment.start,
            end: segment.end,
        });
        Journal {
            pgbk_changes: CHAIN_FORMAT,
            database: chain.generation.database.clone(),
            generation: chain.generation.id,
            written_at: "2026-08-22T03:20:00Z".parse().unwrap(),
            store: JournalPlace::default(),
            base,
            folder: chain.folder().prefix(),
            begin: chain.generation.start,
            is_cut: false,
            segments: segments.collect(),
            end: chain.segments[listed - 1].0.end,
            pgbk: "0.1.0".into(),
            key: None,
        }
    }

    #[test]
    fn segments_are_found_by_their_names_before_and_behind_those_that_a_journal_lists() {
        let plain = repository(&Memory::default());
        let chain = ForgedChain::begin(&plain, GENERATION).up_to(&[0x200, 0x300, 0x400, 0x500, 0x600]);
        let journal = journal(&plain, &chain, 3);
        let listing = plain.listing_of_journal(&journal).unwrap();
        assert_eq!(listing.segments.len(), 5);
        plain.chain(&listing).unwrap().around(Lsn(0x100)).unwrap().must_be_whole().unwrap();
        // Retention has cut the chain since, at a place that the journal does not know.
        let (segment, seal) = &chain.segments[1];
        plain.write_cut(&ChainCut::behind(segment, *seal, None)).unwrap();
        (0..2).for_each(|number| plain.store.remove(&chain.document(number), None).unwrap());
        let listing = plain.listing_of_journal(&journal).unwrap();
        assert_eq!((listing.segments.len(), listing.cut()), (3, Some(Lsn(0x300))));
    }

    #[test]
    fn a_journal_is_read_out_of_a_mail_and_no_changed_one_is() {
        let plain = repository(&Memory::default());
        let chain = ForgedChain::begin(&plain, GENERATION).up_to(&[0x200, 0x300]);
        let journal = journal(&plain, &chain, 2);
        let bytes = plain.sealed_journal(&journal).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let open = |text: &str| Journal::open("a mail", text, plain.key.as_ref(), false);
        for around in [text.clone(), format!("Dear {{you}},\n\n{text}\n-- \nbye"), text.replace('\n', "\r\n")] {
            assert_eq!(open(&around).unwrap().segments, journal.segments);
        }
        for wrong in [text.replace("0/300", "0/400"), text.replacen('{', "", 1), "x".into(), "{".into(), "\n{\n".into()]
        {
            let error = open(&wrong).unwrap_err();
            assert_eq!((kind(&error), hints(&error).len()), (Kind::Damaged, 1), "{wrong}");
        }
        // As mail programs save it: folded, and with signs of other mails in the same letters.
        let folded = quoted_printable::encode_to_str(format!("Hello =\n\n{text}\n-- \nf\u{fc}r = dich"));
        assert!(folded.contains("=\r\n") && !folded.contains(text.lines().rev().nth(1).unwrap()), "{folded}");
        assert_eq!(open(&folded).unwrap().segments, journal.segments);
        let cut = open(&folded[..folded.len() / 2]).unwrap_err();
        assert!(format!("{cut}").contains("cut off") && hints(&cut).len() == 1, "{cut}");
        let doubled = text.replacen("0/300", "0/300\", \"end\": \"0/300", 1);
        assert!(open(&doubled).is_err(), "{doubled}");
        let key = plain.put_journal(&journal, &bytes, &[]).unwrap();
        assert_eq!(read_small(plain.store.as_ref(), &key, JOURNAL_LIMIT).unwrap(), bytes);
        assert_eq!(plain.newest_journal(journal.clone()).segments, journal.segments);
    }

    #[test]
    fn a_journal_of_which_any_byte_was_changed_is_refused() {
        let plain = repository(&Memory::default());
        let chain = ForgedChain::begin(&plain, GENERATION).up_to(&[0x200, 0x300]);
        let bytes = plain.sealed_journal(&journal(&plain, &chain, 2)).unwrap();
        let open = |bytes: &[u8]| Journal::open("x", &String::from_utf8_lossy(bytes), plain.key.as_ref(), false);
        open(&bytes).unwrap();
        for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let error = open(&changed).err();
            let told = error.as_ref().is_some_and(|error| !hints(error).is_empty());
            assert!(told, "bit {bit} of byte {at}: {error:?} {}", String::from_utf8_lossy(&changed));
        }
        for length in 0..bytes.len() - 1 {
            let error = open(&bytes[..length]).unwrap_err();
            let what = if length == 0 { "it is empty" } else { "it is cut off" };
            assert!(format!("{error}").contains(what) && !hints(&error).is_empty(), "{length} bytes: {error}");
        }
    }

    #[test]
    fn the_newest_journal_is_found_whether_the_store_writes_over_the_one_before_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let directory: Arc<dyn Store> = Arc::new(Directory::open(folder.path()).unwrap());
        for plain in [repository(&Memory::default()), Repository { store: directory, ..repository(&Memory::default()) }]
        {
            let chain = ForgedChain::begin(&plain, GENERATION).up_to(&[0x200, 0x300, 0x400, 0x500]);
            let mailed = journal(&plain, &chain, 2);
            let mut stored = Vec::new();
            for (listed, minute) in [(2, 20), (3, 21), (4, 22)] {
                let written_at = format!("2026-08-22T03:{minute}:00Z").parse().unwrap();
                let newer = Journal { written_at, ..journal_behind(mailed.base.clone(), &chain, listed) };
                let text = plain.sealed_journal(&newer).unwrap();
                stored = vec![plain.put_journal(&newer, &text, &stored).unwrap()];
                assert_eq!(plain.newest_journal(mailed.clone()).end, newer.end, "{stored:?}");
            }
        }
    }

    #[test]
    fn a_sealed_journal_that_contradicts_itself_is_refused() {
        let plain = repository(&Memory::default());
        let chain = ForgedChain::begin(&plain, GENERATION).up_to(&[0x200, 0x300, 0x400]);
        let good = journal(&plain, &chain, 3);
        let changes: [fn(&mut Journal); 6] = [
            |journal| journal.folder.push('x'),
            |journal| journal.base.meta = "../other".into(),
            |journal| journal.segments[0].meta = "gen.meta".into(),
            |journal| journal.segments.swap(0, 1),
            |journal| journal.end = Lsn(0x200),
            |journal| journal.store.host = Some("a\0b".into()),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut wrong = good.clone();
            change(&mut wrong);
            let text = String::from_utf8(plain.sealed_journal(&wrong).unwrap()).unwrap();
            let error = Journal::open("x", &text, plain.key.as_ref(), false).unwrap_err();
            assert_eq!(kind(&error), Kind::Damaged, "{number}: {error:#}");
        }
    }

    #[test]
    fn a_chain_that_ends_before_the_end_of_its_journal_is_listed() {
        let plain = repository(&Memory::default());
        let chain = ForgedChain::begin(&plain, GENERATION).up_to(&[0x200, 0x300, 0x400]);
        let journal = journal(&plain, &chain, 3);
        plain.store.remove(&chain.document(2), None).unwrap();
        let listing = plain.listing_of_journal(&journal).unwrap();
        assert_eq!((listing.segments.len(), listing.payloads.is_empty()), (2, false));
    }
}
