//! Open files: persistent maps, a bounded number of them, and positional reads where maps do not fit.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::store::hdf5::Handles;
use crate::sys::{FileMap, is_network_file};

/// How stored bytes are brought up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Io {
    /// Through maps for files on local file systems, by positional reads for others.
    #[default]
    Auto,
    /// By positional reads: slower, safe against files that shrink during a copy.
    Positional,
    /// Through maps.
    Map,
}

/// The most files that are kept mapped.
const MOST_MAPS: usize = 256;

/// The maps of a dataset's files, the least recently used of which gives way.
#[derive(Debug, Default)]
pub struct Files {
    io: Io,
    maps: Mutex<Maps>,
    /// The datasets that a format's library keeps open.
    pub(super) hdf5: Handles,
}

#[derive(Debug, Default)]
struct Maps {
    open: HashMap<PathBuf, (Arc<FileMap>, u64)>,
    uses: u64,
}

impl Files {
    /// Files that are read this way.
    pub fn new(io: Io) -> Self {
        Self { io, maps: Mutex::default(), hdf5: Handles::default() }
    }

    /// Whether this file's bytes come through a map.
    pub fn maps(&self, path: &Path) -> bool {
        match self.io {
            // A file that is mapped already has been found local.
            Io::Auto => self.lock().open.contains_key(path) || !is_network_file(path),
            Io::Positional => false,
            Io::Map => true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The map of a file, opened now or kept from before.
    ///
    /// # Errors
    /// `NotFound` or `Io` where the file cannot be mapped.
    pub fn map(&self, path: &Path) -> Result<Arc<FileMap>> {
        let mut maps = self.lock();
        maps.uses += 1;
        let now = maps.uses;
        if let Some((map, used)) = maps.open.get_mut(path) {
            *used = now;
            return Ok(Arc::clone(map));
        }
        let map = Arc::new(FileMap::open(path)?);
        if maps.open.len() >= MOST_MAPS {
            let oldest = maps.open.iter().min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone());
            if let Some(oldest) = oldest {
                maps.open.remove(&oldest);
            }
        }
        maps.open.insert(path.to_owned(), (Arc::clone(&map), now));
        Ok(map)
    }

    /// Reads bytes of a file from this place on, without a map.
    ///
    /// # Errors
    /// `Format` where the file ends before; `NotFound` or `Io` as the system says.
    pub fn read_at(path: &Path, place: u64, into: &mut [u8]) -> Result<()> {
        Self::read_pieces(path, into.len(), |_| place, into)
    }

    /// Fills `into` with pieces of `len` bytes, the k-th from `place(k)` on, without a map.
    ///
    /// # Errors
    /// Those of [`Files::read_at`].
    pub fn read_pieces(path: &Path, len: usize, place: impl Fn(usize) -> u64, into: &mut [u8]) -> Result<()> {
        use std::os::unix::fs::FileExt;
        let file = File::open(path).map_err(|cause| Error::io(path, cause))?;
        for (number, piece) in into.chunks_mut(len.max(1)).enumerate() {
            let place = place(number);
            file.read_exact_at(piece, place).map_err(|cause| match cause.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    let end = place + piece.len() as u64;
                    Error::format(format!("truncated: bytes {place} to {end} are wanted")).in_file(path)
                }
                _ => Error::io(path, cause),
            })?;
        }
        Ok(())
    }
}
