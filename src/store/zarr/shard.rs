//! Shards: files of several chunks with an index of their places.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::store::zarr::metadata::Sharding;
use crate::store::zarr::pipeline::checked;
use crate::store::{Files, StoredFile};
use crate::sys::zeroed_bytes;

/// The most chunks whose places are kept, 64 MiB of them.
const MOST_PLACES: usize = 1 << 22;
/// The bytes that an index has of each chunk.
const ENTRY_BYTES: usize = 16;

/// A shard's file, and where its chunks are in it, begin and length; nothing for a shard that is not stored.
type Index = Option<(Arc<StoredFile>, Vec<Option<(u64, u64)>>)>;

/// The stored bytes of a chunk in a shard.
#[derive(Debug)]
pub(super) struct Stored {
    /// The shard.
    pub(super) file: Arc<StoredFile>,
    /// Its first byte.
    pub(super) begin: u64,
    /// Its bytes.
    pub(super) len: u64,
}

/// The indexes of an array's shards, each read when it is first wanted.
#[derive(Debug)]
pub(super) struct Shards {
    sharding: Sharding,
    chunks: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    indexes: HashMap<u64, Arc<Index>>,
    places: usize,
}

impl Shards {
    /// The indexes of shards of this many chunks each.
    pub(super) fn new(sharding: Sharding, chunks: usize) -> Self {
        Self { sharding, chunks, kept: Mutex::default() }
    }

    /// Where a chunk of a shard is; nothing where it is not stored.
    ///
    /// # Errors
    /// `Format` where the shard or its index is broken; as the machine has them.
    pub(super) fn find(
        &self,
        (shard, chunk): (u64, usize),
        path: &Path,
        files: &Files,
    ) -> Result<Option<Stored>> {
        let kept =
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).indexes.get(&shard).map(Arc::clone);
        let index = match kept {
            Some(index) => index,
            // Two threads may read one index at once: it is small, and the second finds it in memory.
            None => {
                let index = Arc::new(self.read(path, files).map_err(|error| error.in_file(path))?);
                self.keep(shard, &index);
                index
            }
        };
        let Some((file, places)) = index.as_ref() else { return Ok(None) };
        let place = places.get(chunk).copied().flatten();
        Ok(place.map(|(begin, len)| Stored { file: Arc::clone(file), begin, len }))
    }

    fn keep(&self, shard: u64, index: &Arc<Index>) {
        let places = index.as_ref().as_ref().map_or(1, |(_, places)| places.len());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.places.saturating_add(places) > MOST_PLACES {
            *kept = Kept::default();
        }
        if kept.indexes.insert(shard, Arc::clone(index)).is_none() {
            kept.places += places;
        }
    }

    fn read(&self, path: &Path, files: &Files) -> Result<Index> {
        let Some(file) = if_there(files.file(path))? else { return Ok(None) };
        let found = file.byte_len();
        let sum = if self.sharding.checksum { 4 } else { 0 };
        let len = self.chunks.checked_mul(ENTRY_BYTES).and_then(|len| len.checked_add(sum));
        let len = len.filter(|&len| len as u64 <= found).ok_or_else(|| {
            Error::format(format!(
                "truncated: {found} bytes are less than the index of {} chunks",
                self.chunks
            ))
        })?;
        let begin = if self.sharding.index_first { 0 } else { found - len as u64 };
        let mut bytes = zeroed_bytes(len)?;
        file.read_at(begin, &mut bytes)?;
        let bytes = match self.sharding.checksum {
            true => checked(&bytes).map_err(|error| error.at("the shard's index"))?,
            false => &bytes,
        };
        let (numbers, _) = bytes.as_chunks::<8>();
        let number = |bytes: &[u8; 8]| match self.sharding.big_endian {
            true => u64::from_be_bytes(*bytes),
            false => u64::from_le_bytes(*bytes),
        };
        let place = |entry: &[[u8; 8]]| {
            let (begin, len) = match entry {
                [begin, len] => (number(begin), number(len)),
                _ => (u64::MAX, u64::MAX),
            };
            if (begin, len) == (u64::MAX, u64::MAX) {
                return Ok(None);
            }
            match begin.checked_add(len) {
                Some(end) if end <= found => Ok(Some((begin, len))),
                _ => Err(Error::format(format!(
                    "truncated: a chunk of {len} bytes begins at byte {begin} of {found}"
                ))),
            }
        };
        numbers.chunks_exact(2).map(place).collect::<Result<Vec<_>>>().map(|places| Some((file, places)))
    }
}

/// The same result, with nothing where there is no such file.
///
/// # Errors
/// Those of the result but for `NotFound`.
pub(super) fn if_there<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
