//! What a file or folder is, told by its content.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::hdf5::Hdf5File;
use crate::store::{ChannelPlace, Context, Dataset, Entry, Subject, Volume, hdf5, nifti, npy, npz, pymia};

/// Which array of a file is meant, where a file has several or does not say how its axes lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The dataset or member in the file: "/data/vol" in HDF5, "data" in npz.
    pub inner: Option<String>,
    /// Where the array keeps its channel axis.
    pub channel: ChannelPlace,
}

/// The bytes at a file's beginning that tell its format.
const HEAD_BYTES: usize = 544;

/// Opens one volume of a file, its format told by its content; no voxel is read.
///
/// # Errors
/// `NotFound` or `Io` where it cannot be opened, `Format` where it is broken, `Unsupported` where no
/// reader knows it.
pub fn volume(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    let head = head(path)?;
    if npy::knows(&head) {
        return npy::open(path, choice, context);
    }
    if npz::knows(&head) {
        return npz::open(path, choice, context);
    }
    if hdf5::knows(&head) {
        return hdf5::open(path, choice, context);
    }
    if nifti::knows(path, &head) {
        return nifti::open(path, choice, context);
    }
    Err(unknown(path, &head).in_file(path))
}

/// Opens a file or a folder as a dataset.
pub(super) fn dataset(path: &Path, context: Context) -> Result<Dataset> {
    if hdf5::knows(&head(path)?) {
        let file = Hdf5File::open(path)?;
        if pymia::knows(&file) {
            return pymia::open(&file, context);
        }
    }
    let mut dataset = Dataset::in_context(context);
    let volume = volume(path, &Choice::default(), dataset.context())?;
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let id = name.split('.').next().unwrap_or_default().to_owned();
    let mut subject = Subject::new(id.clone());
    dataset.context().add(&mut subject, "images", Entry::new(id, volume))?;
    dataset.add_subject(subject)?;
    Ok(dataset)
}

/// The first bytes of a file.
fn head(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|cause| Error::io(path, cause))?;
    let mut head = Vec::with_capacity(HEAD_BYTES);
    file.take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(|cause| Error::io(path, cause))?;
    Ok(head)
}

/// The endings of names that promise a format.
const ENDINGS: [&str; 9] = [".npy", ".npz", ".nii", ".nii.gz", ".hdr", ".h5", ".hdf5", ".img", ".img.gz"];

/// The error about content that no reader knows.
fn unknown(path: &Path, head: &[u8]) -> Error {
    if head.is_empty() {
        return Error::format("the file is empty");
    }
    let shown: String = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if let Some(ending) = ENDINGS.into_iter().find(|ending| name.ends_with(ending)) {
        return Error::format(format!("the content, which begins with {shown}, is not that of {ending}"));
    }
    Error::unsupported(format!(
        "the content, which begins with {shown}, is none of HDF5, npy, npz, NIfTI or a JSON manifest"
    ))
}
