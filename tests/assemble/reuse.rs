//! One assembler for many subjects and epochs, and on any number of threads: nothing of what lay in its memory
//! before shows, and no bit depends on who adds.

use std::sync::Arc;

use crate::{batches_of, bits, grid, make, row, samples};
use voxfeed::assemble::{Accumulate, Assembler, AssemblerOptions, Blend, Prediction, Readiness, Reduce};
use voxfeed::plan::{Border, Plan, Sample};
use voxfeed::sys::convert;
use voxfeed::voxel::DType;

/// Values of one epoch that no other has, with zeros of both signs.
fn value(epoch: u64, channel: usize, voxel: usize) -> f32 {
    match (voxel + channel) % 11 {
        3 => -0.0,
        4 => 0.0,
        _ => ((voxel * 31 + channel * 7 + epoch as usize * 101) % 997) as f32 * 0.37 - 150.0,
    }
}

/// Adds rows of some channels in this dtype, the channels last in memory where that is asked for.
fn add(assembler: &Assembler, samples: &[Sample], (channels, dtype, last): (usize, DType, bool)) {
    let rows = |channel| {
        let of = move |sample: &Sample| {
            let values = row(assembler.plan(), sample, 0, |_, voxel| value(sample.epoch, channel, voxel));
            (values.0, values.1)
        };
        samples.iter().map(of).collect::<Vec<_>>()
    };
    let by_channel: Vec<Vec<(Vec<usize>, Vec<f32>)>> = (0..channels).map(rows).collect();
    let extents = &by_channel[0][0].0;
    let shape = [&[samples.len(), channels], extents.as_slice()].concat();
    let voxels: usize = extents.iter().product();
    let mut values = vec![0f32; samples.len() * channels * voxels];
    for (channel, rows) in by_channel.iter().enumerate() {
        for (number, (_, row)) in rows.iter().enumerate() {
            for (voxel, &value) in row.iter().enumerate() {
                let within = if last { voxel * channels + channel } else { channel * voxels + voxel };
                values[number * channels * voxels + within] = value;
            }
        }
    }
    let mut bytes = vec![0u8; values.len() * dtype.byte_len()];
    convert(bytemuck::cast_slice(&values), DType::F32, &mut bytes, dtype);
    let mut strides = vec![0isize; shape.len()];
    let mut stride = if last { channels } else { 1 } as isize;
    for axis in (2..shape.len()).rev() {
        strides[axis] = stride;
        stride *= shape[axis] as isize;
    }
    strides[0] = (channels * voxels) as isize;
    strides[1] = if last { 1 } else { voxels as isize };
    let prediction = Prediction { strides: Some(&strides), ..Prediction::dense(&bytes, dtype, &shape) };
    assembler.add(samples, &prediction).unwrap();
}

fn take(assembler: &Assembler, subject: usize) -> Vec<u8> {
    // Anything, which no voxel may keep.
    let mut bytes = vec![0xa5; assembler.output(subject).unwrap().byte_len().unwrap()];
    assembler.take(subject, Readiness::Partial, &mut bytes).unwrap();
    bytes
}

fn every_option() -> Vec<AssemblerOptions> {
    let mut all = Vec::new();
    for blend in [Blend::Last, Blend::Mean, Blend::Gaussian] {
        for reduce in [Reduce::None, Reduce::Argmax] {
            for accumulate in [Accumulate::F32, Accumulate::F64] {
                for dtype in [DType::F32, DType::U8] {
                    all.push(AssemblerOptions {
                        blend,
                        reduce,
                        accumulate,
                        dtype,
                        ..AssemblerOptions::default()
                    });
                }
            }
        }
    }
    all
}

/// An epoch of an assembler that has only known this one.
fn alone(plan: &Arc<Plan>, options: AssemblerOptions, epoch: u64, how: (usize, DType, bool)) -> Vec<Vec<u8>> {
    let assembler = Assembler::new(plan.clone(), AssemblerOptions { threads: 1, ..options }).unwrap();
    samples(plan, epoch).chunks(4).for_each(|batch| add(&assembler, batch, how));
    (0..plan.sampler().dataset().subjects().len()).map(|subject| take(&assembler, subject)).collect()
}

#[test]
fn nothing_of_an_earlier_subject_or_epoch_shows() {
    // Drop leaves voxels out, lines between patches and beside them, which differ from subject to subject.
    let shapes = [vec![9, 10, 40], vec![7, 12, 37], vec![9, 10, 40], vec![5, 5, 23]];
    for (patch, stride) in [([4, 4, 16], [3, 3, 12]), ([4, 4, 8], [5, 5, 13])] {
        let plan = make(&shapes, grid(&patch, &stride, Border::Drop), batches_of(4));
        for options in every_option() {
            for how in [(2, DType::F32, false), (3, DType::F16, true)] {
                let assembler = Assembler::new(plan.clone(), options).unwrap();
                for epoch in 0..3 {
                    let all = samples(&plan, epoch);
                    if epoch == 2 {
                        // Half an epoch that is given up leaves its memory full.
                        all.chunks(4).take(5).for_each(|batch| add(&assembler, batch, how));
                        assert!(take(&assembler, 0).len() > 1000);
                        assembler.reset();
                    }
                    let expected = alone(&plan, options, epoch, how);
                    for batch in all.chunks(4) {
                        add(&assembler, batch, how);
                        while let Some(subject) = assembler.next_complete() {
                            assert!(take(&assembler, subject) == expected[subject], "{options:?}, {subject}");
                        }
                    }
                    assert!(assembler.is_finished());
                }
            }
        }
    }
}

#[test]
fn what_no_row_reaches_is_zero_in_memory_that_was_full() {
    let shapes = [vec![6, 40], vec![6, 40]];
    let plan = make(&shapes, grid(&[2, 8], &[4, 16], Border::Drop), batches_of(2));
    for blend in [Blend::Last, Blend::Mean, Blend::Gaussian] {
        let options = AssemblerOptions { blend, ..AssemblerOptions::default() };
        let assembler = Assembler::new(plan.clone(), options).unwrap();
        for epoch in 0..2 {
            // Backwards in the second epoch, so that a line is first reached elsewhere.
            let mut all = samples(&plan, epoch);
            if epoch == 1 {
                all.reverse();
            }
            all.chunks(1).for_each(|batch| add(&assembler, batch, (1, DType::F32, false)));
            for subject in 0..2 {
                let found: Vec<f32> = bytemuck::pod_collect_to_vec(&take(&assembler, subject));
                for (place, &found) in found.iter().enumerate() {
                    let (y, x) = (place / 40, place % 40);
                    let reached = y % 4 < 2 && x % 16 < 8;
                    let expected = if reached { value(epoch, 0, place) } else { 0.0 };
                    // A weight more or less is rounded.
                    assert!(
                        (found - expected).abs() <= 1e-4,
                        "{blend:?}: {y} {x} is {found}, not {expected}"
                    );
                    assert!(reached || found.to_bits() == 0);
                }
            }
        }
    }
}

#[test]
fn no_bit_depends_on_the_number_of_threads() {
    // Rows of several megabytes: fewer would be added by fewer threads.
    let shapes = [vec![40, 64, 64], vec![33, 50, 70]];
    let plan = make(&shapes, grid(&[32, 32, 48], &[8, 16, 11], Border::Shift), batches_of(8));
    for blend in [Blend::Last, Blend::Mean, Blend::Gaussian] {
        for (accumulate, how) in [
            (Accumulate::F32, (6, DType::F32, false)),
            (Accumulate::F32, (6, DType::F16, true)),
            (Accumulate::F64, (6, DType::F32, false)),
        ] {
            let one = AssemblerOptions { blend, accumulate, threads: 1, ..AssemblerOptions::default() };
            let mut expected: Option<Vec<Vec<u32>>> = None;
            for threads in [1, 2, 5] {
                let assembler = Assembler::new(plan.clone(), AssemblerOptions { threads, ..one }).unwrap();
                samples(&plan, 1).chunks(8).for_each(|batch| add(&assembler, batch, how));
                let found =
                    |subject| bits(&bytemuck::pod_collect_to_vec::<u8, f32>(&take(&assembler, subject)));
                let found: Vec<Vec<u32>> = (0..2).map(found).collect();
                assert!(*expected.get_or_insert_with(|| found.clone()) == found, "{blend:?}, {threads}");
            }
        }
    }
}
