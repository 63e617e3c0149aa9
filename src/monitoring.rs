//! Shows how backups go: status, metrics, the status page and its publisher, and the doctor.

pub(crate) mod age;
pub(crate) mod capture_condition;
pub mod doctor;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod page;
pub(crate) mod publisher;
pub(crate) mod server;
pub(crate) mod source;
pub(crate) mod status;
pub(crate) mod status_facts;
