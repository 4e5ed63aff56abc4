//! The order of an epoch, this process's share of it, and what happens to the last batch.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::plan::group::Groups;
use crate::plan::{Permutation, Sample, Sampler};

/// The order of an epoch's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// As the sampler numbers them.
    #[default]
    Sequential,
    /// Shuffled anew in each epoch, by seed and epoch alone.
    Shuffled,
}

/// What happens to samples that do not fill a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LastBatch {
    /// They are a smaller batch; ranks may have different numbers of batches.
    #[default]
    Keep,
    /// They are left out, on all ranks alike.
    Drop,
    /// Samples from the epoch's beginning are repeated, marked as such, so that all ranks have equally many
    /// full batches.
    Pad,
}

/// How an epoch is ordered and shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochOptions {
    /// The seed of order and regions.
    pub seed: u64,
    /// The order.
    pub order: Order,
    /// The samples of a batch.
    pub batch_size: usize,
    /// What happens to samples that do not fill a batch.
    pub last_batch: LastBatch,
    /// This process among those that share the epoch.
    pub rank: u64,
    /// The number of processes that share the epoch.
    pub world_size: u64,
    /// Within windows of so many samples, those that lie near each other follow each other; 0 leaves the
    /// order as it is.
    pub group_window: u32,
}

impl Default for EpochOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            order: Order::Sequential,
            batch_size: 1,
            last_batch: LastBatch::Keep,
            rank: 0,
            world_size: 1,
            group_window: 0,
        }
    }
}

/// Every epoch of a sampler, as this process goes through it.
///
/// Position p of an epoch belongs to rank p mod world size.
#[derive(Debug, Clone)]
pub struct Plan {
    sampler: Arc<Sampler>,
    options: EpochOptions,
    len: u64,
    groups: Option<Arc<Groups>>,
}

impl Plan {
    /// The epochs of a sampler under these options.
    ///
    /// # Errors
    /// `Argument` where the batch size is 0, the rank is not below the world size, this rank's share of an
    /// epoch is empty, or the group window is too long.
    pub fn new(sampler: Arc<Sampler>, options: EpochOptions) -> Result<Self> {
        let EpochOptions { batch_size, last_batch, rank, world_size, .. } = options;
        if batch_size == 0 {
            return Err(Error::argument("batch size is 0"));
        }
        if rank >= world_size {
            return Err(Error::argument(format!(
                "rank is {rank}, expected less than world_size, {world_size}"
            )));
        }
        let (samples, batch) = (sampler.len(), batch_size as u64);
        let len = match last_batch {
            LastBatch::Keep => samples.saturating_sub(rank).div_ceil(world_size),
            LastBatch::Drop => samples / world_size / batch * batch,
            LastBatch::Pad => {
                let share = samples.div_ceil(world_size).div_ceil(batch).checked_mul(batch);
                share.ok_or_else(|| Error::range("the padded epoch has more samples than 64 bits count"))?
            }
        };
        if len == 0 {
            return Err(Error::argument(format!(
                "rank {rank} of {world_size} has no batch of {batch}: the epoch has {samples} samples"
            )));
        }
        if len.checked_mul(world_size).is_none() {
            let text = format!("{len} samples on each of {world_size} ranks are more than 64 bits count");
            return Err(Error::range(text));
        }
        let groups = match options.group_window {
            0 | 1 => None,
            window => Some(Arc::new(Groups::new(window)?)),
        };
        Ok(Self { sampler, options, len, groups })
    }

    /// The sampler.
    pub fn sampler(&self) -> &Arc<Sampler> {
        &self.sampler
    }

    /// The options.
    pub fn options(&self) -> &EpochOptions {
        &self.options
    }

    /// The samples of this rank in an epoch, repeats counted.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is none; a plan that exists has one.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many samples, from a place on, are slices of one subject that lie side by side; 1 where that is not known.
    pub fn neighbours(&self, place: u64) -> u64 {
        if self.is_in_order() && self.options.world_size == 1 && place < self.sampler.len() {
            self.sampler.neighbours(place)
        } else {
            1
        }
    }

    /// Whether samples come subject by subject, in the same order in every epoch.
    pub fn is_in_order(&self) -> bool {
        self.options.order == Order::Sequential && self.groups.is_none()
    }

    /// The batches of this rank in an epoch.
    pub fn batches(&self) -> u64 {
        self.len.div_ceil(self.options.batch_size as u64)
    }

    /// One epoch.
    pub fn epoch(&self, number: u64) -> Epoch<'_> {
        let order = match self.options.order {
            Order::Sequential => None,
            Order::Shuffled => Some(Permutation::new(self.sampler.len(), self.options.seed, number)),
        };
        Epoch { plan: self, number, order }
    }
}

/// One ordered pass over this rank's samples.
#[derive(Debug, Clone)]
pub struct Epoch<'a> {
    plan: &'a Plan,
    number: u64,
    order: Option<Permutation>,
}

impl Epoch<'_> {
    /// The sample at this place of this rank's share.
    ///
    /// # Errors
    /// `Range` where the place is not below the plan's length.
    pub fn sample(&self, place: u64) -> Result<Sample> {
        if place >= self.plan.len {
            return Err(Error::range(format!("sample {place} of {}", self.plan.len)));
        }
        let Plan { options: EpochOptions { rank, world_size, .. }, len, groups, .. } = self.plan;
        let position = place * world_size + rank;
        let from = match groups {
            None => place,
            Some(groups) => groups.place((self.number, place), *len, |place| self.ungrouped(place))?,
        };
        Ok(Sample { position, ..self.ungrouped(from)? })
    }

    /// The sample at this place before those that lie near each other were grouped.
    fn ungrouped(&self, place: u64) -> Result<Sample> {
        let EpochOptions { rank, world_size, seed, .. } = self.plan.options;
        let position = place * world_size + rank;
        let total = self.plan.sampler.len();
        let index = self.index(position % total);
        let sample = self.plan.sampler.sample(seed, self.number, index)?;
        Ok(Sample { position, repeated: position >= total, ..sample })
    }

    /// How many samples each subject has in this rank's share, repeats not counted.
    ///
    /// # Errors
    /// None for a plan that was made by this module.
    pub fn samples_by_subject(&self) -> Result<Vec<u64>> {
        let mut counts = vec![0u64; self.plan.sampler.dataset().subjects().len()];
        let EpochOptions { rank, world_size, .. } = self.plan.options;
        let whole = self.plan.options.last_batch != LastBatch::Drop && world_size == 1;
        if whole {
            self.plan.sampler.counts(&mut counts);
            return Ok(counts);
        }
        for place in 0..self.plan.len {
            let position = place * world_size + rank;
            if position < self.plan.sampler.len() {
                let subject = self.plan.sampler.subject_of(self.index(position));
                if let Some(count) = counts.get_mut(subject) {
                    *count += 1;
                }
            }
        }
        Ok(counts)
    }

    fn index(&self, position: u64) -> u64 {
        self.order.as_ref().map_or(position, |order| order.at(position))
    }
}
