//! What the control group of this process, such as a container or a batch job, may use.

use std::path::Path;
use std::sync::OnceLock;

/// The bytes of memory that this process's control group may use; none where nothing limits them.
///
/// Looked up once: a job's limit stays what it is while the job runs.
pub(super) fn memory_limit() -> Option<u128> {
    static LIMIT: OnceLock<Option<u128>> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        smallest(&groups, Path::new("/sys/fs/cgroup"))
    })
}

/// The smallest limit of these groups, as `/proc/self/cgroup` lists them, and of the groups around them.
///
/// Version 2 writes `0::/path` and keeps `memory.max`, or "max"; version 1 writes `4:memory:/path` and keeps
/// `memory.limit_in_bytes` below its controller's name, which is absurdly large where there is none.
/// Source: cgroups(7).
fn smallest(groups: &str, root: &Path) -> Option<u128> {
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (roots, name): (&[&str], _) = match controllers {
            "" => (&["", "unified"], "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => (&["memory"], "memory.limit_in_bytes"),
            _ => continue,
        };
        for mount in roots {
            let mount = root.join(mount);
            // A container may see its own group where the root of all should be, and so lack the path.
            let path = Path::new(path.trim_start_matches('/'));
            let around = path.ancestors().map(|group| read(&mount.join(group).join(name)));
            limits.extend(around.flatten());
        }
    }
    limits.into_iter().min()
}

fn read(path: &Path) -> Option<u128> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(files: &[(&str, &str)], groups: &str) -> Option<u128> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        smallest(groups, root.path())
    }

    #[test]
    fn the_smallest_limit_of_a_group_and_those_around_it_counts() {
        let files = [("a/memory.max", "4096000\n"), ("a/b/memory.max", "max\n"), ("c/memory.max", "7\n")];
        assert_eq!(with(&files, "0::/a/b\n"), Some(4_096_000));
        assert_eq!(with(&files, "0::/c\n"), Some(7));
        assert_eq!(with(&files, "0::/\n"), None);
        assert_eq!(with(&files, ""), None);
    }

    #[test]
    fn a_container_that_sees_its_own_group_as_the_root_is_limited_by_it() {
        assert_eq!(with(&[("memory.max", "9000000\n")], "0::/../host/path\n"), Some(9_000_000));
        assert_eq!(with(&[("memory.max", "9000000\n")], "0::/\n"), Some(9_000_000));
    }

    #[test]
    fn the_first_version_is_understood() {
        let files = [
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/job/memory.limit_in_bytes", "5000000\n"),
            ("unified/memory.max", "max\n"),
        ];
        let groups = "9:name=systemd:/\n4:cpu,memory:/job\n3:cpuset:/\n0::/\n";
        assert_eq!(with(&files, groups), Some(5_000_000));
    }

    #[test]
    fn nonsense_limits_nothing() {
        assert_eq!(with(&[("memory.max", "a lot\n")], "0::/\nnonsense\n4:memory\n"), None);
    }
}
