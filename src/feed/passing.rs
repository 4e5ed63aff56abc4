//! What of the subjects is done with, in a plan that goes from one to the next.

use crate::feed::ring::Place;
use crate::plan::{Plan, Sample};

/// What of a subject no further sample needs: positions on an axis, from the first one to behind the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) subject: usize,
    pub(super) axis: usize,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// Where the samples that were lent have come.
#[derive(Debug, Default)]
pub(super) struct Passing {
    /// The subject of the last one, where more of it are to come.
    subject: Option<usize>,
    /// The axis and the position up to which it has been passed: nothing of it at 0.
    front: (usize, i64),
}

impl Passing {
    /// What is passed when these samples are lent, behind which the plan goes on at a place; nothing where it may come back
    /// at any time.
    pub(super) fn pass(&mut self, plan: &Plan, samples: &[Sample], behind: Place) -> Vec<Passed> {
        if !plan.is_in_order() {
            return Vec::new();
        }
        let next =
            if behind.place < plan.len() { plan.epoch(behind.epoch).sample(behind.place).ok() } else { None };
        let mut passed = Vec::new();
        let subjects = samples.iter().map(|sample| Some(sample.subject));
        for subject in subjects.chain([next.map(|sample| sample.subject)]) {
            if self.subject != subject {
                passed.extend(self.advance((self.front.0, i64::MAX)));
                *self = Self { subject, front: (0, 0) };
            }
        }
        passed.extend(next.and_then(|next| self.advance(plan.sampler().front(&next)?)));
        passed
    }

    /// What of the subject is passed when no further sample of it begins before a front.
    fn advance(&mut self, (axis, to): (usize, i64)) -> Option<Passed> {
        let before = std::mem::replace(&mut self.front, (axis, to));
        let (from, subject) = (if before.0 == axis { before.1 } else { 0 }, self.subject?);
        (from < to).then_some(Passed { subject, axis, from, to })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{Border, EpochOptions, Grid, Order, Rule, Sampler, Slices, Uniform};
    use crate::store::{
        ArrayLayout, ChannelPlace, Dataset, Entry, GeometryCheck, Header, MemoryArray, OpenOptions, Origin,
        Subject,
    };
    use crate::voxel::{DType, Shape};

    /// Subjects of two, three and one slices of 2 x 2 voxels.
    fn plan(rule: impl Rule + 'static, options: EpochOptions) -> Plan {
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
        let sampler = Sampler::new(Arc::new(dataset), Arc::new(rule)).unwrap();
        Plan::new(Arc::new(sampler), options).unwrap()
    }

    const END: i64 = i64::MAX;

    /// What passes with each batch of an epoch: the subject, and the positions on the axis.
    fn passed(plan: &Plan, batch: u64, axis: usize) -> Vec<Vec<(usize, i64, i64)>> {
        let mut passing = Passing::default();
        let begins = (0..plan.len()).step_by(batch as usize);
        let all = begins.map(|begin| {
            let end = (begin + batch).min(plan.len());
            let samples: Vec<Sample> =
                (begin..end).map(|place| plan.epoch(0).sample(place).unwrap()).collect();
            let passed = passing.pass(plan, &samples, Place { epoch: 0, place: end });
            assert!(passed.iter().all(|passed| passed.axis == axis));
            passed.iter().map(|passed| (passed.subject, passed.from, passed.to)).collect()
        });
        all.collect()
    }

    #[test]
    fn subjects_pass_slice_by_slice() {
        let slices = || Slices::new(&[0]).unwrap();
        let in_order = plan(slices(), EpochOptions::default());
        let one_by_one = [
            vec![(0, 0, 1)],
            vec![(0, 1, END)],
            vec![(1, 0, 1)],
            vec![(1, 1, 2)],
            vec![(1, 2, END)],
            vec![(2, 0, END)],
        ];
        assert_eq!(passed(&in_order, 1, 0), one_by_one);
        assert_eq!(passed(&in_order, 4, 0), [vec![(0, 0, END), (1, 0, 2)], vec![(1, 2, END), (2, 0, END)]]);
        assert_eq!(passed(&in_order, 6, 0), [vec![(0, 0, END), (1, 0, END), (2, 0, END)]]);
        let share = plan(slices(), EpochOptions { rank: 1, world_size: 2, ..EpochOptions::default() });
        let others = [vec![(0, 0, END), (1, 0, 1)], vec![(1, 1, END)], vec![(2, 0, END)]];
        assert_eq!(passed(&share, 1, 0), others);
        let shuffled = plan(slices(), EpochOptions { order: Order::Shuffled, ..EpochOptions::default() });
        assert_eq!(passed(&shuffled, 2, 0).concat(), []);
    }

    #[test]
    fn what_further_samples_come_back_to_does_not_pass() {
        let twice = plan(Slices::new(&[0, 1]).unwrap(), EpochOptions::default());
        let first: Vec<_> = passed(&twice, 1, 1).into_iter().take(4).collect();
        assert_eq!(first, [vec![], vec![], vec![(0, 0, 1)], vec![(0, 1, END)]]);
        let random = plan(Uniform::new(&[1, 1, 1], 2), EpochOptions::default());
        let ends = [vec![], vec![(0, 0, END)], vec![], vec![(1, 0, END)], vec![], vec![(2, 0, END)]];
        assert_eq!(passed(&random, 1, 0), ends);
        let grid = plan(Grid::new(&[2, 1, 2], &[1, 1, 0], Border::Clip).unwrap(), EpochOptions::default());
        let second: Vec<_> = passed(&grid, 1, 0).into_iter().skip(2).take(4).collect();
        assert_eq!(second, [vec![], vec![(1, 0, 1)], vec![], vec![(1, 1, END)]]);
    }
}
