//! How much memory a loader takes: slots, cache and scratch, however large its dataset is.
//!
//! Alone in its program, because what the system tells is the whole process's memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::sync::Arc;

use voxfeed::feed::{Loader, LoaderOptions, Next};
use voxfeed::plan::{EpochOptions, Order, Sampler, Uniform};
use voxfeed::store::{Dataset, DenseVolume, OpenOptions, save};
use voxfeed::voxel::{DType, Shape};

const SHAPE: [usize; 3] = [64, 128, 128];
const VOLUME_BYTES: u64 = 4 << 20;
const SUBJECTS: usize = 16;

/// The bytes of this process's own memory, mapped files not counted.
fn own_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

fn write_subjects(folder: &Path) {
    for subject in 0..SUBJECTS {
        let voxels = (0..SHAPE.iter().product::<usize>()).map(|k| (k * (subject + 3) % 1009) as f32);
        let bytes: Vec<u8> = voxels.flat_map(f32::to_ne_bytes).collect();
        let shape = Shape::new(&SHAPE).unwrap();
        let volume = DenseVolume { shape, channels: 1, dtype: DType::F32, affine: None, bytes: &bytes };
        save(&folder.join(format!("s{subject:02}.nii.gz")), &volume).unwrap();
    }
}

/// Feeds an epoch; the most memory that it took, and what the loader says it may take.
fn most_bytes(folder: &Path, cache_bytes: u64) -> (u64, u64) {
    let before = own_bytes();
    let dataset = Dataset::open(folder, OpenOptions { cache_bytes, ..OpenOptions::default() }).unwrap();
    let sampler = Sampler::new(Arc::new(dataset), Arc::new(Uniform::new(&[32, 32, 32], 8))).unwrap();
    let epoch = EpochOptions { order: Order::Shuffled, batch_size: 4, ..EpochOptions::default() };
    let options = LoaderOptions { epoch, threads: 2, ..LoaderOptions::default() };
    let loader = Loader::new(Arc::new(sampler), options).unwrap();
    loader.start(0).unwrap();
    let (mut most, mut told) = (0, 0);
    while let Next::Batch(batch) = loader.next(None).unwrap() {
        most = most.max(own_bytes().saturating_sub(before));
        let stats = loader.stats().unwrap();
        assert!(stats.cache_bytes <= cache_bytes + 2 * VOLUME_BYTES);
        told = told.max(stats.slot_bytes + cache_bytes + stats.scratch_bytes);
        drop(batch);
    }
    (most, told)
}

#[test]
fn a_dataset_ten_times_the_cache_takes_no_more_memory_than_the_loader_tells() {
    let folder = tempfile::tempdir().unwrap();
    write_subjects(folder.path());
    // What an allocator keeps for itself, thread stacks, and the two volumes that are being decoded.
    let slack = 12 << 20;
    let (most, told) = most_bytes(folder.path(), VOLUME_BYTES * SUBJECTS as u64 / 10);
    assert!(most <= told + slack, "{most} bytes were taken, {told} told");
    let (most, _) = most_bytes(folder.path(), 1 << 30);
    assert!(
        most >= VOLUME_BYTES * SUBJECTS as u64 * 3 / 4,
        "the measure sees what a large cache takes: {most}"
    );
}
