//! One subject's sums, in the numbers that its assembler asks for.

use crate::assemble::options::{AssemblerOptions, Reduce};
use crate::assemble::prediction::{Placed, View};
use crate::assemble::sums::{SLAB, Sums, is_direct};
use crate::error::Result;
use crate::voxel::{DType, Shape};

/// One subject's sums, in whichever numbers its assembler keeps them.
#[derive(Debug)]
pub(super) enum Accumulator {
    U8(Sums<u8>),
    F32(Sums<f32>),
    F64(Sums<f64>),
}

/// The numbers of scratch that adding a piece needs: none where its elements are used where they are.
pub(super) fn scratch_len(options: &AssemblerOptions, view: &View<'_>, placed: &Placed) -> usize {
    let direct = match options.sum_dtype() {
        DType::U8 => is_direct::<u8>(view, placed),
        DType::F64 => is_direct::<f64>(view, placed),
        _ => is_direct::<f32>(view, placed),
    };
    if direct { 0 } else { placed.piece.voxels().min(SLAB) }
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
