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
    fn built(source: &Path, definitions: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        standin::build_into(folder.path(), definitions);
        let mut compiler = Command::new("gcc");
        compiler.args(["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
        compiler.args(["-g", "-O1", "-pthread", "-I"]).arg(standin::sources());
        compiler.arg(source).arg("-o").arg(folder.path().join("program"));
        compiler.arg("-L").arg(folder.path()).arg("-l:libcuda.so.1");
        output_of(&mut compiler).unwrap();
        Self { folder }
    }

    /// Runs it with these variables; it is ended when it takes too long: a deadlock must fail, not hang.
    fn output(&self, variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new("timeout");
        command.arg("120").arg(self.folder.path().join("program")).env("LD_LIBRARY_PATH", self.folder.path());
        command.env_remove("CUDA_VISIBLE_DEVICES").envs(variables.iter().copied());
        command.output().unwrap()
    }

    fn run(&self) {
        let output = self.output(&[]);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{complained}", output.status);
        assert_eq!(complained, "");
    }
}

#[test]
fn the_stand_in_keeps_order_time_bounds_and_accounts() {
    Program::built(&standin::sources().join("selftest.c"), &[]).run();
}
