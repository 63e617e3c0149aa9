//! Reads connection service files: `[name]` sections of `keyword=value` lines.

use crate::base::error::{Fault, Result};
use crate::base::plain_file;
use crate::postgres::connect::variables::Variables;
use std::io;
use std::path::{Path, PathBuf};

/// Folders where distributions put the system-wide file; libpq knows one of these from its build.
const SYSTEM: &[&str] = &["/etc/postgresql-common", "/etc/sysconfig/pgsql", "/usr/local/etc/postgresql", "/etc"];

/// Returns the settings of the service that `PGSERVICE` names; none if it is unset. The first value of a keyword counts.
pub fn read(variable: Variables) -> Result<Vec<(String, String)>> {
    let Some(name) = variable("PGSERVICE") else { return Ok(Vec::new()) };
    for path in candidates(variable) {
        let text = match plain_file::read_text(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(Fault::usage(format!("cannot read service file \"{}\": {error}", path.display())).into());
            }
        };
        if let Some(found) = section(&text, &name, &path)? {
            return Ok(found);
        }
    }
    Err(Fault::usage(format!("no service file has a section \"{name}\""))
        .hint("PGSERVICE names it; PGSERVICEFILE, ~/.pg_service.conf and PGSYSCONFDIR say where to look")
        .into())
}

fn candidates(variable: Variables) -> Vec<PathBuf> {
    let own = variable("PGSERVICEFILE").map(PathBuf::from);
    let own = own.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".pg_service.conf")));
    let system: Vec<PathBuf> = match variable("PGSYSCONFDIR") {
        Some(directory) => vec![directory.into()],
        None => SYSTEM.iter().map(PathBuf::from).collect(),
    };
    own.into_iter().chain(system.into_iter().map(|directory| directory.join("pg_service.conf"))).collect()
}

fn section(text: &str, name: &str, path: &Path) -> Result<Option<Vec<(String, String)>>> {
    let mut found: Option<Vec<(String, String)>> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            if found.is_some() {
                break;
            }
            found = (line.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inner, _)| inner)
                == Some(name))
            .then(Vec::new);
        } else if let Some(found) = &mut found {
            let (keyword, value) = setting(line).ok_or_else(|| bad(path, number + 1))?;
            if !found.iter().any(|(known, _)| *known == keyword) {
                found.push((keyword, value));
            }
        }
    }
    Ok(found)
}

fn setting(line: &str) -> Option<(String, String)> {
    let (keyword, value) = line.split_once('=')?;
    // libpq looks some services up in LDAP and refuses a service within a service; neither is a setting.
    let plain = !keyword.is_empty() && !matches!(keyword, "service" | "servicefile") && !line.starts_with("ldap");
    plain.then(|| (keyword.to_owned(), value.to_owned()))
}

fn bad(path: &Path, number: usize) -> Fault {
    Fault::usage(format!("line {number} of service file \"{}\" is no setting", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_section_counts_and_its_first_value_holds() {
        let text = "# all\n[other]\nhost=a\n\n[shop]\nhost=b\n port=6000 \nhost=c\n[late]\nuser=x\n";
        let found = section(text, "shop", Path::new("f")).unwrap().unwrap();
        assert_eq!(found, [("host".to_owned(), "b".to_owned()), ("port".to_owned(), "6000".to_owned())]);
        assert!(section(text, "sho", Path::new("f")).unwrap().is_none());
    }

    #[test]
    fn a_broken_line_is_named() {
        let error = section("[shop]\nhost b\n", "shop", Path::new("/x/f")).unwrap_err();
        assert_eq!(error.to_string(), "line 2 of service file \"/x/f\" is no setting");
    }
}
