//! An assembled subject into a file.

use std::path::Path;

use crate::assemble::Output;
use crate::error::{Error, Result};
use crate::voxel::Affine;

/// Saves what was assembled, where its subject lies.
///
/// # Errors
/// `Unsupported`: this build has no writer.
pub(super) fn save(path: &Path, output: &Output, _bytes: &[u8], _affine: Option<Affine>) -> Result<()> {
    let Output { channels, shape, dtype } = output;
    let what = format!("saving {channels} channels of {shape} {dtype} is not supported by this build");
    Err(Error::unsupported(what).in_file(path))
}
