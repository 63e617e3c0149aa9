//! What docs/ shows for systemd and Kubernetes is what systemd and Kubernetes take, and its figures are those of the benchmarks.

use pgbk::cli::setting;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A page's blocks in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let found: Vec<_> = page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect();
    assert!(!found.is_empty(), "the page has no block of {language}");
    found
}

/// The units under the names that their first lines give them.
fn units(folder: &Path) -> Vec<std::path::PathBuf> {
    let write = |text: &String| {
        let name = text.lines().next().unwrap().rsplit('/').next().unwrap();
        let path = folder.join(name);
        fs::write(&path, text.replace("/usr/bin/pgbk", env!("CARGO_BIN_EXE_pgbk"))).unwrap();
        path
    };
    blocks(include_str!("../docs/systemd.md"), "ini").iter().map(write).collect()
}

fn verify(units: &[std::path::PathBuf]) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units).output();
    let output = output.expect("systemd-analyze is missing: scripts/test.sh installs it");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn systemd_takes_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path());
    let names: Vec<_> = units.iter().map(|unit| unit.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["pgbk.service", "pgbk.timer"]);
    let (good, said) = verify(&units);
    assert!(good && said.is_empty(), "{said}");

    // It would have said so.
    let text = fs::read_to_string(&units[1]).unwrap();
    fs::write(&units[1], text.replace("03:00:00", "25:00:00").replace("Persistent", "Persistant")).unwrap();
    let (_, said) = verify(&units);
    assert!(said.contains("Persistant") && said.contains("25:00:00"), "{said}");
}

#[test]
fn systemd_takes_the_lines_for_a_store_in_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path());
    let lines = &blocks(include_str!("../docs/systemd.md"), "text")[0];
    assert!(lines.contains("\nReadWritePaths=/srv/backups\n") && lines.contains("\nDynamicUser=no\n"), "{lines}");
    let more = folder.path().join("pgbk.service.d");
    fs::create_dir(&more).unwrap();
    let said = |lines: &str| {
        fs::write(more.join("override.conf"), lines).unwrap();
        verify(&units).1
    };
    assert_eq!(said(lines), "");
    // It would have said so.
    assert!(said(&lines.replace("ReadWritePaths", "ReadWritePathes")).contains("ReadWritePathes"));
}

#[test]
fn the_package_brings_the_units_that_the_page_shows() {
    let packaged = [include_str!("../packaging/pgbk.service"), include_str!("../packaging/pgbk.timer")];
    let shown = blocks(include_str!("../docs/systemd.md"), "ini");
    // The first line says where the file belongs.
    let shown: Vec<&str> = shown.iter().map(|text| text.split_once('\n').unwrap().1).collect();
    assert_eq!(shown, packaged);
}

#[test]
fn the_packaged_settings_are_settings_and_none_of_them_is_a_secret() {
    let names: BTreeSet<String> = settings();
    let lines = include_str!("../packaging/pgbk.env").lines().filter(|line| line.contains('='));
    for (name, value) in
        lines.filter(|line| !line.contains(' ')).map(|line| line.trim_start_matches('#').split_once('=').unwrap())
    {
        assert!(names.contains(name), "{name} is no setting");
        assert!(value.is_empty() || !setting::secrets().contains(&name), "{name}={value}");
    }
}

fn settings() -> BTreeSet<String> {
    setting::all().into_iter().map(|setting| setting.name).collect()
}

fn validate(manifest: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("job.yaml");
    fs::write(&file, manifest).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".test/venv/bin/kubernetes-validate");
    let output = Command::new(program).args(["--strict"]).arg(&file).output();
    let output = output.expect("kubernetes-validate is missing: scripts/test.sh installs it");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn kubernetes_takes_the_cron_job() {
    let manifests = blocks(include_str!("../docs/kubernetes.md"), "yaml");
    let manifest = manifests.into_iter().find(|block| block.contains("kind: CronJob")).unwrap();
    let (good, said) = validate(&manifest);
    assert!(good, "{said}");

    let (good, said) = validate(&manifest.replace("concurrencyPolicy", "concurrentPolicy"));
    assert!(!good && said.contains("concurrentPolicy"), "{said}");
}

/// What one of the benchmarks' programs prints, run where the project is.
fn benches(arguments: &[&str]) -> String {
    let output = Command::new("python3").arg("-B").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("python3 is missing: scripts/test.sh installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_tables_of_speed_are_those_of_the_stored_results() {
    for (which, rows) in [("--table", 17), ("--costs", 24)] {
        let table = benches(&["benches/report.py", which, "benches/results.json"]);
        assert_eq!(table.lines().count(), 2 + rows, "{table}");
        assert!(include_str!("../docs/speed.md").contains(&table), "put this into docs/speed.md:\n{table}");
    }
}

#[test]
fn the_picture_of_growth_is_that_of_the_stored_results() {
    let folder = tempfile::tempdir().unwrap();
    let drawn = folder.path().join("growth.svg");
    benches(&["benches/plot.py", "benches/growth.json", drawn.to_str().unwrap()]);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/growth.svg");
    let same = fs::read(&kept).unwrap() == fs::read(&drawn).unwrap();
    assert!(same, "draw it again: benches/plot.py benches/growth.json docs/growth.svg");
    assert!(include_str!("../docs/speed.md").contains("](growth.svg)"));
}

#[test]
fn the_image_brings_the_newest_client_and_says_which_in_its_label() {
    let dockerfile = include_str!("../Dockerfile");
    let default = dockerfile.lines().find_map(|line| line.strip_prefix("ARG PG_MAJOR=")).unwrap();
    assert!(default.parse::<u32>().unwrap() >= 19, "{default}");
    let (client, last) = dockerfile.split_once("AS client").unwrap().1.split_once("\nFROM ").unwrap();
    // An argument ends with its stage.
    assert!(client.contains("ARG PG_MAJOR\n") && client.contains("postgresql-client-$PG_MAJOR"));
    assert!(last.contains("ARG PG_MAJOR\n") && last.contains("postgresql.client=\"${PG_MAJOR}\""));
    let told = format!("client programs ({default}, for servers up to that version; `--build-arg PG_MAJOR=");
    assert!(include_str!("../docs/docker.md").contains(&told), "docs/docker.md says another version than {default}");
}
