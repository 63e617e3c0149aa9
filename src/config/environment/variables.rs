//! Reads and sets variables of the process.

#[allow(unsafe_code)]
pub fn set(name: &str, value: Option<&str>) {
    // SAFETY: called only from `prepare`, at the start of `main`, while this is the only thread.
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}

/// Returns a variable. None: it is unset, empty or not UTF-8.
pub fn plain(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
