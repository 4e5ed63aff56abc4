//! The stand-in for NVIDIA's driver: C, built where a test needs it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::programs::output_of;

const SOURCES: [&str; 9] = [
    "control.c",
    "context.c",
    "stream.c",
    "event.c",
    "capture.c",
    "memory.c",
    "kernels.c",
    "library_kernels.c",
    "gpu_kernels.c",
];

/// The folder of its sources, and of the header that test programs include.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standin")
}

/// Puts `libcuda.so.1` into this folder; it is compiled once in a process.
pub(crate) fn put_into(folder: &Path) {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let own =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("standin-{}", env!("CARGO_CRATE_NAME")));
        std::fs::create_dir_all(&own).unwrap();
        build_into(&own, &[]);
        own.join("libcuda.so.1")
    });
    std::fs::copy(built, folder.join("libcuda.so.1")).unwrap();
}

/// Builds `libcuda.so.1` into this folder; definitions are the compiler's: `-DcuX=absent` hides a function.
pub(crate) fn build_into(folder: &Path, definitions: &[&str]) {
    let mut compiler = Command::new("gcc");
    compiler.args(["-std=gnu11", "-O1", "-g", "-shared", "-fPIC", "-pthread", "-fvisibility=hidden"]);
    compiler.args(["-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-Wl,-soname,libcuda.so.1"]);
    compiler.args(definitions).args(SOURCES.map(|name| sources().join(name)));
    output_of(compiler.arg("-o").arg(folder.join("libcuda.so.1"))).unwrap();
}
