//! A region of one category, from wherever it is stored into one dense row.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::beside::{Beside, Source};
use crate::store::{Entry, Moment, Patience, Scratch, Volume, Window};
use crate::sys::{Fit, Stores, Target, fill};
use crate::voxel::{AxisRuns, DType, MAX_AXES, Padding, Placement, Region, Shape};

/// How a region becomes voxels: what stands outside the volume, and in which dtype.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extraction {
    /// What stands outside the volume.
    pub padding: Padding,
    /// The value of [`Padding::Constant`], in stored units, before any transform.
    pub pad_value: f64,
    /// The wanted dtype.
    pub dtype: DType,
    /// What happens to a value that does not fit it.
    pub fit: Fit,
    /// Who reads the voxels next.
    pub stores: Stores,
}

impl Extraction {
    /// Zero padding and exact fit into this dtype.
    pub fn exact(dtype: DType) -> Self {
        Self { padding: Padding::Zero, pad_value: 0.0, dtype, fit: Fit::Exact, stores: Stores::Cached }
    }
}

/// Which arrays of a category are read already: a bit for each of the first 63, others are read again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArraysRead(u64);

impl ArraysRead {
    /// All of them: a bit of its own, since those of the first ones say nothing of further arrays.
    pub const ALL: Self = Self(1 << Self::BITS);

    const BITS: usize = 63;

    fn has(self, array: usize) -> bool {
        array < Self::BITS && self.0 >> array & 1 == 1
    }

    fn note(&mut self, array: usize) {
        if array < Self::BITS {
            self.0 |= 1 << array;
        }
    }
}

/// Rows that lie side by side along an axis on which each has one position: they are read as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// How many they are, one at least.
    pub count: usize,
    /// The spatial axis.
    pub axis: usize,
    /// The bytes from the beginning of one to that of the next.
    pub pitch: usize,
}

/// What is read: a region of entries, one after the other, and how it becomes voxels.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The entries; their channels follow each other.
    pub entries: &'a [Entry],
    /// The region; that of the first row where there are several.
    pub region: &'a Region,
    /// The rows, where there are several.
    pub rows: Option<Rows>,
    /// How it becomes voxels.
    pub how: &'a Extraction,
}

impl Wanted<'_> {
    /// The bytes from the beginning of the first row to that of the last; nothing where they overflow.
    fn before_last(&self) -> Option<usize> {
        self.rows.map_or(Some(0), |rows| rows.count.saturating_sub(1).checked_mul(rows.pitch))
    }

    /// The region of all rows.
    fn hull(&self) -> Result<Region> {
        let Some(Rows { count, axis, .. }) = self.rows else { return Ok(*self.region) };
        let mut extents = [0usize; MAX_AXES];
        for (slot, &extent) in extents.iter_mut().zip(self.region.shape().extents()) {
            *slot = extent;
        }
        match extents.get_mut(axis).filter(|extent| **extent == 1) {
            Some(extent) => *extent = count,
            None => return Err(Error::internal("rows along an axis on which they are not one position")),
        }
        let shape = Shape::new(extents.get(..self.region.shape().ndim()).unwrap_or_default())?;
        Region::new(self.region.offset(), shape)
    }
}

/// A reader's memory: scratch for blocks, and the runs of each axis.
#[derive(Debug, Default)]
pub struct Reader {
    scratch: Scratch,
    axes: [AxisRuns; MAX_AXES],
    beside: Beside,
}

impl Reader {
    /// The bytes of scratch that it holds.
    pub fn byte_len(&self) -> usize {
        self.scratch.byte_len()
    }

    /// Reads a region of these entries, one after the other, into `into`.
    ///
    /// Shape: (channel, spatial axes of the region), dense; the channels are those of the entries in order.
    ///
    /// # Errors
    /// `Argument` where the region has other axes than a volume or `into` another size; `Range` where a
    /// value does not fit; else what the format says, naming file and region.
    pub fn read(
        &mut self,
        entries: &[Entry],
        region: &Region,
        how: &Extraction,
        into: &mut [u8],
    ) -> Result<()> {
        let wanted = Wanted { entries, region, rows: None, how };
        self.read_rest(&wanted, into, (Patience::Wait, &mut ArraysRead::default())).map(drop)
    }

    /// The same, but for the arrays that `into` has already; true where it is whole then.
    ///
    /// Without patience, what another thread is decoding is left out.
    ///
    /// # Errors
    /// Those of [`Reader::read`], where everything before was whole.
    pub fn read_rest(
        &mut self,
        wanted: &Wanted<'_>,
        into: &mut [u8],
        (patience, read): (Patience, &mut ArraysRead),
    ) -> Result<bool> {
        self.scratch.patience = patience;
        let whole = self.read_arrays(wanted, into, read);
        (self.scratch.patience, self.scratch.left) = (Patience::Wait, false);
        whole
    }

    fn read_arrays(&mut self, wanted: &Wanted<'_>, into: &mut [u8], read: &mut ArraysRead) -> Result<bool> {
        let Wanted { entries, region, how, .. } = *wanted;
        let (mut whole, mut begin) = (true, 0usize);
        let channel_bytes = region.shape().byte_len(1, how.dtype.byte_len())?;
        for (array, (first, channels)) in joined(entries).enumerate() {
            let end = channel_bytes.checked_mul(channels).and_then(|bytes| bytes.checked_add(begin));
            let last = end.and_then(|end| end.checked_add(wanted.before_last()?));
            let Some((part, end)) = last.and_then(|last| into.get_mut(begin..last)).zip(end) else {
                let text = format!("destination is too small for {channels} channels of {region}");
                return Err(Error::argument(text));
            };
            begin = end;
            if read.has(array) {
                continue;
            }
            self.scratch.left = false;
            match self.read_channels((first, channels), wanted, part) {
                Ok(()) if !self.scratch.left => read.note(array),
                Err(error) if whole && !self.scratch.left => {
                    return Err(error.at(format!("{region}")).in_file_of(first));
                }
                // Left out, or told when everything before is whole.
                Ok(()) | Err(_) => whole = false,
            }
        }
        match wanted.before_last().and_then(|before| into.len().checked_sub(before + begin)) {
            Some(0) => Ok(whole),
            more => {
                let more = more.unwrap_or_default();
                Err(Error::argument(format!("destination has {more} bytes more than its entries fill")))
            }
        }
    }

    /// Begins a stretch of work, such as a batch, in which each file's size is looked at once.
    pub fn begin(&mut self, moment: Moment) {
        self.scratch.begin(moment);
    }

    /// Tells the system that a region of these entries will be read soon; nothing depends on it but time.
    pub fn will_need(&mut self, entries: &[Entry], region: &Region, padding: Padding) {
        self.windows(entries, region, padding, |volume, window, _| volume.will_need(window));
    }

    /// Notes that these entries are wanted again after all else, as far as they lie between two positions on an axis and
    /// nothing behind the second one needs it; nothing depends on it but time.
    pub fn pass(&mut self, entries: &[Entry], axis: usize, (from, to): (i64, i64)) {
        for (first, channels) in joined(entries) {
            let mut window = |from, to| {
                let part = Region::whole(first.shape().ok()?).between(axis, (from, to))?;
                self.window((first, channels), &part, Padding::Zero).ok()?.0
            };
            if let Some(part) = window(from, to) {
                first.volume().pass(&part, window(to, i64::MAX).as_ref());
            }
        }
    }

    /// The bytes of what a region of these entries needs decoded; what cannot be read counts for nothing.
    pub fn needed_bytes(&mut self, entries: &[Entry], region: &Region, padding: Padding) -> u64 {
        let mut needed = 0u64;
        self.windows(entries, region, padding, |volume, window, _| {
            needed = needed.saturating_add(volume.needed_bytes(window).unwrap_or(0));
        });
        needed
    }

    /// Decodes what a region of these entries needs and nobody has decoded yet, for the cache to keep; true where
    /// there was something, which need not be all.
    pub fn decode_ahead(&mut self, entries: &[Entry], region: &Region, padding: Padding) -> bool {
        self.scratch.patience = Patience::Leave;
        let mut decoded = false;
        self.windows(entries, region, padding, |volume, window, scratch| {
            decoded = decoded || volume.decode_ahead(window, scratch).unwrap_or(false);
        });
        self.scratch.patience = Patience::Wait;
        decoded
    }

    /// Visits the windows of a region in each stored array; what cannot be read will be told when it is.
    fn windows(
        &mut self,
        entries: &[Entry],
        region: &Region,
        padding: Padding,
        mut visit: impl FnMut(&dyn Volume, &Window, &mut Scratch),
    ) {
        for (first, channels) in joined(entries) {
            if let Ok((Some(window), _)) = self.window((first, channels), region, padding) {
                visit(first.volume().as_ref(), &window, &mut self.scratch);
            }
        }
    }

    /// Reads neighbouring channels of one stored array.
    fn read_channels(
        &mut self,
        (entry, channels): (&Entry, usize),
        wanted: &Wanted<'_>,
        into: &mut [u8],
    ) -> Result<()> {
        let Wanted { region, rows, how, .. } = *wanted;
        let (window, covered) = self.window((entry, channels), &wanted.hull()?, how.padding)?;
        if !covered {
            let value = if how.padding == Padding::Constant { how.pad_value } else { 0.0 };
            let row = into.len().saturating_sub(wanted.before_last().unwrap_or_default());
            for rest in into.chunks_mut(rows.map_or(usize::MAX, |rows| rows.pitch.max(1))) {
                let bytes = rest.get_mut(..row).unwrap_or_default();
                fill(&mut Target { bytes, dtype: how.dtype, fit: how.fit, stores: how.stores }, value)?;
            }
        }
        let Some(window) = window else { return Ok(()) };
        let mut target = Target { bytes: into, dtype: how.dtype, fit: how.fit, stores: how.stores };
        let (scale, placed) = (entry.header().scale, entry.placement());
        let (volume, window, shape) = (entry.volume().as_ref(), &window, region.shape());
        self.gather_blocks(&Source { volume, window, scale, placed, rows, channels, shape }, &mut target)
    }

    /// The part of a stored array that a region needs, over which `self.axes` run then, and whether it
    /// covers the region; nothing where all of the region is padding.
    fn window(
        &mut self,
        (entry, channels): (&Entry, usize),
        region: &Region,
        padding: Padding,
    ) -> Result<(Option<Window>, bool)> {
        let header = entry.header();
        let seen = entry.shape()?;
        let ndim = seen.ndim();
        if region.shape().ndim() != ndim {
            let given = region.shape().ndim();
            return Err(Error::argument(format!("region has {given} axes, the volume {ndim}: {seen}")));
        }
        let (mut offset, mut hull) = ([0i64; MAX_AXES], [0usize; MAX_AXES]);
        let mut covered = true;
        let placed = entry.placement();
        let plans = self.axes.iter_mut().zip(region.axes()).zip(placed.axes.iter().zip(&placed.reversed));
        for ((axis, (start, len)), (&stored, &reversed)) in plans {
            let extent = header.shape.extent(stored);
            axis.plan((start, len), extent, padding)?;
            covered &= axis.covered() == len;
            if reversed {
                axis.reverse(extent);
            }
            let Some((low, high)) = axis.hull() else { return Ok((None, false)) };
            axis.shift(low);
            if let (Some(offset), Some(hull)) = (offset.get_mut(stored), hull.get_mut(stored)) {
                (*offset, *hull) = (low as i64, high - low);
            }
        }
        let inside = Shape::new(hull.get(..ndim).unwrap_or_default())?;
        let region = Region::new(offset.get(..ndim).unwrap_or_default(), inside)?;
        Ok((Some(Window { channel: entry.first_channel(), channels, region }), covered))
    }

    /// Reads a window as it is stored, but for the byte order: dense, channels first, not scaled.
    ///
    /// # Errors
    /// `Argument` where `into` has another size; else what the format says.
    pub(super) fn read_stored(
        &mut self,
        volume: &dyn Volume,
        window: &Window,
        into: &mut [u8],
    ) -> Result<()> {
        let shape = window.region.shape();
        for (axis, &extent) in self.axes.iter_mut().zip(shape.extents()) {
            axis.plan((0, extent), extent, Padding::Zero)?;
        }
        let mut target =
            Target { bytes: into, dtype: volume.header().dtype, fit: Fit::Exact, stores: Stores::Cached };
        let (placed, channels) = (&Placement::as_stored(), window.channels);
        let stored = Source { volume, window, scale: None, placed, rows: None, channels, shape };
        self.gather_blocks(&stored, &mut target)
    }

    /// Gathers the blocks of a window, over which `self.axes` run, into their places in the target.
    fn gather_blocks(&mut self, from: &Source<'_>, target: &mut Target<'_>) -> Result<()> {
        let Self { scratch, axes, beside } = self;
        beside.begin();
        let given = from
            .volume
            .blocks(from.window, scratch, &mut |part, block| beside.take(from, part, (block, axes), target));
        // Of what is wrong, that with the blocks before is told.
        beside.place(from, target).and(given)
    }
}

/// Entries in order, neighbouring channels of one stored array as one: its first entry and the channels.
fn joined(entries: &[Entry]) -> impl Iterator<Item = (&Entry, usize)> {
    let mut left = entries;
    std::iter::from_fn(move || {
        let (first, mut others) = left.split_first()?;
        let mut channels = first.channels();
        while let Some((next, rest)) = others.split_first()
            && Arc::ptr_eq(first.volume(), next.volume())
            && next.first_channel() == first.first_channel() + channels
        {
            channels += next.channels();
            others = rest;
        }
        left = others;
        Some((first, channels))
    })
}

impl Error {
    /// The same error about the file of an entry.
    fn in_file_of(self, entry: &Entry) -> Self {
        let origin = &entry.header().origin;
        if origin.path.as_os_str().is_empty() { self.at(entry.name()) } else { self.in_file(&origin.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_beyond_the_bits_are_never_taken_for_read() {
        let mut read = ArraysRead::default();
        for array in 0..70 {
            read.note(array);
            assert_eq!(read.has(array), array < 63);
            assert_ne!(read, ArraysRead::ALL, "{array}");
        }
    }
}
