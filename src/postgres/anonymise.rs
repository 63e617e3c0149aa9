//! Anonymises rows while they are read: finds the columns of a database, and plans for each table a SELECT that gives them as the
//! rules say. Nothing is made on the server.

pub(crate) mod address_pattern;
pub(crate) mod address_scan;
pub(crate) mod column_groups;
pub mod columns;
pub(crate) mod expression;
pub(crate) mod expression_context;
pub(crate) mod keyed_hash;
pub mod plan;
pub mod plan_check;
pub mod rule_origin;
pub(crate) mod scrambled_text;
pub mod session_secret;
pub(crate) mod shape;
