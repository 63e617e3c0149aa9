//! The encodings that a PostgreSQL server may have.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

const KNOWN: &[&str] = &[
    "SQL_ASCII",
    "EUC_JP",
    "EUC_CN",
    "EUC_KR",
    "EUC_TW",
    "EUC_JIS_2004",
    "UTF8",
    "MULE_INTERNAL",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "WIN1256",
    "WIN1258",
    "WIN866",
    "WIN874",
    "KOI8R",
    "WIN1251",
    "WIN1252",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "WIN1250",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1257",
    "KOI8U",
];

/// One of these encodings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodingName(&'static str);

impl EncodingName {
    /// Returns the encoding that a server calls by this name. `None`: there is none.
    pub fn named(name: &str) -> Option<EncodingName> {
        KNOWN.iter().find(|known| **known == name).map(|known| EncodingName(known))
    }

    /// Returns the names of all encodings.
    pub fn all() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().copied()
    }

    pub fn as_str(&self) -> &'static str {
        self.0
    }
}

impl Serialize for EncodingName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for EncodingName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        EncodingName::named(&name).ok_or_else(|| D::Error::custom("an encoding that no server has"))
    }
}
