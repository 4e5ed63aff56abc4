//! One volume as an HDF5 file.

use std::path::Path;

use crate::error::{Error, Result};
use crate::store::Header;
use crate::store::hdf5::Hdf5Writer;

/// The letters of the spatial axes, slowest first, as many from the end as there are axes.
const AXES: &str = "vutzyx";

/// Writes a volume as the dataset "data" of a new file, over an old file of this name.
///
/// The bytes are dense, channel first, slowest axis first. The dataset's attributes say what it is: `axes`
/// ("zyx", or "czyx" with channels), `affine` (4 x 4, from indices x, y, z to RAS+ millimetres, as NIfTI
/// has it) and `spacing_mm` (x, y, z).
///
/// # Errors
/// `Argument` where the bytes do not fit the header; `NotFound` or `Io` where the file cannot be written.
pub(crate) fn save(path: &Path, header: &Header, bytes: &[u8]) -> Result<()> {
    let needed = header.byte_len()?;
    if bytes.len() != needed {
        let (given, shape, dtype) = (bytes.len(), header.shape, header.dtype);
        let text = format!("{given} bytes do not hold {shape} of {dtype}, expected {needed}");
        return Err(Error::argument(text));
    }
    let mut extents = header.shape.extents().to_vec();
    let spatial = AXES.get(AXES.len() - extents.len()..).unwrap_or(AXES);
    let mut axes = spatial.to_owned();
    if header.channels != 1 {
        extents.insert(0, header.channels);
        axes.insert(0, 'c');
    }
    let rows = header.affine.map(|affine| {
        let [r, a, s] = affine.fastest_first();
        [r, a, s, [0.0, 0.0, 0.0, 1.0]]
    });
    let partial = crate::store::files::beside(path);
    let write = || {
        let file = Hdf5Writer::create(&partial)?;
        file.array("data", &extents, header.dtype, bytes)?;
        file.describe("data", &axes, rows.as_ref())?;
        file.close()?;
        std::fs::rename(&partial, path).map_err(|cause| Error::io(path, cause))
    };
    let written = write();
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

/// The version of the HDF5 library that this build carries.
pub fn library_version() -> String {
    let (major, minor, patch) = hdf5::library_version();
    format!("{major}.{minor}.{patch}")
}
