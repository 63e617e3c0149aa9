//! Names and values in the text of a statement.

pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a value as libpq does: right whatever `standard_conforming_strings` is, which a role or database may have switched off.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    match quoted.contains('\\') {
        true => format!(" E'{}'", quoted.replace('\\', r"\\")),
        false => format!("'{quoted}'"),
    }
}
