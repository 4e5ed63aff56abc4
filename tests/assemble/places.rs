//! Where rows go, whatever their shape and strides.

use std::sync::Arc;

use crate::{
    add, add_all, add_cut, batches_of, bits, blended, grid, make, row, samples, slices, source, take, ulps,
    value,
};
use voxfeed::assemble::{Accumulate, Assembler, AssemblerOptions, Blend, Prediction};
use voxfeed::error::{Error, ErrorKind};
use voxfeed::plan::{Border, Whole};
use voxfeed::voxel::DType;

#[test]
fn slices_along_every_axis_come_back_with_or_without_their_axis() {
    for axis in 0..3 {
        for blend in [Blend::Last, Blend::Mean, Blend::Gaussian] {
            let plan = make(&[vec![4, 5, 6], vec![3, 5, 6]], slices(&[axis]), batches_of(1));
            let options = AssemblerOptions { accumulate: Accumulate::F64, ..blended(blend) };
            let assembler = Assembler::new(plan.clone(), options).unwrap();
            for sample in samples(&plan, 0) {
                let (mut extents, values) = row(&plan, &sample, 0, value);
                if sample.index % 2 == 0 {
                    assert_eq!(extents.remove(axis), 1);
                }
                let shape = [&[1, 1], extents.as_slice()].concat();
                let prediction = Prediction::dense(bytemuck::cast_slice(&values), DType::F32, &shape);
                assembler.add(&[sample], &prediction).unwrap();
            }
            for subject in 0..2 {
                assert_eq!(take(&assembler, subject), source(&plan, subject), "axis {axis}, {blend:?}");
            }
        }
    }
}

#[test]
fn slices_along_all_axes_meet_in_one_mean() {
    let plan = make(&[vec![4, 4, 4]], slices(&[0, 1, 2]), batches_of(4));
    let options = AssemblerOptions { accumulate: Accumulate::F64, ..blended(Blend::Mean) };
    let assembler = Assembler::new(plan.clone(), options).unwrap();
    add_all(&assembler, 0);
    assert_eq!(take(&assembler, 0), source(&plan, 0));
}

#[test]
fn whole_volumes_of_unequal_shape_come_one_a_batch() {
    let plan = make(&[vec![4, 5], vec![3, 2]], Arc::new(Whole), batches_of(1));
    let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
    add_all(&assembler, 0);
    assert_eq!(bits(&take(&assembler, 1)), bits(&source(&plan, 1)));
    assert_eq!(bits(&take(&assembler, 0)), bits(&source(&plan, 0)));
}

#[test]
fn smaller_predictions_lie_in_the_middle_of_their_rows() {
    let plan = make(&[vec![10, 12]], grid(&[6, 6], &[4, 4], Border::Clip), batches_of(2));
    let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
    for batch in samples(&plan, 0).chunks(2) {
        add_cut(&assembler, batch, 1).unwrap();
    }
    // Rows begin at 0 and 4, and at 0, 4 and 8; the last of these is clipped to 4 of its 6 voxels.
    assert_eq!(assembler.coverage(0).unwrap(), (8.0 * 11.0) / 120.0);
    let expected = source(&plan, 0);
    for (k, found) in take(&assembler, 0).into_iter().enumerate() {
        let covered = (1..9).contains(&(k / 12)) && (1..12).contains(&(k % 12));
        assert_eq!(found, if covered { expected[k] } else { 0.0 }, "voxel {k}");
    }
}

#[test]
fn rows_of_another_shape_are_told() {
    let plan = make(&[vec![5]], grid(&[4], &[4], Border::Clip), batches_of(1));
    let all = samples(&plan, 0);
    let send = |values: &[f32], row: &[usize]| {
        let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
        add(&assembler, &all[..1]).unwrap();
        let shape = [1, 1, values.len()];
        let prediction = Prediction::dense(bytemuck::cast_slice(values), DType::F32, &shape);
        assembler.add(&all[1..], &Prediction { row: Some(row), ..prediction })?;
        Ok::<f32, Error>(take(&assembler, 0)[4])
    };
    assert_eq!(send(&[7.0], &[1]).unwrap(), 7.0);
    assert_eq!(send(&[7.0, 8.0, 9.0], &[3]).unwrap(), 7.0);
    assert_eq!(send(&[7.0, 8.0, 9.0, 6.0, 5.0, 4.0], &[6]).unwrap(), 7.0);
    assert_eq!(send(&[8.0], &[3]).unwrap(), 0.0);
    assert_eq!(send(&[8.0, 9.0], &[3]).unwrap_err().kind(), ErrorKind::Argument);
    assert_eq!(send(&[8.0, 9.0], &[1]).unwrap_err().kind(), ErrorKind::Argument);
    assert_eq!(send(&[8.0], &[1, 1]).unwrap_err().kind(), ErrorKind::Argument);
}

#[test]
fn strided_and_misaligned_predictions_are_read_where_they_are() {
    let plan = make(&[vec![6, 5, 4]], grid(&[3, 5, 2], &[0, 0, 0], Border::Drop), batches_of(4));
    for (dtype, blend) in
        [(DType::F32, Blend::Last), (DType::F32, Blend::Gaussian), (DType::F16, Blend::Mean)]
    {
        let assembler = Assembler::new(plan.clone(), blended(blend)).unwrap();
        // (spatial…, batch, channel) with the second of two channels wanted, one byte off any alignment.
        let all = samples(&plan, 0);
        let size = dtype.byte_len();
        let mut bytes = vec![0u8; 1 + 30 * 4 * 2 * size];
        for (number, sample) in all.iter().enumerate() {
            for (k, value) in row(&plan, sample, 0, value).1.into_iter().enumerate() {
                let place = 1 + ((k * 4 + number) * 2 + 1) * size;
                voxfeed::sys::convert(
                    &value.to_ne_bytes(),
                    DType::F32,
                    &mut bytes[place..place + size],
                    dtype,
                );
            }
        }
        let strides = [2, 1, 80, 16, 8];
        let prediction = Prediction::dense(&bytes[1 + size..], dtype, &[4, 1, 3, 5, 2]);
        assembler.add(&all, &Prediction { strides: Some(&strides), ..prediction }).unwrap();
        for (found, expected) in take(&assembler, 0).into_iter().zip(source(&plan, 0)) {
            let near = (found - expected).abs() <= expected.abs() / 1024.0 + 1e-6;
            let exact = dtype == DType::F32 && expected.abs() >= f32::MIN_POSITIVE;
            assert!(if exact { ulps(found, expected) <= 2 } else { near }, "{found} {expected}");
        }
    }
}

#[test]
fn one_value_stands_for_many_where_strides_are_zero() {
    let plan = make(&[vec![4, 4]], slices(&[0]), batches_of(4));
    let assembler = Assembler::new(plan.clone(), blended(Blend::Mean)).unwrap();
    let value = 3.5f32.to_ne_bytes();
    let prediction = Prediction::dense(&value, DType::F32, &[4, 2, 4]);
    assembler.add(&samples(&plan, 0), &Prediction { strides: Some(&[0, 0, 0]), ..prediction }).unwrap();
    assert_eq!(take(&assembler, 0), [3.5; 32]);
}

#[test]
fn large_rows_of_another_dtype_come_over_whole() {
    let plan = make(&[vec![3, 40, 90, 30]], Arc::new(Whole), batches_of(1));
    let values: Vec<i32> = (0..2 * 324_000).collect();
    let prediction = Prediction::dense(bytemuck::cast_slice(&values), DType::I32, &[1, 2, 3, 40, 90, 30]);
    let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
    assembler.add(&samples(&plan, 0), &prediction).unwrap();
    assert!(take(&assembler, 0).into_iter().zip(values).all(|(found, value)| found == value as f32));
}
