//! Which dataset of a file is meant.

use std::path::Path;
use std::sync::Arc;

use hdf5::Dataset;

use crate::error::{Error, Result};
use crate::store::hdf5::element::Element;
use crate::store::hdf5::file::{Hdf5File, Place};
use crate::store::numpy::NAME_IT;
use crate::store::{Choice, Context, Volume};

/// The bytes that an HDF5 file begins with.
const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";
/// The names that a file's main volume goes by.
const NAMES: [&str; 10] =
    ["data", "volume", "image", "images", "img", "raw", "scan", "array", "vol", "voxels"];

/// Whether a file's first bytes are this format's, after a user block of a size that fits them, too.
pub(in crate::store) fn knows(head: &[u8]) -> bool {
    let places = [0, 512, 1024, 2048, 4096];
    places.iter().any(|&place| head.get(place..).is_some_and(|rest| rest.starts_with(MAGIC)))
}

/// Opens an array of the file.
pub(in crate::store) fn open(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    let file = Hdf5File::open(path)?;
    let inner = match &choice.inner {
        Some(inner) if file.has_dataset(inner) => inner.clone(),
        Some(inner) => {
            let text = format!("no dataset \"{inner}\": there are {}", list(&file.datasets()?));
            return Err(Error::not_found(text).in_file(path));
        }
        None => only(&file)?,
    };
    file.volume(Place { inner: &inner, channel: choice.channel, affine: None }, context)
}

/// The one dataset of a file that can be its volume.
fn only(file: &Hdf5File) -> Result<String> {
    let all = file.datasets()?;
    let is_number = |dataset: &Dataset| dataset.dtype().is_ok_and(|dtype| Element::of(&dtype).is_ok());
    let numeric: Vec<_> =
        all.iter().filter(|(_, dataset)| dataset.ndim() > 0 && is_number(dataset)).collect();
    let volumes: Vec<_> = numeric.iter().filter(|(_, dataset)| dataset.ndim() > 1).collect();
    if let [(name, _)] = volumes.as_slice() {
        return Ok(name.clone());
    }
    if let ([], [(name, _)]) = (volumes.as_slice(), numeric.as_slice()) {
        return Ok(name.clone());
    }
    for wanted in NAMES {
        let named = |(name, _): &&&(String, Dataset)| {
            name.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(wanted))
        };
        let mut found: Vec<_> = volumes.iter().filter(|one| named(one)).collect();
        found.sort_by_key(|(name, _)| name.matches('/').count());
        if let [(name, _)] = found.as_slice() {
            return Ok(name.clone());
        }
    }
    let error = match all.as_slice() {
        [] => Error::not_found("the file has no dataset"),
        _ if numeric.is_empty() => {
            Error::unsupported(format!("no dataset holds an array of numbers: there are {}", list(&all)))
        }
        _ => Error::argument(format!("several datasets: {}", list(&all))).with_advice(NAME_IT),
    };
    Err(error.in_file(file.path()))
}

/// Datasets with their shapes, as a text that stays readable.
fn list(datasets: &[(String, Dataset)]) -> String {
    const MOST: usize = 20;
    if datasets.is_empty() {
        return "none".to_owned();
    }
    let shown = datasets.iter().take(MOST);
    let mut names: Vec<_> = shown.map(|(name, dataset)| format!("{name} {:?}", dataset.shape())).collect();
    if datasets.len() > MOST {
        names.push(format!("and {} more", datasets.len() - MOST));
    }
    names.join(", ")
}
