//! The obviously right extractor and assembler: the oracle for the fast ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod in_memory;

use std::sync::Arc;

use in_memory::{dataset, plan};
use proptest::prelude::*;
use voxfeed::assemble::{Accumulate, Assembler, AssemblerOptions, Blend, Prediction, Readiness, Reduce};
use voxfeed::plan::{Border, EpochOptions, Grid, LastBatch, Order, Plan, Rule, Sample, Slices, Uniform};
use voxfeed::store::{Extraction, Reader};
use voxfeed::sys::convert;
use voxfeed::voxel::DType;

/// Every position of an array, the last axis fastest.
fn positions(extents: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &extent in extents {
        all = all.into_iter().flat_map(|p| (0..extent).map(move |k| [p.as_slice(), &[k]].concat())).collect();
    }
    all
}

/// The element of a dense array at a position; none where that lies outside.
fn element(extents: &[usize], position: &[i64]) -> Option<usize> {
    extents.iter().zip(position).try_fold(0usize, |place, (&extent, &k)| {
        usize::try_from(k).ok().filter(|&k| k < extent).map(|k| place * extent + k)
    })
}

/// The row of these extents that begins at `offset`: zero outside the volume.
fn extract(volume: &[f32], extents: &[usize], offset: &[i64], row: &[usize]) -> Vec<f32> {
    let voxel = |position: Vec<usize>| {
        let there: Vec<i64> = position.iter().zip(offset).map(|(&k, &start)| start + k as i64).collect();
        element(extents, &there).map_or(0.0, |place| volume[place])
    };
    positions(row).into_iter().map(voxel).collect()
}

/// One sample's prediction: (channel, spatial…), beginning `margin` voxels inside its row.
struct Row {
    sample: Sample,
    extents: Vec<usize>,
    margin: Vec<usize>,
    values: Vec<f64>,
}

/// What rows become in a volume: the blended values, and per voxel the sum of weights.
fn assemble(extents: &[usize], channels: usize, rows: &[Row], blend: Blend) -> (Vec<f64>, Vec<f64>) {
    let voxels: usize = extents.iter().product();
    let (mut sums, mut weights) = (vec![0.0; channels * voxels], vec![0.0; voxels]);
    for Row { sample, extents: row, margin, values } in rows {
        for (k, position) in positions(row).into_iter().enumerate() {
            let region = sample.region.offset();
            let there: Vec<i64> =
                (0..row.len()).map(|a| region[a] + (margin[a] + position[a]) as i64).collect();
            let inside = sample
                .inside
                .axes()
                .zip(&there)
                .all(|((start, len), &p)| (start..start + len as i64).contains(&p));
            let Some(place) = element(extents, &there).filter(|_| inside) else { continue };
            let weight: f64 = if blend == Blend::Gaussian {
                let one = |(&k, &p): (&usize, &usize)| {
                    ((k as f64 - (p as f64 - 1.0) / 2.0) / (0.125 * p as f64)).powi(2)
                };
                position.iter().zip(row).map(|pair| (-0.5 * one(pair)).exp()).product()
            } else {
                1.0
            };
            let old = if blend == Blend::Last { 0.0 } else { 1.0 };
            weights[place] = old * weights[place] + weight;
            for channel in 0..channels {
                let sum = &mut sums[channel * voxels + place];
                *sum = *sum * old + weight * values[channel * row.iter().product::<usize>() + k];
            }
        }
    }
    for (k, sum) in sums.iter_mut().enumerate() {
        *sum /= if weights[k % voxels] > 0.0 { weights[k % voxels] } else { 1.0 };
    }
    (sums, weights)
}

/// A number from 0 to 1 that depends on all that it is given.
fn noise(parts: &[u64]) -> f64 {
    let mixed = parts.iter().fold(0x9e37_79b9_7f4a_7c15u64, |state, &part| {
        let state = (state ^ part).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^ state >> 29
    });
    (mixed >> 40) as f64 / (1u64 << 24) as f64
}

#[derive(Debug, Clone)]
enum Cut {
    Grid(Border),
    Uniform,
    Slices,
}

#[derive(Debug, Clone)]
struct Case {
    shapes: Vec<Vec<usize>>,
    patch: Vec<usize>,
    stride: Vec<usize>,
    cut: Cut,
    channels: usize,
    margin: usize,
    options: AssemblerOptions,
    dtype: DType,
    permuted: bool,
    seed: u64,
    batch: usize,
    world: u64,
    last_batch: LastBatch,
}

fn cases() -> impl Strategy<Value = Case> {
    let shapes = (1usize..=3).prop_flat_map(|ndim| {
        let shape = prop::collection::vec(1usize..9, ndim);
        let patch = prop::collection::vec(1usize..7, ndim);
        let wide = prop::sample::select(vec![1usize, 1, 1, 5]);
        (prop::collection::vec(shape, 1..4), patch, prop::collection::vec(1usize..5, ndim), wide)
    });
    // Long lines are known by what of them was reached, short ones are zeroed.
    let shapes = shapes.prop_map(|(mut shapes, mut patch, mut stride, wide)| {
        for extents in shapes.iter_mut().chain([&mut patch, &mut stride]) {
            extents.last_mut().into_iter().for_each(|extent| *extent *= wide);
        }
        (shapes, patch, stride)
    });
    let cut = prop_oneof![
        6 => prop::sample::select(vec![Border::Drop, Border::Clip, Border::Pad, Border::Shift]).prop_map(Cut::Grid),
        1 => Just(Cut::Uniform),
        1 => Just(Cut::Slices),
    ];
    let blend = prop::sample::select(vec![Blend::Last, Blend::Mean, Blend::Gaussian]);
    let accumulate = prop::sample::select(vec![Accumulate::F32, Accumulate::F64]);
    let reduce = prop::sample::select(vec![Reduce::None, Reduce::None, Reduce::Argmax]);
    let options = (blend, accumulate, reduce).prop_map(|(blend, accumulate, reduce)| AssemblerOptions {
        blend,
        accumulate,
        reduce,
        ..Default::default()
    });
    let dtype =
        prop::sample::select(vec![DType::F32, DType::F32, DType::F64, DType::F16, DType::U8, DType::I64]);
    let last_batch = prop::sample::select(vec![LastBatch::Keep, LastBatch::Drop, LastBatch::Pad]);
    let sizes = (1usize..4, 0usize..3, 1usize..6, 1u64..4);
    (shapes, cut, options, dtype, last_batch, sizes, any::<bool>(), any::<u64>()).prop_map(
        |((shapes, patch, stride), cut, options, dtype, last_batch, sizes, permuted, seed)| {
            let (channels, margin, batch, world) = sizes;
            Case {
                shapes,
                patch,
                stride,
                cut,
                channels,
                margin,
                options,
                dtype,
                permuted,
                seed,
                batch,
                world,
                last_batch,
            }
        },
    )
}

fn plan_of(case: &Case, rank: u64) -> Option<Arc<Plan>> {
    let dataset = dataset(&case.shapes, voxel);
    let rule: Arc<dyn Rule> = match &case.cut {
        Cut::Grid(border) => Arc::new(Grid::new(&case.patch, &case.stride, *border).unwrap()),
        Cut::Uniform => Arc::new(Uniform::new(&case.patch, 5)),
        Cut::Slices => {
            let axes: Vec<usize> = (0..case.patch.len()).filter(|axis| case.seed >> axis & 1 == 1).collect();
            Arc::new(Slices::new(&axes).unwrap())
        }
    };
    let options = EpochOptions {
        seed: case.seed,
        order: if case.seed & 8 == 0 { Order::Sequential } else { Order::Shuffled },
        batch_size: case.batch,
        last_batch: case.last_batch,
        rank,
        world_size: case.world,
        group_window: 0,
    };
    plan(dataset, rule, options).ok()
}

/// The source's voxels.
fn voxel(subject: usize, voxel: usize) -> f32 {
    noise(&[1, subject as u64, voxel as u64]) as f32
}

/// The bytes of a value in some dtype.
fn encoded(value: f64, dtype: DType) -> Vec<u8> {
    let mut bytes = vec![0u8; dtype.byte_len()];
    convert(&value.to_ne_bytes(), DType::F64, &mut bytes, dtype);
    bytes
}

/// A prediction's value as its dtype has it: 0 to 1, or 0 to 255 for integers.
fn predicted(noise: f64, dtype: DType) -> f64 {
    let mut value = [0u8; 8];
    let scale = if dtype.is_float() { 1.0 } else { 255.0 };
    convert(&encoded(noise * scale, dtype), dtype, &mut value, DType::F64);
    f64::from_ne_bytes(value)
}

/// Lays rows out as a batch: dense, or with batch and channel fastest, as some programs have them.
fn laid_out(rows: &[&Row], case: &Case, shape: &[usize]) -> (Vec<u8>, Vec<isize>) {
    let mut order: Vec<usize> = (0..shape.len()).collect();
    if case.permuted {
        order.rotate_left(2);
        order.reverse();
    }
    let mut strides = vec![0isize; shape.len()];
    let mut stride = 1;
    for &axis in order.iter().rev() {
        strides[axis] = stride;
        stride *= shape[axis] as isize;
    }
    let size = case.dtype.byte_len();
    let mut bytes = vec![0u8; stride as usize * size];
    for (k, position) in positions(shape).into_iter().enumerate() {
        let place: isize = position.iter().zip(&strides).map(|(&k, &stride)| k as isize * stride).sum();
        let row = rows[position[0]];
        let value = encoded(row.values[k % row.values.len()], case.dtype);
        bytes[place as usize * size..][..size].copy_from_slice(&value);
    }
    (bytes, strides)
}

fn run(case: &Case) -> Result<(), TestCaseError> {
    for rank in 0..case.world {
        let Some(plan) = plan_of(case, rank) else { continue };
        let assembler = Assembler::new(plan.clone(), case.options).unwrap();
        // The second epoch's sums lie where those of the first did.
        for number in [3, 4] {
            run_epoch(case, &plan, &assembler, number)?;
        }
    }
    Ok(())
}

fn run_epoch(case: &Case, plan: &Plan, assembler: &Assembler, number: u64) -> Result<(), TestCaseError> {
    let epoch = plan.epoch(number);
    let mut rows: Vec<Row> = Vec::new();
    for place in 0..plan.len() {
        let sample = epoch.sample(place).unwrap();
        let row = plan.sampler().row_shape(&sample).unwrap();
        let room = row.extents().iter().filter(|&&p| p > 1).map(|&p| (p - 1) / 2).min().unwrap_or(0);
        let shared = case.margin.min(room);
        let margin: Vec<usize> = row.extents().iter().map(|&p| if p > 1 { shared } else { 0 }).collect();
        let extents: Vec<usize> = row.extents().iter().zip(&margin).map(|(&p, &m)| p - 2 * m).collect();
        let count = case.channels * extents.iter().product::<usize>();
        let value = |k| predicted(noise(&[case.seed, number, place, k as u64]), case.dtype);
        rows.push(Row { sample, extents, margin, values: (0..count).map(value).collect() });
    }
    rows.sort_by_key(|row| (noise(&[case.seed, row.sample.position, 77]) * 1e9) as u64);

    let mut left: &[Row] = &rows;
    let mut counted = vec![0u64; case.shapes.len()];
    let expected = epoch.samples_by_subject().unwrap();
    while let Some(first) = left.first() {
        let alike = |row: &&Row| row.extents == first.extents && row.sample.thin == first.sample.thin;
        let batch: Vec<&Row> = left.iter().take_while(alike).take(case.batch).collect();
        left = &left[batch.len()..];
        let samples: Vec<Sample> = batch.iter().map(|row| row.sample).collect();
        let shape = [&[batch.len(), case.channels], first.extents.as_slice()].concat();
        let (bytes, strides) = laid_out(&batch, case, &shape);
        let prediction =
            Prediction { strides: Some(&strides), ..Prediction::dense(&bytes, case.dtype, &shape) };
        assembler.add(&samples, &prediction).unwrap();
        samples.iter().filter(|sample| !sample.repeated).for_each(|sample| counted[sample.subject] += 1);
        while let Some(subject) = assembler.next_complete() {
            prop_assert_eq!(counted[subject], expected[subject]);
        }
    }
    rows.retain(|row| !row.sample.repeated);
    check(case, assembler, rows)?;
    prop_assert!(assembler.is_finished());
    Ok(())
}

fn check(case: &Case, assembler: &Assembler, rows: Vec<Row>) -> Result<(), TestCaseError> {
    let mut by_subject: Vec<Vec<Row>> = case.shapes.iter().map(|_| Vec::new()).collect();
    rows.into_iter().for_each(|row| by_subject[row.sample.subject].push(row));
    for (subject, rows) in by_subject.iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
        let (expected, weights) = assemble(&case.shapes[subject], case.channels, rows, case.options.blend);
        let covered = weights.iter().filter(|&&weight| weight > 0.0).count() as f64 / weights.len() as f64;
        prop_assert_eq!(assembler.coverage(subject).unwrap(), covered);
        let output = assembler.output(subject).unwrap();
        let mut bytes = vec![0u8; output.byte_len().unwrap()];
        assembler.take(subject, Readiness::Complete, &mut bytes).unwrap();
        let tolerance = if case.options.accumulate == Accumulate::F64 { 1e-7 } else { 1e-5 };
        if case.options.reduce == Reduce::Argmax {
            for (voxel, &label) in bytes.iter().enumerate() {
                let of = |channel: usize| expected[channel * weights.len() + voxel];
                let largest = (0..case.channels).map(of).fold(f64::MIN, f64::max);
                prop_assert!(of(label as usize) >= largest - tolerance * largest.abs());
            }
            continue;
        }
        let found: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        for (found, expected) in found.iter().zip(&expected) {
            let exact = case.options.blend == Blend::Last;
            let near = (f64::from(*found) - expected).abs() <= tolerance * expected.abs();
            prop_assert!(if exact { *found == *expected as f32 } else { near }, "{found} is not {expected}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_assembler_agrees_with_the_naive_one(case in cases()) {
        run(&case)?;
    }

    #[test]
    fn the_reader_agrees_with_the_naive_extractor(case in cases()) {
        let Some(plan) = plan_of(&case, 0) else { return Ok(()) };
        let mut reader = Reader::default();
        for place in 0..plan.len() {
            let sample = plan.epoch(0).sample(place).unwrap();
            let extents = &case.shapes[sample.subject];
            let voxels = extents.iter().product::<usize>();
            let volume: Vec<f32> = (0..voxels).map(|k| voxel(sample.subject, k)).collect();
            let row = sample.region.shape();
            let mut bytes = vec![0u8; row.byte_len(1, 4).unwrap()];
            let entry = plan.sampler().dataset().subject(sample.subject).unwrap().first_entry().unwrap();
            let how = Extraction::exact(DType::F32);
            reader.read(std::slice::from_ref(entry), &sample.region, &how, &mut bytes).unwrap();
            let expected = extract(&volume, extents, sample.region.offset(), row.extents());
            prop_assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes), expected);
        }
    }
}
