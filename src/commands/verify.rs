//! `pgbk verify`

use super::resolve;
use crate::cli::VerifyArgs;
use crate::config;
use crate::console::{Console, bytes};
use crate::error::{Fault, Kind, Result};
use crate::jobs::verify::{Finding, verify};
use serde_json::json;

pub fn run(args: &VerifyArgs, console: &Console) -> Result<u8> {
    let vault = config::vault(&args.store, &args.keys)?;
    let ids = if args.all {
        vault.ids(args.database.as_deref())?
    } else {
        vec![resolve(&args.which, args.database.as_deref(), &vault)?]
    };
    if ids.is_empty() {
        return Err(Fault::not_found(format!("there is no backup in {}", vault.store.location())).into());
    }
    let findings = ids.iter().map(|id| verify(&vault, id, args.level, console)).collect::<Result<Vec<_>>>()?;
    let damaged = findings.iter().filter(|finding| !finding.ok).count();
    let document = json!({"checked": findings.len(), "damaged": damaged, "backups": findings});
    console.result(&table(&findings), &document)?;
    if damaged == 0 {
        return Ok(0);
    }
    Ok(Kind::Damaged.exit_code())
}

fn table(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.id.to_string().len()).max().unwrap_or(0);
    let count = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let size = |number: Option<u64>| number.map_or("-".to_owned(), bytes);
    let mut text = format!("{:width$}  {:7}  {:>12}  {:>12}  {:>10}\n", "BACKUP", "RESULT", "STORED", "DUMP", "ROWS");
    for finding in findings {
        let result = if finding.ok { "ok" } else { "DAMAGED" };
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
