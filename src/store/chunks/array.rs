//! A chunked array as a volume.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::chunks::arrangement::Arrangement;
use crate::store::chunks::asked::Asked;
use crate::store::chunks::grid::{Grid, MAX_RANK, Overlap, Piece};
use crate::store::chunks::layers::{LAYER_BYTES, Layers};
use crate::store::chunks::source::{Found, Source, Voxels};
use crate::store::{
    Block, Bytes, Decoded, DecodedBytes, DecodedParts, Had, Header, Moment, Origin, Part, Patience, Scratch,
    TakeBlock, Volume, Window,
};

/// The most pieces that are decoded ahead before a thread looks whether there is something to be done by now.
const MOST_AHEAD: usize = 8;

/// An array in chunks.
#[derive(Debug)]
pub(in crate::store) struct ChunkedArray<S> {
    pub(super) header: Header,
    pub(super) grid: Grid,
    swapped: bool,
    fill: [u8; 8],
    /// Its number among the decoded volumes.
    number: u64,
    /// The decoded parts of the dataset.
    pub(super) decoded: Arc<Decoded>,
    /// The layers that its pieces are joined to.
    pub(super) layers: Option<Layers>,
    asked: Asked,
    pub(super) source: S,
}

impl<S: Source> ChunkedArray<S> {
    /// An array with this header, cut like this, whose decoded pieces are kept with others.
    pub(in crate::store) fn new(
        (header, grid): (Header, Grid),
        Voxels { swapped, fill }: Voxels,
        decoded: &Arc<Decoded>,
        source: S,
    ) -> Self {
        let arrangement = Arrangement::of(&grid, header.dtype, swapped);
        let layers = Layers::of(&grid, &header, arrangement, LAYER_BYTES);
        let (number, decoded) = (decoded.number(), Arc::clone(decoded));
        Self { header, grid, swapped, fill, number, decoded, layers, asked: Asked::default(), source }
    }

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
        match self.source.find(piece, scratch.moment()).map_err(|error| self.at(piece, error))? {
            Found::Missing => {
                take(&overlap.window, &self.missing_block())?;
            }
            Found::Plain(map, start) => {
                let (bytes, strides) = (Bytes::Mapped(map), self.byte_strides(self.grid.strides()));
                let first = start + overlap.first * voxel;
                take(&overlap.window, &Block { bytes, first, strides, swapped: self.swapped })?;
            }
            Found::Packed if keeps => match self.decode(piece, patience, scratch)? {
                Some(Had::Part(bytes)) => {
                    take(&overlap.window, &self.decoded_block(bytes, overlap))?;
                    self.join_layer_of(piece, scratch.moment());
                }
                Some(Had::Whole(bytes)) => {
                    take(&overlap.window, &self.block_in_layer(piece, bytes, &overlap.window)?)?;
                }
                None => return Ok(false),
            },
            Found::Packed => {
                let (bytes, work) = scratch.bytes_and_work(len)?;
                self.source.decode(piece, work, bytes).map_err(|error| self.at(piece, error))?;
                let (bytes, strides) = (Bytes::Borrowed(bytes), self.byte_strides(self.grid.strides()));
                let first = overlap.first * voxel;
                take(&overlap.window, &Block { bytes, first, strides, swapped: self.swapped })?;
            }
        }
        Ok(true)
    }

    /// Any part of a window of which nothing is stored.
    pub(super) fn missing_block(&self) -> Block<'_> {
        let bytes = Bytes::Borrowed(self.fill.get(..self.header.dtype.byte_len()).unwrap_or_default());
        Block { bytes, first: 0, strides: [0; MAX_RANK], swapped: self.swapped }
    }

    /// The part of a window that lies in kept bytes.
    pub(super) fn decoded_block(&self, bytes: DecodedBytes, overlap: &Overlap) -> Block<'static> {
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
        self.numbered(piece.number)
    }

    /// A piece or a layer, as a part to be kept.
    pub(super) fn numbered(&self, number: u64) -> Part {
        Part { volume: self.number, number }
    }

    fn arrangement(&self) -> Option<Arrangement> {
        Arrangement::of(&self.grid, self.header.dtype, self.swapped)
    }

    fn decode(&self, piece: &Piece, patience: Patience, scratch: &mut Scratch) -> Result<Option<Had>> {
        let len = self.piece_bytes()?;
        let decode = |into: &mut [u8]| match self.arrangement() {
            None => self.source.decode(piece, scratch.bytes_and_work(0)?.1, into),
            Some(arrangement) => {
                let (bytes, work) = scratch.bytes_and_work(len)?;
                let shuffled = if arrangement.takes_shuffled() {
                    self.source.decode_to_shuffled(piece, work, bytes)?
                } else {
                    self.source.decode(piece, work, bytes).map(|()| None)?
                };
                arrangement.arrange(bytes, shuffled, into)
            }
        };
        let part = (self.part(piece), self.layer_of(piece));
        let decoded = self.decoded.get_part_or_whole(part, len, patience, decode);
        decoded.map_err(|error| self.at(piece, error))
    }

    /// Decodes a packed piece for the cache, unless it is kept or somebody decodes it; true where it was done.
    fn decode_missing(&self, piece: &Piece, scratch: &mut Scratch) -> Result<bool> {
        if self.holds(piece) {
            return Ok(false);
        }
        let found = self.source.find(piece, scratch.moment()).map_err(|error| self.at(piece, error))?;
        let decoded = matches!(found, Found::Packed)
            && matches!(self.decode(piece, Patience::Leave, scratch)?, Some(Had::Part(_)));
        if decoded {
            self.decoded.await_use(self.part(piece));
            self.join_layer_of(piece, scratch.moment());
        }
        Ok(decoded)
    }

    /// Whether a piece is kept or being decoded, by itself or in its layer.
    fn holds(&self, piece: &Piece) -> bool {
        self.decoded.holds(self.part(piece))
            || self.layer_of(piece).is_some_and(|layer| self.decoded.holds(layer))
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

    /// Gives a window piece by piece.
    pub(super) fn pieces(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        // Threads that want the same pieces at once decode others meanwhile, instead of all waiting for one.
        let mut later = std::mem::take(&mut scratch.later);
        later.clear();
        let keeps = self.piece_bytes()? <= self.decoded.budget();
        let leaves = scratch.patience == Patience::Leave;
        let mut done = self.grid.visit(window, |piece, overlap| {
            // Where a piece is left out, the window will be asked for again, and only decoding others is of use.
            if leaves && !later.is_empty() {
                return self.decode_missing(piece, scratch).map(drop);
            }
            // Where a piece is may cost a look at its file, which a kept one does not need.
            match if keeps { self.decoded.kept(self.part(piece)) } else { None } {
                Some(bytes) => take(&overlap.window, &self.decoded_block(bytes, &overlap))?,
                None if !self.give((piece, &overlap), Patience::Leave, scratch, take)? => {
                    later.push(piece.number);
                }
                None => {}
            }
            Ok(())
        });
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
}

impl<S: Source> Volume for ChunkedArray<S> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        match &self.layers {
            Some(layers) => self.layers_and_pieces(layers, window, scratch, take),
            None => self.pieces(window, scratch, take),
        }
    }

    fn will_need(&self, window: &Window) {
        // A hint: what cannot be had is told when it is read.
        if self.grid.span(window).is_ok_and(|span| self.asked.again(span)) {
            return;
        }
        let _ = self.grid.visit(window, |piece, _| {
            if !self.holds(piece) {
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

    fn pass(&self, part: &Window, rest: Option<&Window>) {
        // All of them are looked up.
        const MOST: u64 = 1 << 16;
        let few = self.grid.span(part).is_ok_and(|span| span.pieces() <= MOST);
        if !few || self.decoded.byte_len() == 0 {
            return;
        }
        let needed = rest.and_then(|rest| self.grid.span(rest).ok());
        let mut passed = Vec::new();
        let _ = self.grid.visit(part, |piece, _| {
            if !needed.is_some_and(|span| span.has(piece)) {
                passed.push(self.part(piece));
            }
            Ok(())
        });
        let layers = self.layers.as_ref().map(|layers| layers.passed(&self.grid, part, rest));
        let layers = layers.into_iter().flatten().map(|layer| self.layer(layer));
        self.decoded.pass(passed.into_iter().chain(layers));
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
        let found = self.source.find(&piece, Moment::default()).map_err(|error| self.at(&piece, error))?;
        if matches!(found, Found::Packed)
            && matches!(self.decode(&piece, Patience::Wait, scratch)?, Some(Had::Part(_)))
        {
            self.join_layer_of(&piece, Moment::default());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::chunks::GridAxis;
    use crate::store::{ChannelPlace, Origin, Reader, Work};
    use crate::voxel::{DType, Region};
    use proptest::prelude::*;

    /// Voxels that count their places in the array; the pieces of odd number are missing.
    #[derive(Debug)]
    struct Counted {
        grid: Grid,
        holes: bool,
        swapped: bool,
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
                let value = value(axes, &place);
                let value = if self.swapped { value.swap_bytes() } else { value };
                voxel.copy_from_slice(&value.to_ne_bytes());
            }
            Ok(())
        }
    }

    fn array(
        (axes, channel): (Vec<GridAxis>, ChannelPlace),
        (holes, swapped): (bool, bool),
        (budget, layer): (u64, u128),
    ) -> ChunkedArray<Counted> {
        let extents: Vec<usize> = axes.iter().map(|axis| axis.extent).collect();
        let (shape, channels) = channel.split(&extents).unwrap();
        let (dtype, origin) = (DType::U32, Origin::default());
        let header = Header { shape, channels, dtype, scale: None, affine: None, origin };
        let grid = Grid::new(axes, channel).unwrap();
        let source = Counted { grid: grid.clone(), holes, swapped };
        let voxels = Voxels { swapped, fill: [0xff; 8] };
        let mut array = ChunkedArray::new((header, grid), voxels, &Arc::new(Decoded::new(budget)), source);
        array.layers = Layers::of(&array.grid, &array.header, array.arrangement(), layer);
        array
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
            swapped: bool,
            layer in prop_oneof![Just(1u128), Just(200), Just(LAYER_BYTES)],
            budget in prop_oneof![Just(0u64), Just(300), Just(1 << 20)],
        ) {
            let channel = [ChannelPlace::None, ChannelPlace::First, ChannelPlace::Last][place];
            let grid: Vec<GridAxis> = axes.iter().map(|(axis, ..)| *axis).collect();
            let array = array((grid.clone(), channel), (holes, swapped), (budget, layer));
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
            let whole = Window {
                channel: 0,
                channels: array.header.channels,
                region: Region::whole(array.header.shape),
            };
            for round in 0..3 {
                if round == 2 {
                    let mut all = vec![0u8; array.header.byte_len().unwrap()];
                    reader.read_stored(&array, &whole, &mut all).unwrap();
                }
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
            if budget == 1 << 20 && !holes && array.layers.is_some() {
                let bytes = array.header.byte_len().unwrap() as u64;
                prop_assert_eq!(array.decoded.byte_len(), bytes, "all pieces have been joined");
            }
        }
    }
}
