//! When a subject is complete, and who may still add to it.

use crate::in_memory::affine;
use crate::{add, add_all, batches_of, bits, blended, grid, make, samples, slices, source, take, ulps};
use voxfeed::assemble::{Accumulate, Assembler, AssemblerOptions, Blend, Readiness};
use voxfeed::error::ErrorKind;
use voxfeed::plan::{Border, EpochOptions, LastBatch, Order, Sample};
use voxfeed::store::{Dataset, Extraction, OpenOptions, Reader};
use voxfeed::voxel::{DType, Region};

#[test]
fn each_rank_counts_its_own_samples_and_repeats_add_nothing() {
    let shapes = [vec![7], vec![4], vec![6]];
    for world_size in 1..=3 {
        let mut reached = [0; 3];
        for rank in 0..world_size {
            let options = EpochOptions {
                batch_size: 4,
                last_batch: LastBatch::Pad,
                order: Order::Shuffled,
                rank,
                world_size,
                seed: 9,
                group_window: 5,
            };
            let plan = make(&shapes, grid(&[2], &[1], Border::Drop), options);
            let all = samples(&plan, 5);
            let expected = plan.epoch(5).samples_by_subject().unwrap();
            let assembler = Assembler::new(plan.clone(), blended(Blend::Mean)).unwrap();
            let mut taken = [0; 3];
            for batch in all.chunks(4) {
                add(&assembler, batch).unwrap();
                while let Some(subject) = assembler.next_complete() {
                    let source = source(&plan, subject);
                    for (found, value) in take(&assembler, subject).into_iter().zip(source) {
                        assert!(found == 0.0 || ulps(found, value) <= 2 || value.abs() < 1e-30);
                    }
                    taken[subject] += 1;
                }
            }
            assert!(assembler.is_finished());
            for subject in 0..3 {
                assert_eq!(taken[subject], u64::from(expected[subject] > 0));
                reached[subject] += expected[subject];
            }
        }
        assert_eq!(reached, [6, 3, 5]);
    }
}

#[test]
fn a_share_of_repeats_alone_is_finished_from_the_start() {
    let options = EpochOptions { last_batch: LastBatch::Pad, rank: 2, world_size: 3, ..batches_of(1) };
    let plan = make(&[vec![2]], slices(&[0]), options);
    let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
    assert!(assembler.is_finished());
    add_all(&assembler, 0);
    assert!(assembler.is_finished());
    assert_eq!(assembler.next_complete(), None);
}

/// pymia 0.3.4 reports {0}, {0, 1}, {0, 1}, {0, 1, 2} for this order, numpy's `RandomState(1).permutation(15)`:
/// subjects of which half the slices are still to come.
#[test]
fn shuffled_subjects_are_complete_when_their_last_sample_has_come_and_not_before() {
    let plan = make(&[vec![5, 3], vec![5, 3], vec![5, 3]], slices(&[0]), batches_of(4));
    let all = samples(&plan, 0);
    let ready = |order: &[usize]| {
        let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
        let complete = order.chunks(4).map(|numbers| {
            let batch: Vec<Sample> = numbers.iter().map(|&number| all[number]).collect();
            add(&assembler, &batch).unwrap();
            std::iter::from_fn(|| assembler.next_complete()).collect::<Vec<_>>()
        });
        let complete: Vec<_> = complete.collect();
        for subject in 0..3 {
            assert_eq!(assembler.outstanding(subject).unwrap(), 0);
            assert_eq!(bits(&take(&assembler, subject)), bits(&source(&plan, subject)));
        }
        complete
    };
    let in_order: Vec<usize> = (0..15).collect();
    assert_eq!(ready(&in_order), [vec![], vec![0], vec![1], vec![2]]);
    assert_eq!(ready(&PERMUTATION), EXPECTED);
}

#[test]
fn a_sample_that_comes_twice_is_refused_and_changes_nothing() {
    let plan = make(&[vec![6, 4]], grid(&[2, 2], &[1, 1], Border::Drop), batches_of(5));
    let all = samples(&plan, 0);
    let assembler = Assembler::new(plan.clone(), blended(Blend::Mean)).unwrap();
    add(&assembler, &all[..5]).unwrap();
    let error = add(&assembler, &all[4..9]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.message().contains("sample 4 of epoch 0 was added already"), "{error}");
    assert_eq!(add(&assembler, &[all[5], all[6], all[5]]).unwrap_err().kind(), ErrorKind::State);
    assert_eq!(assembler.outstanding(0).unwrap(), all.len() as u64 - 5);
    add(&assembler, &all[5..]).unwrap();
    for (found, value) in take(&assembler, 0).into_iter().zip(source(&plan, 0)) {
        assert!(ulps(found, value) <= 4 || value.abs() < 1e-30);
    }
    assert_eq!(add(&assembler, &all[..1]).unwrap_err().kind(), ErrorKind::State);
}

#[test]
fn epochs_do_not_mix_and_the_next_one_begins_by_itself() {
    let plan = make(&[vec![4], vec![3]], slices(&[0]), batches_of(3));
    let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
    assert_eq!(assembler.outstanding(0).unwrap_err().kind(), ErrorKind::State);
    add(&assembler, &samples(&plan, 1)[..3]).unwrap();
    let next = samples(&plan, 2);
    let error = add(&assembler, &next[..3]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.message().contains("samples of epoch 2, but epoch 1 is not finished"), "{error}");
    let mixed = [samples(&plan, 1)[3], next[4]];
    assert_eq!(add(&assembler, &mixed).unwrap_err().kind(), ErrorKind::Argument);
    add(&assembler, &samples(&plan, 1)[3..]).unwrap();
    assert_eq!(bits(&take(&assembler, 0)), bits(&source(&plan, 0)));
    assert!(!assembler.is_finished());
    assert_eq!(add(&assembler, &next[..3]).unwrap_err().kind(), ErrorKind::State);
    take(&assembler, 1);
    assert!(assembler.is_finished());
    add(&assembler, &next[..3]).unwrap();
    assert_eq!(assembler.outstanding(0).unwrap(), 1);
    assembler.reset();
    assert!(!assembler.is_finished());
    add_all(&assembler, 0);
    assert_eq!(assembler.next_complete(), Some(0));
    assert_eq!(assembler.next_complete(), Some(1));
    assert_eq!(assembler.next_complete(), None);
}

#[test]
fn an_incomplete_subject_is_taken_only_when_asked_for() {
    let plan = make(&[vec![4, 2], vec![4, 2]], slices(&[0]), batches_of(3));
    let all = samples(&plan, 0);
    let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
    add(&assembler, &all[..3]).unwrap();
    let mut bytes = vec![0u8; 32];
    let mut error = assembler.take(0, Readiness::Complete, &mut bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.message().contains("1 of 4 samples are outstanding"), "{error}");
    assert_eq!(assembler.take(1, Readiness::Partial, &mut bytes).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(assembler.take(2, Readiness::Partial, &mut bytes).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        assembler.take(0, Readiness::Partial, &mut bytes[..31]).unwrap_err().kind(),
        ErrorKind::Buffer
    );
    let mut large = [0u8; 33];
    assert_eq!(assembler.take(0, Readiness::Partial, &mut large).unwrap_err().kind(), ErrorKind::Argument);
    assert_eq!(assembler.coverage(0).unwrap(), 0.75);
    assembler.take(0, Readiness::Partial, &mut bytes).unwrap();
    let mut expected = source(&plan, 0);
    expected[6..].fill(0.0);
    assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes), expected);
    error = add(&assembler, &all[3..6]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.message().contains("taken incomplete"), "{error}");
    assert_eq!(assembler.outstanding(1).unwrap(), 4);
    assert_eq!(assembler.outstanding(0).unwrap(), 0);
    assert_eq!(assembler.output(0).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn threads_add_side_by_side() {
    let shapes = vec![vec![16, 9, 8]; 4];
    let options = EpochOptions { order: Order::Shuffled, seed: 4, ..batches_of(3) };
    let plan = make(&shapes, grid(&[4, 3, 4], &[2, 3, 4], Border::Drop), options);
    let assembler = Assembler::new(
        plan.clone(),
        AssemblerOptions { accumulate: Accumulate::F64, ..blended(Blend::Mean) },
    )
    .unwrap();
    let all = samples(&plan, 0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (assembler, all) = (&assembler, &all);
            scope.spawn(move || {
                for batch in all.chunks(3).skip(thread).step_by(4) {
                    add(assembler, batch).unwrap();
                }
            });
        }
    });
    let mut complete: Vec<usize> = std::iter::from_fn(|| assembler.next_complete()).collect();
    complete.sort_unstable();
    assert_eq!(complete, [0, 1, 2, 3]);
    for subject in complete {
        let found = take(&assembler, subject);
        let covered = source(&plan, subject);
        assert_eq!(found, covered);
    }
}

#[test]
fn a_saved_subject_lies_where_its_volumes_lie() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub-00.nii.gz");
    let plan = make(&[vec![4, 5, 6]], slices(&[0]), batches_of(4));
    let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
    add_all(&assembler, 0);
    assembler.save(0, Readiness::Complete, &path).unwrap();
    assert!(assembler.is_finished());
    let saved = Dataset::open(&path, OpenOptions::default()).unwrap();
    let entry = saved.subject(0).unwrap().first_entry().unwrap();
    assert_eq!(entry.affine(), Some(affine()));
    let region = Region::whole(entry.shape().unwrap());
    let mut bytes = vec![0u8; 480];
    let how = Extraction::exact(DType::F32);
    Reader::default().read(std::slice::from_ref(entry), &region, &how, &mut bytes).unwrap();
    assert_eq!(bits(&bytemuck::pod_collect_to_vec::<u8, f32>(&bytes)), bits(&source(&plan, 0)));
}

#[test]
fn a_subject_that_cannot_be_saved_is_kept() {
    let plan = make(&[vec![3, 3]], slices(&[0]), batches_of(3));
    let assembler = Assembler::new(plan.clone(), AssemblerOptions::default()).unwrap();
    add_all(&assembler, 0);
    let nowhere = std::path::Path::new("/nowhere/at/all/subject.unknown");
    assert!(assembler.save(0, Readiness::Complete, nowhere).is_err());
    assert_eq!(take(&assembler, 0), source(&plan, 0));
}

const PERMUTATION: [usize; 15] = [3, 7, 6, 2, 10, 4, 1, 13, 0, 14, 9, 8, 12, 11, 5];
const EXPECTED: [&[usize]; 4] = [&[], &[], &[0], &[2, 1]];
