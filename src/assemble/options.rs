//! How predictions are joined, summed and handed out.

use crate::device::Location;
use crate::error::{Error, Result};
use crate::sys::core_count;
use crate::voxel::DType;

/// How overlapping predictions are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Blend {
    /// The one that was added last stands, bit for bit.
    #[default]
    Last,
    /// Their mean.
    Mean,
    /// Their mean, each weighted by a Gaussian around the centre of its patch.
    Gaussian,
}

/// The numbers that predictions are summed in; it matters for means only.
///
/// The bounds are for normal numbers. Zero, one and other powers of two come back exactly in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Accumulate {
    /// Single precision: n equal predictions give their value back within n ulp, or 2 n with a Gaussian.
    #[default]
    F32,
    /// Double precision: equal f32 predictions give their value back exactly.
    F64,
}

/// What is made of the channels when a subject is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reduce {
    /// Nothing: all of them are handed out.
    #[default]
    None,
    /// One channel of u8: the number of the largest, the lowest among equals; NaN is larger than all.
    Argmax,
}

/// When a subject may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Readiness {
    /// When all its samples have been added.
    #[default]
    Complete,
    /// At any time; samples that come later are refused.
    Partial,
}

/// How an assembler works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AssemblerOptions {
    /// How overlapping predictions are joined.
    pub blend: Blend,
    /// The numbers that they are summed in.
    pub accumulate: Accumulate,
    /// The dtype of the result, f32 or u8; [`Reduce::Argmax`] gives u8 whatever this says.
    pub dtype: DType,
    /// What is made of the channels.
    pub reduce: Reduce,
    /// The Gaussian's standard deviation as a share of the prediction's extent along each axis.
    pub sigma: f64,
    /// Where f32 sums lie: with a GPU, predictions on it are added there; pinned memory is the host's.
    pub location: Location,
    /// The most bytes of sums on the GPU; for 0, half of what is free when the assembler is made.
    pub device_bytes: u64,
    /// The most threads that add the rows of one call on the host, and that write what is taken; for 0 as many as there
    /// are cores, at most 8. It changes no bit.
    pub threads: usize,
}

impl Default for AssemblerOptions {
    fn default() -> Self {
        Self {
            blend: Blend::Last,
            accumulate: Accumulate::F32,
            dtype: DType::F32,
            reduce: Reduce::None,
            sigma: 0.125,
            location: Location::Host,
            device_bytes: 0,
            threads: 0,
        }
    }
}

/// The most channels whose number fits a u8 label.
const MAX_LABELS: usize = 256;

/// The most threads of one call, where no number is asked for.
const MOST_THREADS: usize = 8;

/// The least bytes of sums that a thread is woken for: that takes about as long as adding a tenth of them.
const SHARE: usize = 512 << 10;

impl AssemblerOptions {
    /// The same with a number of threads where there was none; to ask the system for one at every call would show.
    pub(super) fn settled(self) -> Self {
        let threads = if self.threads == 0 { core_count().min(MOST_THREADS) } else { self.threads };
        Self { threads, ..self }
    }

    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> Result<()> {
        if !matches!(self.dtype, DType::F32 | DType::U8) {
            return Err(Error::argument(format!("assembled dtype is {}, expected f32 or u8", self.dtype)));
        }
        if !(self.sigma > 0.0 && self.sigma.is_finite()) {
            return Err(Error::argument(format!("sigma is {}, expected a number above 0", self.sigma)));
        }
        Ok(())
    }

    /// The threads for a call that adds, or writes, so many bytes of sums.
    pub(super) fn threads_for(&self, bytes: usize) -> usize {
        self.threads.min(bytes / SHARE).max(1)
    }

    /// Refuses channels that the result cannot hold.
    pub(super) fn check_channels(&self, channels: usize) -> Result<()> {
        if self.reduce == Reduce::Argmax && channels > MAX_LABELS {
            let text = format!("argmax over {channels} channels, but a u8 label counts {MAX_LABELS}");
            return Err(Error::argument(text));
        }
        Ok(())
    }

    /// The dtype that is handed out.
    pub(super) fn output_dtype(&self) -> DType {
        if self.reduce == Reduce::Argmax { DType::U8 } else { self.dtype }
    }

    /// The dtype of the sums: that of the result where nothing is computed with them.
    pub(super) fn sum_dtype(&self) -> DType {
        match (self.blend, self.reduce, self.accumulate) {
            (Blend::Last, Reduce::None, _) => self.dtype,
            (_, _, Accumulate::F32) => DType::F32,
            (_, _, Accumulate::F64) => DType::F64,
        }
    }
}
