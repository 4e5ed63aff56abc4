//! What happens to a sample's voxels, in the row that they were gathered into.

mod chain;
mod intensity;
mod labels;
mod program;

pub use chain::{Chain, Step};
pub use intensity::{Statistics, StatisticsVoxels};
pub use program::Program;
