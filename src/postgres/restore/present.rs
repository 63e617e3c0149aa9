//! Finds which objects of a dump the target has already.

use crate::base::error::Result;
use crate::base::worker;
use crate::format::sql::object_name::{ObjectName, TableName};
use crate::postgres::connect::settings::ConnectionSettings;
use crate::postgres::restore::target::APPLICATION;
use crate::postgres::session::cell::cell;
use crate::postgres::session::query::{first, rows};
use crate::postgres::session::quote::{identifier, literal};
use std::collections::BTreeSet;

/// An object of a dump, as its table of contents names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DumpedObject {
    pub number: i64,
    /// Such as `TABLE` or `FUNCTION`.
    pub kind: String,
    /// Empty for what is in no schema.
    pub schema: String,
    /// The name; of a function with the types of its arguments.
    pub name: String,
}

impl DumpedObject {
    /// Returns the object in words, such as `type public.mood`.
    pub fn describe(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.schema.is_empty() {
            format!("{kind} {}", self.name)
        } else {
            format!("{kind} {}.{}", self.schema, self.name)
        }
    }

    /// Returns the query whose answer is `t` if the target has it. `None`: pgbk does not look for objects of this kind.
    fn query(&self) -> Option<String> {
        let qualified = self.qualified();
        let found = |function: &str, text: &str| format!("SELECT pg_catalog.{function}({}) IS NOT NULL", literal(text));
        let listed = |catalog: &str, prefix: &str| {
            let namespace = match self.schema.as_str() {
                "" => String::new(),
                schema => format!(
                    " AND {prefix}namespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {})",
                    literal(schema)
                ),
            };
            format!(
                "SELECT EXISTS (SELECT FROM pg_catalog.{catalog} WHERE {prefix}name = {}{namespace})",
                literal(&self.name)
            )
        };
        Some(match self.kind.as_str() {
            "TABLE" | "FOREIGN TABLE" | "VIEW" | "MATERIALIZED VIEW" | "SEQUENCE" => found("to_regclass", &qualified),
            "TYPE" | "DOMAIN" | "SHELL TYPE" => found("to_regtype", &qualified),
            "SCHEMA" => listed("pg_namespace", "nsp"),
            "FUNCTION" | "PROCEDURE" | "AGGREGATE" => {
                let (name, arguments) = self.name.split_once('(').unwrap_or((&self.name, ")"));
                let arguments = arguments.replace('*', "");
                let name = format!("{}.{}({arguments}", identifier(&self.schema), identifier(name));
                found("to_regprocedure", &name)
            }
            "EXTENSION" => listed("pg_extension", "ext"),
            "COLLATION" => listed("pg_collation", "coll"),
            "TEXT SEARCH CONFIGURATION" => listed("pg_ts_config", "cfg"),
            "TEXT SEARCH DICTIONARY" => listed("pg_ts_dict", "dict"),
            "PROCEDURAL LANGUAGE" => listed("pg_language", "lan"),
            "FOREIGN DATA WRAPPER" => listed("pg_foreign_data_wrapper", "fdw"),
            "SERVER" => listed("pg_foreign_server", "srv"),
            "ACCESS METHOD" => listed("pg_am", "am"),
            "INDEX" => found("to_regclass", &qualified),
            "CONSTRAINT" | "CHECK CONSTRAINT" | "FK CONSTRAINT" => {
                self.of_table("pg_constraint", "conrelid", "conname")
            }
            "TRIGGER" => self.of_table("pg_trigger", "tgrelid", "tgname"),
            "RULE" => self.of_table("pg_rewrite", "ev_class", "rulename"),
            "POLICY" => self.of_table("pg_policy", "polrelid", "polname"),
            "OPERATOR" => listed("pg_operator", "opr"),
            "OPERATOR CLASS" => listed("pg_opclass", "opc"),
            "OPERATOR FAMILY" => listed("pg_opfamily", "opf"),
            "CONVERSION" => listed("pg_conversion", "con"),
            "TEXT SEARCH PARSER" => listed("pg_ts_parser", "prs"),
            "TEXT SEARCH TEMPLATE" => listed("pg_ts_template", "tmpl"),
            "EVENT TRIGGER" => listed("pg_event_trigger", "evt"),
            "PUBLICATION" => listed("pg_publication", "pub"),
            _ => return None,
        })
    }

    /// Returns the query for what is a part of a table: its name has the table's before it.
    fn of_table(&self, catalog: &str, table: &str, name: &str) -> String {
        format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.{catalog} p JOIN pg_catalog.pg_class c ON c.oid = p.{table}
             WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {})
               AND c.relname || ' ' || p.{name} = {})",
            literal(&self.schema),
            literal(&self.name)
        )
    }

    /// Returns the name as SQL has it.
    pub fn qualified(&self) -> String {
        format!("{}.{}", identifier(&self.schema), identifier(&self.name))
    }
}

/// Returns the partitions that these tables have in the database, each with its schema and name, and the table's.
pub(crate) fn partitions(
    settings: &ConnectionSettings,
    tables: Vec<DumpedObject>,
) -> Result<Vec<(DumpedObject, String)>> {
    let settings = settings.clone();
    worker::ask(move || {
        let mut client = settings.connect(APPLICATION)?;
        let mut found = Vec::new();
        for table in tables {
            let query = format!(
                "SELECT n.nspname, c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
                 JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.relispartition AND i.inhparent = pg_catalog.to_regclass({}) ORDER BY 1, 2",
                literal(&table.qualified())
            );
            for row in rows(&mut client, &query)? {
                let text = |at| cell(&row, at).unwrap_or_default().to_owned();
                let partition = DumpedObject { number: 0, kind: "TABLE".to_owned(), schema: text(0), name: text(1) };
                found.push((partition, table.describe()));
            }
        }
        Ok(found)
    })?
}

/// Returns the numbers of those objects that the database has. What cannot be looked for counts as missing.
pub(crate) fn present(settings: &ConnectionSettings, objects: Vec<DumpedObject>) -> Result<BTreeSet<i64>> {
    let settings = settings.clone();
    worker::ask(move || {
        let mut client = settings.connect(APPLICATION)?;
        let mut found = BTreeSet::new();
        for object in &objects {
            let Some(query) = object.query() else { continue };
            // A server may not be able to read a name; then it has no such object.
            let row = first(&mut client, &query).unwrap_or_default();
            found.extend(row.filter(|row| cell(row, 0) == Some("t")).map(|_| object.number));
        }
        Ok(found)
    })?
}

/// Returns the triggers and rules of these tables that would act on changes, in words.
pub(crate) fn acting(settings: &ConnectionSettings, tables: &BTreeSet<TableName>) -> Result<Vec<String>> {
    const ACTING: &str = "
        SELECT n.nspname, c.relname, 'trigger ' || t.tgname FROM pg_catalog.pg_trigger t
        JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
        UNION ALL
        SELECT n.nspname, c.relname, 'rule ' || r.rulename FROM pg_catalog.pg_rewrite r
        JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND r.ev_enabled IN ('O', 'A') ORDER BY 1, 2, 3";
    let (settings, tables) = (settings.clone(), tables.clone());
    worker::ask(move || {
        let found = rows(&mut settings.connect(APPLICATION)?, ACTING)?;
        let told = found.iter().filter_map(|row| {
            let [schema, name] = [cell(row, 0)?, cell(row, 1)?].map(|part| ObjectName::new(part.as_bytes()));
            let table = TableName { schema: schema?, name: name? };
            let what = cell(row, 2).filter(|_| tables.contains(&table))?;
            Some(format!("{what} of {}", table.text()))
        });
        Ok(told.collect())
    })?
}
