//! Extensions that must be told that a restore is going on: they keep their hands off until it is over, and do not recognize what comes
//! back otherwise.

use crate::base::error::{Fault, Result};
use crate::postgres::properties::RESTORING;
use crate::postgres::restore::load::failure;
use postgres::{GenericClient, Row, Transaction};

/// Functions that such an extension has for being restored.
struct Told {
    extension: &'static str,
    /// On while a restore goes on.
    setting: &'static str,
    begin: &'static str,
    end: &'static str,
    /// The schema of the extension's in which a script makes parts of the application's tables.
    parts: &'static str,
}

const TOLD: &[Told] = &[Told {
    extension: "timescaledb",
    setting: RESTORING,
    begin: "timescaledb_pre_restore",
    end: "timescaledb_post_restore",
    parts: "_timescaledb_internal",
}];

/// Where the extension is, and whether somebody has told it already. The script may have names looked for anywhere.
const LOOK: &str = "
    SELECT pg_catalog.quote_ident(n.nspname), pg_catalog.current_setting($2, true)
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
    WHERE e.extname::pg_catalog.text OPERATOR(pg_catalog.=) $1";

/// Holds what is to be called when the restore is over.
#[derive(Default)]
pub(crate) struct Restoring {
    ends: Vec<String>,
}

/// Returns how an extension of this name is told; None where it need not be.
fn told(extension: &str) -> Option<&'static Told> {
    TOLD.iter().find(|told| told.extension == extension)
}

/// Returns whether an extension of this name must be told.
pub fn is_told(extension: &str) -> bool {
    told(extension).is_some()
}

/// Returns the schema in which a script makes something although it is this extension's.
pub fn parts(extension: &str) -> Option<&'static str> {
    told(extension).map(|told| told.parts)
}

/// Tells the extension, where it is one of those and is there. Returns what is to be called at the end; None where nothing is to be told, or
/// somebody has done so.
pub fn begin(client: &mut impl GenericClient, extension: &str) -> std::result::Result<Begun, postgres::Error> {
    let Some(told) = told(extension) else { return Ok(Begun::Nothing) };
    let Some(row) = client.query_opt(LOOK, &[&told.extension, &told.setting])? else { return Ok(Begun::Nothing) };
    let (schema, setting) = pair(&row)?;
    if setting.as_deref() == Some("on") {
        return Ok(Begun::Before(told.end));
    }
    client.batch_execute(&format!("SELECT {schema}.{}()", told.begin))?;
    Ok(Begun::Now(format!("SELECT {schema}.{}()", told.end)))
}

/// Says who has told an extension.
pub enum Begun {
    /// Nobody: it need not be.
    Nothing,
    /// Somebody else, who will call this function.
    Before(&'static str),
    /// This restore, which will run this statement.
    Now(String),
}

fn pair(row: &Row) -> std::result::Result<(String, Option<String>), postgres::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

impl Restoring {
    /// Tells the extension; returns a remark where its end is left to somebody else.
    pub fn begin(
        &mut self,
        transaction: &mut Transaction<'_>,
        extension: &str,
    ) -> std::result::Result<Option<String>, postgres::Error> {
        match begin(transaction, extension)? {
            Begun::Nothing => Ok(None),
            Begun::Now(end) => {
                self.ends.push(end);
                Ok(None)
            }
            Begun::Before(end) => {
                Ok(Some(format!("{end}(), which is left to whoever has prepared the target for a restore")))
            }
        }
    }

    /// Tells the extensions that the restore is over.
    pub fn end(self, transaction: &mut Transaction<'_>) -> Result<()> {
        self.ends.iter().try_for_each(|end| transaction.batch_execute(end).map_err(|error| failure::plain(end, &error)))
    }
}

/// Returns the failure of telling this extension.
pub(crate) fn untold(extension: &str, error: &postgres::Error) -> anyhow::Error {
    let (begin, end) = told(extension).map_or(("", ""), |told| (told.begin, told.end));
    let cause = failure::plain(&format!("cannot tell the extension \"{extension}\" of the restore"), error);
    let hint = format!(
        "let an administrator run in the target SELECT {begin}(); before the restore, and SELECT {end}(); after it"
    );
    Fault::failed(format!("{cause:#}")).hint(hint).into()
}
