//! What several test files share: starts servers, stores and pgbk, and injects faults. Built once for all programs of tests.

pub mod authority;
pub mod capture;
pub mod ceph;
pub mod cluster;
pub mod crew;
pub mod database;
pub mod fake;
pub mod faulty;
pub mod forger;
pub mod golden;
pub mod id;
pub mod message;
pub mod obstacle;
pub mod pgbk;
pub mod process;
pub mod proof;
pub mod proxy;
pub mod query;
pub mod random;
pub mod s3;
pub mod scene;
pub mod scheduler;
