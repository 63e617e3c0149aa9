//! `pgbk upload`

use crate::base::error::{Fault, Result};
use crate::base::subject::Subject;
use crate::cli::arguments::UploadArgs;
use crate::cli::console::Console;
use crate::commands::backup::{report, summary};
use crate::commands::lookup::named;
use crate::config;
use crate::config::state::records;
use crate::jobs::transfer::{self, UploadSource};
use crate::runs::history::share;
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub fn run(args: &UploadArgs, console: &Console) -> Result<u8> {
    let compression = config::pipeline::compression(&args.pipeline)?;
    let repository = config::repository(&args.store, &args.keys, &args.state)?;
    if args.raw && args.store.s3_object_name.is_some() {
        return Err(Fault::usage("--raw keeps the .meta as it is, which cannot name a new version of a fixed name")
            .hint("unset S3_OBJECT_NAME, or upload the dump itself (pgbk download without --raw)")
            .into());
    }
    share::look(repository.store.as_ref(), &records(&args.state))?;
    let manifest = if args.raw {
        transfer::upload_raw(&repository, &args.file, console)?
    } else {
        let (mut source, length) = source(&args.file)?;
        let incoming = UploadSource {
            subject: subject(args)?,
            compression,
            expected: args.pipeline.size_estimate.or(length),
            allow_incomplete: args.allow_incomplete,
            note: args.note.clone(),
        };
        transfer::upload(&repository, &mut source, &incoming, Timestamp::now(), console)?
    };
    console.result(&summary(&manifest, repository.store.as_ref()), &report(&manifest, repository.store.as_ref())?)?;
    Ok(0)
}

fn subject(args: &UploadArgs) -> Result<Subject> {
    let subject = named(args.database.as_deref())?.ok_or_else(|| {
        Fault::usage("upload needs to know which database the dump is of").hint("say --database NAME, or set DB_NAME")
    })?;
    match &subject {
        Subject::Database(_) => Ok(subject),
        Subject::Globals | Subject::Files => {
            Err(Fault::usage(format!("\"{subject}\" is no database: pgbk alone makes such backups"))
                .hint("--raw puts one back that \"download --raw\" wrote")
                .into())
        }
    }
}

fn source(path: &Path) -> Result<(Box<dyn Read>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let open = || -> io::Result<(File, u64)> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok((file, metadata.len()))
    };
    let (file, length) = open().map_err(|error| {
        let message = format!("cannot read \"{}\": {error}", path.display());
        if error.kind() == io::ErrorKind::NotFound { Fault::not_found(message) } else { Fault::usage(message) }
    })?;
    Ok((Box::new(file), Some(length)))
}
