//! What every table held at one moment.

use crate::witness::load::connect;
use pgbk::format::lsn::Lsn;
use postgres::{Client, Error};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use support::cluster::Cluster;

/// How many rows a table has, and a digest of them whatever their order.
pub type Rows = (i64, String);

pub struct Moment {
    /// Transactions whose commit record begins before it are in the tables.
    pub position: Lsn,
    pub tables: BTreeMap<String, Rows>,
}

const LIST: &str = "SELECT oid::regclass::text FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace ORDER BY 1";

/// Stops all writers for a moment, and notes the server's position and the tables. Tried again where the server goes away meanwhile.
pub fn witness(cluster: &Cluster, database: &str, definitions: &Mutex<()>) -> Moment {
    loop {
        let _held = definitions.lock().unwrap();
        let Some(mut client) = connect(cluster, database) else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        if let Ok(moment) = look(&mut client) {
            return moment;
        }
    }
}

fn look(client: &mut Client) -> Result<Moment, Error> {
    let tables: Vec<String> = client.query(LIST, &[])?.iter().map(|row| row.get(0)).collect();
    client.batch_execute(&format!("BEGIN; LOCK TABLE {} IN SHARE MODE", tables.join(", ")))?;
    // Whoever wrote has committed, and nobody writes.
    let position: String = client.query_one("SELECT pg_current_wal_insert_lsn()::text", &[])?.get(0);
    let tables = digests(client, tables)?;
    client.batch_execute("COMMIT")?;
    Ok(Moment { position: position.parse().unwrap(), tables })
}

/// Returns every table of a database.
pub fn tables(cluster: &Cluster, database: &str) -> BTreeMap<String, Rows> {
    let mut client = connect(cluster, database).expect("a server");
    let tables = client.query(LIST, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    digests(&mut client, tables).unwrap()
}

fn digests(client: &mut Client, tables: Vec<String>) -> Result<BTreeMap<String, Rows>, Error> {
    let mut found = BTreeMap::new();
    for table in tables {
        let query = format!(
            "SELECT count(*), coalesce(sum(('x' || substr(md5(r::text), 1, 15))::bit(60)::bigint)::text, '') FROM {table} r"
        );
        let row = client.query_one(&query, &[])?;
        found.insert(table, (row.get(0), row.get(1)));
    }
    Ok(found)
}
