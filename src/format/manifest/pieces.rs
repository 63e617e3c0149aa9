//! The pieces of a payload.
//!
//! The dump is compressed in pieces, each by itself; put after each other they are one stream for `zstd`, `xz` and `gzip`. So a part of the
//! dump can be read without the rest. Pieces and parts are written as short texts, because a backup may have a million of them.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most pieces in a document.
pub(crate) const MOST_PIECES: usize = 1 << 20;
/// Largest piece, in bytes of the dump.
pub(crate) const LARGEST_PIECE: u64 = 64 << 20;
/// Bytes that compression may add to a piece that does not get smaller.
const SLACK: u64 = 1 << 20;

/// Sizes of one piece in bytes: in the dump, and compressed. Written as `8388608:2101234`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub plain: u64,
    pub packed: u64,
}

impl Serialize for Piece {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{}:{}", self.plain, self.packed))
    }
}

impl<'de> Deserialize<'de> for Piece {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Piece, D::Error> {
        let text = String::deserialize(from)?;
        let sizes = text.split_once(':').and_then(|(plain, packed)| Some((number(plain)?, number(packed)?)));
        match sizes {
            Some((plain @ 1..=LARGEST_PIECE, packed)) if (1..=LARGEST_PIECE + SLACK).contains(&packed) => {
                Ok(Piece { plain, packed })
            }
            _ => Err(D::Error::custom(format!("not the sizes of a piece: {text:?}"))),
        }
    }
}

/// Reads a number that is written as pgbk writes it.
pub(crate) fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_as_they_are_written_and_nothing_else_is() {
        let piece = Piece { plain: 8 << 20, packed: 2_101_234 };
        assert_eq!(serde_json::to_string(&piece).unwrap(), r#""8388608:2101234""#);
        assert_eq!(serde_json::from_str::<Piece>(r#""8388608:2101234""#).unwrap(), piece);
        for text in [
            "",
            ":",
            "1",
            "1:",
            ":1",
            "0:1",
            "1:0",
            "01:1",
            "+1:1",
            "-1:1",
            "1:1:1",
            "1 :1",
            "67108865:1",
            "1:99999999999",
        ] {
            assert!(serde_json::from_str::<Piece>(&format!("{text:?}")).is_err(), "{text}");
        }
    }
}
