//! Chunks that are decoded one by one and kept as layers: in memory that is never more, and never seen in a result.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use voxfeed::feed::{Loader, LoaderOptions, Next};
use voxfeed::plan::{EpochOptions, Order, Rule, Sampler, Slices, Uniform};
use voxfeed::store::{
    ChannelPlace, Choice, Context, Dataset, Entry, GeometryCheck, OpenOptions, Subject, volume,
};

/// Two layers of three rows of chunks each, the last of which reach beyond the array.
const SHAPE: [usize; 3] = [90, 80, 90];
const CHUNK: [usize; 3] = [16, 32, 32];
const VOXELS: u64 = 90 * 80 * 90;
/// The chunks of an array.
const CHUNKS: u64 = 6 * 3 * 3;
/// The voxels of all chunks, those beyond the array counted.
const CHUNK_VOXELS: u64 = CHUNKS * 16 * 32 * 32;
/// The bytes of a voxel of the image, which has two channels, and of the label.
const IMAGE: u64 = 8;
const LABEL: u64 = 1;
const SUBJECTS: usize = 2;
/// The patches of a subject: enough that each chunk is wanted.
const PATCHES: u64 = 100;

/// Writes an image with interleaved channels and a label for each subject.
fn file(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("subjects.h5");
    let file = hdf5::File::create(&path).unwrap();
    for subject in 0..SUBJECTS {
        let image: Vec<f32> = (0..VOXELS as usize * 2).map(|k| (k * 7 % 1009 + subject) as f32).collect();
        let [depth, height, width] = SHAPE;
        let builder = file.new_dataset::<f32>().shape([depth, height, width, 2]);
        let dataset = builder.chunk([16, 32, 32, 2]).shuffle().deflate(1).create(&*format!("image{subject}"));
        dataset.unwrap().write_raw(&image).unwrap();
        let label: Vec<u8> = (0..VOXELS as usize).map(|k| (k / 11 % 5 + subject) as u8).collect();
        let builder = file.new_dataset::<u8>().shape(SHAPE).chunk(CHUNK).deflate(1);
        builder.create(&*format!("label{subject}")).unwrap().write_raw(&label).unwrap();
    }
    path
}

fn open(path: &Path, cache_bytes: u64) -> Dataset {
    let context = Context::new(OpenOptions { cache_bytes, ..OpenOptions::default() });
    let mut dataset = Dataset::in_context(context.clone());
    for number in 0..SUBJECTS {
        let mut subject = Subject::new(format!("s{number}"));
        for (name, channel) in [("image", ChannelPlace::Last), ("label", ChannelPlace::None)] {
            let inner = format!("{name}{number}");
            let choice = Choice { inner: Some(inner), channel };
            let entry = Entry::new(name, volume(path, &choice, &context).unwrap());
            subject.add(name, entry, GeometryCheck::Strict).unwrap();
        }
        dataset.add_subject(subject).unwrap();
    }
    dataset
}

/// A loader of batches of four that has begun.
fn begun(dataset: &Dataset, rule: Arc<dyn Rule>, order: Order, threads: usize) -> Loader {
    let sampler = Arc::new(Sampler::new(Arc::new(dataset.clone()), rule).unwrap());
    let epoch = EpochOptions { order, seed: 5, batch_size: 4, ..EpochOptions::default() };
    let loader = Loader::new(sampler, LoaderOptions { epoch, threads, ..LoaderOptions::default() }).unwrap();
    loader.start(0).unwrap();
    loader
}

/// All batches of an epoch and the hits and misses that they took.
fn epoch(dataset: &Dataset, rule: Arc<dyn Rule>, threads: usize) -> (Vec<u8>, u64, u64) {
    let loader = begun(dataset, rule, Order::Shuffled, threads);
    let mut bytes = Vec::new();
    while let Next::Batch(batch) = loader.next(None).unwrap() {
        for category in ["image", "label"] {
            bytes.extend_from_slice(&batch.bytes(Some(category)).unwrap());
        }
    }
    let stats = loader.stats().unwrap();
    (bytes, stats.cache_hits, stats.cache_misses)
}

fn patches() -> Arc<dyn Rule> {
    Arc::new(Uniform::new(&[24, 40, 50], PATCHES))
}

fn slices() -> Arc<dyn Rule> {
    Arc::new(Slices::new(&[0]).unwrap())
}

/// A dataset after an epoch that gave what is expected, decoded each chunk once and left nothing but layers.
fn joined(path: &Path, rule: Arc<dyn Rule>, threads: usize, expected: &[u8]) -> Dataset {
    let dataset = open(path, 1 << 30);
    let (bytes, _, misses) = epoch(&dataset, rule, threads);
    assert!(bytes == expected, "{threads} threads");
    assert_eq!(misses, 2 * SUBJECTS as u64 * CHUNKS, "each chunk is decoded once by {threads} threads");
    let decoded = &dataset.context().decoded;
    assert_eq!(decoded.byte_len(), SUBJECTS as u64 * (IMAGE + LABEL) * VOXELS, "all layers are joined");
    dataset
}

fn go_on(_: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn chunks_that_are_joined_while_they_are_read_are_decoded_once_and_give_the_same_voxels() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let expected = epoch(&open(&path, 0), patches(), 1).0;
    for threads in [1, 2, 8] {
        let dataset = joined(&path, patches(), threads, &expected);
        let (again, hits, misses) = epoch(&dataset, patches(), threads);
        assert!(again == expected && misses == 0, "{threads} threads, from layers");
        let most = SUBJECTS as u64 * PATCHES * (2 + 1);
        assert!(hits <= most, "{hits} looks, one for each layer and not for each chunk");
    }
}

#[test]
fn budgets_that_hold_some_layers_or_none_give_the_same_voxels() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    for rule in [patches, slices] {
        let expected = epoch(&open(&path, 0), rule(), 1).0;
        for cache_bytes in [200_000, 1 << 20, 3 << 20, 6 << 20, 11 << 20] {
            for threads in [1, 2, 8] {
                let dataset = open(&path, cache_bytes);
                let bytes = epoch(&dataset, rule(), threads).0;
                assert!(bytes == expected, "{cache_bytes} bytes, {threads} threads");
                let decoded = &dataset.context().decoded;
                assert!(decoded.byte_len() <= cache_bytes, "{} of {cache_bytes}", decoded.byte_len());
                assert!(decoded.memory_bytes() <= cache_bytes, "{} of {cache_bytes}", decoded.memory_bytes());
            }
        }
    }
}

#[test]
fn a_preload_into_just_enough_memory_leaves_nothing_to_be_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let expected = epoch(&open(&path, 0), patches(), 1).0;
    let needed = SUBJECTS as u64 * (IMAGE + LABEL) * CHUNK_VOXELS;
    assert!(open(&path, needed - 1).preload(2, &mut go_on).is_err());
    for threads in [1, 8] {
        let dataset = open(&path, needed);
        for _ in 0..2 {
            assert!(dataset.preload(threads, &mut go_on).unwrap());
        }
        let misses = dataset.context().decoded.hits_and_misses().1;
        assert_eq!(misses, 2 * SUBJECTS as u64 * CHUNKS, "the second preload decodes nothing");
        let (bytes, _, misses) = epoch(&dataset, patches(), threads);
        assert!(bytes == expected && misses == 0, "{threads} threads, {misses} misses");
        dataset.context().decoded.clear();
        assert_eq!(dataset.context().decoded.memory_bytes(), 0);
        assert!(epoch(&dataset, patches(), threads).0 == expected);
    }
}

#[test]
fn what_is_not_stored_is_joined_where_it_costs_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse.h5");
    let file = hdf5::File::create(&path).unwrap();
    for (name, rows) in [("few", 40), ("most", 79)] {
        let builder = file.new_dataset::<f64>().shape([90, 80]).chunk([16, 30]).deflate(1).fill_value(-3.0);
        let dataset = builder.create(name).unwrap();
        let values = ndarray::Array2::from_shape_fn((rows, 80), |(y, x)| ((y * 80 + x) * 3 % 101) as f64);
        dataset.write_slice(&values, hdf5::Hyperslab::from((0..rows, 0..80))).unwrap();
    }
    drop(file);
    for (name, rows, joined) in [("few", 40usize, false), ("most", 79, true)] {
        let context = Context::new(OpenOptions::default());
        let choice = Choice { inner: Some(name.to_owned()), ..Choice::default() };
        let mut subject = Subject::new("s");
        let entry = Entry::new("image", volume(&path, &choice, &context).unwrap());
        subject.add("image", entry, GeometryCheck::Strict).unwrap();
        let mut dataset = Dataset::in_context(context.clone());
        dataset.add_subject(subject).unwrap();
        assert!(dataset.preload(1, &mut go_on).unwrap());
        let chunks = rows.div_ceil(16) as u64 * 3;
        let expected = if joined { 90 * 80 * 8 } else { chunks * 16 * 30 * 8 };
        assert_eq!(context.decoded.byte_len(), expected, "{name}");
        let sampler = Sampler::new(Arc::new(dataset), Arc::new(Uniform::new(&[90, 80], 1))).unwrap();
        let loader = Loader::new(Arc::new(sampler), LoaderOptions::default()).unwrap();
        loader.start(0).unwrap();
        let Next::Batch(batch) = loader.next(None).unwrap() else { unreachable!("an epoch of one sample") };
        let bytes = batch.bytes(None).unwrap();
        for (k, voxel) in bytes.chunks_exact(8).enumerate() {
            let expected = if k / 80 < rows { (k * 3 % 101) as f64 } else { -3.0 };
            assert_eq!(f64::from_ne_bytes(voxel.try_into().unwrap()), expected, "{name}, voxel {k}");
        }
    }
}

#[test]
fn slices_decode_each_chunk_once_and_leave_layers() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let expected = epoch(&open(&path, 0), slices(), 1).0;
    for threads in [1, 2, 8] {
        let dataset = joined(&path, slices(), threads, &expected);
        let decoded = &dataset.context().decoded;
        // What patches left is joined too, and not decoded again.
        decoded.clear();
        assert_eq!((decoded.byte_len(), decoded.memory_bytes()), (0, 0));
        let before = decoded.hits_and_misses().1;
        epoch(&dataset, Arc::new(Uniform::new(&[24, 40, 50], 1)), threads);
        assert!(epoch(&dataset, slices(), threads).0 == expected);
        assert_eq!(decoded.hits_and_misses().1 - before, 2 * SUBJECTS as u64 * CHUNKS);
        assert_eq!(decoded.byte_len(), SUBJECTS as u64 * (IMAGE + LABEL) * VOXELS);
    }
}

#[test]
fn a_damaged_chunk_spoils_the_slices_that_touch_it_and_of_several_the_first_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let expected = epoch(&open(&path, 0), slices(), 1).0;
    // One of each row of chunks in the first layer.
    let places = [4, 13, 22].map(|number| {
        let file = hdf5::File::open(&path).unwrap();
        let chunk = file.dataset("image0").unwrap().chunk_info(number).unwrap();
        chunk.addr as usize + chunk.size as usize / 2
    });
    let whole = std::fs::read(&path).unwrap();
    // In place: who has the file mapped still reads it.
    let write = |place: usize, bytes: &[u8]| {
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(bytes, place as u64).unwrap();
    };
    for (skipped, readable, chunk) in
        [(0, 0, "(0, 1, 1, 0)"), (1, 16, "(1, 1, 1, 0)"), (2, 32, "(2, 1, 1, 0)")]
    {
        for threads in [1, 2, 8] {
            places.iter().skip(skipped).for_each(|&place| write(place, &[0xff; 8]));
            let dataset = open(&path, 1 << 30);
            let loader = begun(&dataset, slices(), Order::Sequential, threads);
            let mut read = 0;
            let error = loop {
                match loader.next(None) {
                    Ok(Next::Batch(batch)) => read += batch.samples().len(),
                    Ok(_) => unreachable!("a slice is damaged"),
                    Err(error) => break error,
                }
            };
            assert_eq!(read, readable, "{threads} threads, {chunk}");
            assert_eq!(error.kind(), voxfeed::error::ErrorKind::Format);
            assert!(error.message().contains(&format!("chunk {chunk}")), "{threads} threads: {error}");
            drop(loader);
            places.iter().for_each(|&place| write(place, &whole[place..place + 8]));
            assert!(epoch(&dataset, slices(), threads).0 == expected, "{threads} threads, mended");
        }
    }
}
