//! Where this build put the library, and running other programs on it.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

/// The shared library of the very build that this test belongs to: cargo puts both in one folder.
pub(crate) fn library() -> Result<PathBuf, Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let library = program.with_file_name("libvoxfeed.so");
    if library.is_file() {
        Ok(library)
    } else {
        Err(format!("{} is not built", library.display()).into())
    }
}

/// Runs the command and gives what it printed; a failure is an error with all that it said.
pub(crate) fn output_of(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complained = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}\n{said}\n{complained}", output.status).into())
}
