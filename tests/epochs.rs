//! Epochs as their definition has them: every sample where it belongs, whatever the shares and batches.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code, missing_docs)]

mod in_memory;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use voxfeed::plan::{EpochOptions, LastBatch, Order, Plan, Sampler, Slices, Uniform};

use in_memory::dataset;

/// The plans of all ranks; none where a rank's share is empty.
fn plans(sampler: &Arc<Sampler>, options: EpochOptions) -> Option<Vec<Plan>> {
    let rank = |rank| Plan::new(Arc::clone(sampler), EpochOptions { rank, ..options }).ok();
    (0..options.world_size).map(rank).collect()
}

fn slices(depths: &[usize]) -> Arc<Sampler> {
    let shapes: Vec<Vec<usize>> = depths.iter().map(|&depth| vec![depth, 2, 3]).collect();
    Arc::new(Sampler::new(dataset(&shapes, |_, _| 0.0), Arc::new(Slices::new(&[0]).unwrap())).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn shares_divide_an_epoch_by_their_last_batch_rule(
        depths in prop::collection::vec(1usize..9, 1..5),
        (world_size, batch_size) in (1u64..5, 1usize..6),
        (seed, epoch) in (any::<u64>(), any::<u64>()),
        shuffled in any::<bool>(),
        rule in 0..3usize,
    ) {
        let sampler = slices(&depths);
        let last_batch = [LastBatch::Keep, LastBatch::Drop, LastBatch::Pad][rule];
        let order = if shuffled { Order::Shuffled } else { Order::Sequential };
        let options = EpochOptions { seed, order, batch_size, last_batch, world_size, ..EpochOptions::default() };
        let Some(plans) = plans(&sampler, options) else {
            prop_assert!(last_batch != LastBatch::Pad, "padding leaves no rank without samples");
            return Ok(());
        };
        let mut fresh: BTreeMap<u64, usize> = BTreeMap::new();
        let mut by_subject = vec![0; depths.len()];
        for plan in &plans {
            let one = plan.epoch(epoch);
            for place in 0..plan.len() {
                let sample = one.sample(place).unwrap();
                prop_assert_eq!(sample.repeated, sample.position >= sampler.len());
                let expected = sampler.sample(seed, epoch, sample.index).unwrap();
                prop_assert_eq!((sample.subject, sample.region), (expected.subject, expected.region));
                if !sample.repeated {
                    *fresh.entry(sample.index).or_default() += 1;
                }
            }
            prop_assert!(one.sample(plan.len()).is_err());
            for (sum, count) in by_subject.iter_mut().zip(one.samples_by_subject().unwrap()) {
                *sum += count;
            }
            if last_batch != LastBatch::Keep {
                prop_assert_eq!(plan.len(), plans[0].len());
                prop_assert_eq!(plan.len() % batch_size as u64, 0);
            }
        }
        prop_assert!(fresh.values().all(|&count| count == 1));
        let all: u64 = depths.iter().map(|&depth| depth as u64).sum();
        if last_batch == LastBatch::Drop {
            let full = all / world_size / batch_size as u64 * batch_size as u64 * world_size;
            prop_assert_eq!(fresh.len() as u64, full);
        } else {
            prop_assert_eq!(fresh.len() as u64, all);
        }
        prop_assert_eq!(by_subject.iter().sum::<u64>(), fresh.len() as u64);
    }

    #[test]
    fn grouping_moves_samples_within_their_window_only(
        (seed, epoch, window) in (any::<u64>(), 0u64..50, 2u32..30),
        (world_size, rule) in (1u64..3, 0..3usize),
    ) {
        let shapes = vec![vec![16, 16, 16], vec![12, 20, 9], vec![8, 8, 30]];
        let sampler = dataset(&shapes, |_, _| 0.0);
        let sampler = Arc::new(Sampler::new(sampler, Arc::new(Uniform::new(&[4, 4, 4], 25))).unwrap());
        let last_batch = [LastBatch::Keep, LastBatch::Drop, LastBatch::Pad][rule];
        let options = EpochOptions {
            seed, order: Order::Shuffled, batch_size: 4, last_batch, world_size, ..EpochOptions::default()
        };
        let grouped_options = EpochOptions { group_window: window, ..options };
        let all = plans(&sampler, options).unwrap().into_iter();
        for (plain, grouped) in all.zip(plans(&sampler, grouped_options).unwrap()) {
            prop_assert_eq!(plain.len(), grouped.len());
            let (plain, epoch_of) = (plain.epoch(epoch), grouped.epoch(epoch));
            let places: Vec<u64> = (0..grouped.len()).collect();
            // Asked for backwards, so that an order that depends on what came before would show.
            let mut seen: Vec<_> = places.iter().rev().map(|&place| epoch_of.sample(place).unwrap()).collect();
            seen.reverse();
            for (window, samples) in seen.chunks(window as usize).zip(places.chunks(window as usize)).enumerate() {
                let (samples, places) = samples;
                let mut own: Vec<_> = samples.iter().map(|sample| (sample.index, sample.repeated)).collect();
                let before = places.iter().map(|&place| plain.sample(place).unwrap());
                let mut before: Vec<_> = before.map(|sample| (sample.index, sample.repeated)).collect();
                own.sort_unstable();
                before.sort_unstable();
                prop_assert_eq!(own, before, "window {}", window);
                let cells = samples.iter().map(|sample| {
                    (sample.subject, sample.region.offset().iter().map(|start| start / 4).collect::<Vec<_>>())
                });
                prop_assert!(cells.is_sorted());
            }
            for (&place, sample) in places.iter().zip(&seen) {
                prop_assert_eq!(sample.position, plain.sample(place).unwrap().position);
            }
        }
        let refused = EpochOptions { group_window: (1 << 20) + 1, ..options };
        prop_assert!(Plan::new(Arc::clone(&sampler), refused).is_err());
    }

    #[test]
    fn random_regions_are_those_of_their_index_in_any_order(seed in any::<u64>(), epoch in 0u64..100) {
        let shapes = vec![vec![9, 8, 7], vec![4, 20, 5]];
        let rule = Arc::new(Uniform::new(&[4, 5, 0], 6));
        let sampler = Arc::new(Sampler::new(dataset(&shapes, |_, _| 0.0), rule).unwrap());
        let options = EpochOptions { seed, order: Order::Shuffled, ..EpochOptions::default() };
        let plan = Plan::new(Arc::clone(&sampler), options).unwrap();
        for place in (0..plan.len()).rev() {
            let sample = plan.epoch(epoch).sample(place).unwrap();
            prop_assert!(sample.region.is_inside(&sampler.subject_shape(sample.subject).unwrap()));
            prop_assert_eq!(sample.region, sampler.sample(seed, epoch, sample.index).unwrap().region);
        }
    }
}
