//! The arguments of `pgbk pin` and `pgbk unpin`.

use crate::cli::output_args::VariantArgs;
use crate::cli::settings::StoreArgs;
use crate::format::backup_id::BackupId;
use clap::Args;

#[derive(Debug, Args)]
pub struct PinArgs {
    /// Backup id
    #[arg(value_name = "ID")]
    pub id: BackupId,
    /// One JSON document on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub variant: VariantArgs,
    #[command(flatten)]
    pub store: StoreArgs,
}
