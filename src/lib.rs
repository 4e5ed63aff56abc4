//! Voxels are stored, planned, fed and assembled.
//!
//! Volumes on disk become planned samples, samples become batches in host memory ahead of time, and
//! predictions become volumes again. The C interface in [`capi`] is the library's face; the rooms below it
//! are Rust, each using those on lower floors only.

pub mod assemble;
pub mod capi;
pub mod device;
pub mod error;
pub mod feed;
pub mod log;
pub mod plan;
pub mod prepare;
pub mod random;
pub mod store;
pub mod sys;
pub mod transform;
pub mod voxel;
