//! Datasets that the library reads for us: kept open, a bounded number of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hdf5::Dataset;

use crate::error::Result;
use crate::store::hdf5::Hdf5File;

/// The most datasets that are kept open; each has its own cache of decoded chunks, 8 MiB at most.
const MOST_OPEN: usize = 32;

/// Open datasets, the least recently used of which gives way; its file closes with its last dataset.
#[derive(Debug, Default)]
pub(in crate::store) struct Handles {
    open: Mutex<Vec<Open>>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    inner: String,
    dataset: Arc<Dataset>,
}

impl Handles {
    /// The open dataset of this place, opened now or kept from before.
    pub(super) fn get(&self, path: &Path, inner: &str) -> Result<Arc<Dataset>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.iter().position(|one| one.inner == inner && one.path == path);
        let found = match known {
            Some(place) => open.remove(place),
            None => {
                let dataset = Arc::new(Hdf5File::open(path)?.dataset(inner)?);
                Open { path: path.to_owned(), inner: inner.to_owned(), dataset }
            }
        };
        let dataset = Arc::clone(&found.dataset);
        if open.len() >= MOST_OPEN {
            open.remove(0);
        }
        open.push(found);
        Ok(dataset)
    }
}
