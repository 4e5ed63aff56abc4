//! The cellar: memory, file maps, the kernels that move voxels, the CUDA driver. Unsafe code lives here.
//!
//! Nothing in this room knows what a batch or a dataset is. Every unsafe block is one operation with the
//! fact that makes it sound; what leaves the room is safe to call with any arguments.
#![expect(unsafe_code, reason = "memory, file maps and driver calls have no safe form; all of them are here")]

mod accumulate;
mod axes;
mod block_stream;
mod cache_size;
mod capsule;
mod control_group;
mod conversion;
mod convert;
mod crew;
pub mod cuda;
mod file_system;
mod gather;
mod hdf5;
mod inflate;
mod kernels;
mod lock;
mod memory;
mod open_file;
mod openslide;
mod process;
mod regular_file;
mod rows;
mod walk;

pub use accumulate::{
    Number, Sheet, Weights, add, add_weighted, add_weights, assign, count, divide, keep_largest,
};
pub use axes::{MOST_BESIDE, MOST_GATHERED};
pub use block_stream::{Bits, BlockStream, Blocks, Step, Stop, WINDOW_BYTES};
pub use cache_size::largest_cache;
pub use capsule::capsule_content;
pub use conversion::{Conversion, FloatStep, LabelTable, MOST_FLOAT_STEPS};
pub use convert::{Fit, Scale, convert, convert_stored};
pub use crew::Crew;
pub use file_system::is_network_file;
pub use gather::{Stored, Target, fill, gather, gather_beside};
pub use hdf5::{
    FilterStep, forget_built_in_plugins, is_standard_big_endian, pipeline, read_selection, stored_fill_value,
};
pub use inflate::{Framing, Inflated, Inflater, crc32};
pub use kernels::{Stores, ask_for, parts_at_once, unshuffle};
pub use lock::lock;
pub use memory::{AlignedBuffer, check_memory, repeat, zeroed_bytes};
pub use open_file::{FileMap, OpenFile};
pub use openslide::{OpenSlide, SlideLevel, unpremultiply};
pub use process::{Process, core_count, descriptor_limit, disk_reads};
pub use regular_file::{open_to_read, read_file};
pub use rows::{RowBuffer, RowMemory, RowsMut, RowsRead};
