//! Overlapping patches back into a volume, beside bare loops that add the same rows in the same places.
//!
//! Patches of 64^3 at stride 32 of a volume of 128x160x160, two channels of f32, as a sliding window leaves
//! them. The bare loops know their places beforehand, count nothing, and blend nothing but sums.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::time::Instant;

use voxfeed::assemble::{Accumulate, Assembler, AssemblerOptions, Blend, Prediction, Readiness, Reduce};
use voxfeed::plan::{Border, EpochOptions, Grid, Plan, Sample, Sampler};
use voxfeed::store::{
    ArrayLayout, ChannelPlace, Dataset, Entry, GeometryCheck, Header, MemoryArray, OpenOptions, Origin,
    Subject,
};
use voxfeed::sys::AlignedBuffer;
use voxfeed::voxel::{DType, Shape};

const VOLUME: [usize; 3] = [128, 160, 160];
const PATCH: usize = 64;
const STRIDE: usize = 32;
const CHANNELS: usize = 2;
const BATCH: usize = 8;
const ROUNDS: usize = 15;

fn plan() -> Arc<Plan> {
    let shape = Shape::new(&VOLUME).unwrap();
    let origin = Origin::default();
    let header = Header { shape, channels: 1, dtype: DType::U8, scale: None, affine: None, origin };
    let layout = ArrayLayout::dense(&shape, 1, 1, ChannelPlace::None);
    let array = MemoryArray::new(header, layout, vec![0; shape.voxels().unwrap()]).unwrap();
    let mut subject = Subject::new("sub-01");
    subject.add("images", Entry::new("T1", Arc::new(array)), GeometryCheck::Strict).unwrap();
    let mut dataset = Dataset::new(OpenOptions::default());
    dataset.add_subject(subject).unwrap();
    let grid = Grid::new(&[PATCH; 3], &[STRIDE; 3], Border::Shift).unwrap();
    let sampler = Sampler::new(Arc::new(dataset), Arc::new(grid)).unwrap();
    let options = EpochOptions { batch_size: BATCH, ..EpochOptions::default() };
    Arc::new(Plan::new(Arc::new(sampler), options).unwrap())
}

/// The shortest of some times: what other programs on the machine disturbed least.
fn shortest(seconds: &[f64]) -> f64 {
    seconds.iter().copied().fold(f64::MAX, f64::min)
}

/// Adds or copies every patch with nothing around it.
fn bare(sums: &mut [f32], samples: &[Sample], batch: &[f32], add: bool) {
    let voxels: usize = VOLUME.iter().product();
    for (number, sample) in samples.iter().enumerate() {
        let start: Vec<usize> = sample.region.offset().iter().map(|&start| start as usize).collect();
        for row in 0..CHANNELS * PATCH * PATCH {
            let (channel, z, y) = (row / PATCH / PATCH, row / PATCH % PATCH, row % PATCH);
            let from = ((number % BATCH) * CHANNELS * PATCH * PATCH + row) * PATCH;
            let to = channel * voxels + ((start[0] + z) * VOLUME[1] + start[1] + y) * VOLUME[2] + start[2];
            let (into, from) = (&mut sums[to..to + PATCH], &batch[from..from + PATCH]);
            if add {
                into.iter_mut().zip(from).for_each(|(sum, value)| *sum += value);
            } else {
                into.copy_from_slice(from);
            }
        }
    }
}

fn main() {
    let plan = plan();
    let samples: Vec<Sample> = (0..plan.len()).map(|k| plan.epoch(0).sample(k).unwrap()).collect();
    let batch = vec![0.5f32; BATCH * CHANNELS * PATCH.pow(3)];
    let bytes = samples.len() * CHANNELS * PATCH.pow(3) * 4;
    let shape = |rows: usize| [rows, CHANNELS, PATCH, PATCH, PATCH];
    println!("{} patches, {} MB of predictions", samples.len(), bytes / 1_000_000);

    let base = AssemblerOptions::default();
    let cases = [
        ("last", AssemblerOptions { blend: Blend::Last, ..base }),
        ("mean", AssemblerOptions { blend: Blend::Mean, ..base }),
        ("mean, f64", AssemblerOptions { blend: Blend::Mean, accumulate: Accumulate::F64, ..base }),
        ("gaussian", AssemblerOptions { blend: Blend::Gaussian, ..base }),
        ("gaussian, labels", AssemblerOptions { blend: Blend::Gaussian, reduce: Reduce::Argmax, ..base }),
    ];
    for (name, options) in cases {
        let assembler = Assembler::new(Arc::clone(&plan), options).unwrap();
        let (mut adding, mut taking, mut limit) = (Vec::new(), Vec::new(), Vec::new());
        let mut into = Vec::new();
        for round in 0..ROUNDS {
            assembler.reset();
            let mut sums = AlignedBuffer::zeroed(CHANNELS * VOLUME.iter().product::<usize>() * 4).unwrap();
            let clock = Instant::now();
            bare(bytemuck::cast_slice_mut(&mut sums), &samples, &batch, options.blend != Blend::Last);
            limit.push(clock.elapsed().as_secs_f64());
            drop(sums);
            let clock = Instant::now();
            for part in samples.chunks(BATCH) {
                let values = &batch[..part.len() * CHANNELS * PATCH.pow(3)];
                let shape = shape(part.len());
                let prediction = Prediction::dense(bytemuck::cast_slice(values), DType::F32, &shape);
                assembler.add(part, &prediction).unwrap();
            }
            adding.push(clock.elapsed().as_secs_f64());
            assert_eq!(assembler.next_complete(), Some(0), "round {round}");
            assert_eq!(assembler.coverage(0).unwrap(), 1.0);
            into.resize(assembler.output(0).unwrap().byte_len().unwrap(), 1);
            let clock = Instant::now();
            assembler.take(0, Readiness::Complete, &mut into).unwrap();
            taking.push(clock.elapsed().as_secs_f64());
            if options.reduce == Reduce::None {
                let values = bytemuck::pod_collect_to_vec::<u8, f32>(&into);
                assert!(values.iter().all(|&value| value == 0.5));
            } else {
                assert!(into.iter().all(|&label| label == 0));
            }
        }
        let (adding, taking, limit) = (shortest(&adding), shortest(&taking), shortest(&limit));
        let [add_ms, take_ms, bare_ms] = [adding, taking, limit].map(|seconds| seconds * 1e3);
        let (share, whole) = (limit / adding, limit / (adding + taking));
        println!(
            "{name:<17} add {add_ms:6.2} ms {:4.1} GB/s, take {take_ms:5.2} ms; bare rows {bare_ms:5.2} ms: \
             {share:4.2} of them, {whole:4.2} with taking",
            bytes as f64 / adding / 1e9,
        );
    }
}
