//! How an array is cut into pieces.

use crate::error::{Error, Result};
use crate::store::{ChannelPlace, Window};
use crate::voxel::{MAX_AXES, Region, Shape};

/// The most axes of a stored array: the channel and the spatial ones.
pub(in crate::store) const MAX_RANK: usize = MAX_AXES + 1;

/// One axis of a stored array: its extent, the chunks that it is cut into, and the pieces of each chunk.
///
/// Where a format cuts its chunks no further, a piece is a chunk. The last piece of a chunk ends with it,
/// and what lies beyond the array is stored as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::store) struct GridAxis {
    /// The positions of the array.
    pub extent: usize,
    /// The positions of a chunk.
    pub chunk: usize,
    /// The positions of a piece.
    pub piece: usize,
}

impl GridAxis {
    fn pieces_of_chunk(&self) -> usize {
        // Most formats cut their chunks no further, and a division for every piece would show.
        if self.piece == self.chunk { 1 } else { self.chunk.div_ceil(self.piece) }
    }

    fn count(&self) -> usize {
        let rest = (self.extent % self.chunk).div_ceil(self.piece);
        self.extent / self.chunk * self.pieces_of_chunk() + rest
    }

    /// The number of the piece that holds a position.
    fn piece_at(&self, position: usize) -> usize {
        position / self.chunk * self.pieces_of_chunk() + position % self.chunk / self.piece
    }

    /// The first position of a piece and one past its last.
    fn bounds(&self, number: usize) -> (usize, usize) {
        let (chunk, inner) = match self.pieces_of_chunk() {
            1 => (number, 0),
            pieces => (number / pieces, number % pieces),
        };
        let begin = chunk * self.chunk + inner * self.piece;
        let end = (begin + self.piece).min((chunk + 1) * self.chunk).min(self.extent);
        (begin, end)
    }
}

/// How an array is cut into pieces, its axes as stored.
#[derive(Debug, Clone)]
pub(in crate::store) struct Grid {
    axes: Vec<GridAxis>,
    channel: ChannelPlace,
    piece_voxels: usize,
    pieces: u64,
    /// The pieces along each axis.
    counts: [u64; MAX_RANK],
    /// The voxels from one position to the next in a piece, axes as in the array.
    steps: [usize; MAX_RANK],
}

/// One piece of an array.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Piece {
    /// Its number, counted over the grid, slowest axis first.
    pub number: u64,
    at: [usize; MAX_RANK],
    rank: usize,
}

impl Piece {
    /// Its place in the grid of pieces, axes as stored.
    pub(in crate::store) fn at(&self) -> &[usize] {
        self.at.get(..self.rank).unwrap_or_default()
    }
}

/// The pieces that a window touches: the first and the last one along each axis as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span([(usize, usize); MAX_RANK]);

impl Span {
    /// Whether a piece is one of them.
    pub(super) fn has(&self, piece: &Piece) -> bool {
        piece.at().iter().zip(&self.0).all(|(&at, &(low, high))| (low..=high).contains(&at))
    }

    /// How many there are.
    pub(super) fn pieces(&self) -> u64 {
        self.0.iter().fold(1, |count, (low, high)| count.saturating_mul((high - low + 1) as u64))
    }
}

/// What of a window a piece holds.
#[derive(Debug)]
pub(super) struct Overlap {
    /// The part of the window.
    pub(super) window: Window,
    /// The voxel of the piece that is the part's first.
    pub(super) first: usize,
}

impl Grid {
    /// The grid of these axes, as stored, one of which may be the channel's.
    ///
    /// # Errors
    /// `Format` where a chunk or a piece has no positions, or one is too large; `Unsupported` for too many
    /// axes.
    pub(in crate::store) fn new(axes: Vec<GridAxis>, channel: ChannelPlace) -> Result<Self> {
        if axes.len() > MAX_RANK {
            let rank = axes.len();
            return Err(Error::unsupported(format!("{rank} axes, expected at most {MAX_RANK}")));
        }
        if let Some(axis) = axes.iter().position(|axis| axis.chunk == 0 || axis.piece == 0) {
            return Err(Error::format(format!("its chunks have no extent along axis {axis}")));
        }
        let voxels = axes.iter().try_fold(1usize, |product, axis| product.checked_mul(axis.piece));
        let piece_voxels = voxels.filter(|&voxels| u32::try_from(voxels).is_ok());
        let piece_voxels =
            piece_voxels.ok_or_else(|| Error::format("its chunks have more than 2^32 voxels"))?;
        let pieces = axes.iter().try_fold(1u64, |product, axis| product.checked_mul(axis.count() as u64));
        let pieces = pieces.ok_or_else(|| Error::format("it has more chunks than 64 bits count"))?;
        let order: Vec<usize> = (0..axes.len()).collect();
        let mut counts = [1; MAX_RANK];
        counts.iter_mut().zip(&axes).for_each(|(slot, axis)| *slot = axis.count() as u64);
        let grid = Self { axes, channel, piece_voxels, pieces, counts, steps: [0; MAX_RANK] };
        Ok(grid.stored_in(&order))
    }

    /// The same grid, its pieces keeping their axes in this order, slowest first.
    #[must_use]
    pub(in crate::store) fn stored_in(mut self, order: &[usize]) -> Self {
        let mut step = 1;
        for &index in order.iter().rev() {
            if let (Some(slot), Some(axis)) = (self.steps.get_mut(index), self.axes.get(index)) {
                *slot = step;
                step *= axis.piece;
            }
        }
        self
    }

    /// The voxels of a piece, those beyond the array counted.
    pub(in crate::store) fn piece_voxels(&self) -> usize {
        self.piece_voxels
    }

    /// The number of pieces.
    pub(in crate::store) fn pieces(&self) -> u64 {
        self.pieces
    }

    /// The axes as stored.
    pub(in crate::store) fn axes(&self) -> &[GridAxis] {
        &self.axes
    }

    /// Where the array keeps its channel axis.
    pub(super) fn channel(&self) -> ChannelPlace {
        self.channel
    }

    /// The piece of this number.
    pub(in crate::store) fn piece(&self, number: u64) -> Piece {
        let (mut at, mut rest) = ([0; MAX_RANK], number);
        for (index, axis) in self.axes.iter().enumerate().rev() {
            let count = axis.count().max(1) as u64;
            if let Some(slot) = at.get_mut(index) {
                *slot = (rest % count) as usize;
            }
            rest /= count;
        }
        Piece { number, at, rank: self.axes.len() }
    }

    /// The voxels from one position to the next in a piece: channel first, then the spatial axes.
    pub(super) fn strides(&self) -> [isize; MAX_RANK] {
        let mut strides = [0isize; MAX_RANK];
        for (slot, axis) in strides.iter_mut().zip(self.channel_and_spatial()) {
            *slot = axis.and_then(|axis| self.steps.get(axis)).map_or(0, |&step| step as isize);
        }
        strides
    }

    /// The pieces along the slowest axis.
    pub(super) fn rows(&self) -> u64 {
        self.counts.first().copied().unwrap_or(1)
    }

    /// The first and the last piece along the slowest axis that a window touches.
    pub(super) fn rows_of(&self, window: &Window) -> (u64, u64) {
        let (begin, end) = self.slowest(window);
        let at = |position: usize| self.axes.first().map_or(0, |axis| axis.piece_at(position) as u64);
        (at(begin), at(end.saturating_sub(1).max(begin)))
    }

    /// The part of a window that lies in these pieces along the slowest axis.
    ///
    /// # Errors
    /// `Internal` where there is none.
    pub(super) fn narrowed(&self, window: &Window, (first, last): (u64, u64)) -> Result<Window> {
        let outside = || Error::internal("a window outside of its pieces");
        let axis = self.axes.first().ok_or_else(outside)?;
        let (begin, end) = self.slowest(window);
        let (low, high) = (axis.bounds(first as usize).0.max(begin), axis.bounds(last as usize).1.min(end));
        if self.channel == ChannelPlace::First {
            let len = high.checked_sub(low).filter(|&len| len > 0).ok_or_else(outside)?;
            return Ok(Window { channel: low, channels: len, ..window.clone() });
        }
        let region = window.region.between(0, (low as i64, high as i64)).ok_or_else(outside)?;
        Ok(Window { region, ..window.clone() })
    }

    /// The first position of a window along the slowest axis, and one past its last.
    fn slowest(&self, window: &Window) -> (usize, usize) {
        match self.channel {
            ChannelPlace::First => (window.channel, window.channel + window.channels),
            _ => {
                let start = window.region.offset().first().map_or(0, |start| start.unsigned_abs() as usize);
                (start, start + window.region.shape().extent(0))
            }
        }
    }

    /// Visits the pieces that a window touches, slowest axis first.
    ///
    /// # Errors
    /// Those of `visit`; `Internal` where the window does not fit the grid.
    pub(super) fn visit(
        &self,
        window: &Window,
        mut visit: impl FnMut(&Piece, Overlap) -> Result<()>,
    ) -> Result<()> {
        let rank = self.axes.len();
        let wanted = self.wanted(window)?;
        let wanted = wanted.get(..rank).unwrap_or_default();
        let touched = self.touched(wanted);
        let low = touched.map(|(low, _)| low);
        let mut parts = Parts { grid: self, wanted, ranges: [(0, 0); MAX_RANK], firsts: [0; MAX_RANK] };
        let (mut at, mut changed) = (low, 0);
        loop {
            let piece = Piece { number: self.number(&at), at, rank };
            visit(&piece, parts.overlap(&at, changed)?)?;
            changed = rank;
            loop {
                let Some(next) = changed.checked_sub(1) else { return Ok(()) };
                changed = next;
                let (Some(at), Some(&(low, high))) = (at.get_mut(changed), touched.get(changed)) else {
                    return Ok(());
                };
                if *at < high {
                    *at += 1;
                    break;
                }
                *at = low;
            }
        }
    }

    /// The pieces that a window touches.
    ///
    /// # Errors
    /// `Internal` where the window does not fit the grid.
    pub(super) fn span(&self, window: &Window) -> Result<Span> {
        let wanted = self.wanted(window)?;
        Ok(Span(self.touched(wanted.get(..self.axes.len()).unwrap_or_default())))
    }

    /// The first and the last piece that ranges touch along each axis.
    fn touched(&self, wanted: &[(usize, usize)]) -> [(usize, usize); MAX_RANK] {
        let mut touched = [(0, 0); MAX_RANK];
        for ((slot, &(begin, end)), axis) in touched.iter_mut().zip(wanted).zip(&self.axes) {
            *slot = (axis.piece_at(begin), axis.piece_at(end - 1));
        }
        touched
    }

    /// The positions of a window along each axis as stored.
    fn wanted(&self, window: &Window) -> Result<[(usize, usize); MAX_RANK]> {
        let rank = self.axes.len();
        let mut all = [(0usize, 0usize); MAX_RANK];
        let channel = (window.channel, window.channel + window.channels);
        let spatial = window.region.axes().map(|(start, len)| {
            let start = start.unsigned_abs() as usize;
            (start, start + len)
        });
        let places = self.channel_and_spatial();
        for (slot, range) in places.zip(std::iter::once(channel).chain(spatial)) {
            if let Some(slot) = slot.and_then(|slot| all.get_mut(slot)) {
                *slot = range;
            }
        }
        let wanted = all.get(..rank).unwrap_or_default();
        if wanted.iter().zip(&self.axes).any(|((begin, end), axis)| begin >= end || *end > axis.extent) {
            return Err(Error::internal("a window does not fit its array"));
        }
        Ok(all)
    }

    /// The stored axis of the channel, where there is one, then those of the spatial axes.
    fn channel_and_spatial(&self) -> impl Iterator<Item = Option<usize>> + use<> {
        let rank = self.axes.len();
        let (channel, spatial) = match self.channel {
            ChannelPlace::First => (Some(0), 1..rank),
            ChannelPlace::Last => (rank.checked_sub(1), 0..rank.saturating_sub(1)),
            ChannelPlace::None | ChannelPlace::Unsaid => (None, 0..rank),
        };
        std::iter::once(channel).chain(spatial.map(Some))
    }

    fn number(&self, at: &[usize]) -> u64 {
        let places = self.counts.iter().zip(at).take(self.axes.len());
        places.fold(0, |number, (count, &at)| number * count + at as u64)
    }
}

/// The ranges of a piece, axis by axis: the next piece has most of them in common with it.
struct Parts<'a> {
    grid: &'a Grid,
    wanted: &'a [(usize, usize)],
    ranges: [(usize, usize); MAX_RANK],
    /// What each axis adds to the piece's first voxel.
    firsts: [usize; MAX_RANK],
}

impl Parts<'_> {
    /// What of the wanted ranges lies in a piece, given the first axis that is not as for the piece before.
    fn overlap(&mut self, at: &[usize], changed: usize) -> Result<Overlap> {
        let Self { grid, wanted, ranges, firsts } = self;
        let axes = grid.axes.iter().zip(grid.steps).zip(at).zip(*wanted);
        let slots = ranges.iter_mut().zip(firsts.iter_mut());
        for ((((axis, step), &at), &(begin, end)), (range, first)) in axes.zip(slots).skip(changed) {
            let (low, high) = axis.bounds(at);
            *range = (begin.max(low), end.min(high));
            *first = (range.0 - low) * step;
        }
        let (mut channel, mut channels) = (0, 1);
        let (mut offset, mut extents) = ([0i64; MAX_AXES], [0usize; MAX_AXES]);
        let mut spatial = 0;
        for (place, slot) in grid.channel_and_spatial().enumerate() {
            spatial = place;
            let Some((begin, end)) = slot.and_then(|slot| ranges.get(slot)) else { continue };
            match place.checked_sub(1) {
                None => (channel, channels) = (*begin, end - begin),
                Some(axis) => {
                    if let (Some(offset), Some(extent)) = (offset.get_mut(axis), extents.get_mut(axis)) {
                        (*offset, *extent) = (*begin as i64, end - begin);
                    }
                }
            }
        }
        let shape = Shape::new(extents.get(..spatial).unwrap_or_default())?;
        let region = Region::new(offset.get(..spatial).unwrap_or_default(), shape)?;
        let first = firsts.iter().take(grid.axes.len()).sum();
        Ok(Overlap { window: Window { channel, channels, region }, first })
    }
}
