//! A chunked dataset whose chunks are found through the library once, and read without it.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hdf5::dataset::{ChunkOpts, FillTime, FillValue};
use hdf5::plist::DatasetCreate;
use hdf5::{Dataset, Datatype};

use crate::error::{Error, Result};
use crate::store::chunks::{ChunkedArray, Found, Grid, GridAxis, Piece, Source, Voxels};
use crate::store::hdf5::Hdf5File;
use crate::store::hdf5::file::cannot_read;
use crate::store::hdf5::filters::Filters;
use crate::store::hdf5::index::{Chunk, Edges, Index};
use crate::store::volume::grown;
use crate::store::{ChannelPlace, Context, Header, Moment, Origin, StoredFile, Volume, Work};
use crate::sys::stored_fill_value;

/// Where the chunks of one dataset are, and what they went through.
#[derive(Debug)]
struct Hdf5Chunks {
    origin: Origin,
    file: Arc<StoredFile>,
    grid: Grid,
    filters: Filters,
    edges: Edges,
    voxel_bytes: usize,
    piece_bytes: u64,
    /// Asked for when a voxel is first read: there may be thousands of datasets.
    index: OnceLock<Index>,
    asking: Mutex<()>,
    /// The numbers of the packed chunks, listed when somebody counts them.
    packed: OnceLock<Vec<u64>>,
}

/// A chunked dataset, as far as its header says.
#[derive(Debug)]
pub(super) struct Chunking<'a> {
    /// The dataset's creation plan.
    pub(super) plan: &'a DatasetCreate,
    /// The type of its elements.
    pub(super) element: &'a Datatype,
    /// Its axes as stored.
    pub(super) extents: &'a [usize],
    /// Where its channel axis is.
    pub(super) channel: ChannelPlace,
    /// Whether its elements are in the other byte order.
    pub(super) swapped: bool,
    /// The filters that its chunks went through.
    pub(super) filters: Filters,
}

impl Chunking<'_> {
    /// The volume of the dataset with this header.
    ///
    /// # Errors
    /// `Format` where its chunks are impossible; `NotFound` or `Io` where the file is gone.
    pub(super) fn volume(self, header: Header, context: &Context) -> Result<Arc<dyn Volume>> {
        let failed = |cause| cannot_read(&header.origin.path, &header.origin.inner, &cause);
        let Self { plan, extents, channel, swapped, filters, .. } = self;
        let chunk = plan.get_chunk().map_err(failed)?.unwrap_or_default();
        if chunk.len() != extents.len() {
            let text = format!("its chunks have {} axes, the array {}", chunk.len(), extents.len());
            return Err(Error::format(text));
        }
        let axes = extents.iter().zip(&chunk);
        let axes = axes.map(|(&extent, &chunk)| GridAxis { extent, chunk, piece: chunk }).collect();
        let grid = Grid::new(axes, channel)?;
        let options = plan.get_chunk_opts().map_err(failed)?.unwrap_or(ChunkOpts::empty());
        let plain_edges = options.contains(ChunkOpts::DONT_FILTER_PARTIAL_CHUNKS);
        let written = plan.get_fill_time().map_err(failed)? != FillTime::Never
            && plan.get_fill_value_defined().map_err(failed)? != FillValue::Undefined;
        let fill = if written { stored_fill_value(plan, self.element).map_err(failed)? } else { [0; 8] };
        let voxel_bytes = header.dtype.byte_len();
        let piece_bytes = grid.piece_voxels() as u64 * voxel_bytes as u64;
        let source = Hdf5Chunks {
            origin: header.origin.clone(),
            file: context.files.file(&header.origin.path)?,
            grid: grid.clone(),
            filters,
            edges: if plain_edges { Edges::Plain } else { Edges::Filtered },
            voxel_bytes,
            piece_bytes,
            index: OnceLock::new(),
            asking: Mutex::default(),
            packed: OnceLock::new(),
        };
        Ok(Arc::new(ChunkedArray::new((header, grid), Voxels { swapped, fill }, &context.decoded, source)))
    }
}

impl Hdf5Chunks {
    /// Where the chunks are, asked for now or before.
    fn index(&self) -> Result<&Index> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let _one = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let Origin { path, inner, .. } = &self.origin;
        let dataset = Hdf5File::open(path)?.dataset(inner)?;
        if !self.is_as_before(&dataset) {
            return Err(Error::format("the dataset has changed its shape"));
        }
        let index = Index::of(&dataset, &self.grid, self.edges, self.file.byte_len());
        let index = index.map_err(|cause| cannot_read(path, inner, &cause))??;
        Ok(self.index.get_or_init(|| index))
    }

    fn is_as_before(&self, dataset: &Dataset) -> bool {
        let chunk = dataset.chunk().unwrap_or_default();
        let axes = self.grid.axes().iter();
        axes.clone().map(|axis| axis.extent).eq(dataset.shape()) && axes.map(|axis| axis.chunk).eq(chunk)
    }

    /// A stored chunk of which the file can hold as much as the index says.
    fn stored(&self, piece: &Piece) -> Result<Option<Chunk>> {
        let Some(chunk) = self.index()?.find(piece.number).copied() else { return Ok(None) };
        let Chunk { start, len, mask, .. } = chunk;
        let file = self.file.byte_len();
        if start.checked_add(len).is_none_or(|end| end > file) {
            let text = format!("{len} bytes from byte {start} on lie outside of the file, which has {file}");
            return Err(Error::format(text));
        }
        let whole = self.piece_bytes;
        if self.filters.none(mask) && len != whole {
            return Err(Error::format(format!("{len} bytes are stored, it has {whole}")));
        }
        if self.filters.most(mask, len) < whole {
            return Err(Error::format(format!("{len} stored bytes cannot hold its {whole}")));
        }
        Ok(Some(chunk))
    }

    /// Whether a chunk has to be brought up and made plain.
    fn is_packed(&self, chunk: &Chunk) -> bool {
        !self.file.is_mapped() || !self.filters.none(chunk.mask)
    }

    /// A chunk that has to be decoded.
    fn packed_chunk(&self, piece: &Piece) -> Result<Chunk> {
        let none = || Error::internal("a chunk that is not stored has no bytes to decode");
        self.stored(piece)?.ok_or_else(none)
    }

    /// Reads a chunk and undoes the filters that its mask does not leave out.
    fn undo(&self, &Chunk { start, len, mask, .. }: &Chunk, work: &mut Work, into: &mut [u8]) -> Result<()> {
        if self.file.is_mapped() {
            let map = self.file.map(work.moment)?;
            let stored = map.bytes().get(start as usize..).and_then(|rest| rest.get(..len as usize));
            let stored = stored.ok_or_else(|| Error::internal("a chunk lies outside of its checked file"))?;
            return self.filters.undo(mask, stored, work, into);
        }
        if self.filters.none(mask) {
            return self.file.read_at(start, into);
        }
        let mut packed = std::mem::take(&mut work.packed);
        let done = grown(&mut packed, len as usize).and_then(|stored| {
            self.file.read_at(start, stored)?;
            self.filters.undo(mask, stored, work, into)
        });
        work.packed = packed;
        done
    }
}

impl Source for Hdf5Chunks {
    fn find(&self, piece: &Piece, moment: Moment) -> Result<Found> {
        Ok(match self.stored(piece)? {
            None => Found::Missing,
            Some(chunk) if self.is_packed(&chunk) => Found::Packed,
            Some(chunk) => Found::Plain(self.file.map(moment)?, chunk.start as usize),
        })
    }

    fn decode(&self, piece: &Piece, work: &mut Work, into: &mut [u8]) -> Result<()> {
        self.undo(&self.packed_chunk(piece)?, work, into)
    }

    fn decode_to_shuffled(&self, piece: &Piece, work: &mut Work, into: &mut [u8]) -> Result<Option<usize>> {
        let mut chunk = self.packed_chunk(piece)?;
        let shuffle = self.filters.shuffle_of(chunk.mask, self.voxel_bytes);
        chunk.mask |= shuffle.unwrap_or_default();
        self.undo(&chunk, work, into)?;
        Ok(shuffle.map(|_| into.len() / self.voxel_bytes))
    }

    fn will_need(&self, piece: &Piece) {
        // A hint: what cannot be had is told when it is read.
        if let Ok(Some(chunk)) = self.stored(piece) {
            self.file.will_need(chunk.len, std::iter::once(chunk.start));
        }
    }

    fn packed(&self) -> Result<Option<&[u64]>> {
        let index = self.index()?;
        Ok(Some(self.packed.get_or_init(|| index.numbers(|chunk| self.is_packed(chunk)))))
    }
}
