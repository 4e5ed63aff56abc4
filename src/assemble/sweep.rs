//! What every voxel weighs, plane by plane, from the places of the samples alone.
//!
//! A plane's counts follow from those of the plane before it and the pieces that begin or end between them,
//! so a piece costs two of its planes and not all of them, and no volume of weights is kept.

use std::collections::BTreeSet;

use crate::assemble::piece::{Axes, Piece};
use crate::assemble::profile::Profile;
use crate::error::{Error, Result};
use crate::sys::{Number, add_weights, count};
use crate::voxel::MAX_AXES;

/// The pieces of a subject and the planes that they are swept through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planes<'a> {
    /// The pieces in the order in which they were added.
    pub(super) pieces: &'a [Piece],
    /// The axis that the planes lie along.
    pub(super) axis: usize,
    /// The strides of the volume, which are those of a plane for the axes behind it.
    pub(super) strides: &'a Axes,
    /// The voxels of a plane.
    pub(super) voxels: usize,
}

/// How many pieces reach each voxel of a plane.
#[derive(Debug)]
pub(super) struct Counts<'a> {
    planes: Planes<'a>,
    starts: Vec<(usize, usize)>,
    ends: Vec<(usize, usize)>,
    active: BTreeSet<usize>,
    counts: Vec<u32>,
}

/// A vector of zeros.
pub(super) fn zeros<T: Copy + Default>(len: usize) -> Result<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(len)
        .map_err(|_| Error::memory(format!("no memory for a plane of {len} voxels")))?;
    all.resize(len, T::default());
    Ok(all)
}

impl<'a> Counts<'a> {
    /// The counts in front of the first plane: none.
    ///
    /// # Errors
    /// `Memory` where there is not enough for a plane.
    pub(super) fn new(planes: Planes<'a>) -> Result<Self> {
        let ends = |piece: &Piece| {
            let begin = piece.start.get(planes.axis).copied().unwrap_or_default();
            (begin, begin + piece.extent.get(planes.axis).copied().unwrap_or_default())
        };
        let solid = || planes.pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty());
        // Both are used from their ends on, so the nearest plane stands last.
        let mut starts: Vec<_> = solid().map(|(number, piece)| (ends(piece).0, number)).collect();
        let mut ends: Vec<_> = solid().map(|(number, piece)| (ends(piece).1, number)).collect();
        starts.sort_unstable_by(|a, b| b.cmp(a));
        ends.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Self { planes, starts, ends, active: BTreeSet::new(), counts: zeros(planes.voxels)? })
    }

    /// Goes on to a plane; planes are visited in order. True where the counts are not those of the one before.
    pub(super) fn advance(&mut self, plane: usize) -> bool {
        let mut changed = false;
        while let Some((_, number)) = self.starts.pop_if(|(start, _)| *start <= plane) {
            self.active.insert(number);
            self.change(number, 1);
            changed = true;
        }
        while let Some((_, number)) = self.ends.pop_if(|(end, _)| *end <= plane) {
            self.active.remove(&number);
            self.change(number, u32::MAX);
            changed = true;
        }
        changed
    }

    /// How many pieces reach each voxel of the plane.
    pub(super) fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Adds up the Gaussian weights of the plane, in the order in which the pieces were added.
    pub(super) fn gaussian<T: Number>(&self, plane: usize, profiles: &[Profile<T>], weights: &mut [T]) {
        weights.fill(T::ZERO);
        let Planes { pieces, axis, strides, .. } = self.planes;
        for piece in self.active.iter().filter_map(|&number| pieces.get(number)) {
            let Some(profile) = profiles.iter().find(|profile| profile.is_of(&piece.row)) else { continue };
            let begin = piece.start.get(axis).copied().unwrap_or_default();
            let flat = piece.part(axis, plane.saturating_sub(begin), 1).flattened(axis);
            flat.sheets(strides, (0, &[0; MAX_AXES]), |sheet, position| {
                add_weights(weights, sheet, &profile.sheet(&flat, position));
            });
        }
    }

    fn change(&mut self, number: usize, step: u32) {
        let Planes { pieces, axis, strides, .. } = self.planes;
        if let Some(piece) = pieces.get(number) {
            let flat = piece.flattened(axis);
            flat.sheets(strides, (0, &[0; MAX_AXES]), |sheet, _| count(&mut self.counts, sheet, step));
        }
    }
}
