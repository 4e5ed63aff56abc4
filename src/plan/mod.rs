//! Which region of which subject comes when: pure functions of headers, seed, epoch and position.
//!
//! Nothing here reads a voxel or asks a clock, and what is remembered could be worked out again, so that
//! sample k of an epoch is the same for any number of threads and any sample can be asked for at any time.

mod epoch;
mod grid;
mod group;
mod permutation;
mod rule;
mod sample;
mod sampler;

pub use epoch::{Epoch, EpochOptions, LastBatch, Order, Plan};
pub use grid::{Border, Grid};
pub use group::MOST_GROUPED;
pub use permutation::Permutation;
pub use rule::{Place, Rule, Slices, Uniform, Whole};
pub use sample::Sample;
pub use sampler::Sampler;
