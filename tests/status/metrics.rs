//! Metrics as Prometheus' own Python library reads them.

use super::site;
use serde_json::Value;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use support::process::tool;

const PARSER: &str = r#"
import json, sys
from prometheus_client.parser import text_string_to_metric_families as families
text = sys.stdin.buffer.read().decode()
found = [
    {"family": f.name, "type": f.type, "help": f.documentation, "name": s.name, "labels": s.labels, "value": s.value}
    for f in families(text) for s in f.samples
]
json.dump(found, sys.stdout)
"#;

pub struct Metrics {
    pub samples: Vec<Value>,
}

impl Metrics {
    #[track_caller]
    pub fn at(address: SocketAddr) -> Metrics {
        let page = site::get(address, "/metrics");
        assert_eq!(page.code, 200, "{page:?}");
        assert!(page.head.contains("content-type: text/plain; version=0.0.4"), "{}", page.head);
        Metrics::parse(&page.body)
    }

    #[track_caller]
    fn parse(text: &str) -> Metrics {
        let mut python = Command::new(tool("python"));
        python.args(["-c", PARSER]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = python.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
        let metrics = Metrics { samples: serde_json::from_slice(&output.stdout).unwrap() };
        metrics.check(text);
        metrics
    }

    /// What `promtool check metrics` looks at, and that no line was passed over.
    #[track_caller]
    fn check(&self, text: &str) {
        let lines = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(lines, self.samples.len(), "{text}");
        assert!(text.ends_with('\n'));
        let mut seen = std::collections::BTreeSet::new();
        for sample in &self.samples {
            let name = sample["name"].as_str().unwrap();
            assert!(seen.insert(format!("{name}{}", sample["labels"])), "twice: {sample}");
            assert!(!sample["help"].as_str().unwrap().is_empty(), "{name} has no help");
            assert_eq!(sample["type"] == "counter", name.ends_with("_total"), "{sample}");
            assert!(sample["type"] == "counter" || sample["type"] == "gauge", "{sample}");
            let good = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.starts_with("pgbk_") && name.chars().all(good), "{name}");
            for unit in ["_ms", "_minutes", "_hours", "_kb", "_mb", "_milliseconds"] {
                assert!(!name.ends_with(unit), "{name} is in no base unit");
            }
        }
    }

    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |sample: &&Value| {
            sample["name"] == name
                && sample["labels"].as_object().unwrap().len() == labels.len()
                && labels.iter().all(|(label, value)| sample["labels"][label] == *value)
        };
        self.samples.iter().find(fits).and_then(|sample| sample["value"].as_f64())
    }

    #[track_caller]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or_else(|| panic!("no {name} {labels:?} in {:#?}", self.samples))
    }

    pub fn runs(&self, database: &str, state: &str) -> f64 {
        self.value("pgbk_runs_total", &[("database", database), ("state", state)])
    }
}
