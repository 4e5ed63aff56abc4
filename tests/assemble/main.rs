//! Predictions back into volumes: places, blends, completion, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod blends;
mod completion;
#[path = "../in_memory/mod.rs"]
mod in_memory;
mod places;
mod refusals;
mod reuse;

use std::sync::Arc;

use crate::in_memory::{dataset, plan};
use voxfeed::assemble::{Assembler, AssemblerOptions, Blend, Prediction, Readiness};
use voxfeed::error::Error;
use voxfeed::plan::{Border, EpochOptions, Grid, Plan, Rule, Sample, Slices};
use voxfeed::voxel::DType;

/// What stands where a row lies outside its volume: it must never be seen again.
const OUTSIDE: f32 = 1e9;

/// A value that is not exact in few bits, and different everywhere.
fn value(subject: usize, voxel: usize) -> f32 {
    match voxel % 97 {
        13 => f32::MIN_POSITIVE / 8.0,
        14 => -0.0,
        _ => ((voxel * 7919 + subject * 104_729) % 9973) as f32 / 97.0 - 31.0,
    }
}

fn grid(patch: &[usize], stride: &[usize], border: Border) -> Arc<dyn Rule> {
    Arc::new(Grid::new(patch, stride, border).unwrap())
}

fn slices(axes: &[usize]) -> Arc<dyn Rule> {
    Arc::new(Slices::new(axes).unwrap())
}

fn batches_of(batch_size: usize) -> EpochOptions {
    EpochOptions { batch_size, ..EpochOptions::default() }
}

fn blended(blend: Blend) -> AssemblerOptions {
    AssemblerOptions { blend, ..AssemblerOptions::default() }
}

fn make(shapes: &[Vec<usize>], rule: Arc<dyn Rule>, options: EpochOptions) -> Arc<Plan> {
    plan(dataset(shapes, value), rule, options).unwrap()
}

fn samples(plan: &Plan, epoch: u64) -> Vec<Sample> {
    (0..plan.len()).map(|place| plan.epoch(epoch).sample(place).unwrap()).collect()
}

/// The voxels of the source in the full row of a sample, less a margin on each side.
fn row(
    plan: &Plan,
    sample: &Sample,
    margin: usize,
    value: impl Fn(usize, usize) -> f32,
) -> (Vec<usize>, Vec<f32>) {
    let volume = plan.sampler().subject_shape(sample.subject).unwrap();
    let planned = plan.sampler().row_shape(sample).unwrap();
    let extents: Vec<usize> = planned.extents().iter().map(|&extent| extent - 2 * margin).collect();
    let count: usize = extents.iter().product();
    let voxel = |k: usize| {
        let (mut left, mut place, mut stride) = (k, 0, 1);
        for axis in (0..extents.len()).rev() {
            let there = sample.region.offset()[axis] + (margin + left % extents[axis]) as i64;
            left /= extents[axis];
            let size = volume.extent(axis);
            let there = usize::try_from(there).ok().filter(|&there| there < size)?;
            place += there * stride;
            stride *= size;
        }
        Some(value(sample.subject, place))
    };
    let voxels = (0..count).map(|k| voxel(k).unwrap_or(OUTSIDE)).collect();
    (extents, voxels)
}

/// Adds the source itself as the prediction of these samples.
fn add(assembler: &Assembler, samples: &[Sample]) -> Result<(), Error> {
    add_cut(assembler, samples, 0)
}

fn add_cut(assembler: &Assembler, samples: &[Sample], margin: usize) -> Result<(), Error> {
    let rows: Vec<_> = samples.iter().map(|sample| row(assembler.plan(), sample, margin, value)).collect();
    let shape = [&[samples.len(), 1], rows[0].0.as_slice()].concat();
    let values: Vec<f32> = rows.into_iter().flat_map(|(_, values)| values).collect();
    assembler.add(samples, &Prediction::dense(bytemuck::cast_slice(&values), DType::F32, &shape))
}

fn add_all(assembler: &Assembler, epoch: u64) {
    let all = samples(assembler.plan(), epoch);
    for batch in all.chunks(assembler.plan().options().batch_size) {
        add(assembler, batch).unwrap();
    }
}

fn take(assembler: &Assembler, subject: usize) -> Vec<f32> {
    let mut bytes = vec![0u8; assembler.output(subject).unwrap().byte_len().unwrap()];
    assembler.take(subject, Readiness::Complete, &mut bytes).unwrap();
    bytemuck::pod_collect_to_vec(&bytes)
}

fn source(plan: &Plan, subject: usize) -> Vec<f32> {
    let voxels = plan.sampler().subject_shape(subject).unwrap().voxels().unwrap();
    (0..voxels).map(|voxel| value(subject, voxel)).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The distance of two numbers in steps between neighbouring f32.
fn ulps(a: f32, b: f32) -> u32 {
    let ordered = |value: f32| {
        let bits = value.to_bits() as i32;
        i64::from(if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits })
    };
    (ordered(a) - ordered(b)).unsigned_abs() as u32
}
