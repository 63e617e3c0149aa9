//! Gives each name its own folder on file systems that do not tell `Shop` from `shop`, such as those of Windows and macOS.
//!
//! The name that comes second is spelt with every letter encoded, which no database's folder ever is.

use rustix::fs::{self, AtFlags, Dir};
use rustix::io::{Errno, Result};
use std::borrow::Cow;
use std::fmt::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;

/// Remembers whether one file system tells such names apart.
#[derive(Debug, Default)]
pub(crate) struct CaseCheck {
    /// Set once it was seen that it does.
    tells: OnceLock<()>,
}

impl CaseCheck {
    /// Returns the spelling of a name on this file system: the encoded one if the plain one would lead to another name's folder.
    pub fn spelled<'n>(&self, at: &OwnedFd, name: &'n str) -> Result<Cow<'n, str>> {
        let other = swapped(name);
        if self.tells.get().is_some() || other == name || !is_there(at, name)? {
            return Ok(Cow::Borrowed(name));
        }
        if !is_there(at, &other)? {
            // Another thread may have seen it too.
            let _ = self.tells.set(());
            return Ok(Cow::Borrowed(name));
        }
        let is_its_own =
            Dir::read_from(at)?.filter_map(Result::ok).any(|entry| entry.file_name().to_bytes() == name.as_bytes());
        Ok(if is_its_own { Cow::Borrowed(name) } else { Cow::Owned(encoded(name)) })
    }
}

fn is_there(at: impl AsFd, name: &str) -> Result<bool> {
    match fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn swapped(name: &str) -> String {
    let swap = |c: char| if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
    name.chars().map(swap).collect()
}

/// Splits a name into its signs: each is a byte that is encoded already, or a character.
fn signs(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let is_code = rest.starts_with('%') && rest.get(1..3).is_some_and(|digits| hex::decode(digits).is_ok());
        let end = if is_code { 3 } else { rest.chars().next()?.len_utf8() };
        let (sign, behind) = rest.split_at(end);
        rest = behind;
        Some(sign)
    })
}

/// Returns the name with every letter encoded.
pub(crate) fn encoded(name: &str) -> String {
    let mut text = String::new();
    for sign in signs(name) {
        match sign.as_bytes() {
            // Writing to a text cannot fail.
            [letter] if letter.is_ascii_alphabetic() => _ = write!(text, "%{letter:02X}"),
            _ => text.push_str(sign),
        }
    }
    text
}

/// Returns the name that this is the encoded spelling of. None: it is no encoded spelling.
pub(crate) fn decoded(name: &str) -> Option<String> {
    let letter = |sign: &str| {
        let code = u8::from_str_radix(sign.strip_prefix('%')?, 16).ok().filter(u8::is_ascii_alphabetic)?;
        Some(char::from(code).to_string())
    };
    let text: String = signs(name).map(|sign| letter(sign).unwrap_or_else(|| sign.to_owned())).collect();
    (text != name && encoded(&text) == name).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::subject::Subject;
    use proptest::prelude::*;
    use std::path::Path;

    proptest! {
        #[test]
        fn no_two_names_share_a_folder_where_case_is_not_told_and_each_is_read_back(
            names in proptest::collection::vec("[abAB_%ü. 0-9]{1,6}|@globals|@files", 2..5),
        ) {
            let names: Vec<String> = names.into_iter().map(|name| Subject::from(name).series()).collect();
            let mut folders: Vec<String> = names.iter().flat_map(|name| [name.clone(), encoded(name)]).collect();
            for name in &names {
                let code = encoded(name);
                prop_assert_eq!(decoded(name), None);
                prop_assert_eq!(decoded(&code).unwrap_or(code), name.clone());
            }
            // Of one name the plain spelling and the encoded one are both its own; of two they never meet, however many letters fold.
            folders.sort();
            folders.dedup();
            for (at, one) in folders.iter().enumerate() {
                for other in folders[at + 1..].iter().filter(|other| other.eq_ignore_ascii_case(one)) {
                    let plain = |text: &String| decoded(text).is_none();
                    prop_assert!(plain(one) && plain(other), "{one} {other}");
                }
            }
        }
    }

    #[test]
    fn a_folder_that_tells_case_keeps_every_name_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let open = |path: &Path| OwnedFd::from(std::fs::File::open(path).unwrap());
        for name in ["Shop", "shop", "SHOP", "@globals", "1"] {
            assert_eq!(CaseCheck::default().spelled(&open(place.path()), name).unwrap(), name);
            std::fs::create_dir(place.path().join(name)).unwrap();
            assert_eq!(CaseCheck::default().spelled(&open(place.path()), name).unwrap(), name);
        }
        // Read from elsewhere: as many names as there are, of which this is none.
        std::fs::remove_dir(place.path().join("shop")).unwrap();
        assert_eq!(CaseCheck::default().spelled(&open(place.path()), "shop").unwrap(), "shop");
    }
}
