//! Loads a script as a role that was made for it and has rights only in its scratch database.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::format::sql::extensions::extensions;
use crate::postgres::restore::load::loader_thread::run;
use crate::postgres::restore::load::options::{LoadOptions, LoadReport};
use crate::postgres::restore::load::skipped_statements::PreparedObjects;
use crate::postgres::restore::target::APPLICATION;
use crate::postgres::scratch::loader::ScratchLoader;
use std::io::Read;

/// Bytes of the script that are searched for extensions. `pg_dump` writes settings, schemas and extensions
/// first of all; a thousand of them are far shorter.
const HEAD: u64 = 1 << 20;

pub(crate) fn load_by(
    loader: &ScratchLoader,
    script: &mut dyn Read,
    options: LoadOptions,
    monitor: &dyn Monitor,
) -> Result<LoadReport> {
    let mut head = Vec::new();
    (&mut *script).take(HEAD).read_to_end(&mut head)?;
    let prepared = loader.prepare(&extensions(&head))?;
    let client = loader.connect(APPLICATION)?;
    let aside = loader.aside().clone();
    let options = LoadOptions { bounds: Some(PreparedObjects { aside, ..prepared }), ..options };
    run(client, loader.settings(), &mut head.as_slice().chain(script), options, monitor)
}
