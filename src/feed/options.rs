//! How a loader works.

use std::sync::Arc;
use std::time::Duration;

use crate::device::{Location, PinnedAllocator};
use crate::plan::EpochOptions;
use crate::sys::Fit;
use crate::transform::Chain;
use crate::voxel::{DType, Padding};

/// What follows a batch that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnError {
    /// The error is given once, in order, and the epoch goes on with the next batch.
    #[default]
    Continue,
    /// The error is given, in order, and the epoch is over.
    Stop,
}

/// What happens where the samples of a batch would have different shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ragged {
    /// An error when the loader is made; with a batch size of 1 each batch has its own sample's shape.
    #[default]
    Error,
    /// All rows are as large as the largest sample, the rest being padding.
    Pad,
}

/// Whether slices keep their axis of one voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ThinAxis {
    /// It is left out.
    #[default]
    Drop,
    /// It stays.
    Keep,
}

/// Who reads the batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Consumer {
    /// The processor, soon.
    #[default]
    Cpu,
    /// A device that copies them away.
    Device,
}

/// Where the voxels of batches on a GPU become what the batches hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Cast {
    /// Where fewer bytes cross the bus.
    #[default]
    Auto,
    /// On the host.
    Host,
    /// On the GPU.
    Device,
}

/// How one category is fed.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryOptions {
    /// The category.
    pub name: String,
    /// The entries in channel order; all where none is given.
    pub entries: Option<Vec<String>>,
    /// The dtype before any transform; the smallest that holds all stored values where none is given.
    pub dtype: Option<DType>,
    /// What stands outside the volumes.
    pub padding: Padding,
    /// The value of [`Padding::Constant`], in stored units.
    pub pad_value: f64,
    /// What happens to a value that does not fit the dtype.
    pub fit: Fit,
    /// Whether a single channel has no axis.
    pub squeeze_channel: bool,
}

impl CategoryOptions {
    /// The defaults for a category.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            entries: None,
            dtype: None,
            padding: Padding::Zero,
            pad_value: 0.0,
            fit: Fit::Exact,
            squeeze_channel: false,
        }
    }
}

/// How a loader works.
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// Order, batch size, share and last batch.
    pub epoch: EpochOptions,
    /// How many batches are kept ready.
    pub prefetch: usize,
    /// The threads that fill batches; 0 is one for each core, 8 at most.
    pub threads: usize,
    /// Whether epoch follows epoch without end.
    pub endless: bool,
    /// What follows a batch that failed.
    pub on_error: OnError,
    /// What happens where the samples of a batch would have different shapes.
    pub ragged: Ragged,
    /// Whether slices keep their axis of one voxel.
    pub thin_axis: ThinAxis,
    /// Who reads the batches.
    pub consumer: Consumer,
    /// Where batches lie.
    pub location: Location,
    /// The number of the GPU that pinned batches are for.
    pub gpu: i32,
    /// Where pinned memory is had from; from the driver where nobody is named.
    pub pinned: Option<PinnedAllocator>,
    /// Where the voxels of batches on a GPU become what the batches hold.
    pub cast: Cast,
    /// The categories in order; all of the first subject's where there are none.
    pub categories: Vec<CategoryOptions>,
    /// What happens to the voxels.
    pub chain: Arc<Chain>,
    /// How long a caller who holds all batches waits for another before the log says so, once.
    pub held_limit: Duration,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self {
            epoch: EpochOptions::default(),
            prefetch: 2,
            threads: 0,
            endless: false,
            on_error: OnError::Continue,
            ragged: Ragged::Error,
            thin_axis: ThinAxis::Drop,
            consumer: Consumer::Cpu,
            location: Location::Host,
            gpu: 0,
            pinned: None,
            cast: Cast::Auto,
            categories: Vec::new(),
            chain: Arc::default(),
            held_limit: Duration::from_secs(5),
        }
    }
}
