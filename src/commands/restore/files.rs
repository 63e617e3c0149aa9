//! `pgbk restore --files`

use crate::base::error::{Fault, Result};
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, agree, many};
use crate::base::subject::Subject;
use crate::cli::arguments::RestoreArgs;
use crate::cli::console::{Console, confirm_by_typing};
use crate::cli::values::BackupChoice;
use crate::commands::lookup::{asker, latest};
use crate::commands::restore::pick::pick;
use crate::commands::restore::summary::declined;
use crate::config;
use crate::files::entry::EntryKind;
use crate::files::unpack::{UnpackCounts, UnpackTarget};
use crate::format::backup_id::BackupId;
use crate::jobs::restore::files::{look, place};
use crate::repository::Repository;
use serde_json::json;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Number of files to be replaced that are listed at most.
const NAMED: usize = 50;

pub fn run(args: &RestoreArgs, console: &Console) -> Result<u8> {
    let repository = config::repository(&args.store, &args.keys, &args.state)?;
    let Some(id) = which(args, &repository, console)? else {
        return Err(declined());
    };
    if *id.subject() != Subject::Files {
        return Err(Fault::usage(format!("{id} is no backup of files")).hint("leave out --files").into());
    }
    // A place that depends on where one stands is told in full.
    let root = match &args.into {
        Some(folder) => std::path::absolute(folder)?,
        None => PathBuf::from("/"),
    };
    let target = look(repository.open(&id)?, &root, console)?;
    let existing = target.existing();
    let outline = outline(&id, &target, &root, &existing, &repository);
    console.note(outline.as_str());
    if !args.yes {
        console.say(&outline);
        if !confirm_by_typing("Type yes to write them", "yes")? {
            return Err(declined());
        }
    }
    let placed = place(&repository, &id, &target, console)?;
    let UnpackCounts { files, links, folders, replaced } = placed;
    let document =
        json!({"id": id, "into": root, "files": files, "links": links, "folders": folders, "replaced": replaced});
    console.result(&summary(&id, &placed, &root), &document)?;
    Ok(0)
}

fn which(args: &RestoreArgs, repository: &Repository, console: &Console) -> Result<Option<BackupId>> {
    match &args.which {
        Some(BackupChoice::Id(id)) => Ok(Some(id.clone())),
        None if !args.yes => pick(args, Some(&Subject::Files), repository, console),
        Some(BackupChoice::Latest) | None => {
            let asker = asker(&args.server, args.origin, console);
            latest(&Subject::Files, &repository.catalog(Some(&Subject::Files))?, repository, &asker, console).map(Some)
        }
    }
}

fn outline(id: &BackupId, target: &UnpackTarget, root: &Path, existing: &[PathBuf], repository: &Repository) -> Lines {
    let contents = target.contents();
    let count = |what| contents.count(what);
    let (files, links, folders) = (count(EntryKind::File), count(EntryKind::Link), count(EntryKind::Folder));
    let mut text = Lines::of(format!("  backup    {id} from {}", repository.store.location()))
        .and(format!("  holds     {}", counts(files, links, folders)))
        .and(format!("  into      {}", root.display()));
    if existing.is_empty() {
        return text.and("  replaces  nothing that is there");
    }
    let are = agree(&existing.len(), "is", "are");
    text.push(format!("  REPLACES  {} that {are} there:", existing.len()));
    existing.iter().take(NAMED).for_each(|path| text.push(format!("            {}", path.display())));
    if existing.len() > NAMED {
        text.push(format!("            and {} more", existing.len() - NAMED));
    }
    text
}

fn summary(id: &BackupId, placed: &UnpackCounts, root: &Path) -> Lines {
    let UnpackCounts { files, links, folders, replaced } = placed;
    Lines::of(format!(
        "restored {id} into {}: {}; {replaced} replaced",
        root.display(),
        counts(*files, *links, *folders)
    ))
}

fn counts<N: Display + PartialEq + From<u8>>(files: N, links: N, folders: N) -> String {
    [many(files, "file"), many(links, "link"), many(folders, "folder")].join(", ")
}
