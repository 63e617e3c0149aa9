//! Properties of a database that no dump of it has: owner, privileges, settings, comment, limits, and how it was created.
//!
//! The writer of a document may have put anything here, and all of it ends up in statements. So every value has a type that only
//! its own check makes, and no value is larger than PostgreSQL's own limits and the ones below.

use serde::{Deserialize, Serialize};

/// Longest name in bytes: PostgreSQL cuts off the rest.
const LONGEST_NAME: usize = 63;
/// Longest comment, label or value of a setting in bytes; longer ones are not kept.
const LONGEST_TEXT: usize = 64 << 10;
const LONGEST_SETTING_NAME: usize = 255;
const LONGEST_LOCALE: usize = 255;
/// Largest size of all properties as JSON, in bytes; more is neither kept nor read.
pub const LARGEST: usize = 4 << 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    pub owner: Name,
    /// All grants in the server's order, including those that a server makes by itself.
    pub privileges: Vec<Grant>,
    /// `ALTER DATABASE … SET`
    pub settings: Vec<DatabaseSetting>,
    /// `ALTER ROLE … IN DATABASE … SET`
    pub role_settings: Vec<RoleSetting>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Text>,
    /// `SECURITY LABEL`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// Most connections; -1: no limit.
    pub connection_limit: i32,
    pub is_template: bool,
    pub tablespace: Name,
    pub locale: Locale,
    /// Whether the schema `public` was dropped, which every new database has and of which no dump says that it is missing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lacks_public: bool,
}

fn is_false(value: &bool) -> bool {
    !*value
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grant {
    pub to: Party,
    /// The grantor. It is the owner, unless somebody passed on what the owner had granted WITH GRANT OPTION.
    pub by: Party,
    pub privilege: Privilege,
    pub grantable: bool,
}

/// A party of a grant. The owner is not named, so that the grant stays right if somebody else becomes the owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    Owner,
    Public,
    Role(Name),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Privilege {
    Create,
    Connect,
    Temporary,
}

impl Privilege {
    /// Returns the word in GRANT, which is also the one of `aclexplode`.
    pub fn word(self) -> &'static str {
        match self {
            Privilege::Create => "CREATE",
            Privilege::Connect => "CONNECT",
            Privilege::Temporary => "TEMPORARY",
        }
    }

    /// Returns the privilege of this name. `None`: databases had no such privilege when this was written.
    pub fn named(word: &str) -> Option<Privilege> {
        [Privilege::Create, Privilege::Connect, Privilege::Temporary].into_iter().find(|one| one.word() == word)
    }
}

/// One setting as the server keeps it: a list is one text, its items quoted where they must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSetting {
    pub name: SettingName,
    pub value: Text,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSetting {
    pub role: Name,
    pub name: SettingName,
    pub value: Text,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    pub provider: Name,
    pub label: Text,
}

/// How a database orders and classifies text; this is chosen when it is created and never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locale {
    pub provider: Provider,
    /// `LC_COLLATE`
    pub collate: LocaleName,
    /// `LC_CTYPE`
    pub ctype: LocaleName,
    /// The ICU or builtin locale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<LocaleName>,
    /// `ICU_RULES`, since PostgreSQL 16
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Text>,
    /// The version that the provider had when the database was created. For people: another server has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Libc,
    /// Since PostgreSQL 15.
    Icu,
    /// Since PostgreSQL 17.
    Builtin,
}

/// Makes a text type whose values have all passed `check`.
macro_rules! checked {
    ($(#[$about:meta])* $name:ident, $check:expr) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<$name, &'static str> {
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok($name(text)) } else { Err(concat!("it is no ", stringify!($name), " that PostgreSQL takes")) }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

checked!(
    /// A role, tablespace or label provider.
    Name,
    |text| !text.is_empty() && text.len() <= LONGEST_NAME && !text.contains('\0')
);
checked!(
    /// A comment, a label, or the value of a setting.
    Text,
    |text| text.len() <= LONGEST_TEXT && !text.contains('\0')
);
checked!(
    /// `work_mem`, `app.tenant`
    SettingName,
    |text| text.len() <= LONGEST_SETTING_NAME && text.split('.').all(is_part)
);
checked!(
    /// `de_DE.utf8`, `de-AT-u-co-phonebk`. A slash would make it a path.
    LocaleName,
    |text| text.len() <= LONGEST_LOCALE && !text.contains('/') && !text.chars().any(char::is_control)
);

fn is_part(part: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-');
    part.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && part.chars().all(inner)
        && part.len() <= LONGEST_NAME
}

impl SettingName {
    /// Returns whether an application or an extension has made up the name, so that every server accepts it.
    pub fn is_custom(&self) -> bool {
        self.0.contains('.')
    }

    /// Returns whether the names are the same. Servers ignore the case of these names.
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }

    /// Returns whether it belongs to this extension or language.
    pub fn is_of(&self, owner: &str) -> bool {
        self.0.split_once('.').is_some_and(|(first, _)| first.eq_ignore_ascii_case(owner))
    }
}

impl Properties {
    /// Returns whether the properties are possible on a server and not larger than pgbk keeps.
    pub fn is_bounded(&self) -> bool {
        self.connection_limit >= -1 && serde_json::to_vec(self).is_ok_and(|text| text.len() <= LARGEST)
    }
}

impl Locale {
    /// Returns the locale for people: `de-DE (ICU)`.
    pub fn describe(&self) -> String {
        let (collate, ctype) = (self.collate.as_str(), self.ctype.as_str());
        match (self.provider, &self.name) {
            (Provider::Libc, _) if collate == ctype => collate.to_owned(),
            (Provider::Icu, Some(name)) => format!("{} (ICU)", name.as_str()),
            (Provider::Builtin, Some(name)) => format!("{} (builtin)", name.as_str()),
            _ => format!("{collate} with characters of {ctype}"),
        }
    }

    /// Returns whether both ask for the same order and the same classes of characters. The C library has several spellings of one
    /// character set.
    pub fn is_same(&self, other: &Locale) -> bool {
        let plain = |name: &LocaleName| name.as_str().to_lowercase().replace("utf-8", "utf8");
        let named = |locale: &Locale| locale.name.as_ref().map(|name| name.as_str().to_lowercase());
        let libc = |locale: &Locale| (plain(&locale.collate), plain(&locale.ctype));
        self.provider == other.provider
            && named(self) == named(other)
            && self.rules == other.rules
            && (self.provider != Provider::Libc || libc(self) == libc(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_server_could_have_and_a_setting_is_named_by_its_shape() {
        let name = |text: &str| Name::try_from(text.to_owned()).is_ok();
        assert!(["a", "public", "a\"b", "a\nb", "ü", &"x".repeat(63)].iter().all(|text| name(text)));
        assert!(["", "a\0b", &"x".repeat(64)].iter().all(|text| !name(text)));
        let setting = |text: &str| SettingName::try_from(text.to_owned()).is_ok();
        assert!(
            ["search_path", "TimeZone", "app.tenant", "a.b.c", "my-app.x", "ä.ö", "_a.b$1"].iter().all(|t| setting(t))
        );
        let hostile = ["", ".", "a.", ".a", "a..b", "a b", "a=b", "a'", "a\"", "a;b", "a\n", "a\0", "1a", "a.1", "--"];
        assert!(hostile.iter().all(|text| !setting(text)), "{hostile:?}");
        assert!(!setting(&"a".repeat(64)) && !setting(&["a"; 200].join(".")));
        let locale = |text: &str| LocaleName::try_from(text.to_owned()).is_ok();
        assert!(["C", "de_DE.utf8", "German_Germany.1252", "und-u-ks-level2"].iter().all(|text| locale(text)));
        assert!(["../../tmp/x", "a\nb", "a\0"].iter().all(|text| !locale(text)));
    }

    #[test]
    fn what_the_c_library_writes_in_two_ways_is_one_locale() {
        let libc = |name: &str| Locale {
            provider: Provider::Libc,
            collate: LocaleName::try_from(name.to_owned()).unwrap(),
            ctype: LocaleName::try_from(name.to_owned()).unwrap(),
            name: None,
            rules: None,
            version: None,
        };
        assert!(libc("en_US.UTF-8").is_same(&libc("en_US.utf8")));
        assert!(!libc("en_US.UTF-8").is_same(&libc("C.UTF-8")));
        assert!(!libc("C").is_same(&Locale { provider: Provider::Builtin, ..libc("C") }));
    }
}
