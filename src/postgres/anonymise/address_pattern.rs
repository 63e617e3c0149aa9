//! The rule for every column that the file does not name: what looks like an e-mail address becomes `nobody@example.com`.

use crate::postgres::anonymise::keyed_hash::{hash, letters};
use crate::postgres::session::quote::literal;

const NOBODY: &str = "nobody@example.com";
/// The end of an address that is made of a hash.
const END: &str = "@example.com";
/// Most letters before it.
const LONGEST: usize = 20;
/// Takes the place of an address where a column is too short for [`NOBODY`]. No address has it in it.
const MARK: &str = "*";

/// Signs that are in no address, and that documents, arrays and rows are made of; for a set that begins with `[^]`.
const NONE_OF: &str = r#"[:space:]@<>(){}",:;|'\\&=?/["#;
/// An `@` as it is, or as the address of a link has it.
const AT: &str = "@|%40";
/// An `@` as JSON and XML may write it, too.
const ESCAPED_AT: &str = r"@|%40|\\u0040|&#0*64;|&#[xX]0*40;";
/// A sign that JSON or an array escapes with a letter, which is no letter of the address behind it.
const ESCAPE: &str = r"\\(?:u[0-9A-Fa-f]{4}|[A-Za-z\\])";
/// A dot as it is, and as JSON and XML may write it, too.
const ESCAPED_DOT: &str = r"(?:\.|\\u002[eE]|&#0*46;|&#[xX]0*2[eE];)";
/// A letter, a digit or a hyphen as JSON may write it.
const ESCAPED_LETTER: &str = r"\\u(?:002[dD]|003[0-9]|00[46][1-9A-Fa-f]|00[57][0-9Aa]|00[c-fC-F][0-9A-Fa-f]|0[1-9A-Fa-f][0-9A-Fa-f]{2}|[1-9A-Fa-f][0-9A-Fa-f]{3})";

/// Returns the pattern of an address in text that nothing is escaped in.
fn plain() -> String {
    format!(r#"(?:"[^"]{{1,64}}"|[^]{NONE_OF}]+)(?:{AT}){}"#, domain())
}

/// Returns the pattern of an address in the text of a document.
fn escaped() -> String {
    let letter = format!("(?:{ESCAPED_LETTER}|[^].0-9{NONE_OF}])");
    let part = format!("(?:{ESCAPED_LETTER}|[^].{NONE_OF}])+");
    let domain = format!("(?:{part}{ESCAPED_DOT})+{letter}{part}");
    // A first part in quotes, as arrays, rows and JSON write it, one within another too: it ends with the quote that it began with. What
    // stands between quotes of theirs begins with a sign that is in no address.
    let quoted = format!(r#"((?:\\+"){{1,2}}|"")[^]{NONE_OF}][^"\\<>]{{0,63}}\1"#);
    format!("(?:{quoted}|(?:{ESCAPE}|[^]{NONE_OF}])+)(?:{ESCAPED_AT}){domain}")
}

/// Returns the pattern of a name of two parts or more, of which the last begins with no digit: else it is a version.
fn domain() -> String {
    format!(r"(?:[^].{NONE_OF}]+\.)+[^].0-9{NONE_OF}][^].{NONE_OF}]+")
}

/// Returns an expression for the text with every address replaced, cut to no more than `most` characters.
pub(crate) fn without_addresses(text: &str, most: Option<usize>) -> String {
    let pattern = literal(&plain());
    let replaced = |by: &str| format!("pg_catalog.regexp_replace({text}, {pattern}, '{by}', 'g')");
    let nobody = replaced(NOBODY);
    let changed = match most {
        // An address has six characters at least.
        Some(most) => {
            format!("CASE WHEN pg_catalog.char_length({nobody}) <= {most} THEN {nobody} ELSE {} END", replaced(MARK))
        }
        None => nobody,
    };
    // Most values have none, and a pattern takes longer.
    format!("CASE WHEN {} THEN {changed} ELSE {text} END", may_have_one(text))
}

/// Returns an expression for the text of a unique column: one with an address in it becomes another one as a whole.
pub(crate) fn unique_without_addresses(text: &str, input: &str, most: Option<usize>) -> String {
    let pattern = literal(&plain());
    format!(
        "CASE WHEN {} AND {text} ~ {pattern} THEN {} ELSE {text} END",
        may_have_one(text),
        unique_address(input, most).unwrap_or_else(|| letters(&hash("email", input), most.unwrap_or(26)))
    )
}

/// Returns an expression for an address that stands for the value, such as `k3jx0qz1…@example.com`. `None`: so short a column has no
/// place for one that no other value gets.
pub(crate) fn unique_address(input: &str, most: Option<usize>) -> Option<String> {
    address(input, most, 12)
}

/// Returns an expression for such an address whose first part has `least` characters or more. `None`: it has no place.
pub(crate) fn address(input: &str, most: Option<usize>, least: usize) -> Option<String> {
    let room = most.map_or(LONGEST, |most| most.saturating_sub(END.len()).min(LONGEST));
    (room >= least).then(|| made_address(&hash("email", input), room))
}

/// Returns an expression for the text of a document with every address replaced.
pub(crate) fn document_without_addresses(text: &str) -> String {
    document_with(text, &literal(NOBODY))
}

/// Returns an expression for the text of a document of a unique column: the addresses in it become one that no other document has.
pub(crate) fn unique_document_without_addresses(text: &str, input: &str) -> String {
    document_with(text, &made_address(&hash("email", input), LONGEST))
}

/// Returns an expression for the text of a document with another address for each one in it.
fn document_with(text: &str, address: &str) -> String {
    format!("pg_catalog.regexp_replace({text}, {}, {address}, 'g')", literal(&escaped()))
}

fn made_address(hash: &str, count: usize) -> String {
    format!("{} || '{END}'", letters(hash, count))
}

fn may_have_one(text: &str) -> String {
    format!("(pg_catalog.strpos({text}, '@') > 0 OR pg_catalog.strpos({text}, '%40') > 0)")
}
