//! Statements that were put off to be run at a time, and the order that they must keep among themselves.

use crate::postgres::restore::load::build_statement::BuildStatement;
use crate::postgres::restore::load::encoding::ScriptEncoding;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};

/// Bytes of statements at which a batch is full.
const FULL: usize = 16 << 20;

/// A statement, and the tables that it locks: false for those that others like it may have at the same time.
#[derive(Debug, Clone)]
pub(crate) struct BuildTask {
    pub line: u64,
    pub text: Vec<u8>,
    pub encoding: ScriptEncoding,
    /// The statement that had set the tablespace for it.
    pub tablespace: Option<Vec<u8>>,
    locks: BTreeMap<String, bool>,
}

/// Says which statements a batch takes. Keys come before what refers to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BuildPhase {
    Indexes,
    ForeignKeys,
}

#[derive(Debug, Default)]
pub(crate) struct BuildBatch {
    phase: Option<BuildPhase>,
    tasks: Vec<BuildTask>,
    /// The tables of the indexes that are made here.
    tables: HashMap<String, String>,
    bytes: usize,
}

impl BuildBatch {
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Takes a statement in. Returns false if it must not run before the batch has run, or is none that is put off.
    pub fn add(&mut self, line: u64, text: &[u8], encoding: &ScriptEncoding, tablespace: Option<&Vec<u8>>) -> bool {
        let Some(statement) = BuildStatement::of(text) else { return false };
        if self.bytes + text.len() > FULL && !self.is_empty() {
            return false;
        }
        let Some((phase, locks)) = self.place(statement) else { return false };
        if phase.is_some_and(|phase| self.phase.is_some_and(|open| open != phase)) {
            return false;
        }
        self.phase = self.phase.or(phase);
        self.bytes += text.len();
        let tablespace = tablespace.cloned();
        self.tasks.push(BuildTask { line, text: text.to_vec(), encoding: encoding.clone(), tablespace, locks });
        true
    }

    /// Returns the phase that a statement belongs to, if it matters, and the tables that it locks. `None`: the batch has nothing that it
    /// is about.
    fn place(&mut self, statement: BuildStatement) -> Option<(Option<BuildPhase>, BTreeMap<String, bool>)> {
        match statement {
            BuildStatement::Index { table, index } => {
                self.tables.insert(index, table.clone());
                Some((Some(BuildPhase::Indexes), BTreeMap::from([(table, false)])))
            }
            BuildStatement::Key { table, index } => {
                self.tables.insert(index, table.clone());
                Some((Some(BuildPhase::Indexes), BTreeMap::from([(table, true)])))
            }
            BuildStatement::ForeignKey { table, other } => {
                Some((Some(BuildPhase::ForeignKeys), BTreeMap::from([(table, true), (other, true)])))
            }
            BuildStatement::OfTable { table } => (!self.is_empty()).then(|| (None, BTreeMap::from([(table, true)]))),
            BuildStatement::OfIndex { index } => {
                self.tables.get(&index).map(|table| (None, BTreeMap::from([(table.clone(), true)])))
            }
        }
    }

    /// Returns the only statement, if there is but one.
    pub fn take_single(&mut self) -> Option<BuildTask> {
        let task = if self.tasks.len() == 1 { self.tasks.pop() } else { None };
        task.inspect(|_| *self = BuildBatch::default())
    }

    /// Returns the order of the statements, and leaves the batch empty. `sizes` are the bytes of tables: what belongs to the largest comes
    /// first.
    pub fn schedule(&mut self, sizes: &HashMap<String, u64>) -> BuildSchedule {
        BuildSchedule::new(std::mem::take(self).tasks, sizes)
    }
}

/// Gives out statements one by one. Those that lock the same table keep their order, or run at the same time if all of them allow it.
pub(crate) struct BuildSchedule {
    tasks: Vec<BuildTask>,
    sizes: Vec<u64>,
    /// The statements that lock a table and are not done, in their order.
    queues: HashMap<String, TableQueue>,
    /// Number of tables that each statement still waits for.
    waits: Vec<usize>,
    /// Statements that wait for nothing, with the size of their table.
    ready: BinaryHeap<(u64, Reverse<usize>)>,
    left: usize,
}

#[derive(Default)]
struct TableQueue {
    tasks: VecDeque<(usize, bool)>,
    /// Number of statements at its head that need not wait for it.
    open: usize,
}

impl TableQueue {
    /// Lets the next statement in, and returns it. `None`: it must wait.
    fn open_next(&mut self) -> Option<usize> {
        let (task, is_alone) = *self.tasks.get(self.open)?;
        let fits = self.open == 0 || !is_alone && self.tasks.front().is_some_and(|(_, is_alone)| !is_alone);
        self.open += usize::from(fits);
        fits.then_some(task)
    }

    fn remove(&mut self, task: usize) {
        if let Some(at) = self.tasks.iter().position(|(other, _)| *other == task) {
            self.tasks.remove(at);
            self.open -= 1;
        }
    }
}

impl BuildSchedule {
    fn new(tasks: Vec<BuildTask>, sizes: &HashMap<String, u64>) -> BuildSchedule {
        let mut queues: HashMap<String, TableQueue> = HashMap::new();
        for (number, task) in tasks.iter().enumerate() {
            for (table, is_alone) in &task.locks {
                queues.entry(table.clone()).or_default().tasks.push_back((number, *is_alone));
            }
        }
        let size = |task: &BuildTask| task.locks.keys().filter_map(|table| sizes.get(table)).max().copied();
        let sizes = tasks.iter().map(|task| size(task).unwrap_or(0)).collect();
        let waits = tasks.iter().map(|task| task.locks.len()).collect();
        let left = tasks.len();
        let mut schedule = BuildSchedule { tasks, sizes, queues, waits, ready: BinaryHeap::new(), left };
        let tables: Vec<String> = schedule.queues.keys().cloned().collect();
        tables.iter().for_each(|table| schedule.open(table));
        schedule
    }

    /// Lets in what need not wait for this table any more.
    fn open(&mut self, table: &str) {
        let Some(queue) = self.queues.get_mut(table) else { return };
        while let Some(task) = queue.open_next() {
            self.waits[task] -= 1;
            if self.waits[task] == 0 {
                self.ready.push((self.sizes[task], Reverse(task)));
            }
        }
    }

    /// Returns the next statement, with its number. `None`: there is none that may run now.
    pub fn take(&mut self) -> Option<(usize, BuildTask)> {
        let (_, Reverse(number)) = self.ready.pop()?;
        Some((number, self.tasks[number].clone()))
    }

    /// Says that a statement has run.
    pub fn done(&mut self, number: usize) {
        self.left -= 1;
        let tables: Vec<String> = self.tasks[number].locks.keys().cloned().collect();
        for table in tables {
            if let Some(queue) = self.queues.get_mut(&table) {
                queue.remove(number);
            }
            self.open(&table);
        }
    }

    /// Returns whether all have run.
    pub fn is_over(&self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(texts: &[&str]) -> BuildBatch {
        let mut batch = BuildBatch::default();
        for (line, text) in (1..).zip(texts) {
            assert!(batch.add(line, text.as_bytes(), &ScriptEncoding::default(), None), "{text}");
        }
        batch
    }

    fn index(name: &str, table: &str) -> String {
        format!("CREATE INDEX {name} ON {table} USING btree (a);")
    }

    fn add(batch: &mut BuildBatch, text: &str) -> bool {
        batch.add(1, text.as_bytes(), &ScriptEncoding::default(), None)
    }

    /// Takes all that may run now, by line.
    fn taken(schedule: &mut BuildSchedule) -> Vec<u64> {
        std::iter::from_fn(|| schedule.take()).map(|(_, task)| task.line).collect()
    }

    #[test]
    fn indexes_of_a_table_run_at_a_time_and_its_key_alone_and_in_its_place() {
        let key = "ALTER TABLE ONLY big ADD CONSTRAINT k PRIMARY KEY (a);";
        let texts = [
            index("i1", "small"),
            key.into(),
            index("i2", "big"),
            index("i3", "big"),
            "ALTER TABLE big CLUSTER ON i2;".into(),
        ];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let sizes = HashMap::from([("big".to_owned(), 9), ("small".to_owned(), 1)]);
        let mut schedule = batch(&texts).schedule(&sizes);
        assert_eq!(taken(&mut schedule), [2, 1], "the largest first");
        schedule.done(0);
        assert!(taken(&mut schedule).is_empty());
        schedule.done(1);
        assert_eq!(taken(&mut schedule), [3, 4]);
        schedule.done(3);
        assert!(taken(&mut schedule).is_empty(), "it follows both");
        schedule.done(2);
        assert_eq!(taken(&mut schedule), [5]);
        assert!(!schedule.is_over());
        schedule.done(4);
        assert!(schedule.is_over());
    }

    #[test]
    fn foreign_keys_run_at_a_time_where_no_table_is_in_two_of_them() {
        let key = |from: &str, to: &str| {
            format!("ALTER TABLE ONLY {from} ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES {to}(a);")
        };
        let texts = [key("a", "hub"), key("b", "hub"), key("c", "c"), key("d", "a"), key("e", "f")];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut schedule = batch(&texts).schedule(&HashMap::new());
        assert_eq!(taken(&mut schedule), [1, 3, 5]);
        schedule.done(0);
        assert_eq!(taken(&mut schedule), [2, 4]);
    }

    #[test]
    fn keys_and_what_refers_to_them_are_in_no_batch_together_and_other_statements_in_none() {
        let foreign = "ALTER TABLE ONLY a ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES b(a);";
        let mut keys = batch(&["ALTER TABLE ONLY b ADD CONSTRAINT k PRIMARY KEY (a);"]);
        assert!(!add(&mut keys, foreign) && !add(&mut keys, "CREATE TABLE t ();"));
        let mut foreigns = batch(&[foreign, "COMMENT ON CONSTRAINT f ON a IS 'x';"]);
        assert!(!add(&mut foreigns, &index("i", "a")));
    }

    #[test]
    fn what_concerns_an_index_is_put_off_only_behind_that_index() {
        let comment = "COMMENT ON INDEX public.i IS 'x';";
        assert!(!add(&mut batch(&[&index("i", "other.t")]), comment));
        assert!(add(&mut batch(&[&index("i", "public.t")]), comment));
        assert!(!add(&mut BuildBatch::default(), "ALTER TABLE t CLUSTER ON i;"));
    }

    #[test]
    fn a_statement_alone_is_given_out_as_such() {
        let mut one = batch(&[&index("i", "t")]);
        assert_eq!(one.take_single().map(|task| task.line), Some(1));
        assert!(one.is_empty());
        let mut two = batch(&[&index("i", "t"), &index("j", "t")]);
        assert!(two.take_single().is_none() && !two.is_empty());
    }
}
