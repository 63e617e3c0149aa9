//! Restricts which files a child and its descendants may read and write. The kernel enforces it (Landlock), and no process inside
//! can lift it, whatever user it runs as.

use crate::base::error::{Fault, Result};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};
use std::io;
use std::path::PathBuf;

/// A set of Landlock rules, fixed once it is made.
pub struct Fence(RulesetCreated);

impl Fence {
    /// Allows reading and running only below `read`, and every access below `write`. Paths that do not exist are ignored. A newer
    /// kernel also blocks TCP connections and signals to processes outside. A kernel without Landlock is an error.
    pub fn around(read: &[PathBuf], write: &[PathBuf]) -> Result<Fence> {
        made(read, write).map(Fence).map_err(|error| {
            Fault::failed(format!("the kernel cannot keep a server of pgbk's own away from keys, backups and records: {error}"))
                .hint("that takes Linux 5.13 with Landlock switched on; or prove on a server that holds nothing else: VERIFY_DB_HOST")
                .into()
        })
    }

    pub(crate) fn another(&self) -> io::Result<Fence> {
        self.0.try_clone().map(Fence)
    }

    /// Applies the fence to this process, for ever.
    pub(crate) fn enter(self) -> io::Result<()> {
        self.0.restrict_self().map(drop).map_err(io::Error::other)
    }
}

fn made(read: &[PathBuf], write: &[PathBuf]) -> std::result::Result<RulesetCreated, RulesetError> {
    let newest = ABI::V6;
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?
        .create()?
        .add_rules(path_beneath_rules(read, AccessFs::from_read(newest)))?
        .add_rules(path_beneath_rules(write, AccessFs::from_all(newest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::process::daemon::Daemon;
    use crate::base::process::environment::ChildEnvironment;
    use std::path::Path;

    fn shell(script: &str, fence: &Fence) -> Result<()> {
        let arguments = ["-c".to_owned(), script.to_owned()];
        Daemon::spawn(Path::new("/bin/sh"), &arguments, &ChildEnvironment::default(), None, fence)?.finish()
    }

    #[test]
    fn who_is_inside_reads_and_writes_what_he_may_and_nothing_else_whoever_he_is() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("key"), "secret").unwrap();
        let programs = ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"].map(PathBuf::from);
        let fence = Fence::around(&programs, &[inside.path().to_owned(), PathBuf::from("/dev/null")]).unwrap();
        let (within, key) =
            (inside.path().join("new").display().to_string(), outside.path().join("key").display().to_string());
        shell(&format!("echo x > {within} && cat {within} > /dev/null && ls /usr > /dev/null"), &fence).unwrap();
        // Root is held as anybody, also by what it starts.
        for script in [
            format!("cat {key}"),
            format!("sh -c 'cat {key}'"),
            format!("echo x > {key}"),
            format!("rm {key}"),
            format!("ln {key} {within}2 && cat {within}2"),
            format!("ls {}", outside.path().display()),
            format!("cat /proc/{}/environ", std::process::id()),
            "cat /etc/shadow".to_owned(),
            "touch /usr/new".to_owned(),
            format!("kill -0 {}", std::process::id()),
        ] {
            let error = shell(&script, &fence).expect_err(&script).to_string();
            // Landlock answers to a link from outside as to one between file systems.
            assert!(error.contains("ermi") || error.contains("Invalid cross-device link"), "{script}: {error}");
        }
        assert_eq!(std::fs::read_to_string(key).unwrap(), "secret");
    }
}
