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
        Self::made_with(&[])
    }

    /// The stand-in is compiled with these definitions.
    fn made_with(definitions: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["driver", "data"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        match definitions {
            [] => standin::put_into(&folder.path().join("driver")),
            _ => standin::build_into(&folder.path().join("driver"), definitions),
        }
        let library = std::env::current_exe().unwrap().with_file_name("libvoxfeed.so");
        let pack = folder.path().join("pack");
        output_of(Command::new(top().join("tests/gpu/pack")).arg(library).arg(pack)).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A `PATH` whose `compute-sanitizer` is this script.
    fn with_tool(&self, script: &str) -> String {
        let tool = self.path("driver/compute-sanitizer");
        std::fs::write(&tool, format!("#!/bin/sh\n{script}\n")).unwrap();
        output_of(Command::new("chmod").arg("+x").arg(&tool)).unwrap();
        format!("{}:{}", self.path("driver").display(), std::env::var("PATH").unwrap())
    }

    /// One of the checks, as `run` calls it.
    fn check(&self, name: &str, variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new("timeout");
        command.arg("120").arg(self.path("pack/check")).arg(name).args(["--slow-ns", "1000000"]);
        command.arg("--data").arg(self.path("data"));
        command.env("LD_LIBRARY_PATH", self.path("driver")).env_remove("CUDA_VISIBLE_DEVICES");
        command.envs(variables.iter().copied()).output().unwrap()
    }

    /// `run --quick` with the stand-in, told so much by its variables.
    fn run(&self, variables: &[(&str, &str)]) -> Output {
        self.run_with(&[], variables)
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new("timeout");
        command.arg("300").arg(self.path("pack/run")).arg("--quick").args(arguments);
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
            && !["run", "needs"].iter().any(|name| path.ends_with(name))
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
    let needs = std::fs::read_to_string(pack.path("pack/needs")).unwrap();
    let version = needs.strip_prefix("glibc 2.").and_then(|minor| minor.trim_end().parse::<u32>().ok());
    assert!(version.is_some_and(|minor| (17..100).contains(&minor)), "{needs}");
}

#[test]
fn the_quick_run_passes_and_writes_its_table() {
    let pack = Pack::made();
    let tools = pack.with_tool("echo '========= Error: Device not supported.'; exit 1");
    let output = pack.run(&[("PATH", &tools)]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("  skip  compute-sanitizer: it does not work here: ===="), "{said}");
    let told = [
        ("device", "Stand-in"),
        ("stream", "batches"),
        ("null-stream", "batches"),
        ("legacy-stream", "batches"),
        ("thread-streams", "batches"),
        ("thread-releases", "released by another thread"),
        ("thread-ends", "had ended"),
        ("two-loaders", "batches"),
        ("two-streams", "batches"),
        ("capture", "was captured"),
        ("casts", "casts on the device"),
        ("conversions", "the device's bits are the host's"),
        ("predictions", "joined voxels have the host's bits"),
        ("ends", "ended well"),
    ];
    for (name, compared) in told {
        let line = said.lines().find(|line| line.starts_with(&format!("  ok    {name}: ")));
        assert!(line.is_some_and(|line| line.contains(compared)), "{name}\n{said}");
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
    for name in ["stream", "null-stream", "thread-releases", "thread-ends", "two-streams", "two-loaders"] {
        assert!(said.contains(&format!("  FAIL  {name} ")), "{name}\n{said}");
    }
    assert!(!pack.path("gpu.md").exists(), "figures of a wrong run were written");
}

/// What a check that must fail says.
fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn the_conversions_notice_a_device_that_rounds_otherwise() {
    let said = complaint(&Pack::made_with(&["-Drint=trunc"]).check("conversions", &[]));
    assert!(said.contains("on the device and") && said.contains("\"dtype\":\"i16\""), "{said}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_conversions_notice_a_device_that_flushes_subnormal_singles() {
    let said = complaint(&Pack::made_with(&["-DFLUSHES"]).check("conversions", &[]));
    assert!(said.contains("on the device and"), "{said}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_predictions_notice_a_device_that_adds_otherwise() {
    let said = complaint(&Pack::made_with(&["-DFLUSHES"]).check("predictions", &[]));
    assert!(said.contains("memcmp(taken"), "{said}");
}

#[test]
fn the_predictions_notice_a_copy_that_waits_for_nobody_or_that_nobody_waits_for() {
    let pack = Pack::made();
    for ignored in ["wait", "host"] {
        let said = complaint(&pack.check("predictions", &[("STANDIN_IGNORE", ignored)]));
        assert!(said.contains("memcmp(taken"), "{ignored}: {said}");
    }
}

#[test]
fn the_capture_notices_threads_that_break_it() {
    let said = complaint(&Pack::made().check("capture", &[("STANDIN_IGNORE", "mode")]));
    assert!(said.contains("CUDA_ERROR_STREAM_CAPTURE_"), "{said}");
}

/// The text that a real device compiles: a subnormal single stays one, and each operation is rounded on its own.
#[test]
fn the_library_s_kernels_neither_flush_nor_fuse() {
    let text = std::fs::read_to_string(top().join("src/sys/cuda/kernels/kernels.ptx")).unwrap();
    assert!(text.contains("mul.rn.f32") && text.contains("div.rn.f32"));
    for forbidden in [".ftz", ".approx", "fma.", "mad.rn.f"] {
        assert!(!text.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn a_tool_that_finds_something_fails_the_run_and_costs_no_figure() {
    let pack = Pack::made();
    let tools = pack.with_tool("case $*,$PWD in *racecheck*) echo a race; exit 9 ;; esac");
    let output = pack.run(&[("PATH", &tools)]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("  FAIL  compute-sanitizer, racecheck, stream (9)\n        a race"), "{said}");
    assert!(said.contains(", 1 failed, ") && pack.path("gpu.md").exists(), "{said}");
}

#[test]
fn a_run_without_time_says_so() {
    let output = Pack::made().run_with(&["--part", "checks", "--limit", "0"], &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("  FAIL  predictions (124)\n        nothing is left of 0 s"), "{said}");
}

#[test]
fn the_run_says_what_a_machine_without_a_device_lacks() {
    let pack = Pack::made();
    let output = pack.run(&[("STANDIN_DEVICES", "0")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("NO_DEVICE"), "{said}");
}
