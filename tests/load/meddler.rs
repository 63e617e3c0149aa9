//! What stands between a client and a server and does something to it, once a certain text comes along.

use super::{database, dump, message};
use pgbk::base::error::{Kind, hints, kind};
use pgbk::base::progress::NullMonitor;
use pgbk::postgres::restore::load;
use pgbk::postgres::restore::load::options::LoadOptions;
use postgres::{Client, NoTls};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use support::cluster::{PASSWORD, USER, cluster};

#[derive(Clone, Copy)]
pub enum Deed {
    /// Nothing passes any more.
    Cut,
    /// This passes in its place; it is not longer.
    Write(&'static str),
}

/// A connection to the database by way of it.
pub fn connect(database: &str, text: &'static str, deed: Deed) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (client, _) = listener.accept()?;
        let server = TcpStream::connect(("127.0.0.1", cluster().port))?;
        let (from, to) = (server.try_clone()?, client.try_clone()?);
        std::thread::spawn(move || carry(from, to, |_| true).ok());
        carry(client, server, |bytes| meddle(bytes, text, deed))
    });
    let mut config = postgres::Config::new();
    config.host("127.0.0.1").port(port).user(USER).password(PASSWORD).dbname(database);
    config.connect(NoTls).unwrap()
}

/// Hands on what comes for as long as the other function lets it.
fn carry(mut from: TcpStream, mut to: TcpStream, mut passes: impl FnMut(&mut Vec<u8>) -> bool) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer)?;
        let mut bytes = buffer[..count].to_vec();
        if count == 0 || !passes(&mut bytes) {
            from.shutdown(Shutdown::Both).ok();
            return to.shutdown(Shutdown::Both);
        }
        to.write_all(&bytes)?;
    }
}

fn meddle(bytes: &mut [u8], text: &str, deed: Deed) -> bool {
    let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes()) else { return true };
    if let Deed::Write(other) = deed {
        bytes[at..at + text.len()].copy_from_slice(format!("{other:<0$}", text.len()).as_bytes());
        return true;
    }
    false
}

/// No statement of a dump can do that, as far as is known of PostgreSQL; something between the two might.
#[test]
fn a_restore_whose_transaction_was_ended_says_that_it_may_stand_in_part() {
    let script = b"CREATE TABLE a AS SELECT 1 AS x;\nSELECT 'here it ends';\nCREATE TABLE b AS SELECT 2 AS x;\n";
    for other in ["COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN"] {
        let target = database();
        let mut client = connect(&target, "SELECT 'here it ends'", Deed::Write(other));
        let error = load::load(&mut client, &mut script.as_slice(), &LoadOptions::default(), &NullMonitor).unwrap_err();
        let said = "a statement of the dump ended the restore's transaction: what ran before it may stand";
        assert_eq!((message(&error).as_str(), kind(&error)), (said, Kind::Refused), "{other}");
        assert_eq!(hints(&error), ["look at the target before you use it"]);
        drop(client);
    }
}

#[test]
fn a_connection_that_is_lost_at_any_question_of_a_restore_leaves_the_target_as_it_was() {
    let script =
        b"SET client_encoding = 'UTF8';\nCREATE TABLE a (x money);\nCOPY a (x) FROM stdin;\n1\n\\.\nSELECT 1;\n";
    let target = database();
    let before = dump(&target, &[]);
    for (text, said) in [
        ("SET lc_monetary", "cannot set lc_monetary: "),
        ("pg_catalog.pg_settings", "cannot read the server's settings: "),
        ("RESET search_path", "cannot begin a transaction: "),
        ("CREATE TABLE a", "line 2, CREATE TABLE a (x money);: "),
        ("COPY a (x)", "line 3, COPY a (x) FROM stdin;: "),
        ("set_config('search_path'", "cannot end the transaction: "),
        ("atttypid", "cannot look for amounts of money: "),
        ("COMMIT", "cannot commit what was restored: "),
    ] {
        let mut client = connect(&target, text, Deed::Cut);
        let options = LoadOptions { monetary: Some("xx_XX.UTF-8".to_owned()), ..LoadOptions::default() };
        let mut rows = script.as_slice();
        // Without an amount it would come to the commit.
        let without = String::from_utf8_lossy(script).replace("money", "int");
        if text == "COMMIT" {
            rows = without.as_bytes();
        }
        let error = load::load(&mut client, &mut rows, &options, &NullMonitor).unwrap_err();
        assert!(message(&error).starts_with(said), "{text}: {error:#}");
        assert_eq!(kind(&error), Kind::Failed, "{text}: {error:#}");
        drop(client);
        super::assert_same(&before, &dump(&target, &[]));
    }
}
