//! `pgbk verify`

use super::{named, resolve};
use crate::cli::VerifyArgs;
use crate::config;
use crate::console::{Console, bytes};
use crate::error::{Fault, Kind, Result};
use crate::jobs::verify::{Finding, verify, verify_all, verify_old};
use serde_json::json;

pub fn run(args: &VerifyArgs, console: &Console) -> Result<u8> {
    let vault = config::vault(&args.store, &args.keys)?;
    let findings = if args.all {
        let ids = vault.ids(named(args.database.as_deref())?.as_deref())?;
        if ids.is_empty() {
            return Err(Fault::not_found(format!("there is no backup in {}", vault.store.location())).into());
        }
        verify_all(&vault, &ids, args.level, console)?
    } else if let Some(key) = &args.object {
        vec![verify_old(vault.old_backup(key)?, console)?]
    } else {
        let id = resolve(&args.which, args.database.as_deref(), &vault)?;
        vec![verify(&vault, &id, args.level, console)?]
    };
    let kinds: Vec<Kind> = findings.iter().filter_map(|finding| finding.kind).collect();
    let damaged = kinds.iter().filter(|kind| **kind == Kind::Damaged).count();
    let unread = kinds.len() - damaged;
    let document = json!({"checked": findings.len(), "damaged": damaged, "unread": unread, "backups": findings});
    console.result(&table(&findings), &document)?;
    // Damage is the worse news of the two.
    let worst = if damaged > 0 { Some(Kind::Damaged) } else { kinds.first().copied() };
    Ok(worst.map_or(0, Kind::exit_code))
}

fn table(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.id.to_string().len()).max().unwrap_or(0);
    let count = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let size = |number: Option<u64>| number.map_or("-".to_owned(), bytes);
    let mut text = format!("{:width$}  {:7}  {:>12}  {:>12}  {:>10}\n", "BACKUP", "RESULT", "STORED", "DUMP", "ROWS");
    for finding in findings {
        let result = match finding.kind {
            None => "ok",
            Some(Kind::Damaged) => "DAMAGED",
            Some(_) => "UNREAD",
        };
        text.push_str(&format!(
            "{:width$}  {result:7}  {:>12}  {:>12}  {:>10}\n",
            finding.id.to_string(),
            size(finding.stored_bytes),
            size(finding.plain_bytes),
            count(finding.rows),
        ));
        if let Some(error) = &finding.error {
            text.push_str(&format!("  {error}\n"));
        }
    }
    text
}
