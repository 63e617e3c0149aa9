//! SQL that makes a value of another one by the secret: the same of the same value, and nobody can tell which one it was.

use crate::postgres::anonymise::session_secret::SETTING;
use crate::postgres::session::quote::literal;

/// Fewest hexadecimal digits that hold 60 bits and more.
const SHORT: usize = 16;
/// Signs of base64, and those that take their places: small letters and digits alone, which are the same whatever folds case.
const SIGNS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ+/";
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzab";

/// Returns an expression for 32 bytes: SHA-256 of the text between the secret and the secret. Values of different labels are of
/// different kinds. NULL gives NULL.
pub(crate) fn hash(label: &str, text: &str) -> String {
    let secret = format!("pg_catalog.current_setting('{SETTING}')");
    let label = literal(&format!(":{label}:"));
    // The server works out a sub-select without a column of the row once, and not for each row.
    let (before, behind) = (format!("(SELECT {secret} || {label})"), format!("(SELECT ':' || {secret})"));
    let encoding = "(SELECT pg_catalog.getdatabaseencoding())";
    format!("pg_catalog.sha256(pg_catalog.convert_to({before} || {text} || {behind}, {encoding}))")
}

/// Returns an expression for so many small letters and digits of a hash, at most 43, with 60 bits in twelve or more.
pub(crate) fn letters(hash: &str, count: usize) -> String {
    match count {
        // Each holds four bits.
        SHORT.. => format!("pg_catalog.left({}, {count})", digits(hash, count.div_ceil(2))),
        // Each holds five, and takes longer to make.
        _ => format!(
            "pg_catalog.translate(pg_catalog.left(pg_catalog.encode({hash}, 'base64'), {count}), '{SIGNS}', '{LETTERS}')"
        ),
    }
}

/// Returns an expression that uses the number of a hash several times, and has it made once.
pub(crate) fn by_number(hash: &str, made: impl FnOnce(&str) -> String) -> String {
    format!("(SELECT {} FROM (SELECT {} AS number OFFSET 0) chance)", made("chance.number"), number(hash))
}

/// Returns an expression for a number of a hash: a `bigint` of 60 bits, never negative.
pub(crate) fn number(hash: &str) -> String {
    // The cast drops the last digit.
    format!("('x' || {})::bit(60)::bigint", digits(hash, 8))
}

/// Returns an expression for the hexadecimal digits of the first bytes of a hash: all of them would take longer to make.
fn digits(hash: &str, bytes: usize) -> String {
    format!("pg_catalog.encode(pg_catalog.substr({hash}, 1, {bytes}), 'hex')")
}
