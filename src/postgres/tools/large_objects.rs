//! Has pg_dump write the large objects of a snapshot, and nothing else.

use crate::base::error::{Fault, Result};
use crate::base::process::environment::ChildEnvironment;
use crate::base::process::reader::ChildReader;
use crate::base::process::stderr_tail::StderrTail;
use crate::postgres::tools::dump::options;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

/// Arguments that leave only large objects, without any text of their owners': no comment can look like a statement of their data.
const ALONE: &[&str] = &[
    "--no-password",
    "--format=plain",
    "--section=data",
    "--exclude-schema=*",
    "--exclude-table-data=*.*",
    "--no-owner",
    "--no-privileges",
    "--no-comments",
    "--no-security-labels",
];
/// Around the data in the script.
const BEGIN: &[u8] = b"BEGIN;\n";
const COMMIT: &[u8] = b"COMMIT;\n";
/// Longest line in bytes: pg_dump writes 16 kB of an object at a time, two digits a byte.
const LINE: u64 = 1 << 20;

/// Returns the arguments of pg_dump for the large objects that a dump with the arguments `of_dump` would read.
pub(crate) fn arguments(snapshot: &str, encoding: &str, of_dump: &[String]) -> Vec<String> {
    let given = options::read(of_dump).unwrap_or_default();
    let role = given.iter().filter(|given| given.option.name == "role").filter_map(|given| given.value);
    let fixed = ALONE.iter().map(|argument| (*argument).to_owned());
    fixed
        .chain([format!("--snapshot={snapshot}"), format!("--encoding={encoding}")])
        .chain(role.map(|role| format!("--role={role}")))
        .collect()
}

/// Runs pg_dump with these [`arguments`], and passes the statements that fill the objects to `write`. Returns its warnings.
pub(crate) fn large_objects(
    pg_dump: &Path,
    arguments: &[String],
    environment: &ChildEnvironment,
    stall: Duration,
    write: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<StderrTail> {
    let mut child = ChildReader::spawn(pg_dump, arguments, environment, stall)?;
    let ((), remarks) = child.through(|script| data(script, write))?;
    Ok(remarks)
}

/// Passes on the data in this script, from each BEGIN to its COMMIT.
fn data(script: &mut dyn Read, write: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut lines = BufReader::with_capacity(256 << 10, script);
    let (mut line, mut is_data) = (Vec::new(), false);
    loop {
        line.clear();
        if lines.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
            return if is_data { Err(strange("ends in the middle of a large object")) } else { Ok(()) };
        }
        is_data |= line == BEGIN;
        if is_data {
            if !is_of_data(&line) {
                return Err(strange("writes large objects in a way that pgbk does not know"));
            }
            write(&line)?;
        }
        if line == COMMIT {
            is_data = false;
            write(b"\n")?;
        }
    }
}

fn is_of_data(line: &[u8]) -> bool {
    const CALLS: [&[u8]; 3] = [b"lo_open('", b"lowrite(0, ", b"lo_close(0);"];
    match line.strip_prefix(b"SELECT pg_catalog.") {
        Some(call) => CALLS.iter().any(|known| call.starts_with(known)) && line.ends_with(b";\n"),
        None => [BEGIN, COMMIT, b"\n"].contains(&line),
    }
}

fn strange(what: &str) -> anyhow::Error {
    Fault::failed(format!("pg_dump {what}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(script: &str) -> Result<String> {
        let mut all = Vec::new();
        data(&mut script.as_bytes(), &mut |line| {
            all.extend_from_slice(line);
            Ok(())
        })?;
        Ok(String::from_utf8(all).unwrap())
    }

    #[test]
    fn the_data_of_large_objects_is_taken_and_nothing_around_it() {
        let one = "BEGIN;\n\nSELECT pg_catalog.lo_open('7', 131072);\nSELECT pg_catalog.lowrite(0, '\\x41');\nSELECT pg_catalog.lo_close(0);\n\nCOMMIT;\n";
        let script = format!("SET x = 1;\nSELECT pg_catalog.lo_create('7');\n{one}\n-- Name: 8\n\n{one}\n");
        assert_eq!(of(&script).unwrap(), format!("{one}\n{one}\n"));
        assert_eq!(of("SET x = 1;\n").unwrap(), "");
    }

    #[test]
    fn what_is_no_data_or_is_cut_short_is_an_error() {
        for script in ["BEGIN;\nSELECT pg_catalog.pg_sleep(1);\nCOMMIT;\n", "BEGIN;\nDROP TABLE t;\n", "BEGIN;\n\n"] {
            assert!(of(script).is_err(), "{script}");
        }
    }
}
