//! A chunked array as a volume.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::chunks::arrangement::Arrangement;
use crate::store::chunks::grid::{Grid, MAX_RANK, Overlap, Piece};
use crate::store::{
    Block, Bytes, Decoded, DecodedBytes, DecodedParts, Header, Moment, Origin, Part, Patience, Scratch,
    TakeBlock, Volume, Window, Work,
};
use crate::sys::{FileMap, ask_for};

/// The most pieces that are decoded ahead before a thread looks whether there is something to be done by now.
const MOST_AHEAD: usize = 8;

/// Where a piece's voxels are.
#[derive(Debug)]
pub(in crate::store) enum Found {
    /// Nowhere: every voxel has the fill value.
    Missing,
    /// In a mapped file as they are, from this byte on.
    Plain(Arc<FileMap>, usize),
    /// Behind a decoder.
    Packed,
}

/// What a format knows of the pieces of one array.
pub(in crate::store) trait Source: Send + Sync + std::fmt::Debug {
    /// Where a piece is.
    ///
    /// # Errors
    /// As the format and the machine have them.
    fn find(&self, piece: &Piece, moment: Moment) -> Result<Found>;

    /// Decodes a packed piece: every byte of `into`, which has the piece's whole size.
    ///
    /// # Errors
    /// `Format` where the stored bytes are damaged or give another size; as the machine has them.
    fn decode(&self, piece: &Piece, work: &mut Work, into: &mut [u8]) -> Result<()>;

    /// Tells the system that a piece's stored bytes will be read soon.
    fn will_need(&self, _piece: &Piece) {}

    /// The bytes of the array where all of it is decoded at once, with what stands before it; 0 where that is not done.
    fn whole_bytes(&self) -> u64 {
        0
    }

    /// The numbers of the packed pieces, in order; nothing where all of them are packed.
    ///
    /// # Errors
    /// As the format and the machine have them.
    fn packed(&self) -> Result<Option<&[u64]>> {
        Ok(None)
    }
}

/// An array in chunks.
#[derive(Debug)]
pub(in crate::store) struct ChunkedArray<S> {
    /// What the file says.
    pub header: Header,
    /// How the array is cut.
    pub grid: Grid,
    /// Whether its voxels are in the other kind of machine's byte order.
    pub swapped: bool,
    /// A voxel of a chunk that is not stored, in stored byte order.
    pub fill: [u8; 8],
    /// Its number among the decoded volumes.
    pub number: u64,
    /// The decoded parts of the dataset.
    pub decoded: Arc<Decoded>,
    /// Where its pieces are, and how they are decoded.
    pub source: S,
}

impl<S: Source> ChunkedArray<S> {
    fn piece_bytes(&self) -> Result<usize> {
        let bytes = self.grid.piece_voxels().checked_mul(self.header.dtype.byte_len());
        bytes.ok_or_else(|| Error::format("its chunks are too large").in_file(&self.header.origin.path))
    }

    /// The error about a piece, with its place.
    fn at(&self, piece: &Piece, error: Error) -> Error {
        let at: Vec<String> = piece.at().iter().map(ToString::to_string).collect();
        let chunk = format!("chunk ({})", at.join(", "));
        let Origin { path, inner, .. } = &self.header.origin;
        let error =
            if inner.is_empty() { error.at(chunk) } else { error.at(format!("\"{inner}\": {chunk}")) };
        error.in_file(path)
    }

    /// Gives a piece's part of a window; false where another thread decodes it and there is no patience.
    fn give(
        &self,
        (piece, overlap): (&Piece, &Overlap),
        patience: Patience,
        scratch: &mut Scratch,
        take: TakeBlock<'_>,
    ) -> Result<bool> {
        let len = self.piece_bytes()?;
        let keeps = len <= self.decoded.budget();
        let voxel = self.header.dtype.byte_len();
        let swapped = self.swapped;
        match self.source.find(piece, scratch.moment()).map_err(|error| self.at(piece, error))? {
            Found::Missing => {
                let bytes = Bytes::Borrowed(self.fill.get(..voxel).unwrap_or_default());
                take(&overlap.window, &Block { bytes, first: 0, strides: [0; MAX_RANK], swapped })?;
            }
            Found::Plain(map, start) => {
                let (bytes, strides) = (Bytes::Mapped(map), self.byte_strides(self.grid.strides()));
                let first = start + overlap.first * voxel;
                take(&overlap.window, &Block { bytes, first, strides, swapped })?;
            }
            Found::Packed if keeps => match self.decode(piece, patience, scratch)? {
                Some(bytes) => take(&overlap.window, &self.decoded_block(bytes, overlap))?,
                None => return Ok(false),
            },
            Found::Packed => {
                let (bytes, work) = scratch.bytes_and_work(len)?;
                self.source.decode(piece, work, bytes).map_err(|error| self.at(piece, error))?;
                let (bytes, strides) = (Bytes::Borrowed(bytes), self.byte_strides(self.grid.strides()));
                let first = overlap.first * voxel;
                take(&overlap.window, &Block { bytes, first, strides, swapped })?;
            }
        }
        Ok(true)
    }

    /// The part of a window that lies in kept bytes.
    fn decoded_block(&self, bytes: DecodedBytes, overlap: &Overlap) -> Block<'static> {
        let (arrangement, place) = (self.arrangement(), (overlap.first, self.grid.strides()));
        let (first, strides) = arrangement.map_or(place, |arranged| arranged.view(place.0, place.1));
        Block {
            bytes: Bytes::Shared(bytes),
            first: first * self.header.dtype.byte_len(),
            strides: self.byte_strides(strides),
            swapped: self.swapped && arrangement.is_none(),
        }
    }

    fn byte_strides(&self, strides: [isize; MAX_RANK]) -> [isize; MAX_RANK] {
        strides.map(|stride| stride * self.header.dtype.byte_len() as isize)
    }

    fn part(&self, piece: &Piece) -> Part {
        Part { volume: self.number, number: piece.number }
    }

    fn arrangement(&self) -> Option<Arrangement> {
        Arrangement::of(&self.grid, self.header.dtype, self.swapped)
    }

    fn decode(
        &self,
        piece: &Piece,
        patience: Patience,
        scratch: &mut Scratch,
    ) -> Result<Option<DecodedBytes>> {
        let len = self.piece_bytes()?;
        let decode = |into: &mut [u8]| match self.arrangement() {
            None => self.source.decode(piece, scratch.bytes_and_work(0)?.1, into),
            Some(arrangement) => {
                let (bytes, work) = scratch.bytes_and_work(len)?;
                self.source.decode(piece, work, bytes)?;
                arrangement.arrange(bytes, into)
            }
        };
        let decoded = self.decoded.get(self.part(piece), len, patience, decode);
        decoded.map_err(|error| self.at(piece, error))
    }

    /// Decodes a packed piece for the cache, unless it is kept or somebody decodes it; true where it was done.
    fn decode_missing(&self, piece: &Piece, scratch: &mut Scratch) -> Result<bool> {
        if self.decoded.holds(self.part(piece)) {
            return Ok(false);
        }
        let found = self.source.find(piece, scratch.moment()).map_err(|error| self.at(piece, error))?;
        Ok(matches!(found, Found::Packed) && self.decode(piece, Patience::Leave, scratch)?.is_some())
    }

    /// Gives the pieces of these numbers, which are in order, waiting for other threads.
    fn give_later(
        &self,
        window: &Window,
        later: &[u64],
        (scratch, take): (&mut Scratch, TakeBlock<'_>),
    ) -> Result<()> {
        let mut later = later.iter().peekable();
        self.grid.visit(window, |piece, overlap| {
            if later.next_if_eq(&&piece.number).is_none() {
                return Ok(());
            }
            self.give((piece, &overlap), Patience::Wait, scratch, take).map(drop)
        })
    }
}

impl<S: Source> Volume for ChunkedArray<S> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        // Threads that want the same pieces at once decode others meanwhile, instead of all waiting for one.
        let mut later = std::mem::take(&mut scratch.later);
        later.clear();
        let keeps = self.piece_bytes()? <= self.decoded.budget();
        let leaves = scratch.patience == Patience::Leave;
        let mut held: Option<(Block<'static>, Overlap)> = None;
        let mut done = self.grid.visit(window, |piece, overlap| {
            // Where a piece is left out, the window will be asked for again, and only decoding others is of use.
            if leaves && !later.is_empty() {
                return self.decode_missing(piece, scratch).map(drop);
            }
            // Where a piece is may cost a look at its file, which a kept one does not need. It is asked for
            // while the one before is copied.
            let kept = if keeps { self.decoded.kept(self.part(piece)) } else { None };
            let kept = kept.map(|bytes| self.decoded_block(bytes, &overlap));
            if let Some(block) = &kept {
                ask_for(block.as_bytes().get(block.first..).unwrap_or_default());
            }
            if let Some((block, overlap)) = held.take() {
                take(&overlap.window, &block)?;
            }
            match kept {
                Some(block) => held = Some((block, overlap)),
                None if !self.give((piece, &overlap), Patience::Leave, scratch, take)? => {
                    later.push(piece.number);
                }
                None => {}
            }
            Ok(())
        });
        if let (Ok(()), Some((block, overlap))) = (&done, held)
            && (later.is_empty() || !leaves)
        {
            done = take(&overlap.window, &block);
        }
        match (later.is_empty(), scratch.patience, &done) {
            (true, ..) => {}
            (false, Patience::Leave, _) => scratch.left = true,
            (false, Patience::Wait, Ok(())) => done = self.give_later(window, &later, (scratch, take)),
            // Of several damaged pieces the first in order is told, whichever thread was faster.
            (false, Patience::Wait, Err(_)) => {
                done = self.grid.visit(window, |piece, overlap| {
                    self.give((piece, &overlap), Patience::Wait, scratch, take).map(drop)
                });
            }
        }
        scratch.later = later;
        done
    }

    fn will_need(&self, window: &Window) {
        // A hint: what cannot be had is told when it is read.
        let _ = self.grid.visit(window, |piece, _| {
            if !self.decoded.holds(self.part(piece)) {
                self.source.will_need(piece);
            }
            Ok(())
        });
    }

    fn needed_bytes(&self, window: &Window) -> Result<u64> {
        let mut pieces = 0u64;
        self.grid.visit(window, |_, _| {
            pieces += 1;
            Ok(())
        })?;
        Ok(pieces.saturating_mul(self.piece_bytes()? as u64))
    }

    fn decode_ahead(&self, window: &Window, scratch: &mut Scratch) -> Result<bool> {
        let mut decoded = 0;
        self.grid.visit(window, |piece, _| {
            if decoded < MOST_AHEAD {
                decoded += usize::from(self.decode_missing(piece, scratch)?);
            }
            Ok(())
        })?;
        Ok(decoded > 0)
    }

    fn decoded_parts(&self) -> Result<DecodedParts> {
        let count = self.source.packed()?.map_or(self.grid.pieces(), |packed| packed.len() as u64);
        let byte_len = count.checked_mul(self.piece_bytes()? as u64);
        let byte_len =
            byte_len.ok_or_else(|| Error::range("its chunks have more bytes than 64 bits count"))?;
        // A cache that is made as large as this says keeps the array whole.
        Ok(DecodedParts { count, byte_len: byte_len.max(self.source.whole_bytes()) })
    }

    fn decode_part(&self, part: u64, scratch: &mut Scratch) -> Result<()> {
        let number = match self.source.packed()? {
            None => Some(part),
            Some(packed) => usize::try_from(part).ok().and_then(|part| packed.get(part)).copied(),
        };
        let Some(number) = number.filter(|&number| number < self.grid.pieces()) else {
            return Err(Error::internal("a part that a volume has not"));
        };
        let piece = self.grid.piece(number);
        match self.source.find(&piece, Moment::default()).map_err(|error| self.at(&piece, error))? {
            Found::Packed => self.decode(&piece, Patience::Wait, scratch).map(drop),
            Found::Missing | Found::Plain(..) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::chunks::GridAxis;
    use crate::store::{ChannelPlace, Origin, Reader};
    use crate::voxel::{DType, Region};
    use proptest::prelude::*;

    /// Voxels that count their places in the array; the pieces of odd number are missing.
    #[derive(Debug)]
    struct Counted {
        grid: Grid,
        holes: bool,
    }

    impl Counted {
        fn is_hole(&self, piece: &Piece) -> bool {
            self.holes && piece.number % 2 == 1
        }
    }

    /// What the voxel at a place of the array holds.
    fn value(axes: &[GridAxis], place: &[usize]) -> u32 {
        axes.iter().zip(place).fold(0, |value, (axis, &at)| value * axis.extent as u32 + at as u32)
    }

    impl Source for Counted {
        fn find(&self, piece: &Piece, _: Moment) -> Result<Found> {
            Ok(if self.is_hole(piece) { Found::Missing } else { Found::Packed })
        }

        fn decode(&self, piece: &Piece, _: &mut Work, into: &mut [u8]) -> Result<()> {
            assert_eq!(self.grid.piece(piece.number).at(), piece.at());
            let axes = self.grid.axes();
            for (index, voxel) in into.chunks_exact_mut(4).enumerate() {
                let mut rest = index;
                let mut place = vec![0; axes.len()];
                for (axis, grid) in axes.iter().enumerate().rev() {
                    let inner = grid.chunk.div_ceil(grid.piece);
                    let number = piece.at()[axis];
                    let begin = number / inner * grid.chunk + number % inner * grid.piece;
                    place[axis] = begin + rest % grid.piece;
                    rest /= grid.piece;
                }
                voxel.copy_from_slice(&value(axes, &place).to_ne_bytes());
            }
            Ok(())
        }
    }

    fn array(axes: Vec<GridAxis>, channel: ChannelPlace, holes: bool, budget: u64) -> ChunkedArray<Counted> {
        let extents: Vec<usize> = axes.iter().map(|axis| axis.extent).collect();
        let (shape, channels) = channel.split(&extents).unwrap();
        let grid = Grid::new(axes, channel).unwrap();
        ChunkedArray {
            header: Header {
                shape,
                channels,
                dtype: DType::U32,
                scale: None,
                affine: None,
                origin: Origin::default(),
            },
            grid: grid.clone(),
            swapped: false,
            fill: [0xff; 8],
            number: 0,
            decoded: Arc::new(Decoded::new(budget)),
            source: Counted { grid, holes },
        }
    }

    fn axis() -> impl Strategy<Value = (GridAxis, f64, f64)> {
        (1usize..12, 1usize..6, 1usize..4, 0.0..1.0f64, 0.0..1.0f64).prop_map(
            |(extent, chunk, piece, low, high)| {
                (GridAxis { extent, chunk, piece: piece.min(chunk) }, low, high)
            },
        )
    }

    proptest! {
        #[test]
        fn any_window_of_any_grid_holds_the_arrays_voxels(
            axes in prop::collection::vec(axis(), 2..5),
            place in 0usize..3,
            holes: bool,
            budget in prop_oneof![Just(0u64), Just(300), Just(1 << 20)],
        ) {
            let channel = [ChannelPlace::None, ChannelPlace::First, ChannelPlace::Last][place];
            let grid: Vec<GridAxis> = axes.iter().map(|(axis, ..)| *axis).collect();
            let array = array(grid.clone(), channel, holes, budget);
            let ranges: Vec<(usize, usize)> = axes
                .iter()
                .map(|(axis, low, high)| {
                    let begin = (low * axis.extent as f64) as usize;
                    (begin, 1 + (high * (axis.extent - begin) as f64) as usize)
                })
                .collect();
            let mut spatial = ranges.clone();
            let channels = match channel {
                ChannelPlace::First => spatial.remove(0),
                ChannelPlace::Last => spatial.pop().unwrap(),
                _ => (0, 1),
            };
            let offset: Vec<i64> = spatial.iter().map(|(begin, _)| *begin as i64).collect();
            let extents: Vec<usize> = spatial.iter().map(|(_, len)| *len).collect();
            let region = Region::new(&offset, crate::voxel::Shape::new(&extents).unwrap()).unwrap();
            let window = Window { channel: channels.0, channels: channels.1, region };
            let voxels = channels.1 * extents.iter().product::<usize>();
            let mut seen = vec![0u8; voxels * 4];
            let mut reader = Reader::default();
            for _ in 0..2 {
                reader.read_stored(&array, &window, &mut seen).unwrap();
                for (index, voxel) in seen.chunks_exact(4).enumerate() {
                    let mut rest = index;
                    let mut at: Vec<usize> = vec![0; extents.len()];
                    for axis in (0..extents.len()).rev() {
                        at[axis] = spatial[axis].0 + rest % extents[axis];
                        rest /= extents[axis];
                    }
                    match channel {
                        ChannelPlace::First => at.insert(0, channels.0 + rest),
                        ChannelPlace::Last => at.push(channels.0 + rest),
                        _ => {}
                    }
                    let mut number = 0u64;
                    for (axis, &at) in grid.iter().zip(&at) {
                        let inner = axis.chunk.div_ceil(axis.piece);
                        let tail = (axis.extent % axis.chunk).div_ceil(axis.piece);
                        let count = axis.extent / axis.chunk * inner + tail;
                        let piece = at / axis.chunk * inner + at % axis.chunk / axis.piece;
                        number = number * count as u64 + piece as u64;
                    }
                    let expected = if holes && number % 2 == 1 { u32::MAX } else { value(&grid, &at) };
                    prop_assert_eq!(u32::from_ne_bytes(voxel.try_into().unwrap()), expected);
                }
            }
            prop_assert!(array.decoded.byte_len() <= budget);
        }
    }
}
