//! Sums of predictions, voxel by voxel, and the places that they came from.

use std::sync::Weak;

use crate::assemble::adding::{Part, Rows};
use crate::assemble::crew::{Hands, share};
use crate::assemble::options::{AssemblerOptions, Blend};
use crate::assemble::piece::{Axes, Piece, aligned, dense_strides};
use crate::assemble::pool::{Pool, Room};
use crate::assemble::prediction::{Placed, View};
use crate::assemble::profile::Profile;
use crate::assemble::reached::Reached;
use crate::assemble::sweep::Planes;
use crate::error::{Error, Result};
use crate::sys::Number;
use crate::voxel::{MAX_AXES, Shape};

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
    pub(super) sums: Room,
    reached: Reached,
    pub(super) pieces: Vec<Piece>,
    pub(super) profiles: Vec<Profile<T>>,
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
        pool: &Weak<Pool>,
    ) -> Result<Self> {
        let mut all = Self::elsewhere(options, shape, channels, samples, pool)?;
        let bytes = shape.byte_len(channels, T::DTYPE.byte_len())?;
        all.sums = Room::new(pool, bytes)?;
        match Reached::nothing(&all.extents, channels, bytes)? {
            Some(reached) => all.reached = reached,
            None => all.sums.fill(0),
        }
        Ok(all)
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
        pool: &Weak<Pool>,
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
            sums: Room::elsewhere(pool),
            reached: Reached::default(),
            pieces,
            profiles: Vec::new(),
        })
    }

    /// The planes in which they are handed out.
    pub(super) fn planes(&self) -> Planes<'_> {
        let voxels = self.strides.get(self.axis).copied().unwrap_or_default();
        Planes { pieces: &self.pieces, axis: self.axis, strides: &self.strides, voxels }
    }

    /// Adds rows of a prediction; the threads' scratches are as long as
    /// [`scratch_len`](super::accumulator::scratch_len) says.
    ///
    /// # Errors
    /// None for a view and places that have been checked.
    pub(super) fn add(
        &mut self,
        view: &View<'_>,
        placed: &[&Placed],
        hands: &mut Hands<Vec<u64>>,
    ) -> Result<()> {
        for piece in placed.iter().map(|placed| placed.piece) {
            self.pieces.push(piece);
            if !piece.is_empty() {
                self.profile(&piece);
            }
        }
        let Self { blend, axis, ref strides, ref profiles, .. } = *self;
        let rows = Rows { view, placed, blend, axis, strides, profiles };
        let plane = strides.get(axis).copied().unwrap_or_default().max(1);
        let (depth, (begin, end)) = (rows.depth(plane), rows.planes());
        let sums: &mut [T] = bytemuck::cast_slice_mut(&mut self.sums);
        let mut lines = self.reached.lines();
        let mut parts = Vec::new();
        for (channel, sums) in sums.chunks_mut(self.voxels.max(1)).enumerate() {
            for (number, sums) in sums.chunks_mut(depth.saturating_mul(plane)).enumerate() {
                let (first, planes) = (number * depth, sums.len() / plane);
                let lines = lines.split_off(sums.len());
                if first < end && begin < first + planes {
                    parts.push(Part { channel, first, planes, sums, lines });
                }
            }
        }
        share(hands, parts, |part, scratch| rows.add(part, scratch))
    }

    /// Zeroes what no row has reached, so that all of the memory holds sums.
    pub(super) fn complete(&mut self) {
        self.reached.complete::<T>(bytemuck::cast_slice_mut(&mut self.sums));
    }

    /// The weights of a piece's row, made where they are not known; none where nothing is weighted.
    pub(super) fn profile(&mut self, piece: &Piece) -> Option<&Profile<T>> {
        if self.blend == Blend::Gaussian && !self.profiles.iter().any(|profile| profile.is_of(&piece.row)) {
            self.profiles.push(Profile::gaussian(piece.row, self.sigma));
        }
        self.profiles.iter().find(|profile| profile.is_of(&piece.row))
    }
}
