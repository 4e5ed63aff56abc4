//! The stand-in for NVIDIA's driver: C, built where a test needs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::output_of;

const SOURCES: [&str; 8] = [
    "control.c",
    "context.c",
    "stream.c",
    "event.c",
    "memory.c",
    "kernels.c",
    "library_kernels.c",
    "gpu_kernels.c",
];

/// The folder of its sources, and of the header that test programs include.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standin")
}

/// Builds `libcuda.so.1` into this folder; definitions are the compiler's: `-DcuX=absent` hides a function.
pub(crate) fn build_into(folder: &Path, definitions: &[&str]) {
    let mut compiler = Command::new("gcc");
    compiler.args(["-std=gnu11", "-O1", "-g", "-shared", "-fPIC", "-pthread", "-fvisibility=hidden"]);
    compiler.args(["-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-Wl,-soname,libcuda.so.1"]);
    compiler.args(definitions).args(SOURCES.map(|name| sources().join(name)));
    output_of(compiler.arg("-o").arg(folder.join("libcuda.so.1"))).unwrap();
}
