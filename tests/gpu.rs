//! What `./x gpu` runs where there is a GPU, run here with a stand-in for its driver and few batches, so that it is
//! known to work when a GPU comes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use programs::output_of;

mod programs;
mod standin;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with the pack of this very build, the stand-in in a folder of its own, and a place for data.
struct Pack {
    folder: tempfile::TempDir,
}

impl Pack {
    fn made() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["driver", "data"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        standin::put_into(&folder.path().join("driver"));
        let library = std::env::current_exe().unwrap().with_file_name("libvoxfeed.so");
        let pack = folder.path().join("pack");
        output_of(Command::new(top().join("tests/gpu/pack")).arg(library).arg(pack)).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `run --quick` with the stand-in, told so much by its variables.
    fn run(&self, variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new("timeout");
        command.arg("300").arg(self.path("pack/run")).arg("--quick");
        command.arg("--data").arg(self.path("data")).arg("--table").arg(self.path("gpu.md"));
        if let Some(python) = std::env::var_os("VXF_PYTHON") {
            command.arg("--python").arg(python).env("PYTHONPATH", top().join("tests/gpu/fake"));
        }
        command.env("LD_LIBRARY_PATH", self.path("driver")).env_remove("CUDA_VISIBLE_DEVICES");
        command.current_dir(self.folder.path()).envs(variables.iter().copied()).output().unwrap()
    }
}

#[test]
fn the_pack_is_small_and_needs_only_a_driver_and_glibc() {
    let pack = Pack::made();
    let mut bytes = 0;
    for entry in std::fs::read_dir(pack.path("pack")).unwrap() {
        let path = entry.unwrap().path();
        bytes += std::fs::metadata(&path).unwrap().len();
        if path.extension().is_none_or(|extension| extension == "0")
            && path.is_file()
            && !path.ends_with("run")
        {
            let said = output_of(Command::new("readelf").arg("-d").arg(&path)).unwrap();
            let needed = said.lines().filter(|line| line.contains("(NEEDED)"));
            let known = ["libc.so", "libm.so", "libgcc_s.so", "ld-linux", "libvoxfeed.so.0"];
            let strangers: Vec<_> =
                needed.filter(|line| !known.iter().any(|name| line.contains(name))).collect();
            assert!(strangers.is_empty(), "{}: {strangers:?}", path.display());
        }
    }
    assert!(bytes < 60_000_000, "{bytes}");
}

#[test]
fn the_quick_run_passes_and_writes_its_table() {
    let pack = Pack::made();
    let output = pack.run(&[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for name in
        ["stream", "null-stream", "legacy-stream", "thread-streams", "two-loaders", "two-streams", "casts"]
    {
        assert!(said.contains(&format!("  ok    {name}")), "{name}\n{said}");
    }
    let table = std::fs::read_to_string(pack.path("gpu.md")).unwrap();
    let mut figures =
        vec!["best pinned copy", "| the loader |", "cast on the host", "that it waits", "Stand-in"];
    if std::env::var_os("VXF_PYTHON").is_some() {
        assert!(said.contains("are right in PyTorch"), "{said}");
        figures.extend(["voxfeed in PyTorch", "PyTorch's DataLoader", "DALI"]);
    }
    for figure in figures {
        assert!(table.contains(figure), "{figure}\n{table}");
    }
}

#[test]
fn the_run_notices_memory_that_is_used_again_too_early() {
    let pack = Pack::made();
    let output = pack.run(&[("STANDIN_IGNORE", "retire")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    for name in ["stream", "null-stream", "two-streams", "two-loaders"] {
        assert!(said.contains(&format!("  FAIL  {name} ")), "{name}\n{said}");
    }
    assert!(!pack.path("gpu.md").exists(), "figures of a wrong run were written");
}

#[test]
fn the_run_says_what_a_machine_without_a_device_lacks() {
    let pack = Pack::made();
    let output = pack.run(&[("STANDIN_DEVICES", "0")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("NO_DEVICE"), "{said}");
}
