//! Writes the names of publications into commands of replication, whose grammar is not that of SQL.

use crate::format::changes::replication_names::PublicationName;

/// Returns the option of `START_REPLICATION` that names these publications: identifiers between commas, all of it in quotes. To this
/// grammar a backslash is a character like any other.
pub(crate) fn publication_names(names: &[PublicationName]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.as_str().replace('"', "\"\""))).collect();
    format!("publication_names '{}'", quoted.join(",").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_has_any_name_and_is_named_so() {
        let names: Vec<PublicationName> = ["p", "Odd, \"name\"", "it's \\ ä"].map(|name| name.parse().unwrap()).into();
        assert_eq!(publication_names(&names), r#"publication_names '"p","Odd, ""name""","it''s \ ä"'"#);
    }
}
