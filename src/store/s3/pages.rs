//! Limits how far a listing is followed: a host that means harm, or is broken, may say for ever that there is more.

use crate::base::error::{Fault, Result};

/// Bytes that a listing may take in memory: some three million objects.
const MOST_BYTES: u64 = 512 << 20;
/// Bytes that are kept of each object besides its key.
const EACH: u64 = 128;
/// Number of pages one after the other that may bring nothing new. Some hosts have empty ones where much was deleted.
const MOST_IDLE: u32 = 1000;

/// The pages of one listing so far.
pub(crate) struct Pages<'a> {
    host: &'a str,
    /// The name of the work, for messages.
    doing: String,
    bytes: u64,
    idle: u32,
    /// The first and the last name of the page before.
    ends: (String, String),
}

impl<'a> Pages<'a> {
    pub fn new(host: &'a str, what: &str, prefix: &str) -> Pages<'a> {
        let doing = if prefix.is_empty() { what.to_owned() } else { format!("{what} below \"{prefix}\"") };
        Pages { host, doing, bytes: 0, idle: 0, ends: Default::default() }
    }

    pub fn doing(&self) -> &str {
        &self.doing
    }

    /// Counts a page, by the key and the version or upload of each entry. It is an error if there is no end in sight.
    pub fn count<'k>(&mut self, entries: impl Iterator<Item = (Option<&'k str>, Option<&'k str>)>) -> Result<()> {
        let (mut first, mut last) = (None, None);
        for (key, id) in entries {
            let entry = (key.unwrap_or_default(), id.unwrap_or_default());
            first.get_or_insert(entry);
            last = Some(entry);
            self.bytes = self.bytes.saturating_add(EACH + (entry.0.len() + entry.1.len()) as u64);
        }
        let name = |entry: Option<(&str, &str)>| entry.map(|(key, id)| format!("{key}\n{id}")).unwrap_or_default();
        let ends = (name(first), name(last));
        let is_new = first.is_some() && ends != self.ends;
        self.idle = if is_new { 0 } else { self.idle + 1 };
        self.ends = ends;
        if self.bytes > MOST_BYTES {
            let text = format!("cannot {}: there is more than {} MiB of names", self.doing, MOST_BYTES >> 20);
            return Err(Fault::failed(text)
                .hint("give the backups a folder (S3_FOLDER) or a bucket of their own")
                .into());
        }
        if self.idle > MOST_IDLE {
            let text = format!("cannot {}: {} says again and again that there is more", self.doing, self.host);
            return Err(Fault::failed(text).into());
        }
        Ok(())
    }

    /// Returns the error for a list that says that it goes on, but not where. It would otherwise be read for ever or
    /// taken for complete.
    pub fn endless(&self) -> Fault {
        Fault::failed(format!("cannot {}: {} says that there is more, but not where", self.doing, self.host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(at: u64, keys: u64) -> Vec<String> {
        (0..keys).map(|key| format!("{at:08}/{key:08}-{}", "k".repeat(900))).collect()
    }

    fn count(pages: &mut Pages, keys: &[String]) -> Result<()> {
        pages.count(keys.iter().map(|key| (Some(key.as_str()), None)))
    }

    #[test]
    fn a_listing_ends_when_its_names_take_too_much_memory_and_not_before() {
        let mut pages = Pages::new("host", "list the objects", "shop/");
        let counted = (0..).take_while(|at| count(&mut pages, &page(*at, 1000)).is_ok()).count();
        assert!((450..600).contains(&counted), "{counted}");
        let error = count(&mut pages, &[]).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "cannot list the objects below \"shop/\": there is more than 512 MiB of names"
        );
    }

    #[test]
    fn many_pages_of_nothing_new_are_no_listing_and_some_are() {
        for same in [Vec::new(), page(77, 3)] {
            let mut pages = Pages::new("host", "list the objects", "");
            for at in 0..10 {
                count(&mut pages, &page(at, 3)).unwrap();
                (0..900).for_each(|_| count(&mut pages, &same).unwrap());
            }
            assert!((0..2000).any(|_| count(&mut pages, &same).is_err()));
        }
    }

    #[test]
    fn pages_full_of_versions_of_one_key_are_new_each() {
        let mut pages = Pages::new("host", "list the versions", "");
        for at in 0..5000 {
            let id = at.to_string();
            pages.count([(Some("backup.meta"), Some(id.as_str()))].into_iter()).unwrap();
        }
    }
}
