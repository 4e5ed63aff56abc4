//! Layers of pieces: neighbours along the slowest axis, kept as one dense array once all of them are decoded.
//!
//! A window then is one gather from each layer, its rows as long as if the array had never been cut, instead of one
//! from each piece.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::store::chunks::arrangement::Arrangement;
use crate::store::chunks::array::ChunkedArray;
use crate::store::chunks::grid::{Grid, Piece};
use crate::store::chunks::source::{Found, Source};
use crate::store::{
    ArrayLayout, Block, Bytes, ChannelPlace, DecodedBytes, Header, Moment, Part, Reader, Scratch, TakeBlock,
    Volume, Window,
};
use crate::voxel::Region;

/// The fewest bytes of a layer of an array that has as many: those of a huge page.
pub(super) const LAYER_BYTES: u128 = 2 << 20;
/// The most layers of an array whose pieces are joined, a number being kept for each.
const MOST_LAYERS: u64 = 1 << 16;
/// The most pieces of a layer: all of them are looked for before it is joined.
const MOST_PIECES: u64 = 1 << 16;
/// The most bytes of a layer: one thread joins it, for which others may wait.
const MOST_BYTES: usize = 256 << 20;
/// No piece of a layer has so large a number.
const NEVER: u64 = u64::MAX;

/// How the pieces of a grid make layers.
///
/// A layer is kept channel after channel, in this machine's byte order, without what lies beyond the array.
#[derive(Debug)]
pub(super) struct Layers {
    /// The pieces at one place of the slowest axis.
    row: u64,
    /// The rows of a layer.
    rows: u64,
    /// The rows of the grid.
    all_rows: u64,
    /// Of each layer the pieces that are known to be decoded, in order from its first on; had when one is joined.
    seen: OnceLock<Vec<AtomicU64>>,
}

/// Whether a piece can be joined to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Decoded,
    NotYet,
    Never,
}

impl Layers {
    /// The layers of a grid, of so many bytes at least; nothing where its pieces are layers already, or keep channels
    /// beside each other, or where there would be too many.
    pub(super) fn of(
        grid: &Grid,
        header: &Header,
        arrangement: Option<Arrangement>,
        fewest: u128,
    ) -> Option<Self> {
        let (slowest, others) = grid.axes().split_first()?;
        let parted = others.last().is_some_and(|axis| axis.piece == 1)
            || arrangement.is_some_and(|arrangement| arrangement.parts_channels());
        if grid.channel() == ChannelPlace::Last && header.channels > 1 && !parted {
            return None;
        }
        let all_rows = grid.rows();
        let row = grid.pieces().checked_div(all_rows)?;
        let bytes = others
            .iter()
            .fold(slowest.piece as u128, |product, axis| product.saturating_mul(axis.extent as u128));
        let bytes = bytes.saturating_mul(header.dtype.byte_len() as u128).max(1);
        let rows = fewest.div_ceil(bytes).min(u128::from(all_rows)) as u64;
        let count = all_rows.checked_div(rows)? + u64::from(!all_rows.is_multiple_of(rows));
        let pieces = row.saturating_mul(rows);
        if pieces <= 1 || pieces > MOST_PIECES || count > MOST_LAYERS {
            return None;
        }
        Some(Self { row, rows, all_rows, seen: OnceLock::new() })
    }

    /// The pieces of a layer that are known to be decoded; nothing where there is no memory to note them.
    fn seen(&self, layer: u64) -> Option<&AtomicU64> {
        let fresh = || {
            let (count, mut seen) = (self.count() as usize, Vec::new());
            if seen.try_reserve_exact(count).is_ok() {
                seen.resize_with(count, AtomicU64::default);
            }
            seen
        };
        self.seen.get_or_init(fresh).get(layer as usize)
    }

    /// The number of layers.
    pub(super) fn count(&self) -> u64 {
        self.all_rows.div_ceil(self.rows)
    }

    /// The layer of a row of pieces.
    fn of_row(&self, row: u64) -> u64 {
        row / self.rows
    }

    /// The layer of a piece.
    fn of_piece(&self, piece: &Piece) -> u64 {
        self.of_row(piece.number / self.row)
    }

    /// The first and the last row of pieces of a layer.
    fn rows_of(&self, layer: u64) -> (u64, u64) {
        let first = layer * self.rows;
        (first, (first + self.rows).min(self.all_rows) - 1)
    }

    /// The layers that a window of a grid touches and another one does not.
    pub(super) fn passed(
        &self,
        grid: &Grid,
        part: &Window,
        rest: Option<&Window>,
    ) -> impl Iterator<Item = u64> {
        let layers = |window: &Window| {
            let (first, last) = grid.rows_of(window);
            self.of_row(first)..=self.of_row(last)
        };
        let needed = rest.map(layers);
        layers(part).filter(move |layer| !needed.as_ref().is_some_and(|needed| needed.contains(layer)))
    }

    /// The number of a layer's first piece, and one past that of its last.
    fn pieces_of(&self, layer: u64) -> (u64, u64) {
        let (first, last) = self.rows_of(layer);
        (first * self.row, (last + 1) * self.row)
    }

    /// Whether all pieces of a layer are decoded, as far as they are looked at now; the next look then begins anew.
    fn is_complete(&self, layer: u64, look: impl Fn(u64) -> Sight) -> bool {
        let Some(seen) = self.seen(layer) else { return false };
        let (first, end) = self.pieces_of(layer);
        let mut next = seen.load(Ordering::Relaxed);
        while let Some(number) = first.checked_add(next).filter(|&number| number < end) {
            match look(number) {
                Sight::Decoded => next += 1,
                Sight::NotYet => break,
                Sight::Never => next = NEVER,
            }
        }
        let complete = next == end - first;
        // Threads may overwrite each other here, which costs further looks at most.
        seen.store(if complete { 0 } else { next }, Ordering::Relaxed);
        complete
    }
}

impl<S: Source> ChunkedArray<S> {
    /// Gives a window: from layers where they are kept, piece by piece elsewhere.
    pub(super) fn layers_and_pieces(
        &self,
        layers: &Layers,
        window: &Window,
        scratch: &mut Scratch,
        take: TakeBlock<'_>,
    ) -> Result<()> {
        let (first, last) = self.grid.rows_of(window);
        let mut next = first;
        for layer in layers.of_row(first)..=layers.of_row(last) {
            let Some(bytes) = self.decoded.kept(self.layer(layer)) else { continue };
            let rows = layers.rows_of(layer);
            let (begin, end) = (rows.0.max(first), rows.1.min(last));
            if next < begin {
                self.pieces(&self.grid.narrowed(window, (next, begin - 1))?, scratch, take)?;
            }
            let part = self.grid.narrowed(window, (begin, end))?;
            take(&part, &self.block_of_layer(layers, layer, bytes, &part)?)?;
            next = end + 1;
        }
        match next {
            next if next == first => self.pieces(window, scratch, take),
            next if next <= last => self.pieces(&self.grid.narrowed(window, (next, last))?, scratch, take),
            _ => Ok(()),
        }
    }

    /// The layer that a piece lies in, as a part to be kept.
    pub(super) fn layer_of(&self, piece: &Piece) -> Option<Part> {
        let layers = self.layers.as_ref()?;
        Some(self.layer(layers.of_piece(piece)))
    }

    /// The part of a window, all of it in one layer, from the layer's bytes.
    pub(super) fn block_in_layer(
        &self,
        piece: &Piece,
        bytes: DecodedBytes,
        part: &Window,
    ) -> Result<Block<'static>> {
        let layers = self.layers.as_ref();
        let layers = layers.ok_or_else(|| Error::internal("a layer of an array without"))?;
        self.block_of_layer(layers, layers.of_piece(piece), bytes, part)
    }

    /// Joins the pieces of a layer, if the one that has just been decoded was the last of them.
    ///
    /// What is joined or not, the voxels are the same; whatever fails here is told when the piece is read.
    pub(super) fn join_layer_of(&self, piece: &Piece, moment: Moment) {
        let Some(layers) = &self.layers else { return };
        let layer = layers.of_piece(piece);
        let Ok(window) = self.window_of_layer(layers, layer) else { return };
        let len = window.region.shape().byte_len(window.channels, self.header.dtype.byte_len());
        let Some(len) = len.ok().filter(|&len| len <= self.decoded.left().min(MOST_BYTES)) else { return };
        if !layers.is_complete(layer, |number| self.sight(number, moment)) {
            return;
        }
        let (first, end) = layers.pieces_of(layer);
        let parts = (first..end).map(|number| self.numbered(number));
        let fill = |kept: &[(Part, DecodedBytes)], into: &mut [u8]| {
            Reader::default().read_stored(&KeptPieces { array: self, kept, moment }, &window, into)
        };
        let _ = self.decoded.join(self.layer(layer), len, parts, fill);
    }

    pub(super) fn layer(&self, layer: u64) -> Part {
        self.numbered(self.grid.pieces().saturating_add(layer))
    }

    fn window_of_layer(&self, layers: &Layers, layer: u64) -> Result<Window> {
        let Header { shape, channels, .. } = self.header;
        let whole = Window { channel: 0, channels, region: Region::whole(shape) };
        self.grid.narrowed(&whole, layers.rows_of(layer))
    }

    fn block_of_layer(
        &self,
        layers: &Layers,
        layer: u64,
        bytes: DecodedBytes,
        part: &Window,
    ) -> Result<Block<'static>> {
        let whole = self.window_of_layer(layers, layer)?;
        let voxel = self.header.dtype.byte_len();
        let layout = ArrayLayout::dense(&whole.region.shape(), whole.channels, voxel, ChannelPlace::First);
        let (begin, at) = (layout.first(0, &whole)?, layout.first(0, part)?);
        let first = at.saturating_sub(begin);
        Ok(Block { bytes: Bytes::Shared(bytes), first, strides: layout.strides, swapped: false })
    }

    fn sight(&self, number: u64, moment: Moment) -> Sight {
        if self.decoded.is_kept(self.numbered(number)) {
            return Sight::Decoded;
        }
        match self.source.find(&self.grid.piece(number), moment) {
            Ok(Found::Missing) => Sight::Decoded,
            Ok(Found::Plain(..)) => Sight::Never,
            Ok(Found::Packed) | Err(_) => Sight::NotYet,
        }
    }
}

/// An array of which the pieces of a layer are kept, but for those that are not stored.
#[derive(Debug)]
struct KeptPieces<'a, S> {
    array: &'a ChunkedArray<S>,
    /// In order.
    kept: &'a [(Part, DecodedBytes)],
    moment: Moment,
}

impl<S: Source> Volume for KeptPieces<'_, S> {
    fn header(&self) -> &Header {
        &self.array.header
    }

    fn blocks(&self, window: &Window, _: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        let Self { array, kept, moment } = *self;
        let mut kept = kept.iter().peekable();
        array.grid.visit(window, |piece, overlap| {
            let block = match kept.next_if(|(part, _)| part.number == piece.number) {
                Some((_, bytes)) => array.decoded_block(Arc::clone(bytes), &overlap),
                None if matches!(array.source.find(piece, moment)?, Found::Missing) => array.missing_block(),
                None => return Err(Error::internal("a piece of a layer is kept no more")),
            };
            take(&overlap.window, &block)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Origin;
    use crate::store::chunks::GridAxis;
    use crate::voxel::{DType, Shape};

    fn layers(axes: [(usize, usize); 3]) -> Option<Layers> {
        let shape = Shape::new(&axes.map(|(extent, _)| extent)).unwrap();
        let (dtype, origin) = (DType::U8, Origin::default());
        let header = Header { shape, channels: 1, dtype, scale: None, affine: None, origin };
        let axes = axes.map(|(extent, chunk)| GridAxis { extent, chunk, piece: chunk });
        let grid = Grid::new(axes.to_vec(), ChannelPlace::None).unwrap();
        Layers::of(&grid, &header, None, LAYER_BYTES)
    }

    #[test]
    fn layers_fill_a_huge_page_and_the_last_one_ends_with_the_array() {
        let layers = layers([(100, 8), (512, 64), (512, 64)]).unwrap();
        assert_eq!((layers.row, layers.rows, layers.all_rows), (64, 1, 13));
        let thin = self::layers([(100, 1), (512, 64), (500, 500)]).unwrap();
        assert_eq!((thin.row, thin.rows, thin.of_row(17), thin.of_row(18)), (8, 9, 1, 2));
        assert_eq!((thin.rows_of(11), thin.pieces_of(11)), ((99, 99), (792, 800)));
        assert!(self::layers([(100, 8), (512, 512), (512, 512)]).is_none(), "each piece is a layer");
    }

    #[test]
    fn arrays_of_very_many_pieces_or_layers_stay_as_they_are() {
        assert!(layers([(1, 1), (256, 1), (256, 1)]).is_some());
        assert!(layers([(1, 1), (257, 1), (256, 1)]).is_none());
        assert!(layers([(1 << 16, 1), (2048, 1024), (1024, 1024)]).is_some());
        assert!(layers([((1 << 16) + 1, 1), (2048, 1024), (1024, 1024)]).is_none());
        assert!(layers([(1 << 40, 1), (1 << 12, 1), (1 << 11, 1)]).is_none());
    }

    #[test]
    fn a_layer_is_complete_with_its_last_piece_and_never_with_one_that_is_not_decoded() {
        let layers = layers([(100, 8), (512, 256), (512, 256)]).unwrap();
        assert!(!layers.is_complete(2, |number| if number == 10 { Sight::NotYet } else { Sight::Decoded }));
        assert!(!layers.is_complete(2, |number| if number == 11 { Sight::NotYet } else { Sight::Decoded }));
        assert!(layers.is_complete(2, |number| {
            assert_eq!(number, 11, "the others are known");
            Sight::Decoded
        }));
        assert!(!layers.is_complete(2, |number| if number == 9 { Sight::Never } else { Sight::Decoded }));
        assert!(!layers.is_complete(2, |_| panic!("no look is needed")));
        assert!(layers.is_complete(0, |_| Sight::Decoded));
    }
}
