//! One subject's sums.

use crate::assemble::options::{AssemblerOptions, Blend, Reduce};
use crate::assemble::piece::{Axes, Piece, aligned, dense_strides};
use crate::assemble::prediction::{Placed, View};
use crate::assemble::profile::Profile;
use crate::assemble::sweep::{Counts, Planes, zeros};
use crate::error::{Error, Result};
use crate::sys::{
    AlignedBuffer, Fit, Number, Stored, Target, add, add_weighted, assign, convert, divide, gather,
    keep_largest,
};
use crate::voxel::{DType, MAX_AXES, Run, Shape};

/// The most elements that are converted, divided or compared at once, so that they stay in the cache.
const CHUNK: usize = 4096;
/// The elements of a prediction that are brought into order and dtype at once.
const SLAB: usize = 16 * 1024;

/// One subject's sums, in whichever numbers its assembler keeps them.
#[derive(Debug)]
pub(super) enum Accumulator {
    U8(Sums<u8>),
    F32(Sums<f32>),
    F64(Sums<f64>),
}

/// The sums of every channel and voxel, and the pieces that are in them.
#[derive(Debug)]
pub(super) struct Sums<T> {
    blend: Blend,
    sigma: f64,
    channels: usize,
    axis: usize,
    extents: Axes,
    strides: Axes,
    voxels: usize,
    sums: AlignedBuffer,
    pieces: Vec<Piece>,
    profiles: Vec<Profile<T>>,
}

/// How a piece whose elements lie spaced or in another dtype is cut: axis, depth of a slab, and its elements.
fn slabs(piece: &Piece) -> (usize, usize, usize) {
    let axis = piece.slab_axis();
    let extent = piece.extent.get(axis).copied().unwrap_or(1);
    let plane = piece.voxels() / extent.max(1);
    let depth = (SLAB / plane.max(1)).clamp(1, extent.max(1));
    (axis, depth, plane * depth)
}

/// The numbers of scratch that adding a piece needs: none where its elements are used where they are.
pub(super) fn scratch_len(options: &AssemblerOptions, view: &View<'_>, placed: &Placed) -> usize {
    let direct = match options.sum_dtype() {
        DType::U8 => is_direct::<u8>(view, placed),
        DType::F64 => is_direct::<f64>(view, placed),
        _ => is_direct::<f32>(view, placed),
    };
    if direct { 0 } else { slabs(&placed.piece).2 }
}

/// Whether the elements of a view are added where they are.
fn is_direct<T: Number>(view: &View<'_>, placed: &Placed) -> bool {
    elements::<T>(view, placed, T::DTYPE).is_some()
        || elements::<T::Narrow>(view, placed, T::NARROW).is_some()
}

/// The elements of a view, where they are of this type and those of a row lie side by side.
fn elements<'a, S: bytemuck::Pod>(view: &View<'a>, placed: &Placed, dtype: DType) -> Option<&'a [S]> {
    let adjacent = placed.strides[MAX_AXES - 1] == 1 || placed.piece.extent[MAX_AXES - 1] == 1;
    let elements = bytemuck::try_cast_slice(view.bytes).ok();
    elements.filter(|_| adjacent && view.dtype == dtype)
}

macro_rules! each {
    ($accumulator:expr, $sums:ident => $body:expr) => {
        match $accumulator {
            Accumulator::U8($sums) => $body,
            Accumulator::F32($sums) => $body,
            Accumulator::F64($sums) => $body,
        }
    };
}

impl Accumulator {
    /// Empty sums for a volume of this shape and this many samples.
    ///
    /// # Errors
    /// `Range` where the size overflows, `Memory` where the system has not that much.
    pub(super) fn new(
        options: &AssemblerOptions,
        shape: &Shape,
        channels: usize,
        samples: u64,
    ) -> Result<Self> {
        Ok(match options.sum_dtype() {
            DType::U8 => Self::U8(Sums::new(options, shape, channels, samples)?),
            DType::F64 => Self::F64(Sums::new(options, shape, channels, samples)?),
            _ => Self::F32(Sums::new(options, shape, channels, samples)?),
        })
    }

    /// Adds one row of a prediction; the scratch is as long as [`scratch_len`] says.
    ///
    /// # Errors
    /// None for a view and a place that have been checked.
    pub(super) fn add(&mut self, view: &View<'_>, placed: &Placed, scratch: &mut [u64]) -> Result<()> {
        each!(self, sums => sums.add(view, placed, scratch))
    }

    /// The share of voxels that at least one sample has reached.
    ///
    /// # Errors
    /// `Memory` where there is not enough for a plane of counts.
    pub(super) fn coverage(&self) -> Result<f64> {
        each!(self, sums => sums.coverage())
    }

    /// Writes the blended channels, or what they are reduced to.
    ///
    /// # Errors
    /// `Memory` where there is not enough for a plane of weights.
    pub(super) fn write(&self, options: &AssemblerOptions, into: &mut [u8]) -> Result<()> {
        each!(self, sums => match options.reduce {
            Reduce::None => sums.write_channels(options.dtype, into),
            Reduce::Argmax => sums.write_labels(into),
        })
    }

    /// The channels.
    pub(super) fn channels(&self) -> usize {
        each!(self, sums => sums.channels)
    }
}

impl<T: Number + Default> Sums<T> {
    fn new(options: &AssemblerOptions, shape: &Shape, channels: usize, samples: u64) -> Result<Self> {
        let bytes = shape.byte_len(channels, T::DTYPE.byte_len())?;
        let mut pieces = Vec::new();
        let places = usize::try_from(samples).ok().and_then(|samples| pieces.try_reserve_exact(samples).ok());
        places.ok_or_else(|| Error::memory(format!("no memory for the places of {samples} samples")))?;
        let extents = aligned(shape.extents(), 1);
        Ok(Self {
            blend: options.blend,
            sigma: options.sigma,
            channels,
            axis: MAX_AXES - shape.ndim().clamp(3, MAX_AXES),
            extents,
            strides: dense_strides(&extents),
            voxels: shape.voxels()?,
            sums: AlignedBuffer::zeroed(bytes)?,
            pieces,
            profiles: Vec::new(),
        })
    }

    fn planes(&self) -> Planes<'_> {
        let voxels = self.strides.get(self.axis).copied().unwrap_or_default();
        Planes { pieces: &self.pieces, axis: self.axis, strides: &self.strides, voxels }
    }

    fn add(&mut self, view: &View<'_>, placed: &Placed, scratch: &mut [u64]) -> Result<()> {
        let piece = placed.piece;
        self.pieces.push(piece);
        if piece.is_empty() {
            return Ok(());
        }
        if self.blend == Blend::Gaussian && !self.profiles.iter().any(|profile| profile.is_of(&piece.row)) {
            self.profiles.push(Profile::gaussian(piece.row, self.sigma));
        }
        if let Some(elements) = elements::<T>(view, placed, T::DTYPE) {
            self.add_direct(view, placed, elements);
        } else if let Some(elements) = elements::<T::Narrow>(view, placed, T::NARROW) {
            self.add_direct(view, placed, elements);
        } else {
            self.add_converted(view, placed, bytemuck::cast_slice_mut(scratch))?;
        }
        Ok(())
    }

    /// Adds rows where they are.
    fn add_direct<S: bytemuck::Pod + Into<T>>(&mut self, view: &View<'_>, placed: &Placed, elements: &[S]) {
        for channel in 0..self.channels {
            let first = placed.first + channel * view.channel_stride;
            self.add_channel(channel, &placed.piece, elements, (first, &placed.strides));
        }
    }

    /// Adds rows that lie spaced or in another dtype: a slab at a time goes through [`gather`].
    fn add_converted(&mut self, view: &View<'_>, placed: &Placed, scratch: &mut [T]) -> Result<()> {
        let Placed { piece, first, strides } = placed;
        let size = view.dtype.byte_len();
        let (axis, depth, _) = slabs(piece);
        let extent = piece.extent.get(axis).copied().unwrap_or(1);
        for channel in 0..self.channels {
            let channel_first = first + channel * view.channel_stride;
            for start in (0..extent).step_by(depth) {
                let part = piece.part(axis, start, depth.min(extent - start));
                let place = channel_first + start * strides.get(axis).copied().unwrap_or_default();
                let runs = part.extent.map(|len| [Run { output: 0, len, source: 0, step: 1 }]);
                let runs = runs.each_ref().map(<[Run; 1]>::as_slice);
                let steps = strides.map(|stride| (stride * size) as isize);
                let stored = Stored {
                    bytes: view.bytes,
                    first: place * size,
                    strides: &steps,
                    dtype: view.dtype,
                    swapped: false,
                    scale: None,
                };
                let rows = scratch.get_mut(..part.voxels()).unwrap_or_default();
                let bytes = bytemuck::cast_slice_mut(rows);
                let mut target = Target { bytes, dtype: T::DTYPE, fit: Fit::Saturate, fill: 0.0 };
                gather(&stored, &runs, &part.extent, &mut target)?;
                self.add_channel(channel, &part, rows, (0, &dense_strides(&part.extent)));
            }
        }
        Ok(())
    }

    /// Adds rows whose elements lie side by side.
    fn add_channel<S: bytemuck::Pod + Into<T>>(
        &mut self,
        channel: usize,
        piece: &Piece,
        source: &[S],
        rows: (usize, &Axes),
    ) {
        let start = channel * self.voxels;
        let sums: &mut [T] = bytemuck::cast_slice_mut(&mut self.sums);
        let sums = sums.get_mut(start..start + self.voxels).unwrap_or_default();
        match self.blend {
            Blend::Last => piece.sheets(&self.strides, rows, |sheet, _| assign(sums, source, sheet)),
            Blend::Mean => piece.sheets(&self.strides, rows, |sheet, _| add(sums, source, sheet)),
            Blend::Gaussian => {
                let Some(profile) = self.profiles.iter().find(|profile| profile.is_of(&piece.row)) else {
                    return;
                };
                piece.sheets(&self.strides, rows, |sheet, position| {
                    add_weighted(sums, source, sheet, &profile.sheet(piece, position));
                });
            }
        }
    }

    /// The sums of one channel in one plane.
    fn plane(&self, channel: usize, plane: usize) -> &[T] {
        let voxels = self.planes().voxels;
        let start = channel * self.voxels + plane * voxels;
        let sums: &[T] = bytemuck::cast_slice(&self.sums);
        sums.get(start..start + voxels).unwrap_or_default()
    }

    fn plane_count(&self) -> usize {
        if self.voxels == 0 { 0 } else { self.extents.get(self.axis).copied().unwrap_or_default() }
    }

    fn coverage(&self) -> Result<f64> {
        if self.voxels == 0 {
            return Ok(1.0);
        }
        let mut counts = Counts::new(self.planes())?;
        let (mut covered, mut in_plane) = (0usize, 0usize);
        for plane in 0..self.plane_count() {
            if counts.advance(plane) {
                in_plane = counts.counts().iter().filter(|&&count| count > 0).count();
            }
            covered += in_plane;
        }
        Ok(covered as f64 / self.voxels as f64)
    }

    fn write_channels(&self, dtype: DType, into: &mut [u8]) -> Result<()> {
        let mut counts = Counts::new(self.planes())?;
        let mut weights = zeros::<T>(if self.blend == Blend::Last { 0 } else { self.planes().voxels })?;
        let mut mean = [T::default(); CHUNK];
        let plane_bytes = self.planes().voxels * dtype.byte_len();
        for plane in 0..self.plane_count() {
            let changed = self.blend != Blend::Last && counts.advance(plane);
            match self.blend {
                Blend::Gaussian => counts.gaussian(plane, &self.profiles, &mut weights),
                Blend::Mean if changed => {
                    for (weight, &count) in weights.iter_mut().zip(counts.counts()) {
                        *weight = T::from_f64(f64::from(count));
                    }
                }
                Blend::Mean | Blend::Last => {}
            }
            for channel in 0..self.channels {
                let start = (channel * self.plane_count() + plane) * plane_bytes;
                let into = into.get_mut(start..start + plane_bytes).unwrap_or_default();
                let sums = self.plane(channel, plane);
                if self.blend == Blend::Last {
                    convert(bytemuck::cast_slice(sums), T::DTYPE, into, dtype);
                    continue;
                }
                let parts = into.chunks_mut(CHUNK * dtype.byte_len()).zip(sums.chunks(CHUNK));
                for ((into, sums), weights) in parts.zip(weights.chunks(CHUNK)) {
                    let mean = mean.get_mut(..sums.len()).unwrap_or_default();
                    divide(mean, sums, weights);
                    convert(bytemuck::cast_slice(mean), T::DTYPE, into, dtype);
                }
            }
        }
        Ok(())
    }

    /// The largest sum is also the largest mean: all channels of a voxel have the same weight.
    fn write_labels(&self, into: &mut [u8]) -> Result<()> {
        let mut best = [T::default(); CHUNK];
        let voxels = self.planes().voxels;
        into.fill(0);
        for (plane, into) in into.chunks_mut(voxels.max(1)).enumerate() {
            for (part, labels) in into.chunks_mut(CHUNK).enumerate() {
                let place = part * CHUNK..part * CHUNK + labels.len();
                let best = best.get_mut(..labels.len()).unwrap_or_default();
                for channel in 0..self.channels {
                    let sums = self.plane(channel, plane).get(place.clone()).unwrap_or_default();
                    match u8::try_from(channel) {
                        Ok(0) => best.copy_from_slice(sums),
                        Ok(label) => keep_largest(best, labels, sums, label),
                        Err(_) => return Err(Error::internal("more channels than labels")),
                    }
                }
            }
        }
        Ok(())
    }
}
