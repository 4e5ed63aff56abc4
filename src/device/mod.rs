//! Where bytes lie, host memory, pinned memory or a GPU's, and how they come from one to the other.
//!
//! Who works on a device shows a [`Here`]: the proof that the device is the calling thread's. Nothing waits
//! for a device unless its name or its first line says so.

mod download;
mod gpu;
mod location;
mod pinned;
mod uses;

pub use crate::sys::cuda::{
    Adding, Converter, Current as Here, DeviceBuffer, Event, Kernels, LentMemory, Mirrored, Part,
    PinnedAllocator, PinnedBuffer, Statistics as GivenStatistics, Stream, StreamHandle, Voxels, add_part,
    is_all_over,
};
pub use download::Download;
pub use gpu::{Gpu, gpu_count};
pub use location::Location;
pub use pinned::{pinned_alloc, pinned_free};
pub use uses::Uses;
