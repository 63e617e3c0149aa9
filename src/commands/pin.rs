//! `pgbk pin` and `pgbk unpin`

use crate::base::error::Result;
use crate::base::shown::Lines;
use crate::cli::console::Console;
use crate::cli::pin_args::PinArgs;
use crate::config;
use crate::repository::Repository;
use serde_json::json;

/// Pins a backup: no retention rule removes it.
pub fn pin(args: &PinArgs, console: &Console) -> Result<u8> {
    let text = match repository(args)?.pin(&args.id)? {
        true => "is pinned: no rule removes it",
        false => "was pinned already",
    };
    told(args, true, text, console)
}

/// Unpins a backup: the retention rules count for it again.
pub fn unpin(args: &PinArgs, console: &Console) -> Result<u8> {
    let text = match repository(args)?.unpin(&args.id)? {
        true => "is pinned no more: the rules count for it again",
        false => "was not pinned",
    };
    told(args, false, text, console)
}

/// Opens the repository without a key: pins are not sealed.
fn repository(args: &PinArgs) -> Result<Repository> {
    let variant = config::outputs::variant(&args.variant, Some(&args.id))?;
    let place = config::outputs::place(variant, &args.variant.place, &args.store)?;
    Ok(Repository { variant, ..Repository::without_key(config::store(&place, true)?) })
}

fn told(args: &PinArgs, pinned: bool, text: &str, console: &Console) -> Result<u8> {
    console.result(&Lines::of(format!("{} {text}", args.id)), &json!({"id": args.id, "pinned": pinned}))?;
    Ok(0)
}
