//! Picks the backup that is restored.

use crate::base::error::Result;
use crate::base::subject::Series;
use crate::cli::arguments::RestoreArgs;
use crate::cli::console::{Console, bytes, choose};
use crate::commands::list::age;
use crate::commands::which::{asker, latest, the_only};
use crate::format::backup_id::BackupId;
use crate::format::manifest::Manifest;
use crate::format::manifest::lineage::{Owner, short};
use crate::repository::Repository;
use jiff::Timestamp;

/// Number of backups that are offered at most, newest first.
const OFFERED: usize = 20;

/// Lets the person pick a backup of one database or other subject. Without a name, all backups are offered except
/// those of files, which no database takes. None: the person picked none. It is an error if there is no backup.
pub fn pick(
    args: &RestoreArgs,
    database: Option<&str>,
    repository: &Repository,
    console: &Console,
) -> Result<Option<BackupId>> {
    let catalog = repository.catalog(database)?;
    let mut ids = catalog.ids();
    ids.retain(|id| database.is_some() || id.database() != Series::Files.name());
    if ids.is_empty() {
        // Says what is missing, and where.
        let name = database.map_or_else(|| the_only(&catalog, repository), |name| Ok(name.to_owned()))?;
        let asker = asker(&args.server, args.origin, console);
        latest(&name, &catalog.of_database(&name), repository, &asker, console)?;
    }
    ids.reverse();
    ids.truncate(OFFERED);
    let now = Timestamp::now();
    let width = ids.iter().map(|id| id.to_string().len()).max().unwrap_or(0);
    let items: Vec<String> = ids
        .iter()
        .map(|id| {
            let size = match repository.sealed(id).and_then(|sealed| sealed.claims()) {
                Ok(claims) => offered(&claims),
                Err(_) => "unreadable".to_owned(),
            };
            format!("{:width$}  {:>8} ago  {size}", id.to_string(), age(id, now))
        })
        .collect();
    Ok(choose("Which backup", &items)?.and_then(|chosen| ids.into_iter().nth(chosen)))
}

/// Returns what a person chooses a backup by: its sizes and its origin.
fn offered(claims: &Manifest) -> String {
    let whose = match claims.owner() {
        Owner::Upload => ", an upload".to_owned(),
        Owner::Server(server) => format!(", server …{}", short(&server)),
        Owner::Unnamed | Owner::Anyone => String::new(),
    };
    format!("{} stored, {} dump{whose}", bytes(claims.stored.bytes), bytes(claims.plain.bytes))
}
