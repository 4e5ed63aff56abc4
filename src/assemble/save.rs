//! An assembled subject into a file.

use std::path::Path;

use crate::assemble::Output;
use crate::error::Result;
use crate::store::{self, DenseVolume};
use crate::voxel::Affine;

/// Saves what was assembled, where its subject lies.
pub(super) fn save(path: &Path, output: &Output, bytes: &[u8], affine: Option<Affine>) -> Result<()> {
    let Output { channels, shape, dtype } = *output;
    store::save(path, &DenseVolume { shape, channels, dtype, bytes, affine })
}
