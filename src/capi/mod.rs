//! The door: the only exported functions, and the only raw pointers that come from callers.
//!
//! Each function is check, call, convert: a guard that turns errors and panics into statuses, arguments made
//! into the rooms' own types, one call, and the result written out. The order of the modules is the order of
//! the chapters in `include/voxfeed.h`.
#![expect(
    unsafe_code,
    reason = "callers' pointers are followed here, in handle.rs, and symbols are exported"
)]
#![expect(
    clippy::missing_safety_doc,
    reason = "the docs are the C header's, whose first page says it for all functions"
)]

pub mod status;

pub mod library;

pub mod log;

pub mod tensor;

pub mod dataset_options;

pub mod dataset;

pub mod dataset_cache;

pub mod volume;

pub mod sampler;

pub mod transform;

pub mod batch;

pub mod stream;

pub mod dlpack;

pub mod pinned;

pub mod loader_options;

pub mod loader;

pub mod assembler;

pub mod writer;

mod guard;
mod handle;
