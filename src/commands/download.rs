//! `pgbk download`

use crate::base::error::{Fault, Result};
use crate::base::shown::{Lines, many};
use crate::cli::arguments::DownloadArgs;
use crate::cli::console::{Console, Stdout, bytes};
use crate::commands::lookup::{asker, resolve};
use crate::config;
use crate::format::manifest::Table;
use crate::jobs::transfer::{self, Output};
use crate::repository::reader::BackupReader;
use crate::repository::tables::{self, RowForm, TablesRead};
use std::path::Path;

pub fn run(args: &DownloadArgs, console: &Console) -> Result<u8> {
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    if args.raw && to_stdout {
        return Err(Fault::usage("--raw writes two files, which stdout cannot hold").hint("name a folder").into());
    }
    let repository = config::outputs::repository(&args.variant, args.which.id(), &args.store, &args.keys, &args.state)?;
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
    if !args.table.is_empty() {
        return tables(opened, args, to_stdout, console);
    }
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

/// Writes the rows of the tables that were asked for.
fn tables(opened: BackupReader, args: &DownloadArgs, to_stdout: bool, console: &Console) -> Result<u8> {
    let chosen: Vec<Table> = tables::chosen(&opened, &args.table)?;
    if args.csv && chosen.len() > 1 {
        return Err(Fault::usage(format!("--csv writes one table, and {} match", chosen.len()))
            .hint("name one by --table schema.name")
            .into());
    }
    let (form, extension) = if args.csv { (RowForm::Csv, "csv") } else { (RowForm::Script, "sql") };
    if to_stdout {
        transfer::download_tables(opened, &chosen, form, Output::Writer(&mut Stdout::lock()), args.force, console)?;
        return Ok(0);
    }
    let (id, stored) = (opened.manifest.id.clone(), opened.manifest.stored.bytes);
    let path = args.output.clone().unwrap_or_else(|| format!("{id}.tables.{extension}").into());
    let TablesRead { tables, rows, fetched } =
        transfer::download_tables(opened, &chosen, form, Output::File(&path), args.force, console)?;
    console.text(&Lines::of(format!(
        "{} ({} of {}; {} of {} read)",
        path.display(),
        many(rows, "row"),
        many(tables as u64, "table"),
        bytes(fetched),
        bytes(stored)
    )))?;
    Ok(0)
}
