//! Access to the environment's variables, which the caller supplies.

/// Returns the value of a variable. An empty variable counts as unset, as it does for libpq.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;
