//! Statements that build indexes and check constraints, which take long and of which several can run at a time.

use crate::format::sql::tokens::{Token, Tokens};

/// A statement that may be put off until others like it are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuildStatement {
    /// `CREATE INDEX`. Several may run for the same table.
    Index {
        table: String,
        index: String,
    },
    /// A primary key, a unique or an exclusion constraint.
    Key {
        table: String,
        index: String,
    },
    ForeignKey {
        table: String,
        other: String,
    },
    /// Concerns a table, and what the statements before it have made of it.
    OfTable {
        table: String,
    },
    /// Concerns an index.
    OfIndex {
        index: String,
    },
}

impl BuildStatement {
    /// Reads a statement as `pg_dump` writes it. `None`: it is another one, and runs in its place.
    pub fn of(text: &[u8]) -> Option<BuildStatement> {
        let mut tokens = Tokens::new(text);
        let verb = tokens.next()?;
        if verb.is("create") {
            return index(tokens);
        }
        if verb.is("comment") {
            return comment(tokens);
        }
        if !verb.is("alter") {
            return None;
        }
        if tokens.accept(&["table"]) {
            return of_table(tokens);
        }
        let index = tokens.accept(&["index"]).then(|| name(&mut tokens)).flatten()?;
        tokens.accept(&["alter", "column"]).then_some(BuildStatement::OfIndex { index })
    }
}

/// Reads what stands behind `CREATE`.
fn index(mut tokens: Tokens<'_>) -> Option<BuildStatement> {
    tokens.accept(&["unique"]);
    if !tokens.accept(&["index"]) {
        return None;
    }
    let index = name(&mut tokens)?;
    if !tokens.accept(&["on"]) {
        return None;
    }
    tokens.accept(&["only"]);
    let table = name(&mut tokens)?;
    Some(BuildStatement::Index { index: beside(&table, &index), table })
}

/// Reads what stands behind `ALTER TABLE`.
fn of_table(mut tokens: Tokens<'_>) -> Option<BuildStatement> {
    tokens.accept(&["only"]);
    let table = name(&mut tokens)?;
    if tokens.accept(&["cluster", "on"]) || tokens.accept(&["replica", "identity", "using", "index"]) {
        return Some(BuildStatement::OfTable { table });
    }
    if !tokens.accept(&["add", "constraint"]) {
        return None;
    }
    let constraint = name(&mut tokens)?;
    let kind = tokens.next()?;
    if ["primary", "unique", "exclude"].iter().any(|word| kind.is(word)) {
        return Some(BuildStatement::Key { index: beside(&table, &constraint), table });
    }
    if !kind.is("foreign") {
        return None;
    }
    // A column of this name would stand in quotes.
    tokens.find(|token| token.is("references"))?;
    Some(BuildStatement::ForeignKey { table, other: name(&mut tokens)? })
}

/// Reads what stands behind `COMMENT`.
fn comment(mut tokens: Tokens<'_>) -> Option<BuildStatement> {
    if tokens.accept(&["on", "index"]) {
        return name(&mut tokens).map(|index| BuildStatement::OfIndex { index });
    }
    if !tokens.accept(&["on", "constraint"]) {
        return None;
    }
    name(&mut tokens)?;
    // Behind the word there is the name of a domain, or else it is a table's.
    if !tokens.accept(&["on"]) || tokens.clone().next()?.is("domain") {
        return None;
    }
    name(&mut tokens).map(|table| BuildStatement::OfTable { table })
}

fn name(tokens: &mut Tokens<'_>) -> Option<String> {
    tokens.take_name().map(|name| String::from_utf8_lossy(name).into_owned())
}

/// Returns the name of an index with the schema of its table, as another statement names it.
pub(crate) fn beside(table: &str, index: &str) -> String {
    let mut tokens = Tokens::new(table.as_bytes());
    let mut schema = 0;
    while let Some(token) = tokens.next() {
        if token == Token::Mark(b'.') {
            schema = table.len() - tokens.rest().len();
        }
    }
    format!("{}{index}", table.get(..schema).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builds_an_index_or_checks_a_constraint_is_known_with_its_tables_and_nothing_else_is() {
        let table = |name: &str| name.to_owned();
        let index = |of: &str, name: &str| BuildStatement::Index { table: table(of), index: table(name) };
        let key = |of: &str, name: &str| BuildStatement::Key { table: table(of), index: table(name) };
        let of_table = |name: &str| BuildStatement::OfTable { table: table(name) };
        for (text, expected) in [
            ("CREATE INDEX i ON public.t USING btree (a);", Some(index("public.t", "public.i"))),
            (
                "CREATE UNIQUE INDEX \"odd; \"\"index\" ON ONLY \"S.x\".\"T t\" USING btree (a);",
                Some(index("\"S.x\".\"T t\"", "\"S.x\".\"odd; \"\"index\"")),
            ),
            ("create index i on t (a);", Some(index("t", "i"))),
            (
                "ALTER TABLE ONLY public.t\n    ADD CONSTRAINT t_pkey PRIMARY KEY (id);",
                Some(key("public.t", "public.t_pkey")),
            ),
            ("ALTER TABLE public.t ADD CONSTRAINT u UNIQUE (a);", Some(key("public.t", "public.u"))),
            (
                "ALTER TABLE ONLY public.t ADD CONSTRAINT e EXCLUDE USING gist (a WITH =);",
                Some(key("public.t", "public.e")),
            ),
            (
                "ALTER TABLE ONLY public.t ADD CONSTRAINT f FOREIGN KEY (\"references\", b) REFERENCES other.r(a, b) ON DELETE CASCADE;",
                Some(BuildStatement::ForeignKey { table: table("public.t"), other: table("other.r") }),
            ),
            ("ALTER TABLE public.t CLUSTER ON i;", Some(of_table("public.t"))),
            ("ALTER TABLE ONLY public.t REPLICA IDENTITY USING INDEX i;", Some(of_table("public.t"))),
            ("COMMENT ON CONSTRAINT \"pk;\" ON public.t IS 'x';", Some(of_table("public.t"))),
            ("COMMENT ON INDEX public.i IS 'x';", Some(BuildStatement::OfIndex { index: table("public.i") })),
            (
                "ALTER INDEX public.i ALTER COLUMN 1 SET STATISTICS 77;",
                Some(BuildStatement::OfIndex { index: table("public.i") }),
            ),
            ("ALTER INDEX public.i ATTACH PARTITION public.j;", None),
            ("ALTER INDEX public.i OWNER TO a;", None),
            ("ALTER TABLE public.t ADD CONSTRAINT c CHECK ((a > 0)) NOT VALID;", None),
            ("ALTER TABLE ONLY public.t REPLICA IDENTITY FULL;", None),
            ("ALTER TABLE ONLY public.t ATTACH PARTITION public.p FOR VALUES IN (1);", None),
            ("ALTER DOMAIN public.d ADD CONSTRAINT c CHECK ((VALUE > 0)) NOT VALID;", None),
            ("COMMENT ON CONSTRAINT c ON DOMAIN public.d IS 'x';", None),
            ("COMMENT ON TABLE public.t IS 'x';", None),
            ("CREATE TABLE index (a int);", None),
            ("CREATE STATISTICS s ON a, b FROM public.t;", None),
            ("CREATE TRIGGER t AFTER INSERT ON public.t EXECUTE FUNCTION f();", None),
            ("REFRESH MATERIALIZED VIEW v;", None),
        ] {
            assert_eq!(BuildStatement::of(text.as_bytes()), expected, "{text}");
        }
    }
}
