//! One run: a database is backed up, or its backup is proven; whatever comes of it is written down, and people are told.

mod backups;
mod item;
mod ledger;
mod proofs;

pub use crate::proof::Plan as ProofPlan;
pub use backups::Backups;
pub use ledger::{Ledger, Outcome, exit_code};
pub use proofs::Proofs;
