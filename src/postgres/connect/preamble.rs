//! Sets up every connection before its first query.
//!
//! A database, a role, or a role in a database brings settings of its own, and the owner of a database fills its schemas. A name
//! that is looked up in these schemas would run somebody else's code as the role that pgbk connects as. So the path is emptied
//! first, by a statement whose own names need no path; every name after it means `pg_catalog` and nothing else. Then come fixed
//! values of all settings that decide whether a statement is carried out, and how text is read and written.
//!
//! Settings that the restored database's own views and functions see are left as they are: `TimeZone`,
//! `default_text_search_config`, `default_tablespace` and their like. They belong to the database and not to the text of its dump.

use crate::postgres::session::cell::{cell, rows_of};
use postgres::SimpleQueryMessage;
use postgres::error::Error;
use std::collections::BTreeMap;

/// State of a session before the preamble changed it.
#[derive(Debug, Clone)]
pub(crate) struct InitialSession {
    pub version_num: u32,
    /// Whether it refuses writes by default, which is what `target_session_attrs` asks.
    pub read_only: bool,
    /// The values of [`SESSION`], by which a program writes text here unless it sets its own.
    pub session: BTreeMap<String, String>,
    /// Whether a setting for all roles made it another role than the login. The preamble has reset that.
    pub other_role: bool,
}

/// The settings that the text of values depends on and that `pg_dump` leaves as they are. A `.meta` states them.
const SESSION: [&str; 3] = ["TimeZone", "bytea_output", "lc_monetary"];

/// Values of [`SESSION`] for `pg_dump`, so that every session reads its text the same: the zone that every server has, and the
/// locale that needs none.
const WRITTEN: [(&str, &str); 3] = [("TimeZone", "UTC"), ("bytea_output", "hex"), ("lc_monetary", "C")];

/// Fixed settings that a program needs if it loads a dump by itself, besides the locale that the dump was written by.
const READ: [&str; 7] = [
    "array_nulls",
    "transform_null_equals",
    "backslash_quote",
    "IntervalStyle",
    "xmloption",
    "default_transaction_read_only",
    "restrict_nonsystem_relation_kind",
];

/// Time limits that would end a long statement or session, each with the major version that brought it; the newest last.
pub(crate) const LIMITS: [(&str, u32); 5] = [
    ("statement_timeout", 0),
    ("idle_in_transaction_session_timeout", 0),
    // To a server on Linux also who reads nothing for so long, as pg_dump does while the store is slow, is gone.
    ("tcp_user_timeout", 12),
    ("idle_session_timeout", 14),
    ("transaction_timeout", 17),
];

/// Empties the search path. Names no object that is looked up in the path, so that it is safe whatever the path is.
const EMPTY: &str = "SELECT pg_catalog.set_config('search_path', '', false)";

/// Column that resets a role which the database or the server sets for everybody, and is not NULL then. A role that belongs to the
/// login (`ALTER ROLE … SET role`) or to the connection was chosen for pgbk and stays. One for everybody is in force only where the
/// login has none of its own.
const OWN_ROLE: &str = "
    (SELECT pg_catalog.set_config('role', 'none', false)
     FROM (SELECT pg_catalog.bool_or(s.setrole = 0 AND c.setting = 'role=' || pg_catalog.current_setting('role')) AS everybodys,
               pg_catalog.bool_or(s.setrole <> 0 AND c.setting LIKE 'role=%') AS own
           FROM pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c (setting)
           WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()))
             AND s.setrole IN (0, (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = session_user))) f
     WHERE f.everybodys AND NOT f.own)";

/// Names and values of the settings that every session gets, as far as the server knows them.
const FIXED: &[(&str, &str)] = &[
    // No limit but pgbk's own ends a session, and one whose host is gone ends all the same, after two minutes.
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("transaction_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("tcp_keepalives_idle", "60"),
    ("tcp_keepalives_interval", "15"),
    ("tcp_keepalives_count", "4"),
    ("tcp_user_timeout", "0"),
    // Statements do what they say, on all rows, or fail.
    ("default_transaction_read_only", "off"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    ("exit_on_error", "off"),
    ("row_security", "off"),
    ("gin_fuzzy_search_limit", "0"),
    ("restrict_nonsystem_relation_kind", ""),
    ("icu_validation_level", "warning"),
    ("client_min_messages", "warning"),
    // Text is read as pg_dump writes it, and written so that it is read the same everywhere.
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("escape_string_warning", "off"),
    ("backslash_quote", "safe_encoding"),
    ("quote_all_identifiers", "off"),
    ("transform_null_equals", "off"),
    ("array_nulls", "on"),
    ("bytea_output", "hex"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "3"),
    ("lc_monetary", "C"),
    ("xmlbinary", "base64"),
    ("xmloption", "content"),
];

/// Settings that only a superuser's session gets. No other role may set these, and a value that differs was given to it by a
/// superuser.
const FIXED_BY_SUPERUSERS: &[(&str, &str)] = &[
    ("session_replication_role", "origin"),
    // While one of these is on in a session, the server takes no other one of them for a database either.
    ("log_parser_stats", "off"),
    ("log_planner_stats", "off"),
    ("log_executor_stats", "off"),
    ("log_statement_stats", "off"),
];

/// Returns the setting that makes a session of any program the role that logs in, whatever the database sets.
pub(crate) fn as_logged_in() -> (String, String) {
    ("role".to_owned(), "none".to_owned())
}

/// Returns the settings for a session of `pg_dump` on a server of this version.
pub(crate) fn for_writing(server_major: u32) -> BTreeMap<String, String> {
    let fixed = WRITTEN.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    fixed.chain(unhurried(server_major)).collect()
}

/// Returns the settings that lift the time limits for a session of any program on a server of this version.
pub fn unhurried(server_major: u32) -> BTreeMap<String, String> {
    let known = LIMITS.iter().filter(|(_, since)| server_major >= *since);
    known.map(|(name, _)| ((*name).to_owned(), "0".to_owned())).collect()
}

/// Returns the settings for a session of `pg_restore` on a server of this version.
pub(crate) fn for_reading(server_major: u32) -> BTreeMap<String, String> {
    // That it is there in the newest releases of the majors before is no reason to rely on it.
    let known = |name: &str| name != "restrict_nonsystem_relation_kind" || server_major >= 18;
    let read = FIXED.iter().filter(|(name, _)| READ.contains(name) && known(name));
    read.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).chain(unhurried(server_major)).collect()
}

/// Sends the preamble on a new connection by `ask`, in one message: if the server refuses any of it, none of it takes effect and the
/// connection fails. `options` are the connection's own, which take precedence over the settings of role and database.
pub(crate) fn send(
    ask: impl FnOnce(&str) -> Result<Vec<SimpleQueryMessage>, Error>,
    options: Option<&str>,
) -> Result<InitialSession, Error> {
    let chosen = options.is_some_and(|options| options.contains("role="));
    let answer = ask(&message(if chosen { "NULL" } else { OWN_ROLE }))?;
    // The first row is that of the path.
    let row = rows_of(answer).nth(1);
    let value = |index: usize| row.as_ref().and_then(|row| cell(row, index)).unwrap_or_default();
    Ok(InitialSession {
        version_num: value(0).parse().unwrap_or_default(),
        read_only: value(1) == "on",
        session: SESSION.iter().zip(2..).map(|(name, index)| ((*name).to_owned(), value(index).to_owned())).collect(),
        other_role: !value(2 + SESSION.len()).is_empty(),
    })
}

fn message(role: &str) -> String {
    let asked = ["server_version_num", "transaction_read_only"].into_iter().chain(SESSION);
    let asked: Vec<_> = asked.map(|name| format!("pg_catalog.current_setting('{name}')")).collect();
    let before = asked.join(", ");
    let ordinary = set(FIXED, "true");
    let superusers = set(FIXED_BY_SUPERUSERS, "pg_catalog.current_setting('is_superuser') = 'on'");
    format!("{EMPTY}; SELECT {before}, {role}; {ordinary}; {superusers}")
}

/// Returns the statement that sets these values. It skips names that the server does not know.
fn set(fixed: &[(&str, &str)], condition: &str) -> String {
    let values: Vec<_> = fixed.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
    format!(
        "SELECT pg_catalog.set_config(name, value, false) FROM (VALUES {}) AS fixed (name, value)
         WHERE pg_catalog.current_setting(name, true) IS NOT NULL AND {condition}",
        values.join(", ")
    )
}
