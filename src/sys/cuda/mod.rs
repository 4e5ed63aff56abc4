//! The CUDA driver, opened at run time; nothing here is touched before somebody asks for a GPU.
//!
//! What works on a context takes a [`Current`]: the proof that the context is the calling thread's. Nothing
//! here waits for a GPU unless its name says so.

mod adder;
mod context;
mod converter;
mod driver;
mod event;
mod kernels;
mod lent;
mod memory;
mod stream;

pub use adder::{Adding, Part, add_part};
pub use context::{Context, Current, device_count};
pub use converter::{Converter, Mirrored, Statistics, Voxels};
pub use driver::is_all_over;
pub use event::Event;
pub use kernels::Kernels;
pub use lent::LentMemory;
pub use memory::{DeviceBuffer, PinnedAllocator, PinnedBuffer};
pub use stream::{Stream, StreamHandle};
