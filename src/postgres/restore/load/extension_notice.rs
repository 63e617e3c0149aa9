//! Notifies extensions that need to know of a restore. Until it is over they do not interfere; otherwise they would not recognize
//! what is restored.

use crate::base::error::{Fault, Result};
use crate::postgres::properties::RESTORING;
use crate::postgres::restore::load::failure;
use postgres::{GenericClient, Row, Transaction};

/// An extension that must be notified, and its functions for that.
struct NotifiedExtension {
    extension: &'static str,
    /// The setting that is on while a restore goes on.
    setting: &'static str,
    begin: &'static str,
    end: &'static str,
    /// The extension's schema in which a script creates parts of the application's tables.
    parts: &'static str,
}

const TOLD: &[NotifiedExtension] = &[NotifiedExtension {
    extension: "timescaledb",
    setting: RESTORING,
    begin: "timescaledb_pre_restore",
    end: "timescaledb_post_restore",
    parts: "_timescaledb_internal",
}];

/// Query for an extension's schema, and the value of its setting. Works whatever search path the script has set.
const LOOK: &str = "
    SELECT pg_catalog.quote_ident(n.nspname), pg_catalog.current_setting($2, true)
    FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
    WHERE e.extname::pg_catalog.text OPERATOR(pg_catalog.=) $1";

/// Holds the statements to run when the restore is over.
#[derive(Default)]
pub(crate) struct EndStatements {
    ends: Vec<String>,
}

/// Returns how an extension of this name is notified; `None` if it need not be.
fn told(extension: &str) -> Option<&'static NotifiedExtension> {
    TOLD.iter().find(|told| told.extension == extension)
}

/// Returns whether an extension of this name must be notified.
pub fn is_told(extension: &str) -> bool {
    told(extension).is_some()
}

/// Returns the extension's schema in which a script creates objects of its own; `None` if it has none.
pub fn parts(extension: &str) -> Option<&'static str> {
    told(extension).map(|told| told.parts)
}

/// Notifies the extension that a restore begins, if it is one of those, is in the database, and has not been notified already.
pub fn begin(
    client: &mut impl GenericClient,
    extension: &str,
) -> std::result::Result<ExtensionNotice, postgres::Error> {
    let Some(told) = told(extension) else { return Ok(ExtensionNotice::Nothing) };
    let Some(row) = client.query_opt(LOOK, &[&told.extension, &told.setting])? else {
        return Ok(ExtensionNotice::Nothing);
    };
    let (schema, setting) = pair(&row)?;
    if setting.as_deref() == Some("on") {
        return Ok(ExtensionNotice::Before(told.end));
    }
    client.batch_execute(&format!("SELECT {schema}.{}()", told.begin))?;
    Ok(ExtensionNotice::Now(format!("SELECT {schema}.{}()", told.end)))
}

/// Says which party has notified an extension.
pub enum ExtensionNotice {
    /// None: it need not be notified.
    Nothing,
    /// Another one before, which will call this function at the end.
    Before(&'static str),
    /// This restore, which must run this statement at the end.
    Now(String),
}

fn pair(row: &Row) -> std::result::Result<(String, Option<String>), postgres::Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

impl EndStatements {
    /// Notifies the extension that a restore begins. Returns a remark if another party notified it, and must call the function for
    /// its end; else `None`.
    pub fn begin(
        &mut self,
        transaction: &mut Transaction<'_>,
        extension: &str,
    ) -> std::result::Result<Option<String>, postgres::Error> {
        match begin(transaction, extension)? {
            ExtensionNotice::Nothing => Ok(None),
            ExtensionNotice::Now(end) => {
                self.ends.push(end);
                Ok(None)
            }
            ExtensionNotice::Before(end) => {
                Ok(Some(format!("{end}(), which is left to whoever has prepared the target for a restore")))
            }
        }
    }

    /// Notifies the extensions that the restore is over.
    pub fn end(self, transaction: &mut Transaction<'_>) -> Result<()> {
        self.ends.iter().try_for_each(|end| transaction.batch_execute(end).map_err(|error| failure::plain(end, &error)))
    }
}

/// Returns the error of an extension that could not be notified.
pub(crate) fn untold(extension: &str, error: &postgres::Error) -> anyhow::Error {
    let (begin, end) = told(extension).map_or(("", ""), |told| (told.begin, told.end));
    let cause = failure::plain(&format!("cannot tell the extension \"{extension}\" of the restore"), error);
    let hint = format!(
        "let an administrator run in the target SELECT {begin}(); before the restore, and SELECT {end}(); after it"
    );
    Fault::failed(format!("{cause:#}")).hint(hint).into()
}
