//! The array of a frame as a volume.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::b2nd::frame::{FIXED_BYTES, Fixed, Layer, Place, places};
use crate::store::blosc::{Chunk, MOST_HEADER_BYTES, not_a_number};
use crate::store::chunks::{ChunkedArray, Found, Grid, GridAxis, Piece, Source, Voxels};
use crate::store::numpy::{channel_place, numpy_dtype};
use crate::store::{Choice, Context, Header, Moment, Origin, StoredFile, Volume, Work};
use crate::sys::{repeat, zeroed_bytes};

/// Where the chunks of a frame are, and how their blocks are decoded.
#[derive(Debug)]
struct Frame {
    file: Arc<StoredFile>,
    places: Vec<Place>,
    /// For each axis: the chunks of the array and the blocks of a chunk.
    counts: Vec<(usize, usize)>,
    /// The bytes of a decoded chunk and of a decoded block.
    sizes: (usize, usize),
    element: usize,
    /// The byte behind the chunks.
    end: u64,
}

/// Opens the array of a file.
pub(in crate::store) fn open(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    describe(path, choice, context).map_err(|error| error.in_file(path))
}

fn describe(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    let file = context.files.file(path)?;
    let file_bytes = file.byte_len();
    let mut head = vec![0; FIXED_BYTES.min(usize::try_from(file_bytes).unwrap_or(usize::MAX))];
    file.read_at(0, &mut head)?;
    let fixed = Fixed::parse(&head)?;
    if fixed.frame > file_bytes {
        let text = format!("truncated: the frame has {} bytes, the file {file_bytes}", fixed.frame);
        return Err(Error::format(text));
    }
    let mut head = zeroed_bytes(fixed.header)?;
    file.read_at(0, &mut head)?;
    let layer = Layer::parse(&head)?;
    let dtype = || numpy_dtype(&layer.dtype).filter(|(dtype, _)| dtype.byte_len() == fixed.element);
    let (dtype, swapped) = dtype().ok_or_else(|| {
        Error::unsupported(format!("dtype \"{}\" of {} bytes in a b2nd array", layer.dtype, fixed.element))
    })?;
    let extents: Vec<usize> = layer.axes.iter().map(|[extent, ..]| *extent).collect();
    let channel = channel_place(choice.channel, &extents)?;
    let (shape, channels) = channel.split(&extents)?;
    let origin = Origin { path: path.to_owned(), inner: String::new(), format: "b2nd" };
    let header = Header { shape, channels, dtype, scale: None, affine: None, origin };
    header.byte_len().map_err(|error| Error::format(error.message()))?;
    let axes = layer.axes.iter().map(|&[extent, chunk, piece]| GridAxis { extent, chunk, piece });
    let grid = Grid::new(axes.collect(), channel)?;
    if let Some(axis) = grid.axes().iter().position(|axis| axis.piece > axis.chunk) {
        return Err(Error::format(format!("its blocks are larger than its chunks along axis {axis}")));
    }
    let counts: Vec<(usize, usize)> = grid
        .axes()
        .iter()
        .map(|axis| (axis.extent.div_ceil(axis.chunk), axis.chunk.div_ceil(axis.piece)))
        .collect();
    let too_large = || Error::format("its chunks are too large");
    let chunks = counts.iter().try_fold(1usize, |product, (chunks, _)| product.checked_mul(*chunks));
    let blocks = counts.iter().try_fold(1usize, |product, (_, blocks)| product.checked_mul(*blocks));
    let block = grid.piece_voxels().checked_mul(fixed.element).ok_or_else(too_large)?;
    let chunk = blocks.and_then(|blocks| blocks.checked_mul(block)).ok_or_else(too_large)?;
    // The library itself stops at two gigabytes for a chunk.
    if i32::try_from(chunk).is_err() {
        return Err(too_large());
    }
    let begin = fixed.header as u64 + fixed.packed;
    let index = usize::try_from(fixed.frame - begin).map_err(|_| too_large())?;
    let chunks = chunks.filter(|&chunks| i32::try_from(chunks).is_ok()).ok_or_else(too_large)?;
    let mut stored = zeroed_bytes(index)?;
    file.read_at(begin, &mut stored)?;
    let places = places(&stored, chunks, &fixed)?;
    let source = Frame { file, places, counts, sizes: (chunk, block), element: fixed.element, end: begin };
    let voxels = Voxels { swapped, ..Voxels::default() };
    Ok(Arc::new(ChunkedArray::new((header, grid), voxels, &context.decoded, source)))
}

impl Frame {
    /// The place of the chunk that holds a piece, and the piece's number among the chunk's blocks.
    fn locate(&self, piece: &Piece) -> Result<(Place, usize)> {
        let (mut chunk, mut block) = (0, 0);
        for (&at, (chunks, blocks)) in piece.at().iter().zip(&self.counts) {
            chunk = chunk * chunks + at / blocks;
            block = block * blocks + at % blocks;
        }
        let place = self.places.get(chunk).copied();
        Ok((place.ok_or_else(|| Error::internal("a piece outside its array"))?, block))
    }

    /// Reads and checks a chunk's header.
    fn chunk(&self, head: &[u8]) -> Result<Chunk> {
        let chunk = Chunk::parse(head)?;
        if (chunk.byte_len(), chunk.block_bytes()) == self.sizes {
            return Ok(chunk);
        }
        let (found, block) = (chunk.byte_len(), chunk.block_bytes());
        let (wanted, blocks) = self.sizes;
        let text = format!("{found} bytes in blocks of {block}, expected {wanted} in blocks of {blocks}");
        Err(Error::format(text))
    }

    fn decode_at(&self, at: u64, block: usize, work: &mut Work, into: &mut [u8]) -> Result<()> {
        let moment = work.moment;
        let Work { packed, between, codecs, .. } = work;
        if self.file.is_mapped() {
            let map = self.file.map(moment)?;
            let stored = from(map.bytes(), at)?;
            return self.chunk(stored)?.decode_block((stored, block), codecs, between, into);
        }
        let mut head = [0; MOST_HEADER_BYTES];
        self.file.read_at(at, &mut head)?;
        let chunk = self.chunk(&head)?;
        if (chunk.packed_bytes() as u64).checked_add(at).is_none_or(|end| end > self.end) {
            return Err(Error::format("the chunk ends behind all chunks"));
        }
        let stored = crate::store::volume::grown(packed, chunk.packed_bytes())?;
        self.file.read_at(at, stored)?;
        chunk.decode_block((stored, block), codecs, between, into)
    }
}

impl Source for Frame {
    fn find(&self, piece: &Piece, moment: Moment) -> Result<Found> {
        let (place, block) = self.locate(piece)?;
        let at = match place {
            Place::Zeros => return Ok(Found::Missing),
            Place::At(at) if self.file.is_mapped() => at,
            Place::At(_) | Place::Nan => return Ok(Found::Packed),
        };
        let map = self.file.map(moment)?;
        let stored = from(map.bytes(), at)?;
        let plain = self.chunk(stored)?.plain_block(block).filter(|place| stored.len() >= place.end);
        match plain.and_then(|place| usize::try_from(at).ok()?.checked_add(place.start)) {
            Some(begin) => Ok(Found::Plain(map, begin)),
            None => Ok(Found::Packed),
        }
    }

    fn decode(&self, piece: &Piece, work: &mut Work, into: &mut [u8]) -> Result<()> {
        match self.locate(piece)? {
            (Place::At(at), block) => self.decode_at(at, block, work, into),
            (Place::Zeros, _) => {
                into.fill(0);
                Ok(())
            }
            (Place::Nan, _) => {
                repeat(not_a_number(self.element)?, into);
                Ok(())
            }
        }
    }
}

/// The bytes of a file from this place on.
fn from(bytes: &[u8], at: u64) -> Result<&[u8]> {
    let place = usize::try_from(at).ok();
    place.and_then(|place| bytes.get(place..)).ok_or_else(|| Error::format("truncated before a chunk"))
}
