//! What a file or folder is, told by its content.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::hdf5::Hdf5File;
use crate::store::{
    ChannelPlace, Context, Dataset, Volume, folder, hdf5, manifest, medsegpy, nifti, nnunet, npy, npz, pymia,
    slide,
};
use crate::sys::open_to_read;

/// Which array of a file is meant, where a file has several or does not say how its axes lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The dataset or member in the file: "/data/vol" in HDF5, "data" in npz, the level "2" of a slide.
    pub inner: Option<String>,
    /// Where the array keeps its channel axis.
    pub channel: ChannelPlace,
}

/// The bytes at a file's beginning that tell its format, HDF5's user blocks up to 4096 bytes counted in.
const HEAD_BYTES: usize = 4104;

/// Opens one volume of a file, its format told by its content; no voxel is read.
///
/// # Errors
/// `NotFound` or `Io` where it cannot be opened, `Format` where it is broken, `Unsupported` where no
/// reader knows it.
pub fn volume(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    if path.is_dir() {
        return match is_volume_folder(path) {
            true => open_zarr(path, choice, context),
            false => Err(unknown_folder(path)),
        };
    }
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
    if blosc2_frame(&head) {
        return open_b2nd(path, choice, context);
    }
    if nifti::knows(path, &head) {
        return nifti::open(path, choice, context);
    }
    if slide::knows(path, &head) {
        return slide::open(path, choice, context);
    }
    Err(unknown(path, &head).in_file(path))
}

/// Opens a file or a folder as a dataset.
pub(super) fn dataset(path: &Path, context: Context) -> Result<Dataset> {
    if path.is_dir() && !is_volume_folder(path) {
        return folder_dataset(path, context);
    }
    if path.is_dir() {
        let mut dataset = Dataset::in_context(context);
        let subject = folder::single(path, dataset.context())?;
        dataset.add_subject(subject)?;
        return Ok(dataset);
    }
    let head = head(path)?;
    if manifest::knows(&head) {
        return manifest::open(path, context);
    }
    if hdf5::knows(&head) {
        let file = Hdf5File::open(path)?;
        if pymia::knows(&file) {
            return pymia::open(&file, context);
        }
        if !medsegpy::knows_scan(&file) && medsegpy::knows_scans(&file) {
            return medsegpy::open_scans(&file, context);
        }
    }
    let mut dataset = Dataset::in_context(context);
    let subject = folder::single(path, dataset.context())?;
    dataset.add_subject(subject)?;
    Ok(dataset)
}

fn folder_dataset(path: &Path, context: Context) -> Result<Dataset> {
    let manifest = path.join("manifest.json");
    if manifest.is_file() && manifest::is_meant(&manifest) {
        return manifest::open(&manifest, context);
    }
    if nnunet::knows(path)? {
        return nnunet::open(path, context);
    }
    if medsegpy::knows_folder(path)? {
        return medsegpy::open_folder(path, context);
    }
    folder::open(path, context)
}

/// Whether a file of a folder is to be read as a volume: its content or its name says so.
///
/// # Errors
/// `Io` where it cannot be opened.
pub(super) fn is_volume(path: &Path) -> Result<bool> {
    let name = folder::name(path).to_ascii_lowercase();
    let pair =
        [(".img", ".hdr"), (".img.gz", ".hdr.gz")].into_iter().find(|(second, _)| name.ends_with(second));
    if let Some((_, first)) = pair {
        // The second file of a pair comes with the first.
        let stem = folder::stem(path);
        if path.with_file_name(format!("{stem}{first}")).exists() {
            return Ok(false);
        }
    }
    if ENDINGS.iter().any(|ending| name.ends_with(ending)) || slide::is_slide(path) {
        return Ok(true);
    }
    let head = head(path)?;
    Ok(npy::knows(&head)
        || npz::knows(&head)
        || hdf5::knows(&head)
        || blosc2_frame(&head)
        || nifti::knows(path, &head))
}

/// Whether a file's first bytes are those of a Blosc2 frame.
fn blosc2_frame(head: &[u8]) -> bool {
    head.get(2..10) == Some(b"b2frame\0")
}

/// Whether a folder is itself a volume, or a group of them.
pub(super) fn is_volume_folder(path: &Path) -> bool {
    ["zarr.json", ".zarray", ".zgroup"].iter().any(|name| path.join(name).is_file())
}

/// The error about a folder that is no volume.
fn unknown_folder(path: &Path) -> Error {
    let text = match path.join("chunks.b2frame").is_file() {
        true => "a sparse Blosc2 frame: write it as one contiguous file",
        false => "a folder, and neither a Zarr array nor a group of them",
    };
    Error::unsupported(text).in_file(path)
}

#[cfg(feature = "zarr")]
use crate::store::zarr::open as open_zarr;

#[cfg(not(feature = "zarr"))]
fn open_zarr(path: &Path, _: &Choice, _: &Context) -> Result<Arc<dyn Volume>> {
    let text = "a Zarr array, which this build leaves out: build voxfeed with the feature zarr";
    Err(Error::unsupported(text).in_file(path))
}

#[cfg(feature = "b2nd")]
use crate::store::b2nd::open as open_b2nd;

#[cfg(not(feature = "b2nd"))]
fn open_b2nd(path: &Path, _: &Choice, _: &Context) -> Result<Arc<dyn Volume>> {
    let text = "a Blosc2 array, which this build leaves out: build voxfeed with the feature b2nd";
    Err(Error::unsupported(text).in_file(path))
}

/// The first bytes of a file.
pub(super) fn head(path: &Path) -> Result<Vec<u8>> {
    let file = open_to_read(path).map_err(|cause| Error::io(path, cause))?;
    let mut head = Vec::with_capacity(HEAD_BYTES);
    file.take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(|cause| Error::io(path, cause))?;
    Ok(head)
}

/// The endings of names that promise a format.
const ENDINGS: [&str; 12] = [
    ".npy", ".b2nd", ".npz", ".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz", ".h5", ".hdf5", ".hdf",
];

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
        "the content, which begins with {shown}, is none of HDF5, npy, npz, b2nd, NIfTI, a slide or a JSON manifest"
    ))
}
