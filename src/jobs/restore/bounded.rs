//! A script that is loaded by a role that was made for it, and that has no rights but in its scratch database.

use crate::error::Result;
use crate::monitor::Monitor;
use crate::postgres::load::{self, Loaded, Options};
use crate::postgres::scratch::Loader;
use crate::postgres::target::APPLICATION;
use crate::script::extensions;
use std::io::Read;

/// `pg_dump` writes settings, schemas and extensions first of all; a thousand of them are far shorter.
const HEAD: u64 = 1 << 20;

pub(super) fn load_by(
    loader: &Loader,
    script: &mut dyn Read,
    options: Options,
    monitor: &dyn Monitor,
) -> Result<Loaded> {
    let mut head = Vec::new();
    (&mut *script).take(HEAD).read_to_end(&mut head)?;
    let prepared = loader.prepare(&extensions(&head))?;
    let client = loader.connect(APPLICATION)?;
    let options = Options { bounds: Some(prepared), ..options };
    load::run(client, loader.settings(), &mut head.as_slice().chain(script), options, monitor)
}
