//! Errors: the message, the kind, and the hint that says what to do next.
//!
//! They travel as `anyhow::Error`. A [`Fault`] somewhere in the chain gives the kind, and with it the exit code, and the
//! hints; an error without one is simply [`Kind::Failed`]. This file holds the only table from kind to exit code.

use std::fmt;
use std::io;

pub type Result<T> = anyhow::Result<T>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The work was tried and did not succeed.
    Failed,
    /// A flag, variable or settings mistake: nothing was tried.
    Usage,
    /// The server refuses a statement of the dump, or the dump holds one that no dump should.
    Refused,
    /// A backup is damaged, or cannot be authenticated.
    Damaged,
    /// The backup was made with another key than the one that is set.
    OtherKey,
    /// The named backup, object, bucket, file or database is not there.
    NotFound,
    /// The name is taken already.
    Exists,
    /// The store or server refuses this right, and may grant others.
    Denied,
    /// The store does not accept the credentials: they are wrong, expired or missing. It will grant no right at all.
    Unauthenticated,
    /// Another run holds the lock.
    Busy,
    /// A signal of this number asked pgbk to stop.
    Interrupted(i32),
}

impl Kind {
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed | Kind::Refused | Kind::Exists | Kind::Denied | Kind::Unauthenticated => 1,
            Kind::Usage => 2,
            Kind::Damaged | Kind::OtherKey => 3,
            Kind::NotFound => 4,
            Kind::Busy => 5,
            Kind::Interrupted(signal) => 128u8.saturating_add(signal as u8),
        }
    }
}

/// An error with a kind and, where there is one, the next step for the person who reads it.
#[derive(Debug)]
pub struct Fault {
    kind: Kind,
    message: String,
    hint: Option<String>,
    sqlstate: Option<String>,
}

impl Fault {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Fault { kind, message: message.into(), hint: None, sqlstate: None }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(Kind::Damaged, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns a fault with this message, and the kind and SQLSTATE of another error.
    pub fn like(error: &anyhow::Error, message: impl Into<String>) -> Self {
        Fault { sqlstate: sqlstate(error).map(str::to_owned), ..Self::new(kind(error), message) }
    }

    /// Keeps the SQLSTATE that a PostgreSQL server gave.
    pub fn with_sqlstate(mut self, code: impl Into<String>) -> Self {
        self.sqlstate = Some(code.into());
        self
    }

    pub fn with_kind(self, kind: Kind) -> Self {
        Fault { kind, ..self }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// Lets a fault cross a `Read` or `Write` without losing its kind.
impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        io::Error::other(fault)
    }
}

/// Carries any error across a `Read` or `Write`; [`kind`] and [`hints`] find what is inside again.
pub(crate) fn into_io(error: anyhow::Error) -> io::Error {
    match error.downcast::<io::Error>() {
        Ok(error) => error,
        Err(error) => io::Error::other(ErrorChain(error)),
    }
}

/// An `anyhow::Error` is no `std::error::Error`; this one is, and shows its whole chain.
#[derive(Debug)]
struct ErrorChain(anyhow::Error);

impl fmt::Display for ErrorChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for ErrorChain {}

/// Runs the work. A panic becomes an ordinary failure that says it is a bug.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Err(Fault::failed(format!("this is a bug of pgbk {}: {text}", env!("CARGO_PKG_VERSION")))
            .hint("please report it to whoever gave you pgbk, with the line above that says \"panicked at\"; what it says may name your tables, but no secret")
            .into())
    })
}

/// Returns success if all outcomes succeeded. Several faults become one of the first one's kind, with all messages and all hints,
/// so that everything can be put right at once. An error that is no fault is returned alone.
pub(crate) fn together(outcomes: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let mut faults = Vec::new();
    for error in outcomes.into_iter().filter_map(Result::err) {
        faults.push(error.downcast::<Fault>()?);
    }
    let Some(kind) = faults.first().map(Fault::kind) else { return Ok(()) };
    let hints: Vec<&str> = faults.iter().filter_map(|fault| fault.hint.as_deref()).collect();
    let messages: Vec<&str> = faults.iter().map(|fault| fault.message.as_str()).collect();
    let hint = (!hints.is_empty()).then(|| hints.join("; "));
    Err(Fault { kind, message: messages.join("; "), hint, sqlstate: None }.into())
}

/// Returns whether this error is pgbk's own, so that its message needs no explanation.
pub(crate) fn is_ours(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Fault>() || inner.is::<ErrorChain>())
}

/// Returns the kind of the outermost fault in the chain; [`Kind::Failed`] if there is none.
pub fn kind(error: &anyhow::Error) -> Kind {
    faults(error).first().map_or(Kind::Failed, |fault| fault.kind)
}

/// Returns every hint in the chain, outermost first.
pub fn hints(error: &anyhow::Error) -> Vec<&str> {
    faults(error).iter().filter_map(|fault| fault.hint.as_deref()).collect()
}

/// Returns the outermost SQLSTATE in the chain; `None` if no PostgreSQL server refused anything.
pub fn sqlstate(error: &anyhow::Error) -> Option<&str> {
    faults(error).iter().find_map(|fault| fault.sqlstate.as_deref())
}

/// Collects the faults of the chain, outermost first. `io::Error::source` skips the error it wraps, so a plain walk along the chain
/// would lose it.
fn faults(error: &anyhow::Error) -> Vec<&Fault> {
    let mut found = Vec::new();
    for cause in error.chain() {
        collect(cause, &mut found);
    }
    // One that is the context of another error hides in the chain from whoever asks for its type.
    if let Some(outer) = error.downcast_ref::<Fault>()
        && !found.iter().any(|fault| std::ptr::eq(*fault, outer))
    {
        found.insert(0, outer);
    }
    found
}

fn collect<'a>(cause: &'a (dyn std::error::Error + 'static), found: &mut Vec<&'a Fault>) {
    if let Some(fault) = cause.downcast_ref::<Fault>() {
        found.push(fault);
    } else if let Some(ErrorChain(inner)) = cause.downcast_ref::<ErrorChain>() {
        found.extend(faults(inner));
    } else if let Some(inner) = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        collect(inner, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_fault_keeps_its_kind_and_hint_through_io_and_context() {
        let fault = Fault::damaged("chunk 3 does not match").hint("try the copy in the other bucket");
        let carried = into_io(anyhow::Error::from(fault).context("read chunk"));
        let error = Err::<(), _>(carried).context("restore").unwrap_err();
        assert_eq!(kind(&error), Kind::Damaged);
        assert_eq!(hints(&error), ["try the copy in the other bucket"]);
        assert_eq!(format!("{error:#}"), "restore: read chunk: chunk 3 does not match");
    }

    #[test]
    fn a_fault_that_is_the_context_of_another_error_counts_first() {
        let inner = anyhow::Error::from(Fault::usage("no such setting").hint("spell it otherwise"));
        let error = inner.context(Fault::damaged("the transaction is gone").hint("look into the log"));
        assert_eq!((kind(&error), hints(&error)), (Kind::Damaged, vec!["look into the log", "spell it otherwise"]));
        let plain = anyhow::Error::from(Fault::usage("alone")).context("outside");
        assert_eq!((kind(&plain), faults(&plain).len()), (Kind::Usage, 1));
    }

    #[test]
    fn an_error_without_a_fault_is_a_plain_failure() {
        assert_eq!(kind(&anyhow::anyhow!("no")).exit_code(), 1);
        assert_eq!(Kind::Interrupted(15).exit_code(), 143);
    }
}
