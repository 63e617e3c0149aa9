//! Streams that are longer than any memory.

use super::*;
use std::process::Stdio;

/// What the process may have mapped, its threads' stacks and the binary itself included; a stream that were held anywhere would
/// not fit.
const LIMIT: u64 = 256 << 20;
const GIB: usize = 1 << 30;

#[test]
fn a_stream_of_any_length_takes_the_same_memory() {
    let place = folder();
    let bytes = support::proof::size(3 * GIB / 8, 5 * GIB);
    let run = pgbk(["upload", "-", "--database", "long", "--allow-incomplete", "--json"]).directory(place.path());
    let limit = format!("--as={LIMIT}");
    let mut child = run.set("DB_BACKUP_COMPRESS", "zstd").command_by(&["prlimit", &limit]);
    let mut source = std::process::Command::new("sh");
    source.args(["-c", "yes -- '-- a line of a comment that goes on and on' | head -c \"$0\"", &bytes.to_string()]);
    let mut source = source.stdout(Stdio::piped()).spawn().unwrap();
    let output = child.stdin(source.stdout.take().unwrap()).output().unwrap();
    assert!(source.wait().unwrap().success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["plain"]["bytes"], bytes as u64, "{made:#}");
}
