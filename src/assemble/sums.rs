//! Sums of predictions, voxel by voxel, and the places that they came from.

use crate::assemble::options::{AssemblerOptions, Blend};
use crate::assemble::piece::{Axes, Piece, aligned, dense_strides, element};
use crate::assemble::prediction::{Placed, View};
use crate::assemble::profile::Profile;
use crate::assemble::sweep::Planes;
use crate::error::{Error, Result};
use crate::sys::{AlignedBuffer, Fit, Number, Stored, Stores, Target, add, add_weighted, assign, gather};
use crate::voxel::{DType, MAX_AXES, Run, Shape};

/// The most elements that are brought into order and dtype at once, so that they stay in the cache.
pub(super) const SLAB: usize = 16 * 1024;

/// The sums of every channel and voxel, and the pieces that are in them.
#[derive(Debug)]
pub(super) struct Sums<T> {
    pub(super) blend: Blend,
    pub(super) sigma: f64,
    pub(super) channels: usize,
    pub(super) axis: usize,
    pub(super) extents: Axes,
    pub(super) strides: Axes,
    pub(super) voxels: usize,
    pub(super) sums: AlignedBuffer,
    pub(super) pieces: Vec<Piece>,
    pub(super) profiles: Vec<Profile<T>>,
}

/// Whether the elements of a view are added where they are.
pub(super) fn is_direct<T: Number>(view: &View<'_>, placed: &Placed) -> bool {
    elements::<T>(view, placed, T::DTYPE).is_some()
        || elements::<T::Narrow>(view, placed, T::NARROW).is_some()
}

/// The elements of a view, where they are of this type and those of a row lie side by side.
fn elements<'a, S: bytemuck::Pod>(view: &View<'a>, placed: &Placed, dtype: DType) -> Option<&'a [S]> {
    let adjacent = placed.strides[MAX_AXES - 1] == 1 || placed.piece.extent[MAX_AXES - 1] == 1;
    let elements = bytemuck::try_cast_slice(view.bytes).ok();
    elements.filter(|_| adjacent && view.dtype == dtype)
}

impl<T: Number + Default> Sums<T> {
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
        let bytes = shape.byte_len(channels, T::DTYPE.byte_len())?;
        let sums = AlignedBuffer::zeroed(bytes)?;
        Ok(Self { sums, ..Self::elsewhere(options, shape, channels, samples)? })
    }

    /// The same without the sums themselves, which lie elsewhere.
    ///
    /// # Errors
    /// As above.
    pub(super) fn elsewhere(
        options: &AssemblerOptions,
        shape: &Shape,
        channels: usize,
        samples: u64,
    ) -> Result<Self> {
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
            sums: AlignedBuffer::zeroed(0)?,
            pieces,
            profiles: Vec::new(),
        })
    }

    /// The planes in which they are handed out.
    pub(super) fn planes(&self) -> Planes<'_> {
        let voxels = self.strides.get(self.axis).copied().unwrap_or_default();
        Planes { pieces: &self.pieces, axis: self.axis, strides: &self.strides, voxels }
    }

    /// Adds one row of a prediction; the scratch is as long as [`scratch_len`](super::accumulator::scratch_len) says.
    ///
    /// # Errors
    /// None for a view and a place that have been checked.
    pub(super) fn add(&mut self, view: &View<'_>, placed: &Placed, scratch: &mut [u64]) -> Result<()> {
        let piece = placed.piece;
        self.pieces.push(piece);
        if piece.is_empty() {
            return Ok(());
        }
        self.profile(&piece);
        if let Some(elements) = elements::<T>(view, placed, T::DTYPE) {
            self.add_direct(view, placed, elements);
        } else if let Some(elements) = elements::<T::Narrow>(view, placed, T::NARROW) {
            self.add_direct(view, placed, elements);
        } else {
            self.add_converted(view, placed, bytemuck::cast_slice_mut(scratch))?;
        }
        Ok(())
    }

    /// The weights of a piece's row, made where they are not known; none where nothing is weighted.
    pub(super) fn profile(&mut self, piece: &Piece) -> Option<&Profile<T>> {
        if self.blend == Blend::Gaussian && !self.profiles.iter().any(|profile| profile.is_of(&piece.row)) {
            self.profiles.push(Profile::gaussian(piece.row, self.sigma));
        }
        self.profiles.iter().find(|profile| profile.is_of(&piece.row))
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
        let steps = strides.map(|stride| (stride * size) as isize);
        for channel in 0..self.channels {
            let channel_first = first + channel * view.channel_stride;
            piece.slabs(SLAB, &mut |slab| {
                let skipped = element(&slab.source, strides) - element(&piece.source, strides);
                let runs = slab.extent.map(|len| [Run { output: 0, len, source: 0, step: 1 }]);
                let runs = runs.each_ref().map(<[Run; 1]>::as_slice);
                let stored = Stored {
                    bytes: view.bytes,
                    first: (channel_first + skipped) * size,
                    strides: &steps,
                    dtype: view.dtype,
                    swapped: false,
                    shuffled: None,
                    scale: None,
                };
                let rows = scratch.get_mut(..slab.voxels()).unwrap_or_default();
                let bytes = bytemuck::cast_slice_mut(rows);
                let stores = Stores::Cached;
                let mut target = Target { bytes, dtype: T::DTYPE, fit: Fit::Saturate, stores };
                gather(&stored, &runs, &slab.extent, &mut target)?;
                self.add_channel(channel, slab, rows, (0, &dense_strides(&slab.extent)));
                Ok(())
            })?;
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
}
