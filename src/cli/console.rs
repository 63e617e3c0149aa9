//! The only printer. Results go to stdout; progress, logs, prompts and errors to stderr.

pub(crate) mod log;
pub(crate) mod open_work;
pub(crate) mod progress;
pub(crate) mod reader;

use crate::base::error::Fault;
use crate::base::progress::{Monitor, ProgressId, RunLabel, Update};
use crate::base::shown::Lines;
use crate::base::{cancel, error, shown};
use crate::cli::{LogArgs, LogFormat, LogLevel};
use indicatif::HumanBytes;
use jiff::Timestamp;
use open_work::OpenWork;
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

pub struct Console {
    format: LogFormat,
    level: LogLevel,
    json: bool,
    work: Mutex<OpenWork>,
    /// The current run, and the thread that works at it. What other threads print is not about this run.
    subject: Mutex<Option<(ThreadId, RunLabel)>>,
    /// Whether a line of text names its run, too.
    names_runs: AtomicBool,
}

impl Console {
    /// `json`: the result on stdout is one machine-readable document.
    pub fn new(log: &LogArgs, json: bool) -> Console {
        Console {
            format: log.log_format,
            level: log.log_level,
            json,
            work: Mutex::default(),
            subject: Mutex::new(None),
            names_runs: AtomicBool::new(false),
        }
    }

    /// Prints the result on stdout: the document with `--json`, else the text.
    pub fn result(&self, text: &Lines, document: &impl Serialize) -> error::Result<()> {
        if self.json { self.document(document) } else { self.text(text) }
    }

    /// Prints the result as [`result`](Console::result) does, and makes only the form that is printed: for very many rows.
    pub fn result_of<D: Serialize>(
        &self,
        text: impl FnOnce() -> Lines,
        document: impl FnOnce() -> D,
    ) -> error::Result<()> {
        if self.json { self.document(&document()) } else { self.text(&text()) }
    }

    pub fn text(&self, text: &Lines) -> error::Result<()> {
        write_stdout(text.as_str().as_bytes())
    }

    /// Makes every line of text name its run, as lines in JSON always do. For a process that makes many runs.
    pub fn name_runs(&self) {
        self.names_runs.store(true, Ordering::Relaxed);
    }

    /// Prints text for the person at the terminal, whatever the log level.
    pub fn say(&self, text: &Lines) {
        self.log(text.as_str().trim_end_matches('\n'));
    }

    fn document(&self, document: &impl Serialize) -> error::Result<()> {
        let mut text = shown::json(&serde_json::to_string_pretty(document)?);
        text.push('\n');
        write_stdout(text.as_bytes())
    }

    /// Prints an error and its hints on stderr; with `--json` also as a document on stdout.
    pub fn failure(&self, failure: &anyhow::Error) {
        self.tell(failure);
        if self.json {
            // Nothing is left to tell it to when stdout is closed as well.
            let _ = self.document(&json!({"error": error_document(failure)}));
        }
    }

    /// Prints an error and its hints on stderr. The work goes on.
    pub fn tell(&self, failure: &anyhow::Error) {
        self.lock().clear();
        let message = format!("{failure:#}");
        let hints = error::hints(failure);
        match self.format {
            LogFormat::Text => {
                let run = self.run();
                self.log(&format!("{run}error: {}", shown::message(&message)));
                for hint in &hints {
                    self.log(&format!("{run}hint: {}", shown::message(hint)));
                }
            }
            LogFormat::Json => {
                let line = json!({"time": now(), "level": "error", "message": message, "hints": hints});
                self.log(&self.entry(line));
            }
        }
    }

    fn line(&self, level: LogLevel, message: &str) {
        if level > self.level {
            return;
        }
        let text = self.formed(level, message);
        self.lock().suspend(|| self.log(&text));
    }

    fn formed(&self, level: LogLevel, message: &str) -> String {
        let name = match level {
            LogLevel::Error => "error",
            LogLevel::Warn => "warning",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        };
        match (self.format, level) {
            (LogFormat::Json, _) => self.entry(json!({"time": now(), "level": name, "message": message})),
            (LogFormat::Text, LogLevel::Info) => format!("{}{}", self.run(), shown::message(message)),
            (LogFormat::Text, _) => format!("{}{name}: {}", self.run(), shown::message(message)),
        }
    }

    /// Returns a line of JSON, with the run that it is about.
    fn entry(&self, mut line: Value) -> String {
        if let Some(RunLabel { database, run, backup }) = self.subject() {
            line["database"] = json!(database);
            line["run"] = json!(run);
            if let Some(id) = backup {
                line["backup_id"] = json!(id);
            }
        }
        shown::json(&line.to_string())
    }

    /// Returns the prefix that names the run in a line of text; empty if lines do not name their run.
    fn run(&self) -> String {
        match self.subject().filter(|_| self.names_runs.load(Ordering::Relaxed)) {
            Some(RunLabel { database, run, .. }) => format!("[{} {run}] ", shown::word(&database)),
            None => String::new(),
        }
    }

    /// Returns the run that this thread works at.
    fn subject(&self) -> Option<RunLabel> {
        let subject = self.subject.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, subject) = subject.as_ref().filter(|(thread, _)| *thread == thread::current().id())?;
        Some(subject.clone())
    }

    fn log(&self, line: &str) {
        log::line(line, |count| self.formed(LogLevel::Warn, &left_out(count)));
    }

    fn lock(&self) -> MutexGuard<'_, OpenWork> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draws(&self) -> bool {
        self.format == LogFormat::Text && self.level >= LogLevel::Info && io::stderr().is_terminal()
    }
}

impl Monitor for Console {
    fn about(&self, subject: Option<&RunLabel>) {
        let mut own = self.subject.lock().unwrap_or_else(PoisonError::into_inner);
        *own = subject.map(|subject| (thread::current().id(), subject.clone()));
    }

    fn names(&self, backup: &str) {
        let mut own = self.subject.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, subject)) = own.as_mut() {
            subject.backup = Some(backup.to_owned());
        }
    }

    fn begin(&self, name: &str, total: Option<u64>) -> ProgressId {
        self.line(LogLevel::Info, name);
        self.lock().begin(name, total, self.draws())
    }

    fn update(&self, of: ProgressId, update: Update<'_>) {
        let line = self.lock().update(of, update);
        if let Some(line) = line {
            self.line(LogLevel::Info, &line);
        }
    }

    fn warn(&self, message: &str) {
        self.line(LogLevel::Warn, message);
    }

    fn info(&self, message: &str) {
        self.line(LogLevel::Info, message);
    }

    fn note(&self, message: &str) {
        self.line(LogLevel::Debug, message);
    }
}

/// Returns the error as a document: its message, its hints, and the exit code that it alone would have.
pub(crate) fn error_document(failure: &anyhow::Error) -> Value {
    let (hints, code) = (error::hints(failure), error::kind(failure).exit_code());
    json!({"message": format!("{failure:#}"), "hints": hints, "exit_code": code})
}

pub(crate) fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Prints panics as log lines made safe to show: a panic may quote foreign text.
pub fn tell_of_panics() {
    std::panic::set_hook(Box::new(|panic| log::line(&shown::message(&panic.to_string()), left_out)));
}

fn left_out(count: u64) -> String {
    format!(
        "{} {} left out here, as nobody read the log",
        shown::many(count, "line"),
        shown::agree(&count, "was", "were")
    )
}

/// Writes to stdout. A reader that leaves early (`pgbk list | head`) is no error. A slow reader is waited for until a
/// signal comes, which is then the error.
fn write_stdout(bytes: &[u8]) -> error::Result<()> {
    let written = io::stdout().flush().and_then(|()| reader::write(io::stdout(), bytes, || cancel::raised().is_none()));
    match (written, cancel::raised()) {
        (Ok(count), Some(signal)) if count < bytes.len() => Err(cancel::fault(signal).into()),
        (Err(error), _) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes a dump to stdout, for `--output -`. A reader that leaves early is an error here: not all of the dump has arrived.
pub(crate) struct Stdout(io::StdoutLock<'static>);

impl Stdout {
    pub fn lock() -> Stdout {
        Stdout(io::stdout().lock())
    }

    pub fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(left_early)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(left_early)
    }
}

fn left_early(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Fault::failed("the reader of stdout left before the end of the dump").into(),
        _ => error,
    }
}

/// Whether a person can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Lets the person choose one; None when they leave without choosing.
pub(crate) fn choose(prompt: &str, items: &[String]) -> error::Result<Option<usize>> {
    let items: Vec<_> = items.iter().map(|item| shown::word(item)).collect();
    let chosen = dialoguer::Select::new().with_prompt(shown::word(prompt)).items(&items).default(0).interact_opt();
    chosen.map_err(asked)
}

/// Asks for a text, for which one is proposed.
pub(crate) fn ask(prompt: &str, proposed: &str) -> error::Result<String> {
    let input = dialoguer::Input::new().with_prompt(shown::word(prompt)).default(proposed.to_owned());
    input.interact_text().map_err(asked)
}

/// Asks for a text that must be typed exactly; false when something else was typed.
pub(crate) fn confirm_by_typing(prompt: &str, expected: &str) -> error::Result<bool> {
    let typed: String =
        dialoguer::Input::new().with_prompt(shown::word(prompt)).allow_empty(true).interact_text().map_err(asked)?;
    Ok(typed == expected)
}

fn asked(error: dialoguer::Error) -> anyhow::Error {
    // A list hides the cursor and does not give it back when it is broken off.
    let _ = dialoguer::console::Term::stderr().show_cursor();
    let dialoguer::Error::IO(error) = error;
    match error.kind() {
        io::ErrorKind::Interrupted => cancel::fault(signal_hook::consts::SIGINT).into(),
        _ => anyhow::Error::from(error).context("ask on the terminal"),
    }
}
