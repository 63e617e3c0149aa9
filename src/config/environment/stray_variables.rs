//! Finds variables that are named like settings and are none. Such a misspelling would otherwise be ignored without a word.

use std::collections::BTreeSet;
use std::path::Path;

/// Names in other tools, and the settings that they stand for.
const ALIASES: &[(&str, &str)] = &[
    ("DB_DATABASE", "DB_NAME"),
    ("DB_USERNAME", "DB_USER"),
    ("DB_PASS", "DB_PASSWORD"),
    ("S3_ENDPOINT", "S3_HOST_BASE"),
    ("S3_PREFIX", "S3_FOLDER"),
    ("S3_ACCESS_KEY", "S3_ACCESS_KEY_ID"),
    ("S3_SECRET_KEY", "S3_SECRET_ACCESS_KEY"),
];
/// Prefixes that many programs use. Under these, only a name that is nearly a setting is reported.
const COMMON: [&str; 8] = ["NO", "LOG", "RUN", "PG", "AUTO", "HEALTH", "DATABASE", "STATE"];
/// Similarity, from 0 to 1, from which one name is taken for a misspelling of the other.
const ALIKE: f64 = 0.85;

/// A variable that is no setting, and the setting that may be meant. None: no setting is similar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrayVariable {
    pub name: String,
    pub meant: Option<String>,
}

/// Returns the variables that begin as settings do and are none. Values are used only to recognize what Kubernetes
/// sets for a service.
pub fn among(variables: impl Iterator<Item = (String, String)>, known: &[String]) -> Vec<StrayVariable> {
    let beginnings: BTreeSet<&str> =
        known.iter().filter_map(|name| name.split_once('_')).map(|(beginning, _)| beginning).collect();
    let mut found: Vec<StrayVariable> = variables
        .filter(|(name, value)| !known.contains(name) && !is_service(name, value))
        .filter(|(name, _)| !known.iter().any(|known| name.strip_suffix("_FILE") == Some(known)))
        .filter_map(|(name, _)| {
            let beginning = name.split_once('_').map(|(beginning, _)| beginning)?;
            if !beginnings.contains(beginning) {
                return None;
            }
            let meant = meant(&name, known);
            (meant.is_some() || !COMMON.contains(&beginning)).then_some(StrayVariable { name, meant })
        })
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

/// Returns the secrets in this folder whose name is that of a setting in other letter case, with an extension, or
/// nearly so. All others are for other programs.
pub fn among_secrets(folder: &Path, known: &[String]) -> Vec<StrayVariable> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<StrayVariable> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let bare = name.split('.').next()?.to_ascii_uppercase();
            let meant = if known.contains(&bare) { bare } else { meant(&bare, known)? };
            let meant = meant.to_ascii_lowercase();
            let path = |name: &str| folder.join(name).display().to_string();
            (name != meant).then(|| StrayVariable { name: path(&name), meant: Some(path(&meant)) })
        })
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

/// Returns what to say of them in one line; None where there are none.
pub fn describe(strays: &[StrayVariable]) -> Option<String> {
    let shown = strays.iter().map(|StrayVariable { name, meant }| match meant {
        Some(meant) => format!("{name} (did you mean {meant}?)"),
        None => name.clone(),
    });
    let shown: Vec<String> = shown.collect();
    (!shown.is_empty()).then(|| format!("set, but no settings of pgbk, and so without effect: {}", shown.join(", ")))
}

fn meant(name: &str, known: &[String]) -> Option<String> {
    let bare = name.strip_suffix("_FILE").unwrap_or(name);
    if let Some((_, meant)) = ALIASES.iter().find(|(alias, _)| *alias == bare) {
        return Some((*meant).to_owned());
    }
    let alike = |known: &&String| strsim::damerau_levenshtein(bare, known);
    let nearest = known.iter().min_by_key(alike)?;
    (strsim::normalized_damerau_levenshtein(bare, nearest) >= ALIKE).then(|| nearest.clone())
}

/// Returns whether Kubernetes or Docker's links set this variable for a service. A service called "db" or "store" is
/// no misspelling.
fn is_service(name: &str, value: &str) -> bool {
    let port = |end: &str| {
        end.split('_').next().is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.split("_PORT_").skip(1).any(port)
        || name.contains("_ENV_")
        || value.starts_with("tcp://")
        || value.starts_with("udp://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: &[(&str, &str)]) -> Vec<String> {
        let known: Vec<String> = [
            "DB_NAME",
            "DB_USER",
            "DB_PORT",
            "DB_PASSWORD",
            "KEEP_DAILY",
            "S3_FOLDER",
            "NO_ENCRYPT",
            "LOG_LEVEL",
            "STORE_DIR",
            "DB_BACKUP_ENCRYPT_KEY",
            "DB_BACKUP_COMPRESS",
            "PG_DUMP_USER_ARGS",
            "TZ",
        ]
        .map(str::to_owned)
        .into();
        let variables = names.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        among(variables, &known)
            .into_iter()
            .map(|stray| format!("{}>{}", stray.name, stray.meant.unwrap_or_default()))
            .collect()
    }

    #[test]
    fn secrets_whose_names_are_nearly_settings_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let known = ["DB_PASSWORD", "DB_BACKUP_ENCRYPT_KEY"].map(str::to_owned);
        for name in [
            "db_password",
            "DB_BACKUP_ENCRYPT_KEY",
            "Db_Password.txt",
            "db_passwrod",
            "db_root_password",
            "kubernetes.io",
            "..data",
        ] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let found = among_secrets(folder.path(), &known);
        let short = |text: &str| text.strip_prefix(&format!("{}/", folder.path().display())).unwrap().to_owned();
        let found: Vec<_> =
            found.iter().map(|stray| (short(&stray.name), short(stray.meant.as_deref().unwrap()))).collect();
        let expected = [
            ("DB_BACKUP_ENCRYPT_KEY", "db_backup_encrypt_key"),
            ("Db_Password.txt", "db_password"),
            ("db_passwrod", "db_password"),
        ];
        assert_eq!(found, expected.map(|(name, meant)| (name.to_owned(), meant.to_owned())));
        assert!(among_secrets(&folder.path().join("none"), &known).is_empty());
    }

    #[test]
    fn slips_are_told_with_the_name_that_is_meant() {
        for (slip, meant) in [
            ("KEEP_DAYLY", "KEEP_DAILY"),
            ("S3_FOLDR", "S3_FOLDER"),
            ("DB_BACKUP_COMPRES", "DB_BACKUP_COMPRESS"),
            ("DB_BACKUP_ENCRYPTION_KEY", "DB_BACKUP_ENCRYPT_KEY"),
            ("DB_PASSWROD_FILE", "DB_PASSWORD"),
            ("DB_DATABASE", "DB_NAME"),
            ("DB_CONNECTION", ""),
            ("NO_ENCRYPTT", "NO_ENCRYPT"),
            ("LOG_LEVELL", "LOG_LEVEL"),
        ] {
            assert_eq!(told(&[(slip, "hunter2")]), [format!("{slip}>{meant}")]);
        }
    }

    #[test]
    fn what_other_programs_and_services_set_is_not() {
        let others = [
            ("DB_NAME", "x"),
            ("DB_NAME_FILE", "x"),
            ("DB_PORT_5432_TCP", "tcp://10.0.0.1:5432"),
            ("DB_PORT_5432_TCP_ADDR", "10.0.0.1"),
            ("DB_SERVICE_HOST", "10.0.0.1"),
            ("DB_SERVICE_PORT_POSTGRES", "5432"),
            ("STORE_PORT", "tcp://10.0.0.1:80"),
            ("REDIS_URL", "x"),
            ("NO_PROXY", "x"),
            ("NO_COLOR", "1"),
            ("LOG_DIR", "x"),
            ("PG_MAJOR", "17"),
            ("PGHOST", "x"),
            ("PATH", "x"),
            ("TZDIR", "x"),
        ];
        assert_eq!(told(&others), Vec::<String>::new());
    }
}
