//! Keeps captures going, beside a scheduler or alone, and shows how far they are.

pub mod capture_keeper;
pub(crate) mod capture_loop;
pub mod capture_trouble;
pub(crate) mod record_file;
pub(crate) mod watched_capture;
