//! One rule: what becomes of the values of a column.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;

/// Days by which a date is moved at most, unless the rule says.
const DAYS: u32 = 365;
/// Per cent by which a number is changed at most, unless the rule says.
const PERCENT: u32 = 10;
const MOST_DAYS: u32 = 36_500;
const MOST_PERCENT: u32 = 100;

/// Says what becomes of the values of a column. NULL stays NULL, except by `Null`, `Constant` and `Sql`.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// The value stays.
    Keep,
    /// NULL in every row.
    Null,
    /// The same value in every row, in the server's own notation.
    Constant(String),
    /// An address at `example.com`, the same for the same value.
    Email,
    Name,
    Phone,
    /// A street and a town.
    Address,
    Ip,
    /// A date or a time that is moved by up to so many days, all those of one row by the same time.
    Date {
        days: u32,
    },
    /// A number that is changed by up to so many per cent.
    Number {
        percent: u32,
    },
    /// Letters for letters and digits for digits.
    Text,
    /// A text, number, UUID or bytes that stand for the value, the same for the same value.
    Hash,
    /// The value of an expression in the server's SQL.
    Sql(String),
}

/// The kinds that need no value of their own.
const PLAIN: [(&str, Rule); 11] = [
    ("keep", Rule::Keep),
    ("null", Rule::Null),
    ("email", Rule::Email),
    ("name", Rule::Name),
    ("phone", Rule::Phone),
    ("address", Rule::Address),
    ("ip", Rule::Ip),
    ("date", Rule::Date { days: DAYS }),
    ("number", Rule::Number { percent: PERCENT }),
    ("text", Rule::Text),
    ("hash", Rule::Hash),
];

impl Rule {
    /// Returns the word for this kind of rule in the file.
    pub fn kind(&self) -> &'static str {
        match self {
            Rule::Constant(_) => "constant",
            Rule::Sql(_) => "sql",
            Rule::Date { .. } => "date",
            Rule::Number { .. } => "number",
            plain => PLAIN.iter().find(|(_, rule)| rule == plain).map_or("", |(name, _)| name),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Constant(value) => write!(f, "constant {value:?}"),
            Rule::Sql(expression) => write!(f, "sql {expression}"),
            Rule::Date { days } => write!(f, "date {days}"),
            Rule::Number { percent } => write!(f, "number {percent}"),
            plain => f.write_str(plain.kind()),
        }
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rule, D::Error> {
        deserializer.deserialize_any(RuleVisitor)
    }
}

struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = Rule;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a kind of rule, such as \"keep\" or { constant = \"x\" }")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Rule, E> {
        if let Some((_, rule)) = PLAIN.iter().find(|(name, _)| *name == word) {
            return Ok(rule.clone());
        }
        Err(match word {
            "constant" | "sql" => E::custom(format!("\"{word}\" needs a value: {{ {word} = … }}")),
            _ => {
                let known: Vec<&str> = PLAIN.iter().map(|(name, _)| *name).chain(["constant", "sql"]).collect();
                E::custom(format!("\"{word}\" is no kind of rule; there are {}", known.join(", ")))
            }
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Rule, A::Error> {
        let only = || A::Error::custom("a rule has one kind: constant, date, number or sql");
        let rule = match map.next_key::<String>()?.ok_or_else(only)?.as_str() {
            "constant" => Rule::Constant(map.next_value::<Constant>()?.0),
            "sql" => Rule::Sql(expression(map.next_value()?)?),
            "date" => Rule::Date { days: within(map.next_value()?, MOST_DAYS)? },
            "number" => Rule::Number { percent: within(map.next_value()?, MOST_PERCENT)? },
            other => return Err(A::Error::unknown_field(other, &["constant", "date", "number", "sql"])),
        };
        match map.next_key::<String>()? {
            Some(_) => Err(only()),
            None => Ok(rule),
        }
    }
}

fn within<E: Error>(number: i64, most: u32) -> Result<u32, E> {
    let allowed = u32::try_from(number).ok().filter(|number| (1..=most).contains(number));
    allowed.ok_or_else(|| E::custom(format!("{number} is out of range: 1 to {most}")))
}

fn expression<E: Error>(text: String) -> Result<String, E> {
    match text.trim() {
        "" => Err(E::custom("the expression is empty")),
        _ => without_zero(text),
    }
}

/// Refuses a zero byte, which no text of PostgreSQL can hold.
fn without_zero<E: Error>(text: String) -> Result<String, E> {
    if text.contains('\0') { Err(E::custom("a zero byte is in no value of PostgreSQL")) } else { Ok(text) }
}

/// A value of any simple type, as text.
struct Constant(String);

impl<'de> Deserialize<'de> for Constant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Constant, D::Error> {
        deserializer.deserialize_any(ConstantVisitor)
    }
}

struct ConstantVisitor;

impl Visitor<'_> for ConstantVisitor {
    type Value = Constant;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a text, a number, true or false")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Constant, E> {
        without_zero(value.to_owned()).map(Constant)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Constant, E> {
        Ok(Constant(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Constant, E> {
        Ok(Constant(value.to_string()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Constant, E> {
        Ok(Constant(value.to_string()))
    }
}
