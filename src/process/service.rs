//! A child that is neither read nor written: it does its work, or serves until it is told to stop.

use super::child::Child;
use super::{Account, Environment, Fence};
use crate::error::{Fault, Result};
use crate::interrupt::TICK;
use rustix::process::Signal;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Dropping it kills it.
pub struct Service {
    child: Child,
}

impl Service {
    pub fn spawn(
        program: &Path,
        arguments: &[String],
        environment: &Environment,
        account: Option<Account>,
        fence: &Fence,
    ) -> Result<Service> {
        let child = Child::spawn(program, arguments, environment, Stdio::null(), Stdio::null(), account, Some(fence))?;
        Ok(Service { child })
    }

    /// Waits for its own end, which a signal to pgbk hastens.
    pub fn finish(mut self) -> Result<()> {
        self.child.conclude(None)
    }

    /// An error, with what it said, once it has ended.
    pub fn check(&mut self) -> Result<()> {
        if !self.child.is_over()? {
            return Ok(());
        }
        self.child.conclude(None)?;
        Err(Fault::failed(format!("{} ended by itself: {}", self.child.name(), self.child.remarks())).into())
    }

    /// Asks it to stop, and kills it where that takes longer. A signal to pgbk does not hasten this.
    pub fn stop(mut self, signal: Signal, limit: Duration) {
        let begun = Instant::now();
        self.child.signal(signal);
        while begun.elapsed() < limit && !self.child.is_over().unwrap_or(true) {
            std::thread::sleep(TICK / 10);
        }
        self.child.kill();
    }
}
