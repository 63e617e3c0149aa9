//! Finds how much memory there is for this process: the machine's, or the limit of a container or a service.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Root of the paths under which the kernel shows memory and limits.
const SYSTEM: &str = "/";
/// Compression may take this part of the memory: one half. The rest is for pg_dump, for data on its way to the store,
/// and for other processes under the same limit.
const PART: u64 = 2;

/// Returns how many bytes compression may take.
pub fn room() -> u64 {
    static ROOM: OnceLock<u64> = OnceLock::new();
    *ROOM.get_or_init(|| limit(Path::new(SYSTEM)).map_or(u64::MAX, |limit| limit / PART))
}

/// Returns the smallest of all limits that hold, in bytes. None: the kernel shows none.
fn limit(system: &Path) -> Option<u64> {
    let groups = fs::read_to_string(system.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|line| of_group(system, line));
    limits.chain(of_machine(system)).min()
}

fn of_machine(system: &Path) -> Option<u64> {
    let text = fs::read_to_string(system.join("proc/meminfo")).ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Returns the limits of a control group and of all groups above it, in bytes: `0::/a/b` in version 2,
/// `4:memory:/a/b` in version 1. Groups above a container's own root cannot be seen, but then the limit is shown at
/// the root.
fn of_group(system: &Path, line: &str) -> Vec<u64> {
    let mut parts = line.splitn(3, ':');
    let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return Vec::new();
    };
    let at = |below: &str| system.join("sys/fs/cgroup").join(below);
    let (mounts, files): (Vec<PathBuf>, &[&str]) = match controllers {
        "" => (vec![at(""), at("unified")], &["memory.max", "memory.high"]),
        some if some.split(',').any(|one| one == "memory") => (vec![at("memory")], &["memory.limit_in_bytes"]),
        _ => return Vec::new(),
    };
    let groups: Vec<&Path> = Path::new(path.trim_start_matches('/')).ancestors().collect();
    let places = mounts.iter().flat_map(|mount| groups.iter().map(move |group| mount.join(group)));
    let texts = places.flat_map(|place| files.iter().map(move |file| fs::read_to_string(place.join(file))));
    // "max" is no limit.
    texts.filter_map(|text| text.ok()?.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// The groups of the process, files with what is in them, and the limit.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<u64>);

    #[test]
    fn the_smallest_limit_of_all_groups_holds_in_either_version_and_in_containers() {
        let cases: [Case; 12] = [
            ("", &[], None),
            ("0::/\n", &[("proc/meminfo", "MemTotal:       2048 kB\nMemFree: 1 kB\n")], Some(2 * MIB)),
            ("0::/\n", &[("sys/fs/cgroup/memory.max", "max\n")], None),
            ("0::/\n", &[("sys/fs/cgroup/memory.max", "1048576\n")], Some(MIB)),
            (
                "0::/a/b\n",
                &[("sys/fs/cgroup/a/memory.max", "2097152\n"), ("sys/fs/cgroup/a/b/memory.max", "max\n")],
                Some(2 * MIB),
            ),
            (
                "0::/a/b\n",
                &[("sys/fs/cgroup/a/memory.max", "2097152"), ("sys/fs/cgroup/a/b/memory.high", "1048576")],
                Some(MIB),
            ),
            // A container that sees its own group as the root.
            ("0::/../../docker/x\n", &[("sys/fs/cgroup/memory.max", "1048576\n")], Some(MIB)),
            (
                "12:cpu:/\n4:memory:/docker/x\n",
                &[("sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576\n")],
                Some(MIB),
            ),
            (
                "4:hugetlb,memory:/a\n0::/\n",
                &[("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576\n")],
                Some(MIB),
            ),
            // No limit in version 1, and the machine's.
            (
                "4:memory:/\n",
                &[
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                    ("proc/meminfo", "MemTotal: 1024 kB\n"),
                ],
                Some(MIB),
            ),
            ("4:memory:/\n0::/s\n", &[("sys/fs/cgroup/unified/s/memory.max", "1048576\n")], Some(MIB)),
            ("nonsense\n::\n1:2", &[("sys/fs/cgroup/memory.max", "x\n")], None),
        ];
        for (groups, files, expected) in cases {
            let system = tempfile::tempdir().unwrap();
            for (path, text) in files.iter().chain(&[("proc/self/cgroup", groups)]) {
                let path = system.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            assert_eq!(limit(system.path()), expected, "{groups} {files:?}");
        }
    }

    #[test]
    fn this_machine_has_a_limit() {
        assert!(room() > MIB && room() < u64::MAX);
    }
}
