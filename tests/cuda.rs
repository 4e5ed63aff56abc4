//! Batches on the GPU, with a stand-in for the driver: C programs that see every call and hold every copy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

use programs::output_of;

mod programs;
mod standin;

/// A folder with the stand-in, the library and one program.
struct Program {
    folder: tempfile::TempDir,
}

impl Program {
    fn built(name: &str) -> Self {
        Self::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name).with_extension("c"), &[])
    }

    /// The stand-in is compiled with these definitions.
    fn of(source: &Path, definitions: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        match definitions {
            [] => standin::put_into(folder.path()),
            _ => standin::build_into(folder.path(), definitions),
        }
        let library = std::env::current_exe().unwrap().with_file_name("libvoxfeed.so");
        assert!(library.is_file(), "{} is not built", library.display());
        for file in ["libvoxfeed.so", "libvoxfeed.so.0"] {
            std::os::unix::fs::symlink(&library, folder.path().join(file)).unwrap();
        }
        let mut compiler = Command::new("gcc");
        compiler.args(["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
        compiler.args(["-g", "-O1", "-pthread", "-I"]).arg(standin::sources()).arg("-I");
        compiler.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"));
        compiler.arg(source).arg("-o").arg(folder.path().join("program"));
        compiler.arg("-L").arg(folder.path()).args([
            "-Wl,--as-needed",
            "-lvoxfeed",
            "-l:libcuda.so.1",
            "-lm",
        ]);
        output_of(&mut compiler).unwrap();
        Self { folder }
    }

    /// Runs it with these variables; it is ended when it takes too long: a deadlock must fail, not hang.
    fn output(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new("timeout");
        command.arg("120").arg(self.folder.path().join("program")).args(arguments);
        command.env("LD_LIBRARY_PATH", self.folder.path()).env_remove("CUDA_VISIBLE_DEVICES");
        command.envs(variables.iter().copied()).output().unwrap()
    }

    /// Runs it; it must end well and say nothing on its error output.
    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let output = self.output(arguments, variables);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{complained}", output.status);
        assert_eq!(complained, "");
        String::from_utf8(output.stdout).unwrap()
    }

    fn run(&self) {
        self.run_with(&[], &[]);
    }

    /// Runs it with a driver that does not what it is told; it must notice.
    fn notices(&self, ignored: &str) {
        for arguments in [&[][..], &["cast"]] {
            let output = self.output(arguments, &[("STANDIN_IGNORE", ignored)]);
            let complained = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{complained}");
            // Wrong voxels, or a kernel that comes when the memory has gone.
            let noticed =
                ["is_right", "CUDA_ERROR_ILLEGAL_ADDRESS"].iter().any(|sign| complained.contains(sign));
            assert!(noticed, "{complained}");
        }
    }
}

#[test]
fn the_stand_in_keeps_order_time_bounds_and_accounts() {
    Program::of(&standin::sources().join("selftest.c"), &[]).run();
}

#[test]
fn batches_are_right_when_streams_come_to_them() {
    let program = Program::built("cuda_pattern");
    program.run();
    program.run_with(&["cast"], &[]);
}

#[test]
fn conversions_are_waited_for_and_their_failures_told() {
    Program::built("cuda_conversions").run();
}

#[test]
fn a_stream_that_does_not_wait_for_its_batch_is_noticed() {
    Program::built("cuda_pattern").notices("wait");
}

#[test]
fn an_upload_that_does_not_wait_for_its_slot_s_users_is_noticed() {
    Program::built("cuda_pattern").notices("retire");
}

#[test]
fn a_worker_that_does_not_wait_for_the_upload_is_noticed() {
    Program::built("cuda_pattern").notices("host");
}

#[test]
fn memory_is_used_again_when_all_streams_are_done_with_it() {
    Program::built("cuda_streams").run();
}

#[test]
fn default_streams_are_waited_for_whoever_releases() {
    Program::built("cuda_defaults").run();
}

#[test]
fn streams_of_other_devices_are_waited_for_where_they_are() {
    Program::built("cuda_foreign").run();
}

#[test]
fn captures_into_graphs_go_on_and_catch_no_batch() {
    Program::built("cuda_capture").run();
}

#[test]
fn a_prediction_that_is_elsewhere_is_refused_before_it_is_read() {
    Program::built("cuda_lent").run();
}

#[test]
fn callers_wait_for_nothing_and_keep_their_context() {
    Program::built("cuda_callers").run();
}

#[test]
fn everything_is_given_back_even_when_the_driver_has_gone() {
    Program::built("cuda_end").run();
}

#[test]
fn a_sealed_batch_is_sent_though_all_who_fill_wait() {
    Program::built("cuda_ahead").run();
}

#[test]
fn voxels_become_on_the_gpu_what_the_host_makes_of_them() {
    Program::built("cuda_cast").run();
}

#[test]
fn voxels_are_cast_on_the_host_where_the_driver_compiles_no_kernels() {
    Program::built("cuda_jit").run();
}

#[test]
fn predictions_on_the_gpu_are_added_behind_the_work_that_makes_them() {
    Program::built("cuda_predictions").run();
}

#[test]
fn sums_on_the_gpu_are_those_of_the_host_and_nobody_waits() {
    let program = Program::built("cuda_resident");
    program.run();
    program.run_with(&["broken"], &[]);
}

#[test]
fn a_stream_that_does_not_wait_until_its_prediction_is_added_is_noticed() {
    let output = Program::built("cuda_resident").output(&[], &[("STANDIN_IGNORE", "wait")]);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complained}");
    assert!(complained.contains("is_right"), "{complained}");
}

#[test]
fn pinned_batches_are_filled_again_when_their_users_are_done() {
    Program::built("cuda_host").run();
}

#[test]
fn what_the_driver_refuses_is_told_and_nothing_is_lost() {
    Program::built("cuda_faults").run();
}

#[test]
fn what_drivers_and_devices_lack_is_said_in_a_sentence() {
    let program = Program::built("cuda_create");
    assert_eq!(program.run_with(&[], &[]), "2 devices; OK\n");
    assert_eq!(program.run_with(&["host"], &[]), "2 devices; OK\n");
    assert_eq!(program.run_with(&["", "1"], &[]), "2 devices; OK\n");
    let none = "0 devices; VXF_STATUS_ERR_NO_DEVICE";
    let told = [
        ("", ("STANDIN_INIT", "100"), none, "CUDA_ERROR_NO_DEVICE"),
        ("", ("STANDIN_INIT", "999"), none, "CUDA_ERROR_UNKNOWN"),
        ("", ("STANDIN_INIT", "34"), none, "toolkit's stub"),
        ("", ("STANDIN_INIT", "802"), none, "fabric manager"),
        ("", ("STANDIN_INIT", "803"), none, "different versions"),
        ("", ("STANDIN_INIT", "804"), none, "LD_LIBRARY_PATH"),
        ("", ("STANDIN_INIT", "3"), "0 devices; VXF_STATUS_ERR_FORKED (3)", "spawn processes"),
        (
            "",
            ("STANDIN_FAIL", "cuDevicePrimaryCtxRetain:0:46"),
            "2 devices; VXF_STATUS_ERR_DEVICE (46)",
            "another has it",
        ),
        (
            "",
            ("STANDIN_FAIL", "cuMemHostAlloc:0:220"),
            "2 devices; VXF_STATUS_ERR_DEVICE (220)",
            "lost: the device or its link",
        ),
        (
            "",
            ("STANDIN_FAIL", "cuMemHostAlloc:0:709"),
            "2 devices; VXF_STATUS_ERR_DEVICE (709)",
            "destroyed or reset",
        ),
        ("", ("CUDA_VISIBLE_DEVICES", ""), none, "CUDA_ERROR_NO_DEVICE"),
        ("", ("CUDA_VISIBLE_DEVICES", "7"), none, "CUDA_ERROR_NO_DEVICE"),
        ("", ("STANDIN_DEVICES", "0"), none, "CUDA_ERROR_NO_DEVICE"),
        ("", ("STANDIN_VERSION", "11020"), none, "11.2, expected 11.4"),
        ("1", ("CUDA_VISIBLE_DEVICES", "1"), "1 devices; VXF_STATUS_ERR_NO_DEVICE", "CUDA_VISIBLE_DEVICES"),
        ("2", ("STANDIN_DEVICES", "2"), "2 devices; VXF_STATUS_ERR_NO_DEVICE", "no CUDA device 2"),
        ("-1", ("STANDIN_DEVICES", "2"), "2 devices; VXF_STATUS_ERR_NO_DEVICE", "no CUDA device -1"),
        ("0", ("STANDIN_MEMORY", "500"), "2 devices; VXF_STATUS_ERR_MEMORY (2)", "of 500 are free"),
        ("0", ("STANDIN_PINNED", "500"), "2 devices; VXF_STATUS_ERR_MEMORY (2)", "pinned"),
    ];
    for (device, variable, beginning, part) in told {
        for place in ["cuda", "host"] {
            if variable.0 == "STANDIN_MEMORY" && place == "host" {
                continue;
            }
            let said = program.run_with(&[place, device], &[variable]);
            assert!(said.starts_with(beginning) && said.contains(part), "{variable:?} {place}: {said}");
        }
    }
    let said = program.run_with(&["host"], &[("STANDIN_FAIL", "cuMemHostAlloc:0:720")]);
    assert!(said.contains("(720)") && !said.contains("lost"), "{said}");
}

#[test]
fn a_driver_without_a_function_or_none_at_all_is_said_so() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/cuda_create.c");
    for function in ["cuStreamWaitEvent", "cuMemHostAlloc", "cuInit"] {
        let said = Program::of(&source, &[&format!("-D{function}=absent")]).run_with(&[], &[]);
        assert!(said.starts_with("0 devices; VXF_STATUS_ERR_NO_DEVICE"), "{said}");
        assert!(said.contains(function) && said.contains("too old"), "{said}");
    }
    let program = Program::of(&source, &[]);
    for (content, reason) in [([b'?'; 100].as_slice(), "invalid ELF header"), (&[], "file too short")] {
        std::fs::write(program.folder.path().join("libcuda.so.1"), content).unwrap();
        let said = program.run_with(&[], &[]);
        assert!(said.starts_with("0 devices; VXF_STATUS_ERR_NO_DEVICE"), "{said}");
        assert!(said.contains("cannot be opened") && said.contains(reason), "{said}");
    }
}
