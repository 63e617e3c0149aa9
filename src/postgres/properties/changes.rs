//! Finds the statements that give one database the properties of another.

use crate::format::manifest::properties::{Grant, Name, Party, Properties, SettingName, Text};
use crate::postgres::session::quote::{identifier, literal};
use std::collections::{BTreeMap, BTreeSet};

/// Says which properties a restore changes.
#[derive(Debug, Clone, Copy)]
pub struct PropertyRules {
    /// Whether the database's owner is changed.
    pub owner: bool,
    pub privileges: bool,
    /// Whether settings are changed that load code into every later session, give it another role or remove its protection:
    /// [`LOADS`].
    pub loads: bool,
}

/// Settings that let the writer of a `.meta` choose what other users' sessions run, or remove what protects their rows. If a
/// library is missing, nobody can connect any more.
const LOADS: [&str; 14] = [
    "allow_in_place_tablespaces",
    "allow_system_table_mods",
    "event_triggers",
    "ignore_checksum_failure",
    "lo_compat_privileges",
    "session_replication_role",
    "zero_damaged_pages",
    "session_preload_libraries",
    "local_preload_libraries",
    "shared_preload_libraries",
    "dynamic_library_path",
    "extension_control_path",
    "role",
    "session_authorization",
];

/// Languages with settings that hold code which runs at the start of each of their sessions.
const LANGUAGES: [&str; 4] = ["plperl", "plpython3", "pltcl", "plv8"];

/// Settings that are lists of names. The server quotes each item by itself: a list in one piece would become one item.
const LISTS: [&str; 6] = [
    "search_path",
    "temp_tablespaces",
    "session_preload_libraries",
    "local_preload_libraries",
    "shared_preload_libraries",
    "unix_socket_directories",
];

/// A property that differs, and the statements that change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Name of the property, for messages. Values of settings are not shown: they may be secrets.
    pub what: String,
    pub statements: Vec<String>,
    /// Whether a server that does not know the property may go without it: settings come and go with versions.
    pub may_be_unknown: bool,
}

impl Change {
    fn new(what: impl Into<String>, statements: Vec<String>) -> Change {
        Change { what: what.into(), statements, may_be_unknown: false }
    }
}

/// Returns whether this setting is left out if no key vouches for the backup; people may set it themselves.
pub fn loads(name: &SettingName) -> bool {
    LOADS.iter().any(|one| name.is(one)) || LANGUAGES.iter().any(|one| name.is_of(one))
}

/// Returns the change of the owner; `None` if it is the wanted one.
pub fn owner(database: &str, wanted: &Properties, found: &Properties) -> Option<Change> {
    (wanted.owner != found.owner).then(|| {
        let name = wanted.owner.as_str();
        let statement = format!("ALTER DATABASE {} OWNER TO {}", identifier(database), identifier(name));
        Change::new(format!("owner {name:?}"), vec![statement])
    })
}

/// Returns the changes of everything but the owner. Change the owner first: privileges are stated relative to it.
pub fn others(database: &str, wanted: &Properties, found: &Properties, rules: PropertyRules) -> Vec<Change> {
    let mut changes = Vec::new();
    if rules.privileges && !same_grants(&wanted.privileges, &found.privileges) {
        let statements = privileges(database, wanted, found);
        changes.push(Change::new("privileges", statements));
    }
    changes.extend(settings(database, wanted, found, rules));
    let database = identifier(database);
    if wanted.comment != found.comment {
        let statement = format!("COMMENT ON DATABASE {database} IS {}", nullable(wanted.comment.as_ref()));
        changes.push(Change::new("comment", vec![statement]));
    }
    let providers = wanted.labels.iter().chain(&found.labels).map(|label| &label.provider);
    for provider in distinct(providers) {
        let of = |properties: &Properties| {
            properties.labels.iter().find(|label| label.provider == *provider).map(|label| label.label.clone())
        };
        if of(wanted) != of(found) {
            let name = identifier(provider.as_str());
            let text = nullable(of(wanted).as_ref());
            let statement = format!("SECURITY LABEL FOR {name} ON DATABASE {database} IS {text}");
            changes.push(Change::new(format!("label of {:?}", provider.as_str()), vec![statement]));
        }
    }
    if wanted.connection_limit != found.connection_limit {
        let limit = wanted.connection_limit;
        let statement = format!("ALTER DATABASE {database} CONNECTION LIMIT {limit}");
        changes.push(Change::new(format!("connection limit {limit}"), vec![statement]));
    }
    if wanted.is_template != found.is_template {
        let statement = format!("ALTER DATABASE {database} IS_TEMPLATE {}", wanted.is_template);
        changes.push(Change::new(format!("template {}", wanted.is_template), vec![statement]));
    }
    changes
}

/// The role that a setting is for (`None`: every role), and its name as servers compare it.
type SettingKey = (Option<Name>, String);

fn settings(database: &str, wanted: &Properties, found: &Properties, rules: PropertyRules) -> Vec<Change> {
    let all = |properties: &Properties| -> Vec<(SettingKey, SettingName, Text)> {
        let own = properties.settings.iter().map(|one| (None, &one.name, &one.value));
        let of_roles = properties.role_settings.iter().map(|one| (Some(one.role.clone()), &one.name, &one.value));
        let meant = own.chain(of_roles).filter(|(_, name, _)| rules.loads || !loads(name));
        meant
            .map(|(role, name, value)| ((role, name.as_str().to_ascii_lowercase()), name.clone(), value.clone()))
            .collect()
    };
    let (wanted, found) = (all(wanted), all(found));
    let values: BTreeMap<&SettingKey, &Text> = found.iter().map(|(place, _, value)| (place, value)).collect();
    let places: BTreeSet<&SettingKey> = wanted.iter().map(|(place, ..)| place).collect();
    let mut changes = Vec::new();
    for (place, name, value) in wanted.iter().filter(|(place, _, value)| values.get(place) != Some(&value)) {
        let (whose, what) = address(database, place, name);
        changes.push(Change { what, statements: assignment(&whose, name, value), may_be_unknown: true });
    }
    for (place, name, _) in found.iter().filter(|(place, ..)| !places.contains(place)) {
        let (whose, what) = address(database, place, name);
        let statement = format!("{whose} RESET {}", dotted(name));
        changes.push(Change::new(format!("{what} taken back"), vec![statement]));
    }
    changes
}

/// Returns the beginning of the statement, and the setting's name for messages.
fn address(database: &str, (role, _): &SettingKey, name: &SettingName) -> (String, String) {
    let (database, setting) = (identifier(database), format!("setting {}", name.as_str()));
    match role.as_ref().map(Name::as_str) {
        None => (format!("ALTER DATABASE {database}"), setting),
        Some(role) => {
            (format!("ALTER ROLE {} IN DATABASE {database}", identifier(role)), format!("{setting} of role {role:?}"))
        }
    }
}

fn assignment(whose: &str, name: &SettingName, value: &Text) -> Vec<String> {
    let empty = ["search_path", "temp_tablespaces"].iter().any(|list| name.is(list)) && value.as_str().is_empty();
    if empty {
        // A list without items cannot be said, only taken over.
        let taken = format!("{whose} SET {} FROM CURRENT", dotted(name));
        return vec![format!("SELECT pg_catalog.set_config({}, '', true)", literal(name.as_str())), taken];
    }
    vec![format!("{whose} SET {} TO {}", dotted(name), assigned(name, value))]
}

/// Quotes every part of a name by itself: a quoted whole would be cut off behind 63 bytes.
pub fn dotted(name: &SettingName) -> String {
    name.as_str().split('.').map(identifier).collect::<Vec<_>>().join(".")
}

/// Returns the value as it is written behind SET … TO.
fn assigned(name: &SettingName, value: &Text) -> String {
    if !LISTS.iter().any(|list| name.is(list)) {
        return literal(value.as_str());
    }
    match items(value.as_str()) {
        Some(items) if !items.is_empty() => items.iter().map(|item| literal(item)).collect::<Vec<_>>().join(", "),
        _ => literal(value.as_str()),
    }
}

/// Splits a list as the server does; `None` if it is no list. Unlike identifiers elsewhere, items keep their capital letters.
fn items(list: &str) -> Option<Vec<String>> {
    let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let mut rest = list.trim_start_matches(space);
    let mut items = Vec::new();
    if rest.is_empty() {
        return Some(items);
    }
    loop {
        let (item, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_item(quoted)?,
            None => {
                let end = rest.find(|c| c == ',' || space(c)).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        if item.is_empty() && !rest.starts_with('"') {
            return None;
        }
        items.push(item);
        rest = after.trim_start_matches(space);
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start_matches(space),
            None => return rest.is_empty().then_some(items),
        }
    }
}

/// Returns an item up to its closing quote, and the text behind that; `None` if the quote is missing.
fn quoted_item(mut text: &str) -> Option<(String, &str)> {
    let mut item = String::new();
    loop {
        let end = text.find('"')?;
        item.push_str(&text[..end]);
        text = &text[end + 1..];
        match text.strip_prefix('"') {
            Some(more) => {
                item.push('"');
                text = more;
            }
            None => return Some((item, text)),
        }
    }
}

fn same_grants(wanted: &[Grant], found: &[Grant]) -> bool {
    let set = |grants: &[Grant]| grants.iter().cloned().collect::<BTreeSet<_>>();
    set(wanted) == set(found)
}

/// Returns the statements that revoke all privileges, including those that were passed on, and grant the wanted ones in the
/// source's order. In that order a role has a privilege before it passes it on.
fn privileges(database: &str, wanted: &Properties, found: &Properties) -> Vec<String> {
    let database = identifier(database);
    let party = |party: &Party| match party {
        Party::Owner => identifier(found.owner.as_str()),
        Party::Public => "PUBLIC".to_owned(),
        Party::Role(name) => identifier(name.as_str()),
    };
    let had = found.privileges.iter().filter(|one| one.by == Party::Owner).map(|one| &one.to);
    let mut statements: Vec<String> = distinct(had)
        .iter()
        .map(|to| format!("REVOKE ALL PRIVILEGES ON DATABASE {database} FROM {} CASCADE", party(to)))
        .collect();
    let kind = |one: &'_ Grant| (one.by.clone(), one.to.clone(), one.grantable);
    let mut words: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for one in &wanted.privileges {
        words.entry(kind(one)).or_default().push(one.privilege.word());
    }
    for kind in distinct(wanted.privileges.iter().map(kind)) {
        let words = words.remove(&kind).unwrap_or_default().join(", ");
        let (by, to, grantable) = kind;
        let option = if grantable { " WITH GRANT OPTION" } else { "" };
        let grant = format!("GRANT {words} ON DATABASE {database} TO {}{option}", party(&to));
        match by {
            Party::Role(name) => {
                statements.push(format!("SET LOCAL ROLE {}", identifier(name.as_str())));
                statements.extend([grant, "RESET ROLE".to_owned()]);
            }
            _ => statements.push(grant),
        }
    }
    statements
}

/// Returns the items without repetitions, in the order of their first appearance.
fn distinct<T: Ord + Clone>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    all.into_iter().filter(|one| seen.insert(one.clone())).collect()
}

fn nullable(text: Option<&Text>) -> String {
    text.map_or("NULL".to_owned(), |text| literal(text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_taken_apart_as_the_server_does() {
        let all = |list| items(list).unwrap();
        assert_eq!(all("app, public"), ["app", "public"]);
        assert_eq!(all("\"$user\", \"a, b\" ,\"q\"\"q\",X"), ["$user", "a, b", "q\"q", "X"]);
        assert_eq!(all("\"\""), [""]);
        assert!(all("").is_empty() && all("  ").is_empty());
        for wrong in ["a,", ",a", "\"a", "a b", "a,,b"] {
            assert_eq!(items(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_assigned_is_quoted_whatever_it_holds() {
        let say = |name: &str, value: &str| {
            assigned(&SettingName::try_from(name.to_owned()).unwrap(), &Text::try_from(value.to_owned()).unwrap())
        };
        assert_eq!(say("search_path", "app, \"it's\""), "'app', 'it''s'");
        assert_eq!(say("SEARCH_PATH", "\"\""), "''");
        assert_eq!(say("search_path", "not, a, list,"), "'not, a, list,'");
        assert_eq!(say("datestyle", "ISO, DMY"), "'ISO, DMY'");
        assert_eq!(say("app.x", "a'; DROP\\"), " E'a''; DROP\\\\'");
        assert_eq!(dotted(&SettingName::try_from("App.x".to_owned()).unwrap()), "\"App\".\"x\"");
    }
}
