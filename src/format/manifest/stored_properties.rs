//! The database's own properties as the document holds them: encrypted if the dump is. A value of `ALTER DATABASE … SET` may well
//! be a secret of the application.

use crate::base::error::{Fault, Result};
use crate::format::keys::derived_keys::DerivedKeys;
use crate::format::manifest::bounded_members;
use crate::format::manifest::properties::{
    DatabaseSetting, Grant, LARGEST, Label, Locale, Name, Properties, RoleSetting, Text,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum StoredProperties {
    Encrypted(EncryptedProperties),
    Plain(Box<Properties>),
}

/// The JSON of [`Properties`], encrypted with the payload's cipher and key and an IV of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EncryptedProperties {
    /// The IV. It is not named `iv` in the document, because people find the payload's `iv` there with a line of `sed`.
    #[serde(rename = "data_iv", with = "hex::serde")]
    iv: [u8; 16],
    #[serde(with = "hex::serde")]
    data: Vec<u8>,
}

/// The members of both forms, which are told apart by the members present. If one form were tried after the other, serde would
/// first copy whatever is there.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PropertiesMembers {
    #[serde(rename = "data_iv")]
    iv: Option<HexBytes>,
    data: Option<HexBytes>,
    owner: Option<Name>,
    #[serde(deserialize_with = "bounded_members::list::<_, _, { bounded_members::MOST_NAMES }>")]
    privileges: Vec<Grant>,
    #[serde(deserialize_with = "bounded_members::list::<_, _, { bounded_members::MOST_NAMES }>")]
    settings: Vec<DatabaseSetting>,
    #[serde(deserialize_with = "bounded_members::list::<_, _, { bounded_members::MOST_NAMES }>")]
    role_settings: Vec<RoleSetting>,
    comment: Option<Text>,
    #[serde(deserialize_with = "bounded_members::list::<_, _, { bounded_members::MOST_NAMES }>")]
    labels: Vec<Label>,
    connection_limit: i32,
    is_template: bool,
    tablespace: Option<Name>,
    locale: Option<Locale>,
    lacks_public: bool,
}

/// Bytes in hexadecimal digits.
#[derive(Deserialize)]
struct HexBytes(#[serde(with = "hex::serde")] Vec<u8>);

impl<'de> Deserialize<'de> for StoredProperties {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let wrong = || D::Error::custom("properties that pgbk does not write");
        match PropertiesMembers::deserialize(from)? {
            PropertiesMembers {
                iv: Some(iv), data: Some(data), owner: None, tablespace: None, locale: None, ..
            } => {
                let iv = iv.0.try_into().map_err(|_| wrong())?;
                Ok(StoredProperties::Encrypted(EncryptedProperties { iv, data: data.0 }))
            }
            PropertiesMembers {
                iv: None,
                data: None,
                owner: Some(owner),
                tablespace: Some(tablespace),
                locale: Some(locale),
                privileges,
                settings,
                role_settings,
                comment,
                labels,
                connection_limit,
                is_template,
                lacks_public,
            } => Ok(StoredProperties::Plain(Box::new(Properties {
                owner,
                privileges,
                settings,
                role_settings,
                comment,
                labels,
                connection_limit,
                is_template,
                tablespace,
                locale,
                lacks_public,
            }))),
            _ => Err(wrong()),
        }
    }
}

const BLOCK: usize = 16;

impl StoredProperties {
    /// Encrypts the properties with the derived keys of the backup. Without keys they stay plain.
    pub fn of(properties: Properties, derived_keys: Option<&DerivedKeys>) -> Result<StoredProperties> {
        let Some(derived_keys) = derived_keys else { return Ok(StoredProperties::Plain(Box::new(properties))) };
        let (iv, data) = derived_keys.encrypt_member(&serde_json::to_vec(&properties)?)?;
        Ok(StoredProperties::Encrypted(EncryptedProperties { iv, data }))
    }

    /// Returns the properties of an authenticated document. It is an error if the key is missing or they are not what pgbk writes.
    pub fn open(&self, derived_keys: Option<&DerivedKeys>) -> Result<Properties> {
        let damaged = |why: String| Fault::damaged(format!("the properties of the database in the .meta: {why}"));
        let properties = match (self, derived_keys) {
            (StoredProperties::Plain(properties), _) => (**properties).clone(),
            (StoredProperties::Encrypted(_), None) => {
                return Err(damaged("they are encrypted, and there is no key".into()).into());
            }
            (StoredProperties::Encrypted(EncryptedProperties { data, .. }), _) if data.len() > LARGEST + BLOCK => {
                return Err(damaged("they are larger than any that pgbk writes".into()).into());
            }
            (StoredProperties::Encrypted(EncryptedProperties { iv, data }), Some(derived_keys)) => {
                let text = derived_keys.decrypt_member(iv, data);
                let text = text.ok_or_else(|| damaged("they cannot be decrypted".into()))?;
                serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?
            }
        };
        match properties.is_bounded() {
            true => Ok(properties),
            false => Err(damaged("they are none that pgbk writes".into()).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn sample() -> Value {
        json!({
            "owner": "app", "privileges": [{"to": {"role": "r"}, "by": "owner", "privilege": "CONNECT", "grantable": false}],
            "settings": [{"name": "app.x", "value": "1"}], "role_settings": [{"role": "r", "name": "work_mem", "value": "1MB"}],
            "comment": "c", "labels": [{"provider": "p", "label": "l"}], "connection_limit": 3, "is_template": false,
            "tablespace": "pg_default", "locale": {"provider": "libc", "collate": "C", "ctype": "C"}
        })
    }

    fn read(value: Value) -> bool {
        serde_json::from_value::<StoredProperties>(value).is_ok_and(|kept| kept.open(None).is_ok())
    }

    #[test]
    fn every_member_is_refused_where_it_is_none_that_a_server_has() {
        assert!(read(sample()));
        let long = "x".repeat(70_000);
        let hostile =
            [json!(""), json!("a\0b"), json!(long), json!(7), json!(null), json!([]), json!({"iv": "00"}), json!(-2)];
        let places = [
            "/owner",
            "/privileges",
            "/privileges/0/to",
            "/privileges/0/to/role",
            "/privileges/0/by",
            "/privileges/0/privilege",
            "/privileges/0/grantable",
            "/settings",
            "/settings/0/name",
            "/role_settings/0/role",
            "/role_settings/0/name",
            "/labels/0/provider",
            "/connection_limit",
            "/is_template",
            "/tablespace",
            "/locale",
            "/locale/provider",
        ];
        for place in places {
            for value in &hostile {
                let fine = match place {
                    "/connection_limit" => value == &json!(7),
                    "/privileges" | "/settings" => value == &json!([]),
                    _ => false,
                };
                let mut document = sample();
                *document.pointer_mut(place).unwrap() = value.clone();
                assert_eq!(read(document), fine, "{place}: {}", value.to_string().chars().take(80).collect::<String>());
            }
        }
        for (place, value) in [
            ("/locale/collate", "../x"),
            ("/locale/ctype", "a\nb"),
            ("/settings/0/name", "a'; DROP"),
            ("/comment", "\0"),
        ] {
            let mut document = sample();
            *document.pointer_mut(place).unwrap() = json!(value);
            assert!(!read(document), "{place}");
        }
        let mut many = sample();
        many["settings"] = Value::Array(vec![json!({"name": "app.x", "value": "x".repeat(60_000)}); 80]);
        assert!(!read(many));
    }

    #[test]
    fn what_is_encrypted_is_read_with_its_key_alone() {
        let key = |digit: &str| {
            crate::format::keys::Key::raw(&crate::base::secret::Secret::new(digit.repeat(64)), None)
                .unwrap()
                .begin()
                .unwrap()
        };
        let properties: Properties = serde_json::from_value(sample()).unwrap();
        let kept = StoredProperties::of(properties.clone(), Some(&key("a"))).unwrap();
        let text = serde_json::to_string(&kept).unwrap();
        assert!(!text.contains("app"), "{text}");
        let kept: StoredProperties = serde_json::from_str(&text).unwrap();
        assert_eq!(kept.open(Some(&key("a"))).unwrap(), properties);
        assert!(kept.open(Some(&key("b"))).is_err() && kept.open(None).is_err());

        // As large as can be, it is tried; one block more is not even decrypted.
        for (bytes, said) in [
            (LARGEST + BLOCK, "they cannot be decrypted"),
            (LARGEST + 2 * BLOCK, "they are larger than any that pgbk writes"),
        ] {
            let kept = StoredProperties::Encrypted(EncryptedProperties { iv: [0; 16], data: vec![0; bytes] });
            let error = kept.open(Some(&key("a"))).unwrap_err();
            assert_eq!(format!("{error:#}"), format!("the properties of the database in the .meta: {said}"));
            assert_eq!(crate::base::error::kind(&error), crate::base::error::Kind::Damaged);
        }
    }
}
