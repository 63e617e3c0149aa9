//! Tells whether a statement of a delta has the shape that pgbk writes: one statement, of names and literals, and of nothing that a server
//! would call.

use crate::format::changes::insert_run::MOST_ROWS;

/// The rest of a statement, of which parts are taken from the front. Every part is `None` if the rest does not begin with it.
pub(crate) struct StatementShape<'a>(pub &'a [u8]);

impl<'a> StatementShape<'a> {
    /// Takes these words.
    pub fn words(&mut self, words: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(words.as_bytes())?;
        Some(())
    }

    /// Takes a quoted name, and returns it as it is written.
    pub fn name(&mut self) -> Option<&'a [u8]> {
        let opened = if self.0.starts_with(b"U&\"") { 3 } else { 1 };
        if opened == 1 && !self.0.starts_with(b"\"") {
            return None;
        }
        let mut end = opened;
        loop {
            end += memchr::memchr(b'"', self.0.get(end..)?)? + 1;
            match self.0.get(end) {
                Some(b'"') => end += 1,
                _ => break,
            }
        }
        let name = self.take(end)?;
        (name.len() > opened + 1).then_some(name)
    }

    /// Takes the full name of a table, and returns it as it is written.
    pub fn table(&mut self) -> Option<&'a [u8]> {
        let whole = self.0;
        self.name()?;
        self.words(".")?;
        self.name()?;
        whole.get(..whole.len() - self.0.len())
    }

    /// Takes what follows the table in an UPDATE.
    pub fn update(&mut self, table: &[u8]) -> Option<()> {
        self.words(" SET ")?;
        self.list(|shape| {
            shape.name()?;
            shape.words(" = ")?;
            shape.value()
        })?;
        self.delete(table)
    }

    /// Takes what follows the table in a DELETE.
    pub fn delete(&mut self, table: &[u8]) -> Option<()> {
        self.words(" WHERE ")?;
        if self.words("ctid = (SELECT ctid FROM ONLY ").is_some() {
            self.words_of(table)?;
            if self.words(" WHERE ").is_some() {
                self.tests()?;
            }
            self.words(" LIMIT 1)")?;
        } else {
            self.tests()?;
        }
        self.end()
    }

    /// Takes what follows the table in an INSERT, and returns the number of rows.
    pub fn insert(&mut self) -> Option<u64> {
        if self.words(" DEFAULT VALUES").is_some() {
            return self.end().map(|()| 1);
        }
        let columns = self.columns()?;
        self.words(" OVERRIDING SYSTEM VALUE VALUES ")?;
        let rows = self.list(|shape| {
            shape.words("(")?;
            let values = shape.list(Self::value)?;
            shape.words(")").filter(|()| values == columns)
        })?;
        self.end().filter(|()| rows <= MOST_ROWS)?;
        Some(rows)
    }

    /// Takes what follows the table in a COPY, and returns the number of columns.
    pub fn copy(&mut self) -> Option<u64> {
        let columns = self.columns()?;
        self.words(" FROM stdin")?;
        self.end().map(|()| columns)
    }

    /// Takes what follows the word TRUNCATE, and returns the tables as they are written.
    pub fn truncate(&mut self) -> Option<Vec<&'a [u8]>> {
        let mut tables = Vec::new();
        self.list(|shape| {
            shape.words("ONLY ")?;
            tables.push(shape.table()?);
            Some(())
        })?;
        let _ = self.words(" RESTART IDENTITY");
        self.end().map(|()| tables)
    }

    fn columns(&mut self) -> Option<u64> {
        self.words(" (")?;
        let columns = self.list(|shape| shape.name().map(|_| ()))?;
        self.words(")").map(|()| columns)
    }

    fn tests(&mut self) -> Option<()> {
        self.test()?;
        while self.words(" AND ").is_some() {
            self.test()?;
        }
        Some(())
    }

    fn test(&mut self) -> Option<()> {
        if self.words("format('%s', ").is_some() {
            self.name()?;
            self.words(") COLLATE \"C\" = ")?;
            return self.literal();
        }
        self.name()?;
        if self.words(" IS NULL").is_some() || self.words(" IS NOT DISTINCT FROM NULL").is_some() {
            return Some(());
        }
        if self.words(" OPERATOR(").is_some() {
            self.name()?;
            self.words(".=) ")?;
        } else {
            self.words(" = ")?;
        }
        self.literal()
    }

    fn value(&mut self) -> Option<()> {
        self.words("NULL").or_else(|| self.literal())
    }

    fn literal(&mut self) -> Option<()> {
        let escapes = self.words("E").is_some();
        self.words("'")?;
        loop {
            let special = if escapes { memchr::memchr2(b'\'', b'\\', self.0)? } else { memchr::memchr(b'\'', self.0)? };
            self.take(special)?;
            match self.0 {
                [b'\'', b'\'', ..] | [b'\\', b'\\' | b'n' | b'r' | b't' | b'x', ..] => self.take(2)?,
                [b'\'', ..] => return self.take(1).map(|_| ()),
                _ => return None,
            };
        }
    }

    /// Takes a list with commas, and returns the number of its items.
    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<u64> {
        item(self)?;
        let mut count = 1;
        while self.words(", ").is_some() {
            item(self)?;
            count += 1;
        }
        Some(count)
    }

    fn words_of(&mut self, words: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(words)?;
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        self.words(";").filter(|()| self.0.is_empty())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}
