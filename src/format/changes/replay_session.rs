//! The settings of the two sessions between which values go as text: the one that reads the changes, and the one that replays them.

/// Names and values. Each decides how a value is written, or how a text is understood; `client_encoding` is the server's own and is not
/// among them. A replay that compares values by their text depends on all of them.
pub const REPLAY_SESSION: &[(&str, &str)] = &[
    ("standard_conforming_strings", "on"),
    ("search_path", ""),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("xmloption", "content"),
    ("lc_monetary", "C"),
    ("array_nulls", "on"),
    ("quote_all_identifiers", "off"),
    ("row_security", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("client_min_messages", "warning"),
];
