//! Signals in the midst of a run.

use super::*;

/// A host with one large backup, which gives the payload's beginning and then says nothing more.
fn silent_host(database: &str) -> (Faulty, String) {
    let host = Faulty::start(|request, _| {
        let start = request
            .headers
            .get("range")
            .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
        let late = request.path.ends_with(".enc") && start.is_some_and(|start: u64| start >= 6 << 20);
        let listing = request.path.trim_end_matches('/') == "/bucket";
        match request.call() {
            "get" if late => Some(Fault::Hang(Duration::from_secs(300))),
            "get" if listing => Some(Fault::Answer(403, "AccessDenied")),
            _ => None,
        }
    });
    let run = pgbk(["backup", database]).server(cluster()).key();
    let made = run.at(&host.endpoint, "bucket", "key", "topsecret-of-the-store").json();
    (host, made["id"].as_str().unwrap().to_owned())
}

fn hung(host: &Faulty) -> bool {
    host.seen().iter().any(|request| {
        let range = request.headers.get("range").map(String::as_str).unwrap_or_default();
        request.path.ends_with(".enc") && range.starts_with("bytes=6291456-")
    })
}

#[test]
fn an_interrupted_download_leaves_no_file() {
    let (host, id) = silent_host(&large());
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let place = folder();
        let path = place.path().join("out.sql").display().to_string();
        let run =
            pgbk(["download", &id, "-o", &path]).key().at(&host.endpoint, "bucket", "key", "topsecret-of-the-store");
        let running = run.set("S3_TIMEOUT", "5m").start();
        let begun =
            || files(place.path()).iter().any(|file| fs::metadata(file).is_ok_and(|file| file.len() >= 5 << 20));
        assert!(until(LONG, || hung(&host) && begun()));
        running.signal(signal);
        let outcome = running.end();
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        assert_empty(place.path());
    }
}

#[test]
fn an_interrupted_restore_leaves_no_database_and_an_old_one_as_it_was() {
    let (host, id) = silent_host(&large());
    let count =
        |name: &str| cluster().psql("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'"));
    let old = cluster().database("old");
    cluster().psql(&old, "CREATE TABLE mine AS SELECT 1 AS one");
    for (target, more, signal, code) in [
        ("interrupted", "--yes", Signal::TERM, 143),
        ("interrupted", "--yes", Signal::INT, 130),
        (&old, "--clean", Signal::TERM, 143),
    ] {
        let run = pgbk(
            ["restore", &id, "--yes", "--to", target, more]
                .into_iter()
                .filter(|word| *word != "--yes")
                .chain(["--yes"]),
        );
        let run = run.server(cluster()).key().at(&host.endpoint, "bucket", "key", "topsecret-of-the-store");
        let running = run.set("S3_TIMEOUT", "5m").start();
        let copying = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{target}' AND query LIKE 'COPY%' AND state = 'active'"
        );
        assert!(until(LONG, || cluster().psql("postgres", &copying) == "1"), "the restore did not get to its rows");
        running.signal(signal);
        let outcome = running.end();
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        assert!(outcome.took < LONG, "{outcome:#?}");
        assert_eq!(count("interrupted"), "0", "{outcome:#?}");
    }
    assert_eq!(cluster().psql(&old, "SELECT one FROM mine"), "1");
}

#[test]
fn an_interrupted_backup_leaves_nothing_in_the_store_and_no_pg_dump() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let fake = Fake::gated(cluster());
        let bucket = seaweedfs().bucket("interrupted");
        let store = S3::open(seaweedfs().settings(&bucket)).unwrap();
        let running = with(backup(&large()), &fake).s3(seaweedfs(), &bucket).set("S3_PART_SIZE", "5M").start();
        fake.await_half();
        assert!(until(LONG, || !store.unfinished("").unwrap().is_empty()), "no upload was begun");
        let sent = std::time::Instant::now();
        running.signal(signal);
        let outcome = running.end();
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        assert!(sent.elapsed() < Duration::from_secs(10), "{:?}", sent.elapsed());
        assert_nothing_stored(&store);
        assert!(!fake.runs());

        let (fake, place) = (Fake::gated(cluster()), folder());
        let running = with(backup(&large()), &fake).directory(place.path()).start();
        fake.await_half();
        running.signal(signal);
        assert_eq!(running.end().code, Some(code));
        assert_empty(place.path());
    }
}

#[test]
fn a_backup_into_a_host_that_says_nothing_can_be_interrupted() {
    let long = Duration::from_secs(300);
    for (call, fault) in [("begin", Fault::DoneButHangs(long)), ("part", Fault::Hang(long))] {
        let host = Faulty::start(move |request, _| match request.call() {
            hangs if hangs == call => Some(fault.clone()),
            "get" => Some(Fault::Answer(403, "AccessDenied")),
            _ => None,
        });
        let run = backup(&large()).at(&host.endpoint, "bucket", "key", "topsecret-of-the-store");
        let running = run.set("S3_PART_SIZE", "5M").set("S3_TIMEOUT", "5m").start();
        assert!(until(LONG, || host.count(call) > 0));
        let sent = std::time::Instant::now();
        running.signal(Signal::TERM);
        let outcome = running.end();
        assert_eq!(outcome.code, Some(143), "{outcome:#?}");
        assert!(sent.elapsed() < Duration::from_secs(20), "{:?}", sent.elapsed());
        assert_eq!((host.objects().len(), host.open_uploads()), (0, 0), "{call}");
    }
}
