//! What docs/ says of metrics and alerts, as the metrics are, and as Prometheus' own program reads both.

use super::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const MONITORING: &str = include_str!("../../docs/monitoring.md");

/// Prometheus' own, which scripts/test.sh fetches.
fn promtool(arguments: &[&str], input: &str) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".test/prometheus/usr/bin/promtool");
    assert!(path.exists(), "{} is missing: scripts/test.sh fetches it", path.display());
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// `pgbk_` and what follows; after it, in the same cell of a table, `…_` stands for the last but one word's end: `pgbk_last_success_x` `…_y`.
fn named(text: &str) -> BTreeSet<String> {
    let (mut found, mut prefix) = (BTreeSet::new(), "");
    let word = |text: &str| text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    for (at, _) in text.match_indices(['p', '…']) {
        let rest = &text[at..];
        if rest.starts_with("pgbk_") && !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            found.insert(word(rest));
            prefix = if rest.starts_with("pgbk_last_success_") { "pgbk_last_success" } else { "" };
        } else if let Some(rest) = rest.strip_prefix('…').filter(|rest| rest.starts_with('_') && !prefix.is_empty()) {
            found.insert(format!("{prefix}{}", word(rest)));
        }
    }
    // What is called so and is no metric: scratch databases, slots, publications, and a member of documents.
    for name in ["pgbk_scratch_", "pgbk_", "pgbk_changes", "pgbk_inserts", "pgbk_shop"] {
        found.remove(name);
    }
    found
}

/// Returns the metrics that README or any page names.
fn named_anywhere() -> BTreeSet<String> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(project.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md")).chain([project.join("README.md")]);
    pages.flat_map(|path| named(&std::fs::read_to_string(path).unwrap())).collect()
}

/// The record of a capture that has ended.
fn captured(place: &Place) {
    let moment = "2026-11-01T00:00:00Z";
    let until = serde_json::json!({"position": "0/5", "time": moment});
    let record = serde_json::json!({
        "database": "shop", "server": "db:5432 as pgbk", "version": "1", "process": 1, "started": moment, "streaming": true,
        "slot": "pgbk_shop", "generation": null, "recoverable": {"position": "0/7", "time": moment, "seen": moment},
        "last_segment": moment, "segments": 1, "transactions": 1, "stored_bytes": 1, "retained_bytes": 1, "wal_limit": 9,
        "lag_limit": "PT5M", "problem": null, "large_objects_as_of": moment,
        "uncovered": [{"table": "\"public\".\"t\"", "reason": "columns", "until": until}],
    });
    let folder = place.folder.path().join("state/captures");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("shop-0.json"), record.to_string()).unwrap();
}

fn rules() -> &'static str {
    let rules = MONITORING.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    rules.into_iter().find(|block| block.contains("alert:")).expect("no alert rules in docs/monitoring.md")
}

#[test]
fn every_metric_that_the_docs_name_is_served_and_every_one_that_is_served_is_named() {
    let place = Place::new();
    let name = database("documented");
    place.run(&["backup", &name]).expect(0);
    place.run(&["verify", "latest", "--database", &name, "--level", "restore"]).expect(0);
    captured(&place);
    let (scheduler, address) = start(&place, &place.schedule("@yearly", &name));
    let looked = until(PATIENCE, || get(address, "/metrics").body.contains("pgbk_store_backups{"));
    assert!(looked, "{}", scheduler.said());
    let text = get(address, "/metrics").body;
    let served: BTreeSet<String> =
        Metrics::at(address).samples.iter().map(|sample| sample["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(named_anywhere(), served);
    assert_eq!(named(MONITORING), served, "a metric is named elsewhere only");
    let checked = promtool(&["check", "metrics"], &text);
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}\n{text}");
}

#[test]
fn prometheus_takes_the_alert_rules_of_the_docs() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rules()).unwrap();
    let checked = promtool(&["check", "rules", file.path().to_str().unwrap()], "");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    let count = rules().matches("- alert:").count();
    assert!(checked.status.success() && said.contains(&format!("SUCCESS: {count} rules found")), "{checked:?}");
}
