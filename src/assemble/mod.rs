//! Predictions become volumes again: every sample's ticket says where its row belongs, counts say when a
//! subject is complete.
//!
//! Only the sums of the channels are kept, one volume each. What every voxel weighs follows from the places
//! of the samples alone, so it is worked out plane by plane when a subject is taken, and never stored. Their
//! memory is used for one subject after the other, and zeroed where a row is the first to reach it.

mod accumulator;
mod adding;
mod addition;
mod assembler;
mod blended;
mod crew;
mod incoming;
mod options;
mod output;
mod piece;
mod pool;
mod prediction;
mod profile;
mod progress;
mod reached;
mod resident;
mod sums;
mod sweep;

pub use assembler::Assembler;
pub use options::{Accumulate, AssemblerOptions, Blend, Readiness, Reduce};
pub use output::Output;
pub use prediction::Prediction;
