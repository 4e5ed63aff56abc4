//! A region of one category, from wherever it is stored into one dense row.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::{Entry, Scratch, Window};
use crate::sys::{Fit, Stored, Target, gather};
use crate::voxel::{AxisRuns, DType, MAX_AXES, Padding, Region, Run, Shape};

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
}

impl Extraction {
    /// Zero padding and exact fit into this dtype.
    pub fn exact(dtype: DType) -> Self {
        Self { padding: Padding::Zero, pad_value: 0.0, dtype, fit: Fit::Exact }
    }
}

/// A reader's memory: scratch for blocks, and the runs of each axis.
#[derive(Debug, Default)]
pub struct Reader {
    scratch: Scratch,
    axes: [AxisRuns; MAX_AXES],
}

impl Reader {
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
        let channel_bytes = region.shape().byte_len(1, how.dtype.byte_len())?;
        let mut rest = into;
        let mut left = entries;
        while let Some((first, others)) = left.split_first() {
            let mut channels = first.channels();
            let mut joined = 0;
            for next in others {
                let adjacent = next.first_channel() == first.first_channel() + channels;
                if !Arc::ptr_eq(first.volume(), next.volume()) || !adjacent {
                    break;
                }
                channels += next.channels();
                joined += 1;
            }
            let bytes = channel_bytes.checked_mul(channels).filter(|&bytes| bytes <= rest.len());
            let Some(bytes) = bytes else {
                let text = format!("destination is too small for {channels} channels of {region}");
                return Err(Error::argument(text));
            };
            let (part, remainder) = rest.split_at_mut(bytes);
            self.read_channels((first, channels), region, how, part)
                .map_err(|error| error.at(format!("{region}")).in_file_of(first))?;
            rest = remainder;
            left = others.get(joined..).unwrap_or_default();
        }
        if !rest.is_empty() {
            let text = format!("destination has {} bytes more than its entries fill", rest.len());
            return Err(Error::argument(text));
        }
        Ok(())
    }

    /// Reads neighbouring channels of one stored array.
    fn read_channels(
        &mut self,
        (entry, channels): (&Entry, usize),
        region: &Region,
        how: &Extraction,
        into: &mut [u8],
    ) -> Result<()> {
        let header = entry.header();
        let seen = entry.shape()?;
        let ndim = seen.ndim();
        if region.shape().ndim() != ndim {
            let given = region.shape().ndim();
            return Err(Error::argument(format!("region has {given} axes, the volume {ndim}: {seen}")));
        }
        let fill = if how.padding == Padding::Constant { how.pad_value } else { 0.0 };
        let mut target = Target { bytes: into, dtype: how.dtype, fit: how.fit, fill };
        let mut extents = [0usize; MAX_AXES + 1];
        extents[0] = channels;
        for (slot, &extent) in extents.iter_mut().skip(1).zip(region.shape().extents()) {
            *slot = extent;
        }
        let extents = extents.get(..=ndim).unwrap_or_default();

        let (mut offset, mut hull) = ([0i64; MAX_AXES], [0usize; MAX_AXES]);
        let mut empty = false;
        let placed = entry.placement();
        let plans = self.axes.iter_mut().zip(region.axes()).zip(placed.axes.iter().zip(&placed.reversed));
        for ((axis, (start, len)), (&stored, &reversed)) in plans {
            let extent = header.shape.extent(stored);
            axis.plan((start, len), extent, how.padding)?;
            if reversed {
                axis.reverse(extent);
            }
            let Some((low, high)) = axis.hull() else {
                empty = true;
                break;
            };
            axis.shift(low);
            if let (Some(offset), Some(hull)) = (offset.get_mut(stored), hull.get_mut(stored)) {
                (*offset, *hull) = (low as i64, high - low);
            }
        }
        if empty {
            let nothing: [&[Run]; MAX_AXES + 1] = [&[]; MAX_AXES + 1];
            let strides = [0isize; MAX_AXES + 1];
            let strides = strides.get(..=ndim).unwrap_or_default();
            let stored =
                Stored { bytes: &[], first: 0, strides, dtype: header.dtype, swapped: false, scale: None };
            return gather(&stored, nothing.get(..=ndim).unwrap_or_default(), extents, &mut target);
        }

        let inside = Shape::new(hull.get(..ndim).unwrap_or_default())?;
        let region = Region::new(offset.get(..ndim).unwrap_or_default(), inside)?;
        let window = Window { channel: entry.first_channel(), channels, region };
        let block = entry.volume().block(&window, &mut self.scratch)?;

        let mut strides = [0isize; MAX_AXES + 1];
        strides[0] = block.strides[0];
        for (slot, &stored) in strides.iter_mut().skip(1).zip(&placed.axes) {
            *slot = block.strides.get(stored + 1).copied().unwrap_or_default();
        }
        let every = [Run { output: 0, len: channels, source: 0, step: 1 }];
        let mut runs: [&[Run]; MAX_AXES + 1] = [&every; MAX_AXES + 1];
        for (slot, axis) in runs.iter_mut().skip(1).zip(&self.axes) {
            *slot = axis.runs();
        }
        let stored = Stored {
            bytes: block.as_bytes()?,
            first: block.first,
            strides: strides.get(..=ndim).unwrap_or_default(),
            dtype: header.dtype,
            swapped: block.swapped,
            scale: header.scale,
        };
        gather(&stored, runs.get(..=ndim).unwrap_or_default(), extents, &mut target)
    }
}

impl Error {
    /// The same error about the file of an entry.
    fn in_file_of(self, entry: &Entry) -> Self {
        let origin = &entry.header().origin;
        if origin.path.as_os_str().is_empty() { self.at(entry.name()) } else { self.in_file(&origin.path) }
    }
}
