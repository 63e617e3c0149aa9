//! Says where the journals of captures go, and which store a journal leads to.

use crate::base::error::{Fault, Result};
use crate::cli::capture_args::CaptureOptionArgs;
use crate::cli::settings::{AlertArgs, StateArgs, StoreArgs};
use crate::config;
use crate::format::changes::journal::{Journal, JournalPlace};
use crate::jobs::capture::journal_keeper::JournalPlan;
use crate::postgres::connect::settings::ConnectionSettings;
use std::path::{self, PathBuf};

/// Returns where the journal goes. `None`: none is kept.
pub fn journal(
    args: &CaptureOptionArgs,
    store: &StoreArgs,
    alerts: &AlertArgs,
    state: &StateArgs,
    server: &ConnectionSettings,
) -> Result<Option<JournalPlan>> {
    if !args.journal && !args.journal_mail {
        return Ok(None);
    }
    let mut channels = config::alerts::alerts(alerts, state, server.describe());
    if args.journal_mail && channels.settings.mail.is_none() {
        return Err(channels.mistakes.pop().unwrap_or_else(|| {
            Fault::usage("JOURNAL_MAIL is set, and no mail is: a journal has nowhere to go")
                .hint("set SMTP_HOST and MAIL_TO, or JOURNAL=1 for a journal that is not mailed")
                .into()
        }));
    }
    let settings = channels.settings;
    Ok(Some(JournalPlan {
        every: args.journal_every,
        mail: settings.mail.filter(|_| args.journal_mail),
        limit: settings.limit,
        host: settings.origin.host,
        server: settings.origin.server,
        place: place(store),
        state: settings.state,
    }))
}

/// Returns the place of the store as the settings say it, which hold no secret. A folder is named in full: a journal is read elsewhere.
fn place(store: &StoreArgs) -> JournalPlace {
    if store.s3_bucket.is_none() && store.s3_host_base.is_none() {
        let folder = store.store_dir.as_ref().map(|folder| path::absolute(folder).unwrap_or_else(|_| folder.clone()));
        let directory = folder.map(|folder| folder.display().to_string());
        return JournalPlace { directory, ..JournalPlace::default() };
    }
    JournalPlace {
        directory: None,
        host: store.s3_host_base.clone(),
        region: store.s3_region.clone(),
        bucket: store.s3_bucket.clone(),
        folder: store.s3_folder.clone(),
    }
}

/// Returns the settings of the store that a journal leads to. Its place counts where the settings name none, and only if a key has sealed
/// it: anybody can write a checksum, and the credentials are used there.
pub(crate) fn store_of(journal: &Journal, set: &StoreArgs) -> Result<StoreArgs> {
    let mut store = set.clone();
    if store.store_dir.is_some() || store.s3_bucket.is_some() || store.s3_host_base.is_some() {
        return Ok(store);
    }
    if journal.key.is_none() {
        return Err(Fault::usage("the journal is sealed with no key, so it is not believed where the store is")
            .hint("set STORE_DIR, or S3_BUCKET and S3_HOST_BASE")
            .into());
    }
    let place = &journal.store;
    store.store_dir = place.directory.as_ref().map(PathBuf::from);
    store.s3_host_base.clone_from(&place.host);
    store.s3_bucket.clone_from(&place.bucket);
    store.s3_region = store.s3_region.or_else(|| place.region.clone());
    store.s3_folder = store.s3_folder.or_else(|| place.folder.clone());
    Ok(store)
}
