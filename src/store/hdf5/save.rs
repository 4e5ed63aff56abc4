//! One volume as an HDF5 file.

use std::path::Path;

use crate::error::Result;
use crate::store::DenseVolume;
use crate::store::hdf5::Hdf5Writer;

/// The letters of the spatial axes, slowest first, as many from the end as there are axes.
const AXES: &str = "vutzyx";

/// Writes a volume as the dataset "data" of a new file.
///
/// The dataset's attributes say what it is: `axes` ("zyx", or "czyx" with channels), `affine` (4 x 4, from
/// indices x, y, z to RAS+ millimetres, as NIfTI has it) and `spacing_mm` (x, y, z).
///
/// # Errors
/// `Argument` where the bytes do not fit the shape; `NotFound` or `Io` where the file cannot be written.
pub(in crate::store) fn save(path: &Path, volume: &DenseVolume<'_>) -> Result<()> {
    volume.check()?;
    let mut extents = volume.shape.extents().to_vec();
    let spatial = AXES.get(AXES.len() - extents.len()..).unwrap_or(AXES);
    let mut axes = spatial.to_owned();
    if volume.channels != 1 {
        extents.insert(0, volume.channels);
        axes.insert(0, 'c');
    }
    let rows = volume.affine.map(|affine| {
        let [r, a, s] = affine.fastest_first();
        [r, a, s, [0.0, 0.0, 0.0, 1.0]]
    });
    let file = Hdf5Writer::create(path)?;
    file.array("data", &extents, volume.dtype, volume.bytes)?;
    file.describe("data", &axes, rows.as_ref())?;
    file.close()
}

/// The version of the HDF5 library that this build carries.
pub fn library_version() -> String {
    let (major, minor, patch) = hdf5::library_version();
    format!("{major}.{minor}.{patch}")
}
