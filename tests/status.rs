//! What an operator and Prometheus see: the real binary, a real server, a real browser.

#[cfg(feature = "browser")]
mod browser;
mod documented;
mod metrics;
pub mod site;

#[cfg(feature = "browser")]
use browser::Browser;
use jiff::Timestamp;
use metrics::Metrics;
use rustix::process::Signal;
use serde_json::Value;
use site::{ask, connect, get, say};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, SystemTime};
use support::cluster::{PATIENCE, cluster, free_port};
use support::fake::Fake;
use support::pgbk::{KEY, Pgbk};
use support::process::until;
use support::scheduler::{Place, Scheduler};

/// A scheduler that serves, at an address of its own choice.
fn start(place: &Place, run: &Pgbk) -> (Scheduler, SocketAddr) {
    let scheduler = place.start(&run.set("LISTEN", "127.0.0.1:0"));
    let address = address(&scheduler);
    assert!(until(PATIENCE, || get(address, "/healthz").body != "nothing is known yet\n"), "{}", scheduler.said());
    (scheduler, address)
}

fn address(scheduler: &Scheduler) -> SocketAddr {
    scheduler.await_words("status, metrics and health are at http://");
    let said = scheduler.said();
    let url = said.split("are at http://").nth(1).unwrap();
    url.split('/').next().unwrap().parse().unwrap()
}

#[track_caller]
fn await_health(address: SocketAddr, code: u16) -> String {
    let mut last = get(address, "/healthz");
    let reached = until(PATIENCE, || {
        last = get(address, "/healthz");
        last.code == code
    });
    assert!(reached, "not {code}: {last:?}");
    last.body
}

fn database(hint: &str) -> String {
    let name = cluster().database(hint);
    cluster().psql(&name, "CREATE TABLE client AS SELECT n AS id, md5(n::text) AS name FROM generate_series(1, 300) n");
    name
}

fn seconds(value: &Value) -> f64 {
    value.as_str().unwrap().parse::<Timestamp>().unwrap().as_millisecond() as f64 / 1e3
}

#[test]
fn metrics_say_what_the_backup_and_the_history_say() {
    let place = Place::new();
    let (name, other) = (database("metrics"), database("other"));
    cluster().psql(&name, "CREATE TABLE more AS SELECT 1 AS one");
    place.run(&["backup", &other]).expect(0);
    let made = place.run(&["backup", &name, "--json"]).set("DB_BACKUP_COMPRESS", "zstd").expect(0).json();
    place.run(&["backup", "no_such_database"]).expect(4);
    let (scheduler, address) = start(&place, &place.schedule("@yearly", &name));
    let metrics = Metrics::at(address);
    let of = |metric: &str| metrics.value(metric, &[("database", &name)]);
    assert_eq!(of("pgbk_last_success_plain_bytes"), made["plain"]["bytes"].as_f64().unwrap());
    assert_eq!(of("pgbk_last_success_stored_bytes"), made["stored"]["bytes"].as_f64().unwrap());
    assert_eq!(of("pgbk_last_success_rows"), 301.0);
    assert_eq!(of("pgbk_last_success_tables"), 2.0);
    let record = place.history(&[]).into_iter().find(|record| record["database"] == name.as_str()).unwrap();
    assert_eq!(of("pgbk_last_success_timestamp_seconds"), seconds(&record["ended"]));
    assert_eq!(of("pgbk_last_verified_timestamp_seconds"), seconds(&record["ended"]));
    assert_eq!(of("pgbk_last_success_duration_seconds"), record["seconds"].as_f64().unwrap());
    assert_eq!((of("pgbk_running"), of("pgbk_last_run_succeeded"), of("pgbk_database_healthy")), (0.0, 1.0, 1.0));
    let next = place.run(&["schedule", "--next", "1", "--json"]).set("CRON_SCHEDULE", "@yearly").expect(0).json();
    assert_eq!(of("pgbk_next_run_timestamp_seconds"), seconds(&next[0]["at"]));
    assert_eq!(metrics.find("pgbk_next_run_timestamp_seconds", &[("database", &other)]), None);
    assert_eq!((metrics.runs(&name, "done"), metrics.runs(&name, "failed")), (1.0, 0.0));
    // A name that does not exist, said by hand, makes no series.
    assert_eq!(metrics.find("pgbk_runs_total", &[("database", "no_such_database"), ("state", "failed")]), None);
    assert_eq!(metrics.value("pgbk_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert_eq!(metrics.value("pgbk_healthy", &[]), 1.0);
    let started = metrics.value("pgbk_scheduler_start_time_seconds", &[]);
    assert!((Timestamp::now().as_second() as f64 - started).abs() < PATIENCE.as_secs_f64());

    // What is in the store was looked at in the meantime.
    assert!(until(PATIENCE, || Metrics::at(address).find("pgbk_store_up", &[]) == Some(1.0)));
    let metrics = Metrics::at(address);
    assert_eq!(metrics.value("pgbk_store_backups", &[("database", &name)]), 1.0);
    assert_eq!(metrics.value("pgbk_store_bytes", &[("database", &name)]), made["stored"]["bytes"].as_f64().unwrap());

    // A run by hand is seen too, by the process that serves.
    place.run(&["backup", &name]).expect(0);
    assert!(until(PATIENCE, || Metrics::at(address).runs(&name, "done") == 2.0));

    // The command shows the same.
    let status = place.run(&["status", "--json"]).expect(0).json();
    let shown = status["databases"].as_array().unwrap().iter().find(|one| one["name"] == name.as_str()).unwrap();
    assert_eq!(shown["runs"]["done"], 2);
    assert_eq!(status["store"]["databases"][&name]["backups"], 1);
    assert_eq!(status["scheduler"]["process"], scheduler.child.id());
    let text = place.run(&["status"]).expect(0).text();
    assert!(text.starts_with("healthy\nnext run in") && text.contains(&name), "{text}");
    scheduler.stop();
}

#[test]
fn health_goes_red_when_the_database_is_gone_and_green_when_it_is_back() {
    let place = Place::new();
    let name = database("health");
    let run = place.schedule("* * * * * *", &name);
    let (scheduler, address) = start(&place, &run);
    place.await_count("done", 1);
    assert_eq!(await_health(address, 200), "healthy\n");
    place.run(&["status"]).expect(0);

    // While a run is in it, the server refuses.
    let away = format!("ALTER DATABASE {name} RENAME TO {name}_away");
    assert!(until(PATIENCE, || cluster().try_psql("postgres", &away).status.success()));
    place.await_count("failed", 2);
    let why = await_health(address, 503);
    assert!(why.starts_with(&format!("{name}: the backup that began at ")) && why.lines().count() == 1, "{why}");
    assert!(why.contains("does not exist"), "{why}");
    let failed = place.run(&["status", "--json"]).expect(1).json();
    assert_eq!((failed["healthy"].as_bool(), failed["databases"][0]["last"].as_str()), (Some(false), Some("failed")));
    let metrics = Metrics::at(address);
    assert_eq!(metrics.value("pgbk_healthy", &[]), 0.0);
    assert_eq!(metrics.value("pgbk_database_healthy", &[("database", &name)]), 0.0);
    assert_eq!(metrics.value("pgbk_last_run_succeeded", &[("database", &name)]), 0.0);
    assert!(until(PATIENCE, || Metrics::at(address).runs(&name, "failed") >= 2.0));
    assert!(get(address, "/").body.contains("Backups are NOT healthy"));

    cluster().psql("postgres", &format!("ALTER DATABASE {name}_away RENAME TO {name}"));
    assert_eq!(await_health(address, 200), "healthy\n");
    place.run(&["status"]).expect(0);
    scheduler.stop();

    // Whatever it made: nobody is there to make the next one.
    let text = place.run(&["status"]).expect(1).text();
    assert!(text.contains("the scheduler is not running"), "{text}");
}

#[test]
fn a_skipped_run_is_counted_as_often_as_it_was_skipped() {
    let place = Place::new();
    let name = database("skipped");
    let fake = Fake::gated(cluster());
    let by_hand = place.run(&["backup", &name]).set("PG_BIN_DIR", fake.bin().display()).start();
    fake.await_half();
    let (scheduler, address) = start(&place, &place.schedule("* * * * * *", &name));
    place.await_count("skipped", 2);
    assert!(until(PATIENCE, || Metrics::at(address).runs(&name, "skipped") >= 2.0));
    assert_eq!(Metrics::at(address).value("pgbk_running", &[("database", &name)]), 1.0);
    fake.open_gate();
    assert_eq!(by_hand.end().code, Some(0));
    place.await_count("done", 1);
    scheduler.stop();
    let times = |record: &Value| record["times"].as_u64().unwrap_or(1);
    let skipped: u64 = place.history(&[]).iter().filter(|one| one["state"] == "skipped").map(times).sum();
    let status = place.run(&["status", "--json"]).expect(1).json();
    assert_eq!(status["databases"][0]["runs"]["skipped"], skipped);
}

#[test]
fn a_scheduler_that_hangs_or_was_killed_is_unhealthy() {
    let place = Place::new();
    let name = database("hangs");
    let text = place.run(&["status"]).expect(1).text();
    assert!(text.contains("no scheduler has been started with this STATE_DIR"), "{text}");
    let scheduler = place.start(&place.schedule("@yearly", &name));
    scheduler.await_words("the next run begins at");
    // Nothing has run, and nothing was due.
    let text = place.run(&["status"]).expect(0).text();
    assert!(text.starts_with("healthy\n"), "{text}");

    scheduler.signal(Signal::STOP);
    assert!(until(PATIENCE, || stopped(scheduler.child.id())));
    let word = File::open(place.folder.path().join("state/schedule.json")).unwrap();
    word.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    let text = place.run(&["status"]).expect(1).text();
    assert!(text.contains("the scheduler hangs: it has not looked at the clock for 36"), "{text}");
    scheduler.signal(Signal::CONT);
    assert!(until(PATIENCE, || place.run(&["status"]).end().code == Some(0)), "it does not come back");

    scheduler.signal(Signal::KILL);
    drop(scheduler);
    let text = place.run(&["status"]).expect(1).text();
    assert!(text.contains("the scheduler is not running"), "{text}");
}

fn stopped(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    status.lines().any(|line| line.starts_with("State:") && line.contains("stopped"))
}

#[test]
fn hostile_names_of_databases_are_texts_wherever_they_are_shown() {
    let place = Place::new();
    let name = r#""><script>alert(1)</script>\&'"#;
    cluster().psql("postgres", &format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\"")));
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    place.run(&["backup", &quoted]).expect(0);
    let broken = "no\nsuch \"database\\";
    let other = format!("\"{}\"", broken.replace('"', "\"\""));
    cluster().psql("postgres", &format!("CREATE DATABASE {other}"));
    place.run(&["backup", &other]).expect(0);
    let (scheduler, address) = start(&place, &place.schedule("@yearly", &quoted));
    assert!(until(PATIENCE, || Metrics::at(address).find("pgbk_store_up", &[]).is_some()));
    let metrics = Metrics::at(address);
    assert_eq!((metrics.runs(name, "done"), metrics.runs(broken, "done")), (1.0, 1.0));
    assert_eq!(metrics.value("pgbk_store_backups", &[("database", name)]), 1.0);
    let page = get(address, "/").body;
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(!page.to_lowercase().contains("<script"), "{page}");
    scheduler.stop();
}

#[test]
fn clients_that_are_slow_or_broken_hold_up_nobody() {
    let place = Place::new();
    let name = database("clients");
    let (scheduler, address) = start(&place, &place.schedule("* * * * * *", &name));
    // Each says a part of a request and no more.
    let slow: Vec<_> = (0..200)
        .map(|number| {
            let mut stream = connect(address);
            stream.write_all(&b"GET / HTTP/1.1\r\nHost: x\r\n"[..number % 25]).ok();
            stream
        })
        .collect();
    assert_eq!(get(address, "/metrics").code, 200);
    let before = place.count("done");
    place.await_count("done", before + 2);

    assert_eq!(ask(address, "POST", "/").code, 405);
    assert_eq!(ask(address, "DELETE", "/metrics").code, 405);
    assert_eq!(get(address, "/../../etc/passwd").code, 404);
    assert_eq!(get(address, "/metrics/").code, 404);
    assert_eq!(get(address, "/?since=yesterday").code, 200);
    let head = ask(address, "HEAD", "/");
    assert!(head.code == 200 && head.body.is_empty() && head.head.contains("content-length: "), "{head:?}");
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    for broken in [huge.as_bytes(), b"\0\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let answer = say(address, broken);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    // A body is not waited for.
    let body = say(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nx");
    assert!(body.starts_with("HTTP/1.1 200"), "{body}");
    // Whoever says nothing is sent away in the end.
    for mut stream in slow {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(get(address, "/healthz").code, 200);
    scheduler.stop();
}

#[test]
fn a_store_that_fails_is_shown_as_such_and_no_secret_is() {
    let place = Place::new();
    let name = database("store");
    let secret = "s3cr3t-of-the-store-4711";
    let run =
        place.schedule("@yearly", &name).at(&format!("http://127.0.0.1:{}", free_port()), "b", "AKIDNOBODY", secret);
    let (scheduler, address) = start(&place, &run.set("DB_BACKUP_ENCRYPT_KEY", KEY).set("S3_ATTEMPTS", "1"));
    assert!(until(PATIENCE, || Metrics::at(address).find("pgbk_store_up", &[]) == Some(0.0)));
    let page = get(address, "/").body;
    assert!(page.contains("The store cannot be looked into: "), "{page}");
    // No backup has failed by that yet.
    assert_eq!(get(address, "/healthz").code, 200);
    let shown = place.run(&["status"]).expect(0).text();
    assert!(shown.contains("the store cannot be looked into: "), "{shown}");
    let all = [page, get(address, "/metrics").body, get(address, "/healthz").body, shown, scheduler.stop()].concat();
    for secret in [secret, "AKIDNOBODY", KEY, support::cluster::PASSWORD] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[test]
fn an_address_that_is_taken_stops_no_backup_and_is_served_once_it_is_free() {
    let place = Place::new();
    let name = database("taken");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let scheduler = place.start(&place.schedule("* * * * * *", &name).set("LISTEN", taken));
    scheduler.await_words(&format!("cannot listen on {taken}: "));
    place.await_count("done", 1);
    drop(other);
    assert_eq!(address(&scheduler), taken);
    await_health(taken, 200);
    scheduler.stop();
}

#[test]
fn where_nothing_can_be_written_down_backups_go_on_and_health_is_red() {
    let place = Place::new();
    let name = database("unwritable");
    std::fs::write(place.folder.path().join("state"), "a file in the way").unwrap();
    let (scheduler, address) = start(&place, &place.schedule("* * * * * *", &name));
    assert!(until(PATIENCE, || place.backups() >= 2), "{}", scheduler.said());
    let why = await_health(address, 503);
    assert!(why.contains("cannot read"), "{why}");
    let said = scheduler.stop();
    assert_eq!(said.matches("backups go on").count(), 1, "{said}");
}

#[cfg(feature = "browser")]
#[test]
fn the_page_fits_every_window_in_light_and_dark_and_asks_nobody_else_for_anything() {
    let place = Place::new();
    let name = database("a_database_with_quite_a_long_name_as_it_happens");
    let wide = "unbroken_".repeat(6);
    cluster().psql("postgres", &format!("CREATE DATABASE {wide}"));
    place.run(&["backup", &name, &wide]).expect(0);
    place.run(&["backup", "no_such_database"]).expect(4);
    let fake = Fake::gated(cluster());
    let running = place.run(&["backup", &name]).set("PG_BIN_DIR", fake.bin().display()).start();
    fake.await_half();
    let schedule = format!("@daily; 0 0 1 1 * = {wide}, no_such_database; @hourly = *");
    let (scheduler, address) = start(&place, &place.schedule(&schedule, &name).set("TZ", "Europe/Berlin"));
    assert!(until(PATIENCE, || Metrics::at(address).find("pgbk_store_up", &[]).is_some()));
    let pictures = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("status");
    std::fs::create_dir_all(&pictures).unwrap();
    for width in [390, 1280] {
        let browser = Browser::start(width);
        let url = format!("http://{address}/");
        let mut backgrounds = Vec::new();
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            browser.open(&url);
            browser.picture(&pictures.join(format!("{width}-{scheme}.png")));
            assert_eq!(browser.value("innerWidth"), width);
            assert_eq!(browser.value("document.documentElement.scrollWidth"), width, "{width} {scheme}");
            let over = "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)";
            assert_eq!(browser.value(over), serde_json::json!([]), "{width} {scheme}");
            assert_eq!(browser.value("document.scripts.length"), 0);
            backgrounds.push(browser.value("getComputedStyle(document.body).backgroundColor"));
        }
        assert_ne!(backgrounds[0], backgrounds[1], "the page has one colour only");
        let mut requests = browser.requests();
        requests.retain(|request| !request.starts_with("data:"));
        assert_eq!(requests, [url.as_str(), url.as_str()]);
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    }
    fake.open_gate();
    assert_eq!(running.end().code, Some(0));
    scheduler.stop();
}
