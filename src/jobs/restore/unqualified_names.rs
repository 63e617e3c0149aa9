//! Names that a dump does not qualify: operators in `IS DISTINCT FROM`, and what the bodies of functions name.
//!
//! `pg_dump` empties the search path, so that a restore calls nothing by accident. A statement whose names the server does not find is
//! run once more with the search path that sessions have at the source. No other statement is: the owner of an object in `public`
//! would otherwise decide what the statements of others mean.

use crate::postgres::properties::own_properties::OwnProperties;

/// Search path of a database that sets none, without the schema of the role's name.
const USUAL: &str = "public";
/// The schema that is searched first, unless a path says otherwise.
const CATALOG: &str = "pg_catalog";

/// Returns the search path that the database sets for its sessions; `public` if it sets none, or the backup does not hold its settings.
pub(crate) fn source_path(own: Option<&OwnProperties>) -> String {
    let set = own.into_iter().flat_map(|own| &own.wanted.settings).find(|setting| setting.name.is("search_path"));
    let schemas = set.into_iter().flat_map(|setting| setting.value.as_str().split(','));
    let path: Vec<&str> = schemas.map(str::trim).filter(|schema| !schema.is_empty() && *schema != CATALOG).collect();
    if path.is_empty() { USUAL.to_owned() } else { path.join(", ") }
}
