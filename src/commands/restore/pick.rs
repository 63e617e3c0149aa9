//! Picks the backup that is restored.

use crate::base::error::Result;
use crate::base::subject::Subject;
use crate::cli::arguments::RestoreArgs;
use crate::cli::console::{Console, bytes, choose};
use crate::commands::list::age;
use crate::commands::lookup::{asker, latest, the_only};
use crate::format::backup_id::BackupId;
use crate::format::manifest::Manifest;
use crate::format::manifest::lineage::{Owner, short};
use crate::repository::Repository;
use crate::repository::catalog::CatalogEntry;
use jiff::Timestamp;

/// Number of backups that are offered at most, newest first.
const OFFERED: usize = 20;

/// Lets the person pick a backup of one database or other subject. Without a name, all backups are offered except
/// those of files, which no database takes. None: the person picked none. It is an error if there is no backup.
pub fn pick(
    args: &RestoreArgs,
    subject: Option<&Subject>,
    repository: &Repository,
    console: &Console,
) -> Result<Option<BackupId>> {
    let catalog = repository.catalog(subject)?;
    let offered = |entry: &&CatalogEntry| subject.is_some() || *entry.id.subject() != Subject::Files;
    let newest: Vec<&CatalogEntry> = catalog.entries().iter().rev().filter(offered).take(OFFERED).collect();
    if newest.is_empty() {
        // Says what is missing, and where.
        let subject = subject.map_or_else(|| the_only(&catalog, repository), |subject| Ok(subject.clone()))?;
        let asker = asker(&args.server, args.origin, console);
        latest(&subject, &catalog.of_subject(&subject), repository, &asker, console)?;
    }
    let now = Timestamp::now();
    let width = newest.iter().map(|entry| entry.id.to_string().len()).max().unwrap_or(0);
    let items = repository.each(&newest, |id, sealed| {
        let said = sealed.and_then(|sealed| sealed.claims());
        let size = said.map_or_else(|_| "unreadable".to_owned(), |claims| described(&claims));
        format!("{:width$}  {:>8} ago  {size}", id.to_string(), age(id, now))
    })?;
    Ok(choose("Which backup", &items)?.and_then(|chosen| newest.get(chosen)).map(|entry| entry.id.clone()))
}

/// Returns what a person chooses a backup by: its sizes and its origin.
fn described(claims: &Manifest) -> String {
    let whose = match claims.owner() {
        Owner::Upload => ", an upload".to_owned(),
        Owner::Server(server) => format!(", server …{}", short(&server)),
        Owner::Unnamed | Owner::Anyone => String::new(),
    };
    format!("{} stored, {} dump{whose}", bytes(claims.stored.bytes), bytes(claims.plain.bytes))
}
