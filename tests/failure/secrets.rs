//! Where secrets could show.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

#[test]
fn no_secret_is_in_the_command_line_or_environment_of_pg_dump() {
    let fake = Fake::new(
        "cat /proc/$$/cmdline /proc/$$/environ > $NOTES/seen; cat /proc/$PPID/cmdline >> $NOTES/seen
        stat -L -c '%a %h' \"$PGPASSFILE\" > $NOTES/mode; exec \"$REAL\" \"$@\"",
    );
    let bucket = seaweedfs().bucket("secrets");
    let key = KEY.to_owned();
    let iv = OTHER_KEY[..32].to_owned();
    let run = with(backup(&small()), &fake).s3(seaweedfs(), &bucket).set("DB_BACKUP_ENCRYPT_IV", &iv);
    for run in [run.set("LOG_LEVEL", "debug"), run.set("LOG_FORMAT", "json")] {
        run.expect(0);
        let seen = String::from_utf8_lossy(&fs::read(fake.note("seen")).unwrap()).into_owned();
        for secret in [PASSWORD, &key, &iv, "adminsecret"] {
            assert!(!seen.contains(secret), "{secret} is in {seen:?}");
        }
        assert!(seen.contains("PGPASSFILE=") && !seen.contains("PGPASSWORD"), "{seen:?}");
        // For its owner only, and without a name that would outlive a killed pgbk.
        assert_eq!(fs::read_to_string(fake.note("mode")).unwrap().trim(), "600 0");
    }
    let store = S3::open(seaweedfs().settings(&bucket)).unwrap();
    for meta in store.list("").unwrap().iter().filter(|object| object.key.ends_with(".meta")) {
        let text = String::from_utf8(pgbk::store::read_small(&store, &meta.key, 1 << 20).unwrap()).unwrap();
        assert!(!text.contains(PASSWORD) && !text.contains(KEY) && !text.contains("adminsecret"));
    }
}

/// Everything below a folder, with the mode of each.
fn modes(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let metadata = fs::symlink_metadata(entry.path()).unwrap();
        found.push((entry.path(), metadata.permissions().mode() & 0o777));
        if metadata.is_dir() {
            found.extend(modes(&entry.path()));
        }
    }
    found
}

/// What a child sees of itself and of pgbk, and what lies in the temporary folder by then.
const LOOK: &str = "cat /proc/$$/cmdline /proc/$$/environ /proc/$PPID/cmdline > $NOTES/seen; ulimit -c > $NOTES/core
    grep 'core file' /proc/$PPID/limits > $NOTES/limits; find \"$TMPDIR\" -type f -printf '%m %p\\n' > $NOTES/temporary
    stat -L -c '%a %h' \"$PGPASSFILE\" \"$PGSERVICEFILE\" > $NOTES/files
    exec \"$REAL\" \"$@\"";

/// The folders that one run after another writes to, and what they must never show.
struct Search {
    place: TempDir,
    said: Vec<u8>,
}

const FORBIDDEN: [&str; 4] = [PASSWORD, KEY, OTHER_KEY_START, SECRET_OF_THE_STORE];
const OTHER_KEY_START: &str = "0123456789abcdef0123456789abcdef";
const SECRET_OF_THE_STORE: &str = "adminsecret";

impl Search {
    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// With everything said that can be said, and a umask that hides nothing.
    fn run(&mut self, run: &Pgbk, fake: &Fake) {
        for format in ["text", "json"] {
            let run = with(run.clone(), fake).set("STATE_DIR", self.at("state").display());
            let run = run.set("TMPDIR", self.at("tmp").display()).set("LOG_LEVEL", "debug").set("LOG_FORMAT", format);
            let output = run.set("NO_COLOR", "1").wrapped("sh", &["-c", "umask 000; exec \"$@\"", "sh"]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            self.said.extend([output.stdout, output.stderr].concat());
        }
    }

    fn assert_clean(&self, what: &str, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        for secret in FORBIDDEN {
            assert!(!text.contains(secret), "{secret} is in {what}: {text}");
        }
    }

    fn look_at(&self, fake: &Fake) {
        let note = |name: &str| fs::read_to_string(fake.note(name)).unwrap();
        self.assert_clean("a child", &fs::read(fake.note("seen")).unwrap());
        assert!(note("seen").contains("PGPASSFILE=") && !note("seen").contains("PGPASSWORD"));
        let limits = note("limits").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!((note("core").trim(), &limits[4..6]), ("0", &["0".to_owned(), "0".to_owned()][..]));
        let temporary = note("temporary");
        assert!(temporary.lines().all(|line| line.starts_with("600 ")), "{temporary}");
        // For their owner only, and without a name that would outlive a killed pgbk.
        assert_eq!(note("files"), "600 0\n600 0\n");
    }
}

#[test]
fn no_secret_is_anywhere_that_backup_restore_upload_or_schedule_write_to_or_start() {
    let mut search = Search { place: folder(), said: Vec::new() };
    for name in ["tmp", "store"] {
        fs::create_dir(search.at(name)).unwrap();
    }
    let (database, bucket) = (small(), seaweedfs().bucket("search"));
    let archives = |run: Pgbk| run.set("DUMP_FORMAT", "custom").set("DB_BACKUP_ENCRYPT_IV", OTHER_KEY_START);
    for store in ["directory", "S3"] {
        let base = match store {
            "S3" => pgbk([]).server(cluster()).key().s3(seaweedfs(), &bucket),
            _ => pgbk([]).server(cluster()).key().directory(&search.at("store")),
        };
        let base = archives(base).set("DB_NAME", &database);
        let dumping = Fake::new(LOOK);
        search.run(&base.args(["backup"]), &dumping);
        search.look_at(&dumping);
        let dumping = Fake::new(LOOK);
        search.run(&base.args(["schedule", "--once"]).set("CRON_SCHEDULE", "* * * * * *"), &dumping);
        search.look_at(&dumping);
        let restoring = Fake::of_program("pg_restore", LOOK);
        let target = format!("{database}_{}", store.to_lowercase());
        search.run(&base.args(["restore", "--yes", "--clean", "--to", &target]), &restoring);
        search.look_at(&restoring);
        fs::write(search.at("edited.sql"), support::database::script("SELECT 1;\n")).unwrap();
        let file = search.at("edited.sql").display().to_string();
        search.run(&base.args(["upload", &file]), &dumping);
        fs::remove_file(&file).unwrap();
    }
    search.assert_clean("what was said", &search.said);
    assert_eq!(files(&search.at("tmp")), Vec::<PathBuf>::new(), "a temporary file is left");
    let all = modes(search.place.path());
    assert!(all.len() > 10, "{all:?}");
    let kept = search.at("state").join("documents");
    let is_document = |path: &Path| path.extension().is_some_and(|end| end == "meta") || path.starts_with(&kept);
    for (path, mode) in all.iter().filter(|(path, _)| *path != search.at("tmp") && *path != search.at("store")) {
        assert_eq!(mode & 0o077, 0, "{path:?} has mode {mode:o}");
        if path.is_file() && !is_document(path) && path.extension().is_none_or(|end| end != "enc") {
            search.assert_clean(&path.display().to_string(), &fs::read(path).unwrap());
        }
    }
    for (path, _) in all.iter().filter(|(path, _)| path.is_file() && is_document(path)) {
        // An IV is no secret of a backup's.
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).replace(OTHER_KEY_START, "");
        search.assert_clean("a .meta", text.as_bytes());
    }
    support::proof::counted("secrets", "files looked into, beside all that was said and every child", all.len(), 0);
}

/// Even where the system keeps them, and whoever asks.
#[test]
fn a_crash_leaves_no_core_with_the_keys_in_it() {
    let place = folder();
    let fake = Fake::new("touch $NOTES/half; exec sleep 600");
    let run = with(backup(&small()), &fake).directory(place.path());
    let script = "ulimit -c unlimited 2>/dev/null; cd \"$0\"; exec \"$@\"";
    let mut child = run.command_by(&["sh", "-c", script, place.path().to_str().unwrap()]).spawn().unwrap();
    fake.await_half();
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::ABORT).unwrap();
    let status = child.wait().unwrap();
    assert!(status.signal() == Some(6) && !status.core_dumped(), "{status:?}");
    assert!(files(place.path()).iter().all(|path| !path.to_string_lossy().contains("core")));
    assert!(until(LONG, || !fake.runs()), "pg_dump outlived it");
}
