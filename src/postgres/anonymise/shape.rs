//! The type of a column, as far as a rule must know it.

/// The kind of a column's values, below all domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnShape {
    /// `text`, `varchar`, `char` and `citext`.
    Text,
    /// Another type that may hold any text: documents, arrays of text, rows, search vectors.
    Document,
    Date,
    /// A time of a day, with or without a time zone.
    Timestamp,
    /// An integer of so many bits.
    Integer(u32),
    Numeric,
    /// A floating-point number.
    Float,
    Uuid,
    Bytes,
    Inet,
    Cidr,
    /// A type that cannot hold any text, such as an enum, or that pgbk does not know.
    Other,
}

/// A type as the catalogs describe it.
#[derive(Debug, Clone, Default)]
pub struct CatalogType {
    /// Whether it is one of the server's own.
    pub own: bool,
    pub name: String,
    /// `typtype`: `b` for a base type, `c` for a row, `e` for an enum.
    pub kind: String,
    /// `typcategory`: `S` for texts, `A` for arrays.
    pub category: String,
}

/// Types of the server that hold any text within a form of their own.
const DOCUMENTS: [&str; 5] = ["json", "jsonb", "xml", "tsvector", "name"];

impl ColumnShape {
    /// Returns the shape of a type; `element` is that of its elements if it is an array.
    pub fn of(base: &CatalogType, element: Option<&CatalogType>) -> ColumnShape {
        if let Some(element) = element.filter(|_| base.category == "A") {
            let inner = ColumnShape::of(element, None);
            return if matches!(inner, ColumnShape::Text | ColumnShape::Document) {
                ColumnShape::Document
            } else {
                ColumnShape::Other
            };
        }
        match (base.own, base.name.as_str()) {
            (true, "char") => ColumnShape::Other,
            (true, name) if DOCUMENTS.contains(&name) => ColumnShape::Document,
            (true, "date") => ColumnShape::Date,
            (true, "timestamp" | "timestamptz") => ColumnShape::Timestamp,
            (true, "int2") => ColumnShape::Integer(16),
            (true, "int4") => ColumnShape::Integer(32),
            (true, "int8") => ColumnShape::Integer(64),
            (true, "numeric") => ColumnShape::Numeric,
            (true, "float4" | "float8") => ColumnShape::Float,
            (true, "uuid") => ColumnShape::Uuid,
            (true, "bytea") => ColumnShape::Bytes,
            (true, "inet") => ColumnShape::Inet,
            (true, "cidr") => ColumnShape::Cidr,
            (false, "hstore") => ColumnShape::Document,
            _ if base.kind == "c" => ColumnShape::Document,
            _ if base.category == "S" && base.kind == "b" => ColumnShape::Text,
            _ => ColumnShape::Other,
        }
    }

    /// Returns whether a value may hold any text, and with it an e-mail address.
    pub fn may_hold_text(self) -> bool {
        matches!(self, ColumnShape::Text | ColumnShape::Document)
    }
}
