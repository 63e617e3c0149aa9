//! One child process: started, waited for, killed with its group.

use crate::base::cancel;
use crate::base::error::{Fault, Kind, Result};
use crate::base::process::environment::{Account, ChildEnvironment};
use crate::base::process::fence::Fence;
use crate::base::process::stderr_tail::StderrListener;
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The kernel's default limit for a pipe that an ordinary user enlarges.
const PIPE: usize = 1 << 20;

pub(crate) struct Child {
    name: String,
    process: std::process::Child,
    remarks: StderrListener,
    ended: Option<ExitStatus>,
}

impl Child {
    pub(crate) fn spawn(
        program: &Path,
        arguments: &[String],
        environment: &ChildEnvironment,
        stdin: Stdio,
        stdout: Stdio,
        account: Option<Account>,
        fence: Option<&Fence>,
    ) -> Result<Child> {
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(environment.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(stdin).stdout(stdout).stderr(Stdio::piped()).process_group(0);
        if let Some(Account { user, group }) = account {
            // It may not be able to look at the folder that pgbk was started in.
            command.uid(user).gid(group).current_dir("/");
        }
        die_with_parent(&mut command);
        inherit(&mut command, environment);
        if let Some(fence) = fence {
            close_in(&mut command, fence.another()?);
        }
        let mut process = command.spawn().map_err(|error| cannot_run(program, &error))?;
        let stderr = process.stderr.take().ok_or_else(|| Fault::failed(format!("{name} has no stderr")))?;
        let remarks = StderrListener::of(stderr).inspect_err(|_| {
            let _ = process.kill();
            let _ = process.wait();
        })?;
        Ok(Child { name, process, remarks, ended: None })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn process(&mut self) -> &mut std::process::Child {
        &mut self.process
    }

    pub(crate) fn remarks(&self) -> String {
        self.remarks.text()
    }

    /// Waits until the child ends by itself. A signal, the end of the run's time or `limit` kills it, which is an error, and so is
    /// an exit status other than 0.
    pub(crate) fn conclude(&mut self, limit: Option<Duration>) -> Result<()> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(1);
        while !self.is_over()? {
            cancel::check().inspect_err(|_| self.kill())?;
            if limit.is_some_and(|limit| begun.elapsed() >= limit) {
                self.kill();
                return Err(Fault::failed(format!("{} closed its output but did not end", self.name)).into());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(cancel::TICK);
        }
        self.end();
        self.verdict()
    }

    /// Returns whether the child has ended, without reaping it: the process id, and with it the group's, stays ours until
    /// [`Child::end`].
    pub(crate) fn is_over(&self) -> Result<bool> {
        if self.ended.is_some() {
            return Ok(true);
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(rustix::process::waitid(WaitId::Pid(self.pid()), options).map_err(io::Error::from)?.is_some())
    }

    pub(crate) fn has_exited(&self) -> bool {
        self.ended.is_some_and(|status| status.code().is_some())
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // Fails only when it is gone, which is what signals are for.
            let _ = rustix::process::kill_process(self.pid(), signal);
        }
    }

    pub(crate) fn kill(&mut self) {
        if self.ended.is_none() {
            // Fails only when nobody is left in the group.
            let _ = rustix::process::kill_process_group(self.pid(), Signal::KILL);
            self.end();
        }
    }

    /// Kills what is left of the group, then reaps the child.
    fn end(&mut self) {
        if self.ended.is_none() {
            // Processes the child left behind would keep its stderr open; the group is the child's, so nobody else is hit.
            let _ = rustix::process::kill_process_group(self.pid(), Signal::KILL);
            self.ended = self.process.wait().ok();
            self.remarks.settle();
        }
    }

    fn verdict(&self) -> Result<()> {
        let how = match self.ended {
            Some(status) if status.success() => return Ok(()),
            Some(status) => describe(status),
            None => "ended in an unknown way".to_owned(),
        };
        let remarks = self.remarks.text();
        let text = if remarks.is_empty() { String::new() } else { format!(": {remarks}") };
        Err(Fault::failed(format!("{} {how}{text}", self.name)).into())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit status {code}"),
        (None, Some(9)) => "was killed by signal 9 (out of memory, or killed by hand)".to_owned(),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

fn cannot_run(program: &Path, error: &io::Error) -> Fault {
    let kind = if error.kind() == io::ErrorKind::NotFound { Kind::Usage } else { Kind::Failed };
    Fault::new(kind, format!("cannot run \"{}\": {error}", program.display()))
}

/// A bigger pipe means fewer switches between the two processes. Not being allowed one only costs a little speed.
pub(crate) fn enlarge(pipe: impl std::os::fd::AsFd) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE);
}

/// Keeps the environment's files open when the program starts; all others are closed.
#[allow(unsafe_code)]
fn inherit(command: &mut Command, environment: &ChildEnvironment) {
    let files = environment.files.clone();
    let hook = move || files.iter().try_for_each(|file| Ok(rustix::io::fcntl_setfd(file, FdFlags::empty())?));
    // SAFETY: between fork and exec the hook makes one system call for each file; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(hook) };
}

/// Enters the fence as the last step before the program starts, after the change of account.
#[allow(unsafe_code)]
fn close_in(command: &mut Command, fence: Fence) {
    let mut fence = Some(fence);
    let hook = move || fence.take().map_or(Err(io::ErrorKind::Interrupted.into()), Fence::enter);
    // SAFETY: between fork and exec the hook makes three system calls; it neither allocates nor takes a lock unless one of them fails.
    unsafe { command.pre_exec(hook) };
}

/// Asks the kernel to kill the child with its parent, so that even a killed pgbk leaves no dump running on the server.
#[allow(unsafe_code)]
fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let hook = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the request was in place.
        if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    };
    // SAFETY: between fork and exec the hook makes two system calls; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(hook) };
}
