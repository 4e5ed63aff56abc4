//! An array as a volume, and how its chunks are read.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::chunks::{ChunkedArray, Found, Grid, GridAxis, Piece, Source, Voxels};
use crate::store::numpy::channel_place;
use crate::store::volume::grown;
use crate::store::zarr::metadata::{Keys, Metadata};
use crate::store::zarr::pipeline::Pipeline;
use crate::store::zarr::shard::{Shards, Stored, if_there};
use crate::store::{ChannelPlace, Context, Files, Header, Moment, Origin, Volume, Work};
use crate::sys::{open_to_read, repeat};
use crate::voxel::Affine;

/// What is known of an array beside its own metadata.
#[derive(Debug)]
pub(super) struct Place {
    /// The array's folder.
    pub(super) folder: PathBuf,
    /// The folder that was asked for, and the array's place in it.
    pub(super) origin: Origin,
    /// Where its channel axis is, if anybody says so.
    pub(super) channel: ChannelPlace,
    /// Where its voxels lie, if the group says so.
    pub(super) affine: Option<Affine>,
}

/// The volume of an array; no chunk is read.
///
/// # Errors
/// `Format` where the metadata do not make an array, `Unsupported` where it has too many axes, `Argument`
/// where nobody says what its axes are.
pub(super) fn volume(metadata: Metadata, place: Place, context: &Context) -> Result<Arc<dyn Volume>> {
    let Place { folder, origin, channel, affine } = place;
    let Metadata { extents, chunk, shard, dtype, swapped, fill, order, pipeline, keys, .. } = metadata;
    let channel = channel_place(channel, &extents)?;
    let (shape, channels) = channel.split(&extents)?;
    let affine = affine.filter(|affine| affine.is_finite() && shape.ndim() == 3);
    let header = Header { shape, channels, dtype, scale: None, affine, origin };
    header.byte_len().map_err(|error| Error::format(error.message()))?;
    let inner = shard.as_ref().map_or(&chunk, |shard| &shard.chunk);
    let axes = extents.iter().zip(&chunk).zip(inner);
    let axes = axes.map(|((&extent, &chunk), &piece)| GridAxis { extent, chunk, piece }).collect();
    let grid = Grid::new(axes, channel)?.stored_in(&order);
    let counts = grid.axes().iter().map(|axis| (axis.extent.div_ceil(axis.chunk), axis.chunk / axis.piece));
    let counts: Vec<(usize, usize)> = counts.collect();
    let chunks = counts.iter().try_fold(1usize, |product, (_, count)| product.checked_mul(*count));
    let chunks = chunks.ok_or_else(|| Error::format("its shards have too many chunks"))?;
    let shards = shard.map(|sharding| Shards::new(sharding, chunks));
    let voxel = fill.get(..dtype.byte_len()).unwrap_or_default().to_vec();
    let piece_bytes = (grid.piece_voxels() as u64).saturating_mul(dtype.byte_len() as u64);
    let files = Arc::clone(&context.files);
    let source = ChunkFiles { folder, keys, pipeline, shards, counts, piece_bytes, fill: voxel, files };
    Ok(Arc::new(ChunkedArray::new((header, grid), Voxels { swapped, fill }, &context.decoded, source)))
}

/// The files of an array's chunks.
#[derive(Debug)]
struct ChunkFiles {
    folder: PathBuf,
    keys: Keys,
    pipeline: Pipeline,
    shards: Option<Shards>,
    /// For each axis: the files of the array and the chunks of a file, one where there are no shards.
    counts: Vec<(usize, usize)>,
    /// The bytes of a decoded chunk.
    piece_bytes: u64,
    fill: Vec<u8>,
    files: Arc<Files>,
}

/// A chunk's place: its file, the file's number, and the chunk's number in the file.
struct At {
    path: PathBuf,
    file: u64,
    chunk: usize,
}

impl ChunkFiles {
    fn locate(&self, piece: &Piece) -> At {
        let (mut file, mut chunk) = (0, 0);
        let mut outer = Vec::with_capacity(self.counts.len());
        for (&at, &(files, chunks)) in piece.at().iter().zip(&self.counts) {
            outer.push(at / chunks);
            file = file * files as u64 + (at / chunks) as u64;
            chunk = chunk * chunks + at % chunks;
        }
        At { path: self.folder.join(self.keys.path(&outer)), file, chunk }
    }

    /// Decodes a chunk that has a file of its own; false where there is none.
    fn read_file(&self, path: &Path, work: &mut Work, into: &mut [u8]) -> Result<bool> {
        let failed = |cause| Error::io(path, cause);
        let Some(mut file) = if_there(open_to_read(path).map_err(failed))? else { return Ok(false) };
        let found = file.metadata().map_err(failed)?.len();
        self.check(found, into.len())?;
        if self.pipeline.is_empty() {
            file.read_exact(into).map_err(failed)?;
            return Ok(true);
        }
        let mut packed = std::mem::take(&mut work.packed);
        let stored = grown(&mut packed, found as usize)?;
        let done = file.read_exact(stored).map_err(failed);
        let done = done.and_then(|()| self.pipeline.decode(stored, work, into));
        work.packed = packed;
        done.map(|()| true)
    }

    /// Decodes a chunk of a shard; false where it is not stored.
    fn read_shard(&self, shards: &Shards, at: &At, work: &mut Work, into: &mut [u8]) -> Result<bool> {
        let Some(stored) = shards.find((at.file, at.chunk), &at.path, &self.files)? else {
            return Ok(false);
        };
        let Stored { file, begin, len } = stored;
        self.check(len, into.len())?;
        if file.is_mapped() {
            let map = file.map(work.moment)?;
            let place =
                usize::try_from(begin).ok().and_then(|begin| Some(begin..begin.checked_add(len as usize)?));
            let stored = place.and_then(|place| map.bytes().get(place));
            let stored = stored.ok_or_else(|| Error::format("truncated"))?;
            return self.pipeline.decode(stored, work, into).map(|()| true);
        }
        if self.pipeline.is_empty() {
            file.read_at(begin, into)?;
            return Ok(true);
        }
        let mut packed = std::mem::take(&mut work.packed);
        let stored = grown(&mut packed, len as usize)?;
        let done = file.read_at(begin, stored);
        let done = done.and_then(|()| self.pipeline.decode(stored, work, into));
        work.packed = packed;
        done.map(|()| true)
    }

    /// Refuses stored bytes that cannot be a chunk's, before there is memory for them.
    fn check(&self, found: u64, decoded: usize) -> Result<()> {
        if let Some(fixed) = self.pipeline.fixed_bytes(decoded) {
            if found == fixed as u64 {
                return Ok(());
            }
            let what = if found < fixed as u64 { "truncated: " } else { "" };
            return Err(Error::format(format!("{what}{found} bytes, expected {fixed}")));
        }
        let most = self.pipeline.most_bytes(decoded);
        if found <= most as u64 {
            return Ok(());
        }
        Err(Error::format(format!("{found} bytes for the {decoded} of a chunk")))
    }
}

impl Source for ChunkFiles {
    fn find(&self, piece: &Piece, moment: Moment) -> Result<Found> {
        // A chunk with a file of its own: whether the file is there is seen when it is read.
        let Some(shards) = &self.shards else { return Ok(Found::Packed) };
        let at = self.locate(piece);
        let Some(stored) = shards.find((at.file, at.chunk), &at.path, &self.files)? else {
            return Ok(Found::Missing);
        };
        if !self.pipeline.is_empty() || !stored.file.is_mapped() || stored.len != self.piece_bytes {
            return Ok(Found::Packed);
        }
        let map = stored.file.map(moment).map_err(|error| error.in_file(&at.path))?;
        usize::try_from(stored.begin).map_or(Ok(Found::Packed), |begin| Ok(Found::Plain(map, begin)))
    }

    fn will_need(&self, piece: &Piece) {
        let Some(shards) = &self.shards else { return };
        let at = self.locate(piece);
        // A hint: what cannot be had is told when it is read.
        if let Ok(Some(stored)) = shards.find((at.file, at.chunk), &at.path, &self.files) {
            stored.file.will_need(stored.len, std::iter::once(stored.begin));
        }
    }

    fn decode(&self, piece: &Piece, work: &mut Work, into: &mut [u8]) -> Result<()> {
        let at = self.locate(piece);
        let found = match &self.shards {
            None => self.read_file(&at.path, work, into),
            Some(shards) => self.read_shard(shards, &at, work, into),
        };
        if !found.map_err(|error| error.in_file(&at.path))? {
            repeat(&self.fill, into);
        }
        Ok(())
    }
}
