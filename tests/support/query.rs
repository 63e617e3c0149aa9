//! What `psql` would print. To start it thousands of times takes longer than most of what it is asked.

use postgres::{Config, NoTls, SimpleQueryMessage, SimpleQueryRow};

/// Whether only a program that takes rows can run it.
pub fn needs_psql(text: &str) -> bool {
    text.contains("COPY ")
}

/// The rows on lines, columns between `|`.
#[track_caller]
pub fn answers(server: &Config, text: &str) -> String {
    let mut client = server.connect(NoTls).unwrap();
    let messages = client.simple_query(text).unwrap_or_else(|error| panic!("{error:?} for {text}"));
    let line = |row: &SimpleQueryRow| (0..row.len()).map(|at| row.get(at).unwrap_or("")).collect::<Vec<_>>().join("|");
    let lines = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(line(row)),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
