//! Where the chunks of a dataset are.

use hdf5::Dataset;

use crate::error::{Error, Result};
use crate::store::chunks::{Grid, GridAxis};

/// The place of a chunk in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Its number in the grid.
    number: u64,
    /// Its first byte in the file.
    pub(super) start: u64,
    /// Its stored bytes.
    pub(super) len: u64,
    /// A bit for each filter that it did not go through.
    pub(super) mask: u32,
}

/// The stored chunks of a dataset.
#[derive(Debug)]
pub(super) struct Index {
    /// In the order of their numbers.
    chunks: Vec<Chunk>,
}

/// The filters of chunks that reach beyond the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edges {
    /// As those of all others.
    Filtered,
    /// None, whatever their masks say.
    Plain,
}

impl Index {
    /// Asks the library for the places of all chunks that hold something of the array.
    ///
    /// # Errors
    /// `Format` where the file's own index is damaged, or more chunks are in it than `most` or the grid has.
    pub(super) fn of(dataset: &Dataset, grid: &Grid, edges: Edges, most: u64) -> hdf5::Result<Result<Self>> {
        let mut chunks: Vec<Chunk> = Vec::new();
        let (mut visited, mut refused) = (0u64, None);
        dataset.chunks_visit(|info| {
            visited += 1;
            let place = place(grid.axes(), info.offset);
            if visited > most || chunks.len() as u64 > grid.pieces() {
                refused = Some("its index never ends".to_owned());
            } else if chunks.try_reserve(1).is_err() {
                refused =
                    Some(format!("its index has more than {visited} chunks, for which there is no memory"));
            } else {
                match place {
                    Place::Inside { number, partial } => {
                        let plain = partial && edges == Edges::Plain;
                        let mask = if plain { u32::MAX } else { info.filter_mask };
                        chunks.push(Chunk { number, start: info.addr, len: info.size, mask });
                    }
                    Place::Beyond => {}
                    Place::Nowhere => {
                        let at = info.offset;
                        refused = Some(format!("its index has a chunk at {at:?}, where none begins"));
                    }
                }
            }
            i32::from(refused.is_some())
        })?;
        if let Some(text) = refused {
            return Ok(Err(Error::format(text)));
        }
        // Most indexes come in this order already.
        chunks.sort_by_key(|chunk| chunk.number);
        let twice = chunks.windows(2).find_map(|pair| match pair {
            [one, other] if one.number == other.number => Some(one.number),
            _ => None,
        });
        Ok(match twice {
            Some(number) => Err(Error::format(format!("its index has chunk number {number} twice"))),
            None => Ok(Self { chunks }),
        })
    }

    /// The place of the chunk of this number; none where it is not stored.
    pub(super) fn find(&self, number: u64) -> Option<&Chunk> {
        // Where all chunks are stored, they stand at their numbers.
        let at = usize::try_from(number).ok().and_then(|at| self.chunks.get(at));
        match at {
            Some(chunk) if chunk.number == number => at,
            _ => {
                let at = self.chunks.binary_search_by_key(&number, |chunk| chunk.number).ok()?;
                self.chunks.get(at)
            }
        }
    }

    /// The numbers of the chunks of which this holds, in order.
    pub(super) fn numbers(&self, holds: impl Fn(&Chunk) -> bool) -> Vec<u64> {
        self.chunks.iter().filter(|chunk| holds(chunk)).map(|chunk| chunk.number).collect()
    }
}

/// Where a chunk lies in the grid.
enum Place {
    /// The chunk of this number, whether it reaches beyond the array.
    Inside { number: u64, partial: bool },
    /// Beyond the array, which once was larger.
    Beyond,
    /// At no chunk's beginning.
    Nowhere,
}

/// The place of the chunk that begins at this position.
fn place(axes: &[GridAxis], position: &[u64]) -> Place {
    let (mut number, mut partial, mut beyond) = (0u64, false, false);
    for (axis, &begin) in axes.iter().zip(position) {
        let (extent, chunk) = (axis.extent as u64, axis.chunk as u64);
        if begin % chunk != 0 {
            return Place::Nowhere;
        }
        beyond |= begin >= extent;
        partial |= extent.saturating_sub(begin) < chunk;
        number = number.wrapping_mul(extent.div_ceil(chunk)).wrapping_add(begin / chunk);
    }
    if beyond { Place::Beyond } else { Place::Inside { number, partial } }
}
