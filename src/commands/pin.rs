//! `pgbk pin` and `pgbk unpin`

use crate::cli::PinArgs;
use crate::config;
use crate::console::Console;
use crate::error::Result;
use crate::shown::Lines;
use crate::vault::Vault;
use serde_json::json;

/// Keeps rules from removing a backup.
pub fn pin(args: &PinArgs, console: &Console) -> Result<u8> {
    let text = match vault(args)?.pin(&args.id)? {
        true => "is pinned: no rule removes it",
        false => "was pinned already",
    };
    told(args, true, text, console)
}

/// Gives it back to the rules.
pub fn unpin(args: &PinArgs, console: &Console) -> Result<u8> {
    let text = match vault(args)?.unpin(&args.id)? {
        true => "is pinned no more: the rules count for it again",
        false => "was not pinned",
    };
    told(args, false, text, console)
}

/// No key is needed for what nothing seals.
fn vault(args: &PinArgs) -> Result<Vault> {
    let place = config::place(&args.store, true)?;
    Ok(Vault { store: place.store, key: None, encrypt: false, verify: true, allow_unauthenticated: true })
}

fn told(args: &PinArgs, pinned: bool, text: &str, console: &Console) -> Result<u8> {
    console.result(&Lines::of(format!("{} {text}", args.id)), &json!({"id": args.id, "pinned": pinned}))?;
    Ok(0)
}
