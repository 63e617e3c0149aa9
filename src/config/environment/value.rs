//! Normalizes values from outside, whether they came by variable, by file or as a Docker secret.

use crate::base::error::{Fault, Result};
use crate::base::secret::Secret;
use crate::config::environment::{address, connection};

/// Endings of the names of settings whose values may begin and end with blanks.
const KEEP_BLANKS: [&str; 2] = ["PASSWORD", "PASSWD"];
/// Settings that may be written on several lines, such as a template of JSON or the block of a YAML file.
const SEVERAL_LINES: [&str; 4] = ["WEBHOOK_TEMPLATE", "CRON_SCHEDULE", "VERIFY_SCHEDULE", "PG_DUMP_USER_ARGS"];
/// Settings that may hold a connection URL. It holds a password, which any other setting would show.
const TAKES_URLS: [&str; 3] = ["DATABASE_URL", "DB_NAME", "DB_HOST"];
/// Setting in which double quotes are a part of the value: they are around a name with a comma in it.
const DOUBLE_QUOTES_MEAN: &str = "DB_NAME";

/// Returns the value as it is meant: without a byte order mark, without line ends at its end, without the pair of
/// quotes that an env file leaves around it, and, except for passwords, without blanks at its ends. None: nothing is
/// left. Other control characters are refused. Errors never show any part of the value.
pub fn normal(name: &str, text: &str) -> Result<Option<Secret>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.trim_end_matches(['\r', '\n']);
    let keeps = KEEP_BLANKS.iter().any(|end| name.ends_with(end));
    let text = if keeps { unquoted(name, text) } else { unquoted(name, text.trim_matches(' ')).trim_matches(' ') };
    no_control(name, text)?;
    if address::tells_password(text) && !(TAKES_URLS.contains(&name) && address::is_one(text)) {
        return Err(connection::misplaced(name).into());
    }
    Ok(Some(text).filter(|text| !text.is_empty()).map(Secret::new))
}

/// Returns the text without line ends at its end, for a value that another program interprets.
pub fn one_line<'a>(name: &str, text: &'a str) -> Result<&'a str> {
    let text = text.trim_end_matches(['\r', '\n']);
    no_control(name, text).map(|()| text)
}

/// Refuses a value with a control character in it. In a header, a path or a line of a file it would change the meaning.
pub fn no_control(name: &str, text: &str) -> Result<()> {
    let several = SEVERAL_LINES.contains(&name);
    let wrong = |sign: char| sign.is_control() && !(several && matches!(sign, '\n' | '\r' | '\t'));
    if !text.contains(wrong) {
        return Ok(());
    }
    Err(Fault::usage(format!("{name} holds a line break or another control character"))
        .hint("look for it within the value or in its file; a line end after the value is no harm")
        .into())
}

/// Removes the pair of quotes around a value, which an env file leaves there. If there is such a quote inside as
/// well, nothing is removed: it is two quoted values.
fn unquoted<'a>(name: &str, text: &'a str) -> &'a str {
    let within = |quote: char| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        let means = quote == '"' && name == DOUBLE_QUOTES_MEAN && !inner.is_empty();
        (!means && !inner.contains(quote)).then_some(inner)
    };
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{Kind, kind};

    fn plain(name: &str, text: &str) -> Option<String> {
        normal(name, text).unwrap().map(|value| value.reveal().to_owned())
    }

    #[test]
    fn quotes_are_taken_off_once_and_only_as_a_pair() {
        for (text, meant) in [
            ("\"a b\"", "a b"),
            ("'a b'", "a b"),
            ("'\"a b\"'", "\"a b\""),
            ("\"a\" \"b\"", "\"a\" \"b\""),
            ("\"a b", "\"a b"),
            ("\"a b'", "\"a b'"),
            ("\"", "\""),
        ] {
            assert_eq!(plain("ENC_PASSWORD", text).as_deref(), Some(meant), "{text}");
            assert_eq!(plain("S3_FOLDER", text).as_deref(), Some(meant), "{text}");
        }
        assert_eq!(plain("DB_NAME", "\"a,b\"").as_deref(), Some("\"a,b\""));
        assert_eq!(plain("DB_NAME", "'a,b'").as_deref(), Some("a,b"));
    }

    #[test]
    fn what_is_only_line_ends_blanks_or_quotes_is_unset_and_a_password_may_be_blanks() {
        for text in ["", "\n", "\r\n", "\n\n", "\"\"", "''\r\n", "\u{feff}", "\u{feff}\n"] {
            assert_eq!((plain("S3_FOLDER", text), plain("ENC_PASSWORD", text)), (None, None), "{text:?}");
        }
        assert_eq!((plain("S3_FOLDER", " \" \" "), plain("DB_PASSWORD", "  \n")), (None, Some("  ".to_owned())));
    }

    #[test]
    fn a_control_character_is_refused_by_the_name_of_its_variable_alone() {
        for sign in (0..=0x9f).filter_map(char::from_u32).filter(|sign| sign.is_control()) {
            let error = normal("DB_PASSWORD", &format!("hun{sign}ter2")).unwrap_err();
            assert_eq!(kind(&error), Kind::Usage);
            let text = format!("{error:?}");
            assert!(text.contains("DB_PASSWORD") && !text.contains("hun") && !text.contains("ter2"), "{text}");
        }
        assert_eq!(plain("WEBHOOK_TEMPLATE", "{\r\n\t\"a\": 1\n}\n").as_deref(), Some("{\r\n\t\"a\": 1\n}"));
    }
}
