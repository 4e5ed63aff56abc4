//! Blocks of a window on their way into a row, or into several.
//!
//! Those that lie side by side along the fastest axis are placed together, row by row in turn: a row of a slice that
//! is cut into chunks is then written from one end to the other, which takes half the time of one chunk after the
//! other.

use crate::error::Result;
use crate::store::{Block, Bytes, Rows, Volume, Window};
use crate::sys::{MOST_BESIDE, MOST_GATHERED, Scale, Stored, Target, gather_beside};
use crate::voxel::{AxisRuns, MAX_AXES, Placement, Run, Shape};

/// A window of stored voxels, and the row that it goes to, or the rows.
pub(super) struct Source<'a> {
    pub(super) volume: &'a dyn Volume,
    pub(super) window: &'a Window,
    pub(super) scale: Option<Scale>,
    /// How the stored axes are seen.
    pub(super) placed: &'a Placement,
    /// The axis of rows, where there are several.
    pub(super) rows: Option<Rows>,
    /// The channels and the extents of a row.
    pub(super) channels: usize,
    pub(super) shape: Shape,
}

/// A reader's memory for blocks that wait for those beside them.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Those that wait.
    blocks: Vec<Block<'static>>,
    /// The runs of each of them along the last axis.
    along: [AxisRuns; MOST_BESIDE],
    /// The part of the window that the first of them holds.
    first: Option<Window>,
    /// The runs of each axis within that part.
    parts: [AxisRuns; MAX_AXES],
    /// The ranges of the window that they were made of: neighbouring blocks have most of them in common.
    ranges: [Option<(usize, usize)>; MAX_AXES],
}

impl Beside {
    /// Begins a window, of which nothing waits yet.
    pub(super) fn begin(&mut self) {
        self.blocks.clear();
        (self.first, self.ranges) = (None, Default::default());
    }

    /// Takes the block of a part of the window; what cannot wait, or waits for nothing, is placed.
    pub(super) fn take(
        &mut self,
        from: &Source<'_>,
        part: &Window,
        (block, axes): (&Block<'_>, &[AxisRuns; MAX_AXES]),
        target: &mut Target<'_>,
    ) -> Result<()> {
        let alone = std::slice::from_ref(block);
        if part == from.window {
            return from.place(alone, &[], (from.channels_of(part), axes), target);
        }
        let shared = from.last_axis().and_then(|last| Some((last, block.shared()?)));
        if !shared.as_ref().is_some_and(|(last, block)| self.goes_on(part, block, *last)) {
            self.place(from, target)?;
            self.set_parts(from, part, axes);
        }
        let Some((last, block)) = shared else {
            return from.place(alone, &[], (from.channels_of(part), &self.parts), target);
        };
        if let Some((axis, along)) = axes.get(last).zip(self.along.get_mut(self.blocks.len())) {
            axis.within(from.range(last, part), along);
        }
        self.blocks.push(block);
        self.first.get_or_insert_with(|| part.clone());
        Ok(())
    }

    /// Places all that wait.
    pub(super) fn place(&mut self, from: &Source<'_>, target: &mut Target<'_>) -> Result<()> {
        let Some(first) = self.first.take() else { return Ok(()) };
        let along = self.along.each_ref().map(AxisRuns::runs);
        let along = along.get(..self.blocks.len()).unwrap_or_default();
        let placed = from.place(&self.blocks, along, (from.channels_of(&first), &self.parts), target);
        self.blocks.clear();
        placed
    }

    /// Whether a block lies beside those that wait, but for the axis that they lie along.
    fn goes_on(&self, part: &Window, block: &Block<'_>, along: usize) -> bool {
        let (Some(first), Some(other)) = (&self.first, self.blocks.first()) else { return false };
        let axes = || part.region.axes().zip(first.region.axes()).enumerate();
        self.blocks.len() < MOST_BESIDE
            && (part.channel, part.channels) == (first.channel, first.channels)
            && (block.strides, block.swapped) == (other.strides, other.swapped)
            && axes().all(|(axis, (own, others))| axis == along || own == others)
    }

    /// Sets the runs within a part of the window.
    fn set_parts(&mut self, from: &Source<'_>, part: &Window, axes: &[AxisRuns; MAX_AXES]) {
        let places = axes.iter().zip(&mut self.parts).zip(self.ranges.iter_mut().zip(&from.placed.axes));
        for ((axis, into), (known, &stored)) in places.take(from.shape.ndim()) {
            let range = from.range(stored, part);
            if known.replace(range) != Some(range) {
                axis.within(range, into);
            }
        }
    }
}

impl Block<'_> {
    /// The same block for as long as it is wanted, where it can be had.
    fn shared(&self) -> Option<Block<'static>> {
        let bytes = match &self.bytes {
            Bytes::Borrowed(_) => return None,
            Bytes::Mapped(map) => Bytes::Mapped(map.clone()),
            Bytes::Shared(bytes) => Bytes::Shared(bytes.clone()),
        };
        Some(Block { bytes, first: self.first, strides: self.strides, swapped: self.swapped })
    }
}

impl Source<'_> {
    /// The positions of the window that a part holds, along a stored axis.
    fn range(&self, stored: usize, part: &Window) -> (usize, usize) {
        let begin = part.region.offset().get(stored).zip(self.window.region.offset().get(stored));
        let low = begin.map_or(0, |(part, window)| part.saturating_sub(*window)) as usize;
        (low, low + part.region.shape().extent(stored))
    }

    /// The channels of the window that a part holds.
    fn channels_of(&self, part: &Window) -> Run {
        let output = part.channel.saturating_sub(self.window.channel);
        Run { output, len: part.channels, source: 0, step: 1 }
    }

    /// The last axis of a row, where that is the fastest stored one.
    fn last_axis(&self) -> Option<usize> {
        let last = self.shape.ndim().checked_sub(1)?;
        let within = self.rows.is_none_or(|rows| rows.axis != last);
        (within && self.placed.axes.get(last) == Some(&last)).then_some(last)
    }

    /// Gathers blocks that lie side by side into their places among the channels and axes of a row, or of several.
    ///
    /// They have their own runs along the last axis where they are several.
    fn place(
        &self,
        blocks: &[Block<'_>],
        along: &[&[Run]],
        (channels, axes): (Run, &[AxisRuns; MAX_AXES]),
        target: &mut Target<'_>,
    ) -> Result<()> {
        let Some(block) = blocks.first() else { return Ok(()) };
        // Rows come before the channels of each, so the axis that they lie along moves there.
        let lead = usize::from(self.rows.is_some());
        let (channels, one) = ([channels], [Run { output: 0, len: 1, source: 0, step: 1 }]);
        let mut strides = [block.strides[0]; MOST_GATHERED];
        let mut extents = [self.channels; MOST_GATHERED];
        let mut runs: [&[Run]; MOST_GATHERED] = [&channels; MOST_GATHERED];
        for (slot, &stored) in strides.iter_mut().skip(lead + 1).zip(&self.placed.axes) {
            *slot = block.strides.get(stored + 1).copied().unwrap_or_default();
        }
        for (slot, &extent) in extents.iter_mut().skip(lead + 1).zip(self.shape.extents()) {
            *slot = extent;
        }
        for (slot, axis) in runs.iter_mut().skip(lead + 1).zip(axes) {
            *slot = axis.runs();
        }
        if let Some(rows) = self.rows {
            let axis = lead + 1 + rows.axis;
            extents[0] = rows.count;
            strides[0] = strides.get(axis).copied().unwrap_or_default();
            if let Some(slot) = runs.get_mut(axis) {
                let along = std::mem::replace(slot, &one);
                runs[0] = along;
            }
        }
        let ndim = lead + 1 + self.shape.ndim();
        let stored = |block| Stored {
            bytes: Block::as_bytes(block),
            first: block.first,
            strides: strides.get(..ndim).unwrap_or_default(),
            dtype: self.volume.header().dtype,
            swapped: block.swapped,
            shuffled: None,
            scale: self.scale,
        };
        let mut all = [stored(block); MOST_BESIDE];
        all.iter_mut().zip(blocks).for_each(|(slot, block)| *slot = stored(block));
        let all = all.get(..blocks.len()).unwrap_or_default();
        let (runs, extents) = (runs.get(..ndim).unwrap_or_default(), extents.get(..ndim).unwrap_or_default());
        gather_beside(all, along, (runs, extents, self.rows.map(|rows| rows.pitch)), target)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::store::{
        ArrayLayout, ArraysRead, ChannelPlace, Entry, Extraction, Header, MemoryArray, Origin, Patience,
        Reader, Scratch, TakeBlock, Wanted,
    };
    use crate::sys::AlignedBuffer;
    use crate::voxel::{Affine, DType, Orientation, Padding, Region};

    /// A volume that gives its windows in pieces.
    #[derive(Debug)]
    struct Cut {
        whole: MemoryArray,
        pieces: [usize; 3],
        /// Every how many-th piece is lent for the moment only.
        lent: usize,
        /// The piece of a window that cannot be had.
        damaged: Option<usize>,
    }

    impl Volume for Cut {
        fn header(&self) -> &Header {
            self.whole.header()
        }

        fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
            let [depths, heights, widths] = [0, 1, 2].map(|axis| {
                let (start, len) = window.region.axes().nth(axis).unwrap();
                let (start, end, piece) = (start as usize, start as usize + len, self.pieces[axis]);
                let begins = (start / piece..end.div_ceil(piece)).map(move |at| (at * piece).max(start));
                begins.map(move |begin| (begin, (begin / piece * piece + piece).min(end) - begin))
            });
            let mut number = 0;
            for z in depths {
                for y in heights.clone() {
                    for x in widths.clone() {
                        let offset = [z.0, y.0, x.0].map(|begin| begin as i64);
                        let shape = Shape::new(&[z.1, y.1, x.1])?;
                        let part = Window { region: Region::new(&offset, shape)?, ..window.clone() };
                        self.piece(&part, number, scratch, take)?;
                        number += 1;
                    }
                }
            }
            Ok(())
        }
    }

    impl Cut {
        fn piece(
            &self,
            part: &Window,
            number: usize,
            scratch: &mut Scratch,
            take: TakeBlock<'_>,
        ) -> Result<()> {
            if self.damaged == Some(number) {
                return Err(Error::format("damaged"));
            }
            let (shape, dtype) = (part.region.shape(), self.header().dtype);
            let mut bytes = AlignedBuffer::zeroed(shape.byte_len(part.channels, dtype.byte_len())?)?;
            self.whole.blocks(part, scratch, &mut |_, block| {
                let mut into = bytes.chunks_exact_mut(dtype.byte_len());
                for channel in 0..part.channels {
                    for place in 0..shape.voxels()? {
                        let [z, y, x] = [shape.extent(1) * shape.extent(2), shape.extent(2), 1];
                        let at = [channel, place / z, place % z / y, place % y / x];
                        let moved: isize =
                            at.iter().zip(&block.strides).map(|(&at, step)| at as isize * step).sum();
                        let first = block.first.wrapping_add_signed(moved);
                        into.next()
                            .unwrap()
                            .copy_from_slice(&block.as_bytes()[first..first + dtype.byte_len()]);
                    }
                }
                Ok(())
            })?;
            let strides =
                ArrayLayout::dense(&shape, part.channels, dtype.byte_len(), ChannelPlace::First).strides;
            let lent = self.lent > 0 && number.is_multiple_of(self.lent);
            let shared = Arc::new(bytes);
            let bytes = if lent { Bytes::Borrowed(&shared) } else { Bytes::Shared(Arc::clone(&shared)) };
            take(part, &Block { bytes, first: 0, strides, swapped: false })
        }
    }

    fn array(extents: [usize; 3], channels: usize, voxel: impl Fn(usize) -> i16) -> MemoryArray {
        let shape = Shape::new(&extents).unwrap();
        let (dtype, origin) = (DType::I16, Origin::default());
        let affine =
            Some(Affine::from_columns([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], [0.0; 3]));
        let header = Header { shape, channels, dtype, scale: None, affine, origin };
        let bytes =
            (0..channels * shape.voxels().unwrap()).flat_map(|place| voxel(place).to_ne_bytes()).collect();
        let layout = ArrayLayout::dense(&shape, channels, 2, ChannelPlace::First);
        MemoryArray::new(header, layout, bytes).unwrap()
    }

    fn paddings() -> impl Strategy<Value = Padding> {
        let all = [Padding::Zero, Padding::Edge, Padding::Wrap, Padding::Symmetric, Padding::Reflect];
        prop::sample::select(all.to_vec())
    }

    proptest! {
        #[test]
        fn a_volume_in_pieces_is_read_as_a_whole_one(
            (extents, pieces) in (prop::array::uniform3(1usize..24), prop::array::uniform3(1usize..12)),
            (channels, lent) in (1usize..3, 0usize..4),
            (places, padding) in (prop::array::uniform3((0.0..1.0, 0.0..1.0, -2i64..3)), paddings()),
            (orientation, rows) in (prop::sample::select(vec!["", "IPR", "SAL", "RPS"]), 0usize..5),
            dtype in prop::sample::select(vec![DType::I16, DType::F32]),
        ) {
            let voxel = |place: usize| (place * 31 % 20_011) as i16;
            let cut = Cut { whole: array(extents, channels, voxel), pieces, lent, damaged: None };
            let volumes: [Arc<dyn Volume>; 2] = [Arc::new(array(extents, channels, voxel)), Arc::new(cut)];
            let how = Extraction { padding, ..Extraction::exact(dtype) };
            let seen = volumes.map(|volume| {
                let mut entry = Entry::new("cut", volume);
                if !orientation.is_empty() {
                    entry = entry.oriented(&Orientation::parse(orientation).unwrap()).unwrap();
                }
                let shape = entry.shape().unwrap();
                let axes = [0, 1, 2].map(|axis| {
                    let (begin, len, beyond) = places[axis];
                    let start = (begin * shape.extent(axis) as f64) as i64;
                    let len = 1 + (len * (shape.extent(axis) as i64 - start) as f64) as i64;
                    (start + beyond, len as usize)
                });
                let mut extents = axes.map(|(_, len)| len);
                let axis = rows % 3;
                let count = extents[axis];
                if rows < 3 {
                    extents[axis] = 1;
                }
                let region = Region::new(&axes.map(|(start, _)| start), Shape::new(&extents).unwrap()).unwrap();
                let row = region.shape().byte_len(channels, dtype.byte_len()).unwrap();
                let rows = (rows < 3).then_some(Rows { count, axis, pitch: row + 5 });
                let mut into = vec![77u8; rows.map_or(row, |rows| (count - 1) * rows.pitch + row)];
                let wanted = Wanted { entries: &[entry], region: &region, rows, how: &how };
                let read = (Patience::Wait, &mut ArraysRead::default());
                Reader::default().read_rest(&wanted, &mut into, read).map(|_| into).map_err(|error| error.kind())
            });
            prop_assert_eq!(&seen[0], &seen[1]);
        }
    }

    #[test]
    fn what_is_wrong_first_is_told() {
        let region = Region::whole(Shape::new(&[1, 1, 9]).unwrap());
        // A voxel that is more than a u8 holds, and which of the three pieces is damaged.
        for (large, damaged, kind) in
            [(1, 2, ErrorKind::Range), (7, 1, ErrorKind::Format), (7, 3, ErrorKind::Range)]
        {
            let whole = array([1, 1, 9], 1, |place| if place == large { 300 } else { place as i16 });
            let cut = Cut { whole, pieces: [1, 1, 3], lent: 0, damaged: Some(damaged) };
            let entries = [Entry::new("cut", Arc::new(cut))];
            let (how, mut into) = (Extraction::exact(DType::U8), [0u8; 9]);
            let error = Reader::default().read(&entries, &region, &how, &mut into).unwrap_err();
            assert_eq!(error.kind(), kind, "{large}, {damaged}");
        }
    }
}
