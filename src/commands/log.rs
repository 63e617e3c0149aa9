//! `pgbk log`: shows the transactions in the stored changes of a database.

use crate::base::error::Result;
use crate::base::progress::Monitor;
use crate::base::shown::{Lines, many, word};
use crate::cli::console::Console;
use crate::cli::report_args::LogTransactionsArgs;
use crate::cli::table::TextTable;
use crate::commands::lookup::subject_of;
use crate::config;
use crate::repository::chain::transaction_log::{LogQuery, LoggedTransaction};
use serde_json::{Value, json};

pub fn run(args: &LogTransactionsArgs, console: &Console) -> Result<u8> {
    let repository = config::repository(&args.store, &args.keys, &args.state)?;
    let subject = subject_of(args.database.as_deref(), &repository)?;
    let query =
        LogQuery { tables: args.table.clone(), since: args.since, until: args.until, most: usize::from(args.limit) };
    let log = repository.transactions(&subject, &query)?;
    log.broken.iter().for_each(|broken| console.warn(broken));
    if log.left_out > 0 {
        let older = many(log.left_out, "older transaction");
        console.info(&format!("{older} not shown: --limit, --since, --until and --table choose others"));
    }
    let documents: Vec<Value> = log.transactions.iter().map(document).collect();
    console.result(&table(log.transactions.iter()), &documents)?;
    Ok(0)
}

fn table<'a>(transactions: impl Iterator<Item = &'a LoggedTransaction>) -> Lines {
    let mut table = TextTable::new(&["TIME", "LSN", "XID", "INSERTS", "UPDATES", "DELETES", "TRUNCATES", "TABLES"]);
    for one in transactions {
        let counts = one.counts();
        let names: Vec<String> = one.tables.keys().map(|name| word(&name.text()).into_owned()).collect();
        table.row([
            one.head.commit_time.to_string(),
            one.end.to_string(),
            one.head.xid.to_string(),
            counts.inserts.to_string(),
            counts.updates.to_string(),
            counts.deletes.to_string(),
            counts.truncates.to_string(),
            names.join(", "),
        ]);
    }
    table.text("no transactions")
}

fn document(one: &LoggedTransaction) -> Value {
    let tables: Vec<Value> = one
        .tables
        .iter()
        .map(|(name, counts)| {
            json!({
                "name": name.text(),
                "inserts": counts.inserts,
                "updates": counts.updates,
                "deletes": counts.deletes,
                "truncates": counts.truncates,
            })
        })
        .collect();
    json!({"time": one.head.commit_time, "lsn": one.end, "xid": one.head.xid, "generation": one.generation, "tables": tables})
}
