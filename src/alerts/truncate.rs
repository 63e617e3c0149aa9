//! Cuts texts to the length that receivers accept.

use std::borrow::Cow;

/// Marks the place where text was left out.
const MARK: &str = " […] ";

/// Returns the text, without its middle if it has more than `limit` characters as the strictest receivers count them (UTF-16
/// units). The beginning says what happened, and the end what to do next.
pub(crate) fn middle(text: &str, limit: usize) -> Cow<'_, str> {
    if units(text) <= limit {
        return Cow::Borrowed(text);
    }
    let room = limit.saturating_sub(units(MARK));
    let tail_room = room / 3;
    let head = prefix(text.chars(), room - tail_room);
    let tail = prefix(text.chars().rev(), tail_room);
    Cow::Owned(format!("{}{MARK}{}", &text[..head], &text[text.len() - tail..]))
}

fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Returns the length in bytes of the first characters that fit into `limit` UTF-16 units.
fn prefix(characters: impl Iterator<Item = char>, limit: usize) -> usize {
    let mut left = limit;
    characters
        .map_while(|c| {
            left = left.checked_sub(c.len_utf16())?;
            Some(c.len_utf8())
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_cut_fits_and_keeps_both_ends(text in "\\PC{0,200}", limit in 12..300usize) {
            let cut = middle(&text, limit);
            prop_assert!(units(&cut) <= limit, "{cut}");
            match units(&text) <= limit {
                true => prop_assert_eq!(&*cut, &text),
                false => {
                    let (head, tail) = cut.split_once(MARK).unwrap();
                    prop_assert!(text.starts_with(head) && text.ends_with(tail));
                    prop_assert!(units(&cut) + 4 > limit, "{cut}");
                }
            }
        }
    }
}
