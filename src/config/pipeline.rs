//! Settings of the dump and its compression.

use crate::base::error::{Fault, Result};
use crate::cli::settings::PipelineArgs;
use crate::format::manifest::{Compression, Method};
use crate::pipeline::codec::levels::levels;
use crate::postgres::tools::dump;

pub fn compression(args: &PipelineArgs) -> Result<Option<Compression>> {
    let method = match args.compress.trim().to_ascii_lowercase().as_str() {
        "" | "0" | "none" => return Ok(None),
        "1" | "xz" => Method::Xz,
        "zstd" | "zst" => Method::Zstd,
        "gzip" | "gz" => Method::Gzip,
        other => {
            return Err(Fault::usage(format!("DB_BACKUP_COMPRESS: \"{other}\" is not known"))
                .hint("use 0 (none), 1 (xz), xz, zstd or gzip")
                .into());
        }
    };
    let (lowest, highest, default) = levels(method);
    let level = args.compress_level.unwrap_or(default);
    if !(lowest..=highest).contains(&level) {
        return Err(Fault::usage(format!(
            "DB_BACKUP_COMPRESS_LEVEL: {level} is out of range for {}: {lowest} to {highest}",
            method.name()
        ))
        .into());
    }
    Ok(Some(Compression { method, level }))
}

/// Splits `PG_DUMP_USER_ARGS` as a shell would, without running one.
pub fn pg_dump_arguments(text: Option<&str>) -> Result<Vec<String>> {
    let arguments = shlex::split(text.unwrap_or_default()).ok_or_else(|| {
        Fault::usage("PG_DUMP_USER_ARGS has a quote that is not closed").hint("quote it as for a shell")
    })?;
    dump::check(&arguments)?;
    Ok(arguments)
}
