//! Posts a JSON document to a URL, in the receiver's form if there is a template.

use crate::alerts::delivery::DeliveryFailure;
use crate::alerts::http::{self, SecretUrl};
use crate::alerts::message::AlertMessage;
use crate::alerts::tls_roots::TlsRoots;
use crate::alerts::truncate;
use crate::base::error::{Fault, Result};
use crate::base::secret::Secret;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// The longest text of a template, once filled: Discord takes 2,000 characters, and others take more.
const LONGEST: usize = 1900;

#[derive(Debug, Clone)]
pub struct Webhook {
    pub address: SecretUrl,
    /// `None`: the message itself is the document.
    pub template: Option<Template>,
    pub trust: TlsRoots,
}

impl Webhook {
    pub fn host(&self) -> &str {
        self.address.host()
    }

    pub fn send(&self, message: &AlertMessage, limit: Duration) -> std::result::Result<(), DeliveryFailure> {
        let document = self.template.as_ref().map_or_else(|| members(message), |template| template.fill(message));
        http::post(self.address.url(), "application/json", document.to_string(), &self.trust, limit)
    }

    pub fn reach(&self, limit: Duration) -> std::result::Result<(), DeliveryFailure> {
        http::reach(&self.address, &self.trust, limit)
    }
}

/// A JSON document with `{placeholders}` in its texts. It is parsed as JSON before any value is put in, so no value can break out
/// of its text.
#[derive(Clone)]
pub struct Template(Value);

/// The placeholders that a message has values for.
const NAMES: [&str; 11] =
    ["state", "database", "host", "server", "run", "time", "error", "hint", "last_success", "subject", "text"];

impl Template {
    pub fn parse(text: &Secret) -> Result<Template> {
        let mut template: Value = serde_json::from_str(text.reveal()).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Fault::usage(format!("WEBHOOK_TEMPLATE is not JSON: {place}"))
                .hint("placeholders stand inside texts, as in {\"text\": \"{text}\"}")
        })?;
        let mut unknown = None;
        each_text(&mut template, &mut |text| {
            let stranger = placeholders(text).find(|name| !NAMES.contains(name));
            unknown = unknown.take().or(stranger.map(str::to_owned));
        });
        match unknown {
            Some(name) => Err(Fault::usage(format!("WEBHOOK_TEMPLATE: {{{name}}} is not known"))
                .hint(format!("there are {{{}}}", NAMES.join("}, {")))
                .into()),
            None => Ok(Template(template)),
        }
    }

    fn fill(&self, message: &AlertMessage) -> Value {
        let members = members(message);
        let mut document = self.0.clone();
        each_text(&mut document, &mut |text| *text = fitted(text, &members));
        document
    }
}

/// Hides the template, which may hold a routing key.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn members(message: &AlertMessage) -> Value {
    // Texts and a time: nothing of it can fail.
    serde_json::to_value(message).unwrap_or_default()
}

fn each_text(value: &mut Value, change: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(values) => values.iter_mut().for_each(|value| each_text(value, change)),
        Value::Object(members) => members.values_mut().for_each(|value| each_text(value, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Fills a text of the template, and cuts it if it is too long. A text without placeholders is left as it is.
fn fitted(text: &str, members: &Value) -> String {
    let filled = filled(text, members);
    if filled == text { filled } else { truncate::middle(&filled, LONGEST).into_owned() }
}

/// Fills the placeholders in one pass: braces in a value mean nothing.
fn filled(text: &str, members: &Value) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        match name(after) {
            Some(name) => {
                filled.push_str(members[name].as_str().unwrap_or_default());
                rest = &after[name.len() + 1..];
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(name)
}

/// Returns the name before a closing brace. `None`: these braces are the receiver's own.
fn name(after: &str) -> Option<&str> {
    let (name, _) = after.split_once('}')?;
    (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::message::tests::{origin, record};
    use crate::base::error::hints;
    use crate::format::run_record::RunState;
    use proptest::prelude::*;

    fn template(text: &str) -> Result<Template> {
        Template::parse(&Secret::new(text))
    }

    fn message() -> AlertMessage {
        AlertMessage::failed(&record(1, RunState::Failed), &origin(), None)
    }

    #[test]
    fn the_placeholders_are_the_members_of_a_message() {
        let members = members(&message());
        assert!(members.as_object().unwrap().iter().map(|(name, _)| name.as_str()).eq(NAMES));
        assert!(members.as_object().unwrap().values().all(Value::is_string));
    }

    #[test]
    fn placeholders_are_filled_wherever_texts_are_and_other_braces_stay() {
        let template =
            template(r#"{"a": ["{state}: {database}"], "b": {"c": "{{x} {host}} {A} {"}, "n": 1}"#).unwrap_err();
        assert!(template.to_string().contains("{x} is not known") && hints(&template)[0].contains("{last_success}"));
        let template =
            self::template(r#"{"a": ["{state}: {database}"], "b": {"c": "{{host}} {A} {"}, "n": 1}"#).unwrap();
        let expected = serde_json::json!({"a": ["failed: shop"], "b": {"c": "{backups-1} {A} {"}, "n": 1});
        assert_eq!(template.fill(&message()), expected);
    }

    #[test]
    fn a_template_that_is_not_json_is_refused_without_being_shown() {
        for wrong in ["{\"routing_key\": secret}", "{secret}", "", "{\"a\": {text}}"] {
            let error = template(wrong).unwrap_err();
            assert!(!format!("{error:#}").contains("secret"), "{error:#}");
        }
    }

    proptest! {
        #[test]
        fn nothing_breaks_out_of_its_text(error in "(\\PC|[\"\\\\{}\n\r\t\u{0}]){0,40}", database in "(\\PC|[{}]|\\{text\\}){0,10}") {
            let message = AlertMessage { error: error.clone(), database: database.clone(), ..message() };
            let filled = template(r#"{"text": "<{error}|{database}>", "more": "{state}"}"#).unwrap().fill(&message).to_string();
            let read: Value = serde_json::from_str(&filled).unwrap();
            prop_assert_eq!(read, serde_json::json!({"text": format!("<{error}|{database}>"), "more": "failed"}));
        }
    }
}
