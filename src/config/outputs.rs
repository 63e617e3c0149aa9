//! Settings of the outputs of a run: where each is kept, and with which key.

use crate::base::error::{Fault, Result};
use crate::base::variant::Variant;
use crate::cli::output_args::{AnonymisedPlaceArgs, OutputArgs, VariantArgs};
use crate::cli::settings::{KeyArgs, RunArgs, StateArgs, StoreArgs};
use crate::cli::variables;
use crate::config::{self, KeyNames, arguments, environment};
use crate::format::backup_id::BackupId;
use crate::jobs::backup::outputs::{AnonymisedOutput, FurtherOutputs};
use crate::repository::Repository;

/// The secrets of anonymised backups. Where none of them is set, those of the others count.
const ANONYMISED_KEY: KeyNames =
    KeyNames { key: "ANON_ENCRYPT_KEY", iv: "ANON_ENCRYPT_IV", password: "ANON_ENC_PASSWORD" };

/// Returns the variant that a command is about: that of the backup that it names, else the one that it asks for.
pub(crate) fn variant(args: &VariantArgs, id: Option<&BackupId>) -> Result<Variant> {
    match (args.variant, id) {
        (None, id) => Ok(id.map_or(Variant::Plain, |id| id.subject().variant())),
        (Some(asked), Some(id)) if id.subject().variant() != asked => {
            Err(Fault::usage(format!("{id} is no backup of the output \"{}\"", asked.name()))
                .hint("leave --variant out: the id says it")
                .into())
        }
        (Some(asked), _) => Ok(asked),
    }
}

/// Opens the repository of the variant that a command is about; `id` is the backup that it names.
pub(crate) fn repository(
    args: &VariantArgs,
    id: Option<&BackupId>,
    store: &StoreArgs,
    keys: &KeyArgs,
    state: &StateArgs,
) -> Result<Repository> {
    of_variant(variant(args, id)?, &args.place, store, keys, state)
}

/// Opens the repository of a variant.
pub(crate) fn of_variant(
    variant: Variant,
    place: &AnonymisedPlaceArgs,
    store: &StoreArgs,
    keys: &KeyArgs,
    state: &StateArgs,
) -> Result<Repository> {
    let plain = |store: &StoreArgs| config::repository(store, keys, state);
    match variant {
        Variant::Plain => plain(store),
        Variant::Custom => Ok(Repository { variant, ..plain(store)? }),
        Variant::Anonymised => {
            let own = config::key_of(&ANONYMISED_KEY)?;
            let repository = plain(&self::place(variant, place, store)?)?;
            Ok(match own {
                Some(key) => Repository { variant, key: Some(key), encrypt: true, ..repository },
                None => Repository { variant, ..repository },
            })
        }
    }
}

/// Returns what a run makes beside the plain backup.
pub(crate) fn further(args: &RunArgs) -> Result<FurtherOutputs> {
    check(args)?;
    let OutputArgs { outputs, place, anonymise } = &args.outputs;
    let is_wanted = |variant| outputs.contains(&variant);
    let repository = |variant| of_variant(variant, place, &args.store, &args.keys, &args.state);
    let custom = is_wanted(Variant::Custom).then(|| repository(Variant::Custom)).transpose()?;
    let anonymised = is_wanted(Variant::Anonymised).then(|| {
        let recipe = config::anonymise::recipe(anonymise)?;
        Ok::<_, anyhow::Error>(AnonymisedOutput { repository: repository(Variant::Anonymised)?, recipe })
    });
    Ok(FurtherOutputs { custom, anonymised: anonymised.transpose()? })
}

/// Checks that a run can make these outputs together.
pub(crate) fn check(args: &RunArgs) -> Result<()> {
    let outputs = &args.outputs.outputs;
    if !outputs.contains(&Variant::Plain) {
        return Err(Fault::usage("OUTPUTS does not name plain, which every run makes")
            .hint("name it first: OUTPUTS=plain,anonymised")
            .into());
    }
    if args.store.s3_object_name.is_some() && outputs.iter().any(|variant| *variant != Variant::Plain) {
        return Err(Fault::usage("S3_OBJECT_NAME keeps one backup under one name, and OUTPUTS names several")
            .hint("unset one of them")
            .into());
    }
    Ok(())
}

/// Returns the variants that `OUTPUTS` names, each once, the plain one first.
pub(crate) fn named() -> Result<Vec<Variant>> {
    let args = variables::prefixed::<OutputArgs>("", &environment::raw).map_err(arguments::told)?;
    Ok(Variant::ALL.into_iter().filter(|variant| variant.is_plain() || args.outputs.contains(variant)).collect())
}

/// Says which key anonymised backups have, compared with the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopyKey {
    /// Neither has any.
    Unset,
    /// None is set for them, so that they have the key of the others.
    Shared,
    /// The one that is set for them is that of the others.
    Equal,
    Own,
}

impl CopyKey {
    /// Compares the settings.
    pub fn of_settings() -> Result<CopyKey> {
        Ok(match (config::key_of(&ANONYMISED_KEY)?, config::key()?) {
            (None, None) => CopyKey::Unset,
            (None, Some(_)) => CopyKey::Shared,
            (Some(own), Some(others)) if own.is_same(&others) => CopyKey::Equal,
            (Some(_), _) => CopyKey::Own,
        })
    }
}

/// Returns what to tell of the key of anonymised backups; `None`: there is nothing.
pub(crate) fn remark(outputs: &FurtherOutputs) -> Result<Option<&'static str>> {
    let shared = outputs.anonymised.is_some() && matches!(CopyKey::of_settings()?, CopyKey::Shared | CopyKey::Equal);
    Ok(shared.then_some(
        "anonymised backups have the same key as the others: who can read them can read those, too; ANON_ENCRYPT_KEY gives them their own",
    ))
}

/// Returns the settings of the store that holds this variant.
pub(crate) fn place(variant: Variant, place: &AnonymisedPlaceArgs, store: &StoreArgs) -> Result<StoreArgs> {
    if variant != Variant::Anonymised {
        return Ok(store.clone());
    }
    let has_bucket = store.s3_bucket.is_some() || store.s3_host_base.is_some();
    match (&place.anon_store_dir, &place.anon_s3_folder) {
        (Some(_), Some(_)) => Err(Fault::usage("both ANON_STORE_DIR and ANON_S3_FOLDER are set")
            .hint("set the one where anonymised backups are to be, and unset the other")
            .into()),
        (None, Some(_)) if !has_bucket => Err(Fault::usage("ANON_S3_FOLDER is set, and no bucket is")
            .hint("set ANON_STORE_DIR for a directory, or S3_BUCKET")
            .into()),
        (Some(folder), None) => {
            Ok(StoreArgs { store_dir: Some(folder.clone()), s3_bucket: None, s3_host_base: None, ..store.clone() })
        }
        (None, Some(folder)) => Ok(StoreArgs { s3_folder: Some(folder.clone()), ..store.clone() }),
        (None, None) => Ok(store.clone()),
    }
}
