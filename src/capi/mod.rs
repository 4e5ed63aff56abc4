//! The door: the only exported functions, and the only raw pointers that come from callers.
//!
//! Each function is check, call, convert: a guard that turns errors and panics into statuses, arguments made
//! into the rooms' own types, one call, and the result written out. The order of the modules is the order of
//! the chapters in `include/voxfeed.h`.
#![expect(
    unsafe_code,
    reason = "callers' pointers are followed here, in handle.rs, and symbols are exported"
)]

mod status;

mod library;

mod tensor;

mod dataset;

mod volume;

mod sampler;

mod transform;

mod batch;

mod loader;

mod assembler;

mod writer;

mod guard;
mod handle;
