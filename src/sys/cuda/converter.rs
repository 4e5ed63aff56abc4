//! Conversions on a device: what a struct of the kernel's says, checked.

use crate::error::{Error, Result};
use crate::sys::cuda::driver::Address;
use crate::sys::cuda::kernels::counted;
use crate::sys::cuda::{Current, DeviceBuffer, Kernels, StreamHandle};
use crate::sys::{Conversion, FloatStep, LabelTable, MOST_FLOAT_STEPS};
use crate::voxel::DType;

/// The kernel's step.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct StepArguments {
    kind: u32,
    numbers: [f32; 4],
}

/// The kernel's struct, field by field.
#[repr(C)]
#[derive(Debug, Clone)]
struct Arguments {
    source: Address,
    target: Address,
    pairs: Address,
    pair_count: u64,
    statistics: Address,
    masks: Address,
    slope: f64,
    intercept: f64,
    label: i64,
    rows: u32,
    channels: u32,
    extents: [u32; 3],
    mask: u32,
    from: u32,
    through: u32,
    into: u32,
    is_scaled: u32,
    is_of_each_row: u32,
    lookup: u32,
    keeps_labels: u32,
    step_count: u32,
    steps: [StepArguments; MOST_FLOAT_STEPS],
    bytes: [u8; 256],
}

/// A conversion made ready for a device.
#[derive(Debug)]
pub struct Converter {
    kernels: &'static Kernels,
    arguments: Arguments,
    from: DType,
    into: DType,
    needs_statistics: bool,
    /// The labels that the arguments point to.
    _pairs: Option<DeviceBuffer>,
}

/// Which way the voxels of a row lie; bit 0 mirrors the width, 1 the height, 2 the depth.
#[derive(Debug, Clone, Copy)]
pub enum Mirrored<'a> {
    /// All rows alike.
    All(u8),
    /// One byte a row.
    Each(&'a DeviceBuffer),
}

/// Means and divisors by turns, as f32.
#[derive(Debug, Clone, Copy)]
pub enum Statistics<'a> {
    /// None are needed.
    None,
    /// Of each channel.
    OfChannels(&'a DeviceBuffer),
    /// Of each channel of each row.
    OfRows(&'a DeviceBuffer),
}

/// Dense rows of channels of (depth, height, width) voxels; axes before these count as depth.
#[derive(Debug, Clone, Copy)]
pub struct Voxels<'a> {
    /// Where they come from.
    pub source: &'a DeviceBuffer,
    /// Where they go to.
    pub target: &'a DeviceBuffer,
    /// Rows and channels.
    pub counts: [usize; 2],
    /// Depth, height, width.
    pub extents: [usize; 3],
    /// Which way they lie in the target.
    pub mirrored: Mirrored<'a>,
    /// What they are standardised with.
    pub statistics: Statistics<'a>,
}

impl Voxels<'_> {
    fn count(&self) -> Option<usize> {
        self.counts.iter().chain(&self.extents).try_fold(1usize, |product, &count| product.checked_mul(count))
    }
}

impl Converter {
    /// The conversion, with its labels on the current device.
    ///
    /// # Errors
    /// `Unsupported` where it cannot be done there; `Device` or `Memory`.
    pub fn new(current: &Current, conversion: &Conversion) -> Result<Self> {
        conversion.check()?;
        let mut arguments = Arguments {
            from: conversion.from.code().cast_unsigned(),
            through: conversion.through.code().cast_unsigned(),
            into: conversion.into.code().cast_unsigned(),
            step_count: conversion.steps.len() as u32,
            ..Arguments::nothing()
        };
        if let Some(scale) = conversion.scale {
            (arguments.is_scaled, arguments.slope, arguments.intercept) = (1, scale.slope, scale.intercept);
        }
        for (place, step) in arguments.steps.iter_mut().zip(&conversion.steps) {
            *place = StepArguments::of(step);
        }
        let pairs = arguments.look_up(current, conversion.lookup.as_ref())?;
        Ok(Self {
            kernels: Kernels::of(current)?,
            arguments,
            from: conversion.from,
            into: conversion.into,
            needs_statistics: conversion.needs_statistics(),
            _pairs: pairs,
        })
    }

    /// Gives the conversion of these voxels to a stream, and waits for nothing.
    ///
    /// Who calls keeps the buffers, and this converter, until the work is past.
    ///
    /// # Errors
    /// `Internal` where a buffer is too small or statistics lack; `Unsupported` where there are more voxels
    /// than a kernel counts; `Device`.
    pub fn run(&self, stream: StreamHandle, voxels: &Voxels<'_>) -> Result<()> {
        let refused = |what: &str| Err(Error::internal(format!("a conversion on a GPU has {what}")));
        let Some(count) = voxels.count() else { return refused("more voxels than there are numbers") };
        if count == 0 {
            return Ok(());
        }
        let [rows, channels] = voxels.counts;
        let planes = counted(rows.saturating_mul(channels))?;
        let plane = counted(voxels.extents.iter().product())?;
        let bytes = |dtype: DType| count.checked_mul(dtype.byte_len());
        let lies_in =
            |buffer: &DeviceBuffer, bytes: Option<usize>| bytes.is_some_and(|len| len <= buffer.byte_len());
        if !lies_in(voxels.source, bytes(self.from)) || !lies_in(voxels.target, bytes(self.into)) {
            return refused("a buffer that is too small");
        }
        let mut arguments = self.arguments.clone();
        (arguments.source, arguments.target) = (voxels.source.address(), voxels.target.address());
        (arguments.rows, arguments.channels) = (counted(rows)?, counted(channels)?);
        for (into, &extent) in arguments.extents.iter_mut().zip(&voxels.extents) {
            *into = counted(extent)?;
        }
        match voxels.mirrored {
            Mirrored::All(mask) => arguments.mask = u32::from(mask),
            Mirrored::Each(masks) if masks.byte_len() >= rows => arguments.masks = masks.address(),
            Mirrored::Each(_) => return refused("fewer masks than rows"),
        }
        let (statistics, sets) = match voxels.statistics {
            Statistics::None => (None, 0),
            Statistics::OfChannels(buffer) => (Some(buffer), channels),
            Statistics::OfRows(buffer) => (Some(buffer), rows.saturating_mul(channels)),
        };
        match statistics {
            Some(buffer) if lies_in(buffer, sets.checked_mul(8)) => arguments.statistics = buffer.address(),
            None if !self.needs_statistics => {}
            _ => return refused("too few statistics"),
        }
        arguments.is_of_each_row = u32::from(matches!(voxels.statistics, Statistics::OfRows(_)));
        let size = (u64::from(plane), u64::from(planes));
        // SAFETY: these are the kernel's arguments, all that they point to is as large as they say, and the
        // caller keeps it.
        unsafe { self.kernels.launch(self.kernels.convert, stream, size, &arguments) }
    }
}

impl StepArguments {
    fn of(step: &FloatStep) -> Self {
        let (kind, numbers) = match *step {
            FloatStep::Scale { slope, offset } => (1, [slope, offset, 0.0, 0.0]),
            FloatStep::Window { range: [low, high], slope, offset } => (2, [low, high, slope, offset]),
            FloatStep::Standardise { mean, divisor } => (3, [mean, divisor, 0.0, 0.0]),
            FloatStep::StandardiseEach => (4, [0.0; 4]),
        };
        Self { kind, numbers }
    }
}

impl Arguments {
    fn nothing() -> Self {
        Self {
            source: 0,
            target: 0,
            pairs: 0,
            pair_count: 0,
            statistics: 0,
            masks: 0,
            slope: 0.0,
            intercept: 0.0,
            label: 0,
            rows: 0,
            channels: 0,
            extents: [0; 3],
            mask: 0,
            from: 0,
            through: 0,
            into: 0,
            is_scaled: 0,
            is_of_each_row: 0,
            lookup: 0,
            keeps_labels: 0,
            step_count: 0,
            steps: [StepArguments::default(); MOST_FLOAT_STEPS],
            bytes: [0; 256],
        }
    }

    /// Adds the lookup; the buffer is what it points to.
    fn look_up(&mut self, current: &Current, table: Option<&LabelTable>) -> Result<Option<DeviceBuffer>> {
        match table {
            None => Ok(None),
            Some(LabelTable::Bytes(bytes)) => {
                (self.lookup, self.bytes) = (1, **bytes);
                Ok(None)
            }
            Some(LabelTable::Pairs(pairs, other)) => {
                let mut sorted = pairs.clone();
                sorted.sort_unstable();
                sorted.dedup_by_key(|&mut (old, _)| old);
                let bytes: Vec<u8> =
                    sorted.iter().flat_map(|&(old, new)| [old, new]).flat_map(i64::to_ne_bytes).collect();
                let buffer = DeviceBuffer::holding(current, &bytes)?;
                (self.lookup, self.pairs, self.pair_count) = (2, buffer.address(), sorted.len() as u64);
                (self.keeps_labels, self.label) = (u32::from(other.is_none()), other.unwrap_or(0));
                Ok(Some(buffer))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_struct_is_the_kernel_s() {
        let size = size_of::<Arguments>();
        let text = include_str!("kernels/kernels.ptx");
        assert!(text.contains(&format!("voxfeed_convert_param_0[{size}]")), "{size}");
        assert_eq!(std::mem::offset_of!(Arguments, steps), 128);
        assert_eq!(std::mem::offset_of!(Arguments, bytes), 208);
    }
}
