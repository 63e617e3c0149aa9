//! Lists the transactions in the segments of a database.

use crate::base::cancel;
use crate::base::error::Result;
use crate::base::subject::Subject;
use crate::format::changes::delta_record::{ChangeKind, DeltaRecord, TransactionHead};
use crate::format::changes::generation_id::GenerationId;
use crate::format::changes::totals::ChangeCounts;
use crate::format::lsn::Lsn;
use crate::format::sql::object_name::TableName;
use crate::format::table_pattern::TablePattern;
use crate::repository::Repository;
use crate::repository::chain::chain_link::ChainLink;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Says which transactions are listed.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Those that change a table which one of these matches. Empty: all.
    pub tables: Vec<TablePattern>,
    /// Those that committed then or later, and then or before.
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Number of transactions at most, the last ones.
    pub most: usize,
}

/// A transaction, and what it changes of the tables that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedTransaction {
    pub generation: GenerationId,
    pub head: TransactionHead,
    /// Where its commit record ends: a restore to this position has it.
    pub end: Lsn,
    pub tables: BTreeMap<TableName, ChangeCounts>,
}

/// The transactions that were found, in the order of the log.
#[derive(Debug, Default)]
pub struct TransactionLog {
    pub transactions: VecDeque<LoggedTransaction>,
    /// Number of transactions before these that were left out.
    pub left_out: u64,
    /// Documents that could not be read, and gaps, in words.
    pub broken: Vec<String>,
}

impl Repository {
    /// Lists transactions of a database. Only segments that may hold such a transaction are read.
    pub fn transactions(&self, subject: &Subject, query: &LogQuery) -> Result<TransactionLog> {
        let mut log = TransactionLog::default();
        for listing in self.generations(subject)? {
            let chain = match self.chain(&listing) {
                Ok(chain) => chain,
                Err(error) => {
                    log.broken.push(format!("{error:#}"));
                    continue;
                }
            };
            let (links, faults) = chain.readable();
            log.broken.extend(faults);
            for link in links.iter().filter(|link| query.may_be_in(link)) {
                cancel::check()?;
                self.log_link(link, query, chain.generation.id, &mut log)?;
            }
        }
        Ok(log)
    }

    fn log_link(
        &self,
        link: &ChainLink,
        query: &LogQuery,
        generation: GenerationId,
        log: &mut TransactionLog,
    ) -> Result<()> {
        let mut reader = self.delta(link)?;
        if !query.tables.is_empty() {
            let names = link.segment.tables.iter().map(|table| &table.name);
            reader = reader.only(names.filter(|name| query.wants(name)).cloned().collect::<BTreeSet<_>>());
        }
        let mut open: Option<LoggedTransaction> = None;
        while let Some(record) = reader.next_record()? {
            match record {
                DeltaRecord::Begin(head) => {
                    open = Some(LoggedTransaction { generation, head, end: head.commit, tables: BTreeMap::new() });
                }
                DeltaRecord::Change { kind, table, rows, .. } => count(&mut open, table, |counts| match kind {
                    ChangeKind::Insert => counts.inserts += rows,
                    ChangeKind::Update => counts.updates += rows,
                    ChangeKind::Delete => counts.deletes += rows,
                }),
                DeltaRecord::CopyEnd { table, rows } => count(&mut open, table, |counts| counts.inserts += rows),
                DeltaRecord::Truncate { tables, .. } => {
                    tables.iter().for_each(|table| count(&mut open, table, |counts| counts.truncates += 1));
                }
                DeltaRecord::Commit { end } => {
                    if let Some(one) = open.take().filter(|one| query.is_wanted(one)) {
                        log.add(LoggedTransaction { end, ..one }, query.most);
                    }
                }
                DeltaRecord::End { end } => {
                    link.compare(&reader, end)?;
                    return Ok(());
                }
                DeltaRecord::Relation(_) | DeltaRecord::Break(_) | DeltaRecord::CopyBegin { .. } => {}
                DeltaRecord::CopyRows(_) => {}
            }
        }
        Ok(())
    }
}

fn count(open: &mut Option<LoggedTransaction>, table: &TableName, add: impl FnOnce(&mut ChangeCounts)) {
    if let Some(one) = open {
        match one.tables.get_mut(table) {
            Some(counts) => add(counts),
            None => add(one.tables.entry(table.clone()).or_default()),
        }
    }
}

impl LogQuery {
    fn wants(&self, table: &TableName) -> bool {
        let matches = |pattern: &TablePattern| pattern.matches_names(table.schema.bytes(), table.name.bytes());
        self.tables.is_empty() || self.tables.iter().any(matches)
    }

    /// Returns whether the document of a segment leaves room for a wanted transaction.
    fn may_be_in(&self, link: &ChainLink) -> bool {
        let segment = &link.segment;
        let late = self.since.is_none_or(|since| segment.last_commit.is_some_and(|last| last >= since));
        let early = self.until.is_none_or(|until| segment.first_commit.is_some_and(|first| first <= until));
        late && early && segment.tables.iter().any(|table| self.wants(&table.name))
    }

    fn is_wanted(&self, one: &LoggedTransaction) -> bool {
        let time = one.head.commit_time;
        let in_time = self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time <= until);
        in_time && !one.tables.is_empty()
    }
}

impl TransactionLog {
    fn add(&mut self, one: LoggedTransaction, most: usize) {
        if self.transactions.len() == most {
            self.transactions.pop_front();
            self.left_out += 1;
        }
        self.transactions.push_back(one);
    }
}

impl LoggedTransaction {
    /// Returns the sums over all tables.
    pub fn counts(&self) -> ChangeCounts {
        self.tables.values().fold(ChangeCounts::default(), |sum, one| ChangeCounts {
            inserts: sum.inserts.saturating_add(one.inserts),
            updates: sum.updates.saturating_add(one.updates),
            deletes: sum.deletes.saturating_add(one.deletes),
            truncates: sum.truncates.saturating_add(one.truncates),
        })
    }
}
