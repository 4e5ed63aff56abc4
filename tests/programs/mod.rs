//! Running the programs that users have: compilers, cmake, what was just built.

use std::error::Error;
use std::process::Command;

/// Runs the command and gives what it printed; a failure is an error with all that it said.
pub(crate) fn output_of(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complained = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}\n{said}\n{complained}", output.status).into())
}
