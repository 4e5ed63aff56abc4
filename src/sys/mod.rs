//! The cellar: memory, file maps, the kernels that move voxels, the CUDA driver. Unsafe code lives here.
//!
//! Nothing in this room knows what a batch or a dataset is. Every unsafe block is one operation with the
//! fact that makes it sound; what leaves the room is safe to call with any arguments.
#![expect(unsafe_code, reason = "memory, file maps and driver calls have no safe form; all of them are here")]

mod accumulate;
mod block_stream;
mod collect;
mod convert;
pub mod cuda;
mod gather;
mod hdf5;
mod inflate;
mod map;
mod memory;
mod process;
mod rows;

pub use accumulate::{
    Number, Sheet, Weights, add, add_weighted, add_weights, assign, count, divide, keep_largest,
};
pub use block_stream::{Bits, BlockStream, Blocks, Step, Stop, WINDOW_BYTES};
pub use convert::{Fit, Scale, convert};
pub use gather::{Stored, Target, fill, gather};
pub use hdf5::is_standard_big_endian;
pub use inflate::{Framing, Inflated, Inflater, crc32};
pub use map::{FileMap, is_network_file};
pub use memory::{AlignedBuffer, check_memory, zeroed_bytes};
pub use process::{Process, core_count};
pub use rows::{RowBuffer, RowMut, RowsRead};
