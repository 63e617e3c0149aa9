//! `pgbk download`

use crate::base::error::{Fault, Result};
use crate::base::shown::Lines;
use crate::cli::arguments::DownloadArgs;
use crate::cli::console::{Console, Stdout, bytes};
use crate::commands::lookup::{asker, resolve};
use crate::config;
use crate::jobs::transfer::{self, Output};
use std::path::Path;

pub fn run(args: &DownloadArgs, console: &Console) -> Result<u8> {
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    if args.raw && to_stdout {
        return Err(Fault::usage("--raw writes two files, which stdout cannot hold").hint("name a folder").into());
    }
    let repository = config::repository(&args.store, &args.keys, &args.state)?;
    let chosen = || {
        let asker = || asker(&args.server, args.origin, console);
        resolve(&args.which, args.database.as_deref(), &repository, asker, console)
    };
    if args.raw {
        let id = chosen()?;
        let folder = args.output.as_deref().unwrap_or(Path::new("."));
        let path = transfer::download_raw(&repository, &id, folder, args.force, console)?;
        console.text(&Lines::of(path.display()))?;
        return Ok(0);
    }
    let opened = match &args.object {
        Some(key) => repository.old_backup(key)?.open(None, console)?,
        None => repository.open(&chosen()?)?,
    };
    let extension = opened.manifest.dump.format.extension();
    if to_stdout {
        let mut out = Stdout::lock();
        if extension != "sql" && out.is_terminal() {
            return Err(Fault::usage("an archive is no text for a terminal")
                .hint("write it to a file with --output")
                .into());
        }
        transfer::download(opened, Output::Writer(&mut out), args.force, console)?;
        return Ok(0);
    }
    let id = &opened.manifest.id;
    let path = args.output.clone().unwrap_or_else(|| format!("{id}.{extension}").into());
    let count = transfer::download(opened, Output::File(&path), args.force, console)?;
    console.text(&Lines::of(format!("{} ({})", path.display(), bytes(count))))?;
    Ok(0)
}
