//! Variables of the environment, as whoever asks for them reads them.

/// How the caller's environment is asked; an empty variable counts as unset, as it does for libpq.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;
