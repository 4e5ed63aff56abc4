//! How the voxels of a decoded piece lie while it is kept: as a gather takes them quickest.

use crate::error::Result;
use crate::store::ChannelPlace;
use crate::store::chunks::grid::{Grid, MAX_RANK};
use crate::sys::{Fit, Stored, Stores, Target, gather, parts_at_once};
use crate::voxel::{DType, Run};

/// The most channels beside each other that are parted when a piece is decoded.
const MOST_CHANNELS: usize = 8;

/// The order in which a piece is kept: channel after channel, in this machine's byte order.
///
/// It is read many times, and decoding takes so much longer than this that it hardly shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrangement {
    dtype: DType,
    swapped: bool,
    /// The channels that lie beside each other in each voxel of a decoded piece.
    channels: usize,
    /// The voxels of one channel.
    voxels: usize,
}

impl Arrangement {
    /// The arrangement of a grid's pieces; nothing where they are right as they are decoded.
    pub(super) fn of(grid: &Grid, dtype: DType, swapped: bool) -> Option<Self> {
        let last = grid.axes().last().map(|axis| axis.piece);
        let channels = last.filter(|_| grid.channel() == ChannelPlace::Last).unwrap_or(1);
        let channels = if channels > MOST_CHANNELS { 1 } else { channels };
        let voxels = grid.piece_voxels() / channels;
        (swapped || channels > 1).then_some(Self { dtype, swapped, channels, voxels })
    }

    /// Whether channels that lie beside each other are parted.
    pub(super) fn parts_channels(&self) -> bool {
        self.channels > 1
    }

    /// Whether a piece is arranged as quickly from shuffled bytes as from whole voxels.
    pub(super) fn takes_shuffled(&self) -> bool {
        self.channels == 1 || parts_at_once(self.dtype, self.channels)
    }

    /// Arranges a decoded piece, the bytes of whose voxels may lie so far apart as a shuffle has left them.
    ///
    /// # Errors
    /// `Argument` where the two have not the piece's size.
    pub(super) fn arrange(&self, decoded: &[u8], shuffled: Option<usize>, into: &mut [u8]) -> Result<()> {
        let step = if shuffled.is_some() { 1 } else { self.dtype.byte_len() as isize };
        let all = |len| [Run { output: 0, len, source: 0, step: 1 }];
        let stored = Stored {
            bytes: decoded,
            first: 0,
            strides: &[step, step * self.channels as isize],
            dtype: self.dtype,
            swapped: self.swapped,
            shuffled,
            scale: None,
        };
        let mut target = Target { bytes: into, dtype: self.dtype, fit: Fit::Exact, stores: Stores::Cached };
        let (channels, voxels) = (all(self.channels), all(self.voxels));
        gather(&stored, &[&channels, &voxels], &[self.channels, self.voxels], &mut target)
    }

    /// The place of a voxel, and the strides, channel first, of an arranged piece, given those of a decoded one.
    pub(super) fn view(&self, first: usize, strides: [isize; MAX_RANK]) -> (usize, [isize; MAX_RANK]) {
        if self.channels == 1 {
            return (first, strides);
        }
        let arranged = strides.map(|stride| stride / self.channels as isize);
        let [_, spatial @ ..] = arranged;
        let mut strides = [self.voxels as isize; MAX_RANK];
        strides.iter_mut().skip(1).zip(spatial).for_each(|(slot, stride)| *slot = stride);
        (first % self.channels * self.voxels + first / self.channels, strides)
    }
}
