//! Adding the rows of a call: some planes of a channel at a time, of all rows that reach them.
//!
//! So overlapping rows meet sums that the cache still has, and threads work side by side. Each voxel gets its rows
//! in their order, whatever the parts are and whoever adds them.

use crate::assemble::options::Blend;
use crate::assemble::piece::{Axes, Piece, dense_strides, element};
use crate::assemble::prediction::{Placed, View};
use crate::assemble::profile::Profile;
use crate::assemble::reached::Lines;
use crate::error::Result;
use crate::sys::{Fit, Number, Stored, Stores, Target, add, add_weighted, assign, gather};
use crate::voxel::{DType, MAX_AXES, Run};

/// The most elements that are brought into order and dtype at once, so that they stay in the cache.
pub(super) const SLAB: usize = 16 * 1024;

/// About how many bytes of sums are added to at a time.
const PART: usize = 128 * 1024;

/// What one thread at a time adds to: planes of a channel that follow each other.
pub(super) struct Part<'a, T> {
    pub(super) channel: usize,
    pub(super) first: usize,
    pub(super) planes: usize,
    pub(super) sums: &'a mut [T],
    pub(super) lines: Lines<'a>,
}

/// The rows that a call adds to one subject, and how.
#[derive(Debug)]
pub(super) struct Rows<'a, T> {
    pub(super) view: &'a View<'a>,
    pub(super) placed: &'a [&'a Placed],
    pub(super) blend: Blend,
    pub(super) axis: usize,
    pub(super) strides: &'a Axes,
    pub(super) profiles: &'a [Profile<T>],
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

impl<T: Number> Rows<'_, T> {
    /// How many planes of so many voxels make a part.
    pub(super) fn depth(&self, plane: usize) -> usize {
        let extent = |piece: &Piece| piece.extent.get(self.axis).copied().unwrap_or_default().max(1);
        let reached = self.placed.iter().map(|placed| placed.piece.voxels() / extent(&placed.piece));
        let bytes = reached.sum::<usize>().min(plane).max(1).saturating_mul(size_of::<T>());
        (PART / bytes).max(1)
    }

    /// The planes that rows reach, from the first to behind the last.
    pub(super) fn planes(&self) -> (usize, usize) {
        let solid = || self.placed.iter().map(|placed| &placed.piece).filter(|piece| !piece.is_empty());
        let begin = |piece: &Piece| piece.start.get(self.axis).copied().unwrap_or_default();
        let end = |piece: &Piece| begin(piece) + piece.extent.get(self.axis).copied().unwrap_or_default();
        (solid().map(begin).min().unwrap_or_default(), solid().map(end).max().unwrap_or_default())
    }

    /// Adds to a part what rows have there; the scratch is as long as
    /// [`scratch_len`](super::accumulator::scratch_len) says.
    ///
    /// # Errors
    /// None for a view and places that have been checked.
    pub(super) fn add(&self, mut part: Part<'_, T>, scratch: &mut [u64]) -> Result<()> {
        for placed in self.placed {
            let piece = &placed.piece;
            let (start, extent) = match (piece.start.get(self.axis), piece.extent.get(self.axis)) {
                (Some(&start), Some(&extent)) if !piece.is_empty() => (start, extent),
                _ => continue,
            };
            let (begin, end) = (start.max(part.first), (start + extent).min(part.first + part.planes));
            if begin >= end {
                continue;
            }
            let mut inside = piece.part(self.axis, begin - start, end - begin);
            if let Some(start) = inside.start.get_mut(self.axis) {
                *start -= part.first;
            }
            let skipped = element(&inside.source, &placed.strides) - element(&piece.source, &placed.strides);
            let first = placed.first + part.channel * self.view.channel_stride + skipped;
            let rows = (first, &placed.strides);
            if let Some(elements) = elements::<T>(self.view, placed, T::DTYPE) {
                self.add_piece(&mut part, &inside, (elements, rows), true);
            } else if let Some(elements) = elements::<T::Narrow>(self.view, placed, T::NARROW) {
                self.add_piece(&mut part, &inside, (elements, rows), true);
            } else {
                self.add_converted(&mut part, &inside, rows, bytemuck::cast_slice_mut(scratch))?;
            }
        }
        Ok(())
    }

    /// Adds rows that lie spaced or in another dtype: a slab at a time goes through [`gather`].
    fn add_converted(
        &self,
        part: &mut Part<'_, T>,
        piece: &Piece,
        (first, strides): (usize, &Axes),
        scratch: &mut [T],
    ) -> Result<()> {
        let size = self.view.dtype.byte_len();
        let steps = strides.map(|stride| (stride * size) as isize);
        // Slabs may be parts of a line, of which one knows nothing of the others.
        let Part { sums, lines, .. } = &mut *part;
        piece.sheets(self.strides, (0, &[0; MAX_AXES]), |sheet, _| lines.reach(sums, sheet));
        piece.slabs(SLAB, &mut |slab| {
            let skipped = element(&slab.source, strides) - element(&piece.source, strides);
            let runs = slab.extent.map(|len| [Run { output: 0, len, source: 0, step: 1 }]);
            let runs = runs.each_ref().map(<[Run; 1]>::as_slice);
            let stored = Stored {
                bytes: self.view.bytes,
                first: (first + skipped) * size,
                strides: &steps,
                dtype: self.view.dtype,
                swapped: false,
                shuffled: None,
                scale: None,
            };
            let rows = scratch.get_mut(..slab.voxels()).unwrap_or_default();
            let bytes = bytemuck::cast_slice_mut(rows);
            let stores = Stores::Cached;
            let mut target = Target { bytes, dtype: T::DTYPE, fit: Fit::Saturate, stores };
            gather(&stored, &runs, &slab.extent, &mut target)?;
            self.add_piece(part, slab, (&*rows, (0, &dense_strides(&slab.extent))), false);
            Ok(())
        })
    }

    /// Adds rows whose elements lie side by side; the first to reach a voxel find anything there where they are
    /// fresh.
    fn add_piece<S: bytemuck::Pod + Into<T>>(
        &self,
        part: &mut Part<'_, T>,
        piece: &Piece,
        (source, rows): (&[S], (usize, &Axes)),
        fresh: bool,
    ) {
        let Part { sums, lines, .. } = part;
        let profile = self.profiles.iter().find(|profile| profile.is_of(&piece.row));
        piece.sheets(self.strides, rows, |sheet, position| {
            if fresh {
                lines.reach(sums, sheet);
            }
            match (self.blend, profile) {
                (Blend::Last, _) => assign(sums, source, sheet),
                (Blend::Mean, _) => add(sums, source, sheet),
                (Blend::Gaussian, Some(profile)) => {
                    add_weighted(sums, source, sheet, &profile.sheet(piece, position));
                }
                (Blend::Gaussian, None) => {}
            }
        });
    }
}
