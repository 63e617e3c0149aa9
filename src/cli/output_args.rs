//! Defines the arguments that choose among the outputs of a run.

use crate::base::variant::Variant;
use clap::Args;
use std::path::PathBuf;

/// Which outputs a run has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Outputs")]
pub struct OutputArgs {
    /// The backups that a run makes of one snapshot, with commas between them; the list must name plain
    #[arg(long, env = "OUTPUTS", value_name = "LIST", value_enum, value_delimiter = ',', default_value = "plain")]
    pub outputs: Vec<Variant>,
    #[command(flatten)]
    pub place: AnonymisedPlaceArgs,
    #[command(flatten)]
    pub anonymise: AnonymiseSettings,
}

/// Which output of earlier runs a command is about.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Outputs")]
pub struct VariantArgs {
    /// The output that is meant, as OUTPUTS names them; when unset the one of the id, and plain for "latest"
    #[arg(long, value_name = "OUTPUT", value_enum)]
    pub variant: Option<Variant>,
    #[command(flatten)]
    pub place: AnonymisedPlaceArgs,
}

/// Where anonymised backups are, if not beside the others.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Outputs")]
pub struct AnonymisedPlaceArgs {
    /// Keep anonymised backups in this directory; beside the others when unset
    #[arg(long, hide_short_help = true, env = "ANON_STORE_DIR", value_name = "DIR")]
    pub anon_store_dir: Option<PathBuf>,
    /// Keep anonymised backups in this folder of the bucket; beside the others when unset
    #[arg(long, hide_short_help = true, env = "ANON_S3_FOLDER", value_name = "FOLDER")]
    pub anon_s3_folder: Option<String>,
}

/// Settings of anonymising.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Anonymising")]
pub struct AnonymiseSettings {
    /// The file (TOML) that says what becomes of each column
    #[arg(long, env = "ANONYMISE_RULES", value_name = "FILE")]
    pub rules: Option<PathBuf>,
}
