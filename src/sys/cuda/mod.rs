//! The CUDA driver, opened at run time; nothing here is touched before somebody asks for a GPU.
//!
//! What works on a context takes a [`Current`]: the proof that the context is the calling thread's. Nothing
//! here waits for a GPU unless its name says so.

mod context;
mod driver;
mod event;
mod memory;
mod stream;

pub use context::{Context, Current, device_count};
pub use event::Event;
pub use memory::{DeviceBuffer, LentMemory, PinnedAllocator, PinnedBuffer};
pub use stream::{Stream, StreamHandle};
