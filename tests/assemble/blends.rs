//! What becomes of the values: last, mean, Gaussian, labels, bytes.

use crate::{add_all, batches_of, bits, blended, grid, make, samples, slices, source, take, ulps};
use voxfeed::assemble::{Accumulate, Assembler, AssemblerOptions, Blend, Prediction, Readiness, Reduce};
use voxfeed::error::ErrorKind;
use voxfeed::plan::Border;
use voxfeed::voxel::DType;

#[test]
fn grids_of_every_border_give_the_source_back_bit_for_bit() {
    let shapes = [vec![7, 9, 11], vec![5, 4, 6]];
    for border in [Border::Clip, Border::Pad, Border::Shift] {
        for stride in [[0, 0, 0], [2, 1, 3]] {
            let plan = make(&shapes, grid(&[4, 3, 5], &stride, border), batches_of(3));
            let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
            add_all(&assembler, 0);
            for subject in 0..2 {
                assert_eq!(assembler.next_complete(), Some(subject));
                assert_eq!(assembler.coverage(subject).unwrap(), 1.0);
                assert_eq!(bits(&take(&assembler, subject)), bits(&source(&plan, subject)));
            }
            assert!(assembler.is_finished());
        }
    }
}

#[test]
fn means_in_double_precision_give_the_source_back_exactly() {
    for blend in [Blend::Mean, Blend::Gaussian] {
        let plan = make(&[vec![9, 10, 11]], grid(&[4, 4, 4], &[1, 2, 1], Border::Shift), batches_of(7));
        let options = AssemblerOptions { accumulate: Accumulate::F64, ..blended(blend) };
        let assembler = Assembler::new(plan.clone(), options).unwrap();
        add_all(&assembler, 0);
        assert_eq!(take(&assembler, 0), source(&plan, 0), "{blend:?}");
    }
}

/// The bounds that [`Accumulate::F32`] states: n ulp for a mean of n, 2 n ulp with Gaussian weights.
#[test]
fn means_in_single_precision_give_the_source_back_within_the_stated_ulp() {
    for (blend, factor) in [(Blend::Mean, 1), (Blend::Gaussian, 2)] {
        for (stride, patches) in [(8, 1), (4, 8), (2, 64), (1, 512)] {
            let rule = grid(&[8, 8, 8], &[stride; 3], Border::Shift);
            let plan = make(&[vec![24, 24, 24]], rule, batches_of(9));
            let assembler = Assembler::new(plan.clone(), blended(blend)).unwrap();
            add_all(&assembler, 0);
            let pairs = take(&assembler, 0).into_iter().zip(source(&plan, 0));
            let normal = pairs.filter(|(_, value)| value.abs() >= f32::MIN_POSITIVE);
            let worst = normal.map(|(found, expected)| ulps(found, expected)).max().unwrap();
            println!("{blend:?}, {patches} patches over a voxel: {worst} ulp");
            assert!(worst <= factor * patches, "{blend:?}: {worst} ulp with {patches} patches");
            assert!(worst == 0 || patches > 1 || blend == Blend::Gaussian);
        }
    }
}

#[test]
fn equal_probabilities_of_one_stay_exactly_one() {
    let plan = make(&[vec![12, 12]], grid(&[5, 5], &[1, 2], Border::Shift), batches_of(1));
    for blend in [Blend::Mean, Blend::Gaussian] {
        let assembler = Assembler::new(plan.clone(), blended(blend)).unwrap();
        for sample in samples(&plan, 0) {
            let ones = [1.0f32; 25];
            let prediction = Prediction::dense(bytemuck::cast_slice(&ones), DType::F32, &[1, 1, 5, 5]);
            assembler.add(&[sample], &prediction).unwrap();
        }
        assert!(take(&assembler, 0).iter().all(|&value| value == 1.0));
    }
}

#[test]
fn argmax_gives_the_first_largest_channel() {
    let plan = make(&[vec![2, 3]], slices(&[0]), batches_of(2));
    for blend in [Blend::Last, Blend::Mean, Blend::Gaussian] {
        let options = AssemblerOptions { reduce: Reduce::Argmax, ..blended(blend) };
        let assembler = Assembler::new(plan.clone(), options).unwrap();
        let values = [[0.1f32, 0.5, f32::NAN], [0.2, 0.5, 1.0], [0.0, 0.4, f32::INFINITY]];
        let values = [values, [[0.0; 3], [-1.0; 3], [1.0, -2.0, 0.0]]].concat().concat();
        let prediction = Prediction::dense(bytemuck::cast_slice(&values), DType::F32, &[2, 3, 3]);
        assembler.add(&samples(&plan, 0), &prediction).unwrap();
        let output = assembler.output(0).unwrap();
        assert_eq!((output.channels, output.dtype, output.byte_len().unwrap()), (1, DType::U8, 6));
        let mut labels = [9u8; 6];
        assembler.take(0, Readiness::Complete, &mut labels).unwrap();
        assert_eq!(labels, [1, 0, 0, 2, 0, 0]);
    }
}

#[test]
fn argmax_counts_256_channels_and_refuses_more() {
    let plan = make(&[vec![1, 2]], slices(&[0]), batches_of(1));
    let options = AssemblerOptions { reduce: Reduce::Argmax, ..AssemblerOptions::default() };
    let assembler = Assembler::new(plan.clone(), options).unwrap();
    let values: Vec<i64> = (0..514).collect();
    let bytes: &[u8] = bytemuck::cast_slice(&values);
    let many = Prediction::dense(bytes, DType::I64, &[1, 257, 2]);
    assert_eq!(assembler.add(&samples(&plan, 0), &many).unwrap_err().kind(), ErrorKind::Argument);
    let most = Prediction::dense(bytes, DType::I64, &[1, 256, 2]);
    assembler.add(&samples(&plan, 0), &most).unwrap();
    let mut labels = [0u8; 2];
    assembler.take(0, Readiness::Complete, &mut labels).unwrap();
    assert_eq!(labels, [255, 255]);
}

#[test]
fn bytes_are_rounded_half_to_even_and_saturate() {
    let plan = make(&[vec![5]], grid(&[4], &[1], Border::Drop), batches_of(2));
    let options = AssemblerOptions { dtype: DType::U8, ..blended(Blend::Mean) };
    let assembler = Assembler::new(plan.clone(), options).unwrap();
    let bytes = [0u8, 1, 2, 255, 0, 1, 255, 9];
    assembler.add(&samples(&plan, 0), &Prediction::dense(&bytes, DType::U8, &[2, 1, 4])).unwrap();
    let mut means = [0u8; 5];
    assembler.take(0, Readiness::Complete, &mut means).unwrap();
    assert_eq!(means, [0, 0, 2, 255, 9]);

    let assembler = Assembler::new(plan.clone(), AssemblerOptions { blend: Blend::Last, ..options }).unwrap();
    let values = [-3.0f32, 0.5, 1.5, 300.0, f32::NAN, 2.5, 254.5, 7.4];
    let prediction = Prediction::dense(bytemuck::cast_slice(&values), DType::F32, &[2, 1, 4]);
    assembler.add(&samples(&plan, 0), &prediction).unwrap();
    assembler.take(0, Readiness::Complete, &mut means).unwrap();
    assert_eq!(means, [0, 0, 2, 254, 7]);
}

#[test]
fn what_is_not_finite_passes_through() {
    let plan = make(&[vec![4]], slices(&[0]), batches_of(4));
    for blend in [Blend::Last, Blend::Mean, Blend::Gaussian] {
        let assembler = Assembler::new(plan.clone(), blended(blend)).unwrap();
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300];
        let prediction = Prediction::dense(bytemuck::cast_slice(&values), DType::F64, &[4, 1]);
        let error = assembler.add(&samples(&plan, 0), &prediction);
        assert!(error.is_ok(), "{error:?}");
        let found = take(&assembler, 0);
        assert!(found[0].is_nan());
        assert_eq!(found[1..], [f32::INFINITY, f32::NEG_INFINITY, f32::MAX]);
    }
}
