//! The hdf5 format.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::{Choice, Context, DenseVolume, Volume};

/// Whether a file's first bytes are this format's.
pub(super) fn knows(head: &[u8]) -> bool {
    let _ = head;
    false
}

/// Opens an array of the file.
pub(super) fn open(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    let _ = (choice, context);
    Err(Error::unsupported("not yet read").in_file(path))
}

/// Saves a volume as an HDF5 file.
pub(super) fn save(path: &Path, volume: &DenseVolume<'_>) -> Result<()> {
    let _ = (path, volume);
    Err(Error::unsupported("HDF5 is not yet written"))
}
