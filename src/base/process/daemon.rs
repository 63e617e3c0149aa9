//! A child whose stdin and stdout are not used: it does its work, or serves until it is stopped.

use crate::base::cancel::TICK;
use crate::base::error::{Fault, Result};
use crate::base::process::child::Child;
use crate::base::process::environment::{Account, ChildEnvironment};
use crate::base::process::fence::Fence;
use rustix::process::Signal;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A running child; dropping the value kills its process group.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    pub fn spawn(
        program: &Path,
        arguments: &[String],
        environment: &ChildEnvironment,
        account: Option<Account>,
        fence: &Fence,
    ) -> Result<Daemon> {
        let child = Child::spawn(program, arguments, environment, Stdio::null(), Stdio::null(), account, Some(fence))?;
        Ok(Daemon { child })
    }

    /// Waits until the child ends by itself. A signal to pgbk, or the end of the run's time, kills it, which is an error.
    pub fn finish(mut self) -> Result<()> {
        self.child.conclude(None)
    }

    /// Returns an error once the child has ended, even with exit status 0; it quotes the child's stderr.
    pub fn check(&mut self) -> Result<()> {
        if !self.child.is_over()? {
            return Ok(());
        }
        self.child.conclude(None)?;
        Err(Fault::failed(format!("{} ended by itself: {}", self.child.name(), self.child.remarks())).into())
    }

    /// Sends the signal, and kills the child if it has not ended after `limit`. A signal to pgbk does not shorten the wait.
    pub fn stop(mut self, signal: Signal, limit: Duration) {
        let begun = Instant::now();
        self.child.signal(signal);
        while begun.elapsed() < limit && !self.child.is_over().unwrap_or(true) {
            std::thread::sleep(TICK / 10);
        }
        self.child.kill();
    }
}
