//! Which subjects are done with, in a plan that goes from one to the next.

use crate::feed::ring::Place;
use crate::plan::{Plan, Sample};

/// Where the samples that were lent have come.
#[derive(Debug, Default)]
pub(super) struct Passing {
    /// The subject of the last one, where more of it are to come.
    subject: Option<usize>,
}

impl Passing {
    /// The subjects of which all samples are lent with these, behind which the plan goes on at a place; none where it
    /// comes back to them at any time.
    pub(super) fn pass(&mut self, plan: &Plan, samples: &[Sample], behind: Place) -> Vec<usize> {
        if !plan.is_in_order() {
            return Vec::new();
        }
        let next =
            if behind.place < plan.len() { plan.epoch(behind.epoch).sample(behind.place).ok() } else { None };
        let subjects = samples.iter().map(|sample| Some(sample.subject));
        let change = |subject: Option<usize>| {
            let before = std::mem::replace(&mut self.subject, subject);
            before.filter(|_| before != subject)
        };
        subjects.chain([next.map(|sample| sample.subject)]).filter_map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{EpochOptions, Order, Sampler, Slices};
    use crate::store::{
        ArrayLayout, ChannelPlace, Dataset, Entry, GeometryCheck, Header, MemoryArray, OpenOptions, Origin,
        Subject,
    };
    use crate::voxel::{DType, Shape};

    fn plan(options: EpochOptions) -> Plan {
        let mut dataset = Dataset::new(OpenOptions::default());
        for (number, depth) in [2, 3, 1].into_iter().enumerate() {
            let shape = Shape::new(&[depth, 2, 2]).unwrap();
            let (dtype, origin) = (DType::U8, Origin::default());
            let header = Header { shape, channels: 1, dtype, scale: None, affine: None, origin };
            let layout = ArrayLayout::dense(&shape, 1, 1, ChannelPlace::First);
            let volume = MemoryArray::new(header, layout, vec![0; depth * 4]).unwrap();
            let mut subject = Subject::new(number.to_string());
            subject.add("images", Entry::new("image", Arc::new(volume)), GeometryCheck::Strict).unwrap();
            dataset.add_subject(subject).unwrap();
        }
        let sampler = Sampler::new(Arc::new(dataset), Arc::new(Slices::new(&[0]).unwrap())).unwrap();
        Plan::new(Arc::new(sampler), options).unwrap()
    }

    /// What passes with each batch of an epoch.
    fn passed(plan: &Plan, batch: u64) -> Vec<Vec<usize>> {
        let mut passing = Passing::default();
        let begins = (0..plan.len()).step_by(batch as usize);
        let all = begins.map(|begin| {
            let end = (begin + batch).min(plan.len());
            let samples: Vec<Sample> =
                (begin..end).map(|place| plan.epoch(0).sample(place).unwrap()).collect();
            passing.pass(plan, &samples, Place { epoch: 0, place: end })
        });
        all.collect()
    }

    #[test]
    fn a_subject_passes_with_its_last_sample() {
        let in_order = plan(EpochOptions::default());
        assert_eq!(passed(&in_order, 1), [vec![], vec![0], vec![], vec![], vec![1], vec![2]]);
        assert_eq!(passed(&in_order, 4), [vec![0], vec![1, 2]]);
        assert_eq!(passed(&in_order, 6), [vec![0, 1, 2]]);
        let share = plan(EpochOptions { rank: 1, world_size: 2, ..EpochOptions::default() });
        assert_eq!(passed(&share, 1), [vec![0], vec![1], vec![2]]);
        let shuffled = plan(EpochOptions { order: Order::Shuffled, ..EpochOptions::default() });
        assert_eq!(passed(&shuffled, 2).concat(), [0usize; 0]);
    }
}
