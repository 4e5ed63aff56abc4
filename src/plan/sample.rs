//! The ticket that travels from the plan to the batch and back to the assembler.

use crate::voxel::{Region, Shape};

/// One region of one subject at one position of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Its number within the sampler: the same region, for a sampler without randomness.
    pub index: u64,
    /// The number of its subject in the dataset.
    pub subject: usize,
    /// The epoch that it belongs to.
    pub epoch: u64,
    /// Its position in the epoch's order over all ranks.
    pub position: u64,
    /// Whether it only fills up the last batch and stands elsewhere in the epoch already.
    pub repeated: bool,
    /// The region, in voxels of the subject's volumes; it may reach outside.
    pub region: Region,
    /// The part of the region that lies inside the volumes.
    pub inside: Region,
    /// For a slice, the axis that is one voxel thick.
    pub thin: Option<usize>,
}

impl Sample {
    /// Where the voxels that lie inside begin in the row, slowest axis first.
    pub fn valid_offset(&self) -> impl Iterator<Item = usize> + '_ {
        let pairs = self.inside.offset().iter().zip(self.region.offset());
        pairs.map(|(inside, region)| (inside - region).max(0) as usize)
    }

    /// The extents of the voxels that lie inside, slowest axis first.
    pub fn valid_shape(&self) -> Shape {
        self.inside.shape()
    }
}
