//! `pgbk restore --files`

use crate::cli::{RestoreArgs, Which};
use crate::commands::which::{asker, latest};
use crate::config;
use crate::console::{Console, confirm_by_typing};
use crate::error::{Fault, Result};
use crate::files::{Placed, Target, What};
use crate::jobs::restore::{look, place};
use crate::manifest::BackupId;
use crate::monitor::Monitor;
use crate::series::Series;
use crate::shown::Lines;
use crate::vault::Vault;
use serde_json::json;
use std::path::{Path, PathBuf};

/// As many of the files that would be replaced are named.
const NAMED: usize = 50;

pub fn run(args: &RestoreArgs, console: &Console) -> Result<u8> {
    let vault = config::vault(&args.store, &args.keys, &args.state)?;
    let Some(id) = which(args, &vault, console)? else { return Err(super::declined()) };
    if id.database() != Series::Files.name() {
        return Err(Fault::usage(format!("{id} is no backup of files")).hint("leave out --files").into());
    }
    // A place that depends on where one stands is told in full.
    let root = match &args.into {
        Some(folder) => std::path::absolute(folder)?,
        None => PathBuf::from("/"),
    };
    let target = look(vault.open(&id)?, &root, console)?;
    let existing = target.existing();
    let outline = outline(&id, &target, &root, &existing, &vault);
    console.note(outline.as_str());
    if !args.yes {
        console.say(&outline);
        if !confirm_by_typing("Type yes to write them", "yes")? {
            return Err(super::declined());
        }
    }
    let placed = place(&vault, &id, &target, console)?;
    let Placed { files, links, folders, replaced } = placed;
    let document =
        json!({"id": id, "into": root, "files": files, "links": links, "folders": folders, "replaced": replaced});
    console.result(&summary(&id, &placed, &root), &document)?;
    Ok(0)
}

fn which(args: &RestoreArgs, vault: &Vault, console: &Console) -> Result<Option<BackupId>> {
    match &args.which {
        Some(Which::Id(id)) => Ok(Some(id.clone())),
        None if !args.yes => super::pick(args, Some(Series::Files.name()), vault, console),
        Some(Which::Latest) | None => {
            let asker = asker(&args.server, args.origin, console);
            let name = Series::Files.name();
            latest(name, &vault.catalog(Some(name))?, vault, &asker, console).map(Some)
        }
    }
}

fn outline(id: &BackupId, target: &Target, root: &Path, existing: &[PathBuf], vault: &Vault) -> Lines {
    let contents = target.contents();
    let count = |what| contents.count(what);
    let (files, links, folders) = (count(What::File), count(What::Link), count(What::Folder));
    let mut text = Lines::of(format!("  backup    {id} from {}", vault.store.location()))
        .and(format!("  holds     {files} files, {links} links, {folders} folders"))
        .and(format!("  into      {}", root.display()));
    if existing.is_empty() {
        return text.and("  replaces  nothing that is there");
    }
    text.push(format!("  REPLACES  {} that are there:", existing.len()));
    existing.iter().take(NAMED).for_each(|path| text.push(format!("            {}", path.display())));
    if existing.len() > NAMED {
        text.push(format!("            and {} more", existing.len() - NAMED));
    }
    text
}

fn summary(id: &BackupId, placed: &Placed, root: &Path) -> Lines {
    let Placed { files, links, folders, replaced } = placed;
    Lines::of(format!(
        "restored {id} into {}: {files} files, {links} links, {folders} folders; {replaced} replaced",
        root.display()
    ))
}
