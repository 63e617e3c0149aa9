//! Lists what a dump by this role leaves out although it ends well.

use crate::base::error::Result;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::rows;
use postgres::Client;

/// Most names that are listed of one kind.
const TOLD: usize = 10;

/// A query for things that a dump leaves out, and the words for them.
struct OmissionQuery {
    query: &'static str,
    words: &'static str,
    /// Whether pg_dump reports it itself.
    told: bool,
}

/// Query for unlogged tables. On a standby pg_dump leaves out their rows, which exist on the primary alone.
const UNLOGGED: &str = "
    SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'm') AND pg_catalog.pg_is_in_recovery() ORDER BY 1";

/// Query for user mappings whose options the server does not show to this role: pg_dump writes them without. The condition is the
/// view's own rule, because the view shows none either where there are none.
const MAPPINGS: &str = "
    SELECT COALESCE(m.usename, 'public') || ' on server ' || pg_catalog.quote_ident(m.srvname)
    FROM pg_catalog.pg_user_mappings m JOIN pg_catalog.pg_foreign_server s ON s.oid = m.srvid
    WHERE m.umoptions IS NULL AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
      AND NOT (m.umuser <> 0 AND m.usename = current_user
               AND (pg_catalog.pg_has_role(s.srvowner, 'USAGE') OR pg_catalog.has_server_privilege(s.oid, 'USAGE')))
      AND NOT (m.umuser = 0 AND pg_catalog.pg_has_role(s.srvowner, 'USAGE')) ORDER BY 1";

const SUBSCRIPTIONS: &str = "
    SELECT pg_catalog.quote_ident(s.subname) FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
    WHERE d.datname = pg_catalog.current_database() AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
    ORDER BY 1";

const KINDS: [OmissionQuery; 3] = [
    OmissionQuery {
        query: UNLOGGED,
        words: "a standby has no rows of unlogged tables, which are left out",
        told: false,
    },
    OmissionQuery {
        query: MAPPINGS,
        words: "the role may not see the options of user mappings, passwords among them, which are left out",
        told: false,
    },
    OmissionQuery {
        query: SUBSCRIPTIONS,
        words: "only a superuser dumps subscriptions, which are left out",
        told: true,
    },
];

/// Returns a sentence for each kind of thing that is left out, with names. What pg_dump reports itself is included only with `all`.
pub(crate) fn omitted(client: &mut Client, all: bool) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for kind in KINDS.iter().filter(|kind| all || !kind.told) {
        let rows = rows(client, kind.query)?;
        let names: Vec<&str> = rows.iter().take(TOLD).filter_map(|row| cell(row, 0)).collect();
        if names.is_empty() {
            continue;
        }
        let more = if rows.len() > TOLD { format!(" and {} more", rows.len() - TOLD) } else { String::new() };
        told.push(format!("{}: {}{more}", kind.words, names.join(", ")));
    }
    Ok(told)
}
