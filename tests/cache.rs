//! The cache of decoded voxels: filled ahead of time, within its budget, and never seen in a result.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use voxfeed::error::{Error, ErrorKind};
use voxfeed::feed::{CategoryOptions, Consumer, Loader, LoaderOptions, Next};
use voxfeed::plan::{Border, EpochOptions, Grid, Order, Rule, Sampler, Slices, Uniform, Whole};
use voxfeed::store::{
    ChannelPlace, Choice, Context, Dataset, DenseVolume, Entry, GeometryCheck, OpenOptions, Part, Patience,
    Subject, save, volume,
};
use voxfeed::transform::Chain;
use voxfeed::voxel::{DType, Shape};

const SHAPE: [usize; 3] = [10, 12, 14];
/// What the cache keeps of a volume: its file as it is inflated, the header with it.
const VOLUME_BYTES: u64 = 352 + 2 * 10 * 12 * 14;

/// A folder of this many compressed volumes.
fn folder(subjects: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for subject in 0..subjects {
        let voxels = (0..SHAPE.iter().product::<usize>()).map(|k| (k * 7 + subject * 1000) as i16);
        let bytes: Vec<u8> = voxels.flat_map(i16::to_ne_bytes).collect();
        let shape = Shape::new(&SHAPE).unwrap();
        let volume = DenseVolume { shape, channels: 1, dtype: DType::I16, affine: None, bytes: &bytes };
        save(&folder.path().join(format!("s{subject}.nii.gz")), &volume).unwrap();
    }
    folder
}

fn open(folder: &Path, cache_bytes: u64) -> Dataset {
    Dataset::open(folder, OpenOptions { cache_bytes, ..OpenOptions::default() }).unwrap()
}

/// All batches of an epoch, one after the other, and the hits and misses that they took.
fn epoch(dataset: Dataset, options: LoaderOptions) -> (Vec<u8>, u64, u64) {
    let rule = Arc::new(Uniform::new(&[4, 5, 6], 12));
    let sampler = Arc::new(Sampler::new(Arc::new(dataset), rule).unwrap());
    let loader = Loader::new(sampler, options).unwrap();
    loader.start(0).unwrap();
    let mut bytes = Vec::new();
    while let Next::Batch(batch) = loader.next(None).unwrap() {
        bytes.extend_from_slice(&batch.bytes(None).unwrap());
    }
    let stats = loader.stats().unwrap();
    (bytes, stats.cache_hits, stats.cache_misses)
}

fn shuffled() -> LoaderOptions {
    let epoch = EpochOptions { order: Order::Shuffled, seed: 3, batch_size: 4, ..EpochOptions::default() };
    LoaderOptions { epoch, threads: 2, ..LoaderOptions::default() }
}

fn go_on(_: u64, _: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn after_a_preload_every_sample_is_found_in_the_cache() {
    let folder = folder(5);
    let dataset = open(folder.path(), 5 * VOLUME_BYTES);
    let mut told = Vec::new();
    let complete = dataset.preload(3, &mut |done, total| {
        told.push((done, total));
        ControlFlow::Continue(())
    });
    assert!(complete.unwrap());
    assert_eq!(told, [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]);
    assert_eq!(dataset.context().decoded.byte_len(), 5 * VOLUME_BYTES);
    let (bytes, hits, misses) = epoch(dataset.clone(), shuffled());
    assert_eq!((hits, misses), (60, 0), "the preload decoded, and does not count");
    dataset.context().decoded.clear();
    assert_eq!(dataset.context().decoded.byte_len(), 0);
    assert_eq!(epoch(dataset, shuffled()).0, bytes);
}

#[test]
fn a_cache_that_is_too_small_for_a_preload_is_a_limit_error() {
    let folder = folder(3);
    let dataset = open(folder.path(), 3 * VOLUME_BYTES - 1);
    let error: Error = dataset.preload(2, &mut go_on).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.message().contains(&format!("needs {} bytes", 3 * VOLUME_BYTES)), "{error}");
    assert_eq!(dataset.context().decoded.byte_len(), 0, "nothing was decoded");
    assert!(dataset.subset(&[0, 2]).unwrap().preload(2, &mut go_on).unwrap());
    assert_eq!(dataset.context().decoded.byte_len(), 2 * VOLUME_BYTES);
}

#[test]
fn a_cache_as_large_as_the_error_says_holds_what_is_preloaded() {
    let folder = folder(3);
    let error = open(folder.path(), 1).preload(2, &mut go_on).unwrap_err();
    let needed = error.message().split("needs ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(open(folder.path(), needed.parse().unwrap()).preload(2, &mut go_on).unwrap());
}

#[test]
fn a_preload_stops_when_it_is_told_to_and_fails_with_its_file() {
    let folder = folder(6);
    let dataset = open(folder.path(), 1 << 20);
    assert!(!dataset.preload(1, &mut |_, _| ControlFlow::Break(())).unwrap());
    assert!(dataset.context().decoded.byte_len() < 6 * VOLUME_BYTES);
    let broken = folder.path().join("s4.nii.gz");
    let whole = std::fs::read(&broken).unwrap();
    std::fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    dataset.context().decoded.clear();
    let error = dataset.preload(2, &mut go_on).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().contains("s4.nii.gz"), "{error}");
}

#[test]
fn no_byte_depends_on_the_cache_the_threads_or_who_reads_the_batch() {
    let folder = folder(5);
    let expected = epoch(open(folder.path(), 1 << 20), shuffled()).0;
    for cache_bytes in [0, VOLUME_BYTES, 2 * VOLUME_BYTES + 1] {
        for threads in [1, 2, 8] {
            let options = LoaderOptions { threads, consumer: Consumer::Device, ..shuffled() };
            let dataset = open(folder.path(), cache_bytes);
            let decoded = Arc::clone(&dataset.context().decoded);
            assert!(epoch(dataset, options).0 == expected, "{cache_bytes} bytes, {threads} threads");
            assert!(decoded.byte_len() <= cache_bytes);
        }
    }
}

/// A dataset of as many arrays in compressed chunks, six to a subject.
fn chunked(path: &Path, subjects: usize, cache_bytes: u64) -> Dataset {
    let context = Context::new(OpenOptions { cache_bytes, ..OpenOptions::default() });
    let mut dataset = Dataset::in_context(context);
    let file = hdf5::File::create(path).unwrap();
    for number in 0..subjects {
        let voxels: Vec<i16> = (0..10 * 12 * 14).map(|k| (k * 7 + number * 1000) as i16).collect();
        let builder = file.new_dataset::<i16>().shape(SHAPE).chunk([4, 6, 14]).deflate(1);
        builder.create(&*format!("s{number}")).unwrap().write_raw(&voxels).unwrap();
    }
    drop(file);
    (0..subjects).for_each(|number| add(&mut dataset, path, &format!("s{number}")));
    dataset
}

/// Adds an array of a file, which has no channels, as a subject.
fn add(dataset: &mut Dataset, path: &Path, name: &str) {
    let choice = Choice { inner: Some(name.to_owned()), channel: ChannelPlace::None };
    let entry = Entry::new("image", volume(path, &choice, dataset.context()).unwrap());
    let mut subject = Subject::new(name);
    subject.add("images", entry, GeometryCheck::Strict).unwrap();
    dataset.add_subject(subject).unwrap();
}

/// A loader of batches in order, with nothing in its cache.
fn in_order(dataset: &Dataset, rule: Arc<dyn Rule>, (batch_size, threads): (usize, usize)) -> Loader {
    dataset.context().decoded.clear();
    let sampler = Arc::new(Sampler::new(Arc::new(dataset.clone()), rule).unwrap());
    let epoch = EpochOptions { batch_size, ..EpochOptions::default() };
    Loader::new(sampler, LoaderOptions { epoch, threads, ..LoaderOptions::default() }).unwrap()
}

/// What was not in the cache in each of four epochs, all batches of which have the expected bytes.
fn missed_in_epochs(loader: &Loader, expected: &mut Option<Vec<u8>>) -> Vec<u64> {
    let mut missed = Vec::new();
    for number in 0..4 {
        let before = loader.stats().unwrap().cache_misses;
        loader.start(number).unwrap();
        let mut bytes = Vec::new();
        while let Next::Batch(batch) = loader.next(None).unwrap() {
            bytes.extend_from_slice(&batch.bytes(None).unwrap());
        }
        assert!(*expected.get_or_insert_with(|| bytes.clone()) == bytes);
        missed.push(loader.stats().unwrap().cache_misses - before);
    }
    missed
}

#[test]
fn of_subjects_that_are_read_in_order_the_first_ones_are_there_in_the_next_epoch() {
    const SUBJECTS: usize = 12;
    let (folder, file) = (folder(SUBJECTS), tempfile::NamedTempFile::new().unwrap());
    let chunk_bytes = 2 * 4 * 6 * 14;
    for (dataset, parts) in
        [(open(folder.path(), 7 * VOLUME_BYTES), 1), (chunked(file.path(), SUBJECTS, 7 * 6 * chunk_bytes), 6)]
    {
        let mut expected: Option<Vec<u8>> = None;
        for threads in [1, 2, 8] {
            let loader = in_order(&dataset, Arc::new(Whole), (1, threads));
            let missed = missed_in_epochs(&loader, &mut expected);
            assert_eq!(missed[0], SUBJECTS as u64 * parts);
            // Of seven that fit, three are under way and one has just been.
            assert!(missed[1..].iter().all(|&missed| missed <= 9 * parts), "{threads} threads: {missed:?}");
        }
    }
}

#[test]
fn of_a_volume_that_does_not_fit_the_first_part_is_there_in_the_next_epoch() {
    const ROWS: u64 = 32;
    let file = tempfile::NamedTempFile::new().unwrap();
    let voxels: Vec<i16> = (0..128 * 12 * 16).map(|k| (k * 7 % 30011) as i16).collect();
    let written = hdf5::File::create(file.path()).unwrap();
    // Of both, the chunks are as many along the axis that the samples go along: a layer of them is 4 slices.
    for (name, shape, chunk) in [("z", [128, 12, 16], [4, 12, 8]), ("y", [12, 128, 16], [12, 4, 8])] {
        let builder = written.new_dataset::<i16>().shape(shape).chunk(chunk).deflate(1);
        builder.create(name).unwrap().write_raw(&voxels).unwrap();
    }
    drop(written);
    let (chunks, half) = (2 * ROWS, ROWS * 2 * 4 * 12 * 8);
    let rules: [(&str, Arc<dyn Rule>); 3] = [
        ("z", Arc::new(Slices::new(&[0]).unwrap())),
        ("y", Arc::new(Slices::new(&[1]).unwrap())),
        ("z", Arc::new(Grid::new(&[4, 12, 12], &[2, 0, 4], Border::Clip).unwrap())),
    ];
    for (name, rule) in rules {
        let context = Context::new(OpenOptions { cache_bytes: half, ..OpenOptions::default() });
        let mut dataset = Dataset::in_context(context);
        add(&mut dataset, file.path(), name);
        let mut expected = None;
        for threads in [1, 2, 8] {
            let loader = in_order(&dataset, Arc::clone(&rule), (2, threads));
            let missed = missed_in_epochs(&loader, &mut expected);
            assert!(missed[0] >= chunks, "{missed:?}");
            // What is read ahead of the batch that was lent lies in a quarter of the chunks at most.
            let most = chunks / 2 + chunks / 4;
            assert!(missed[1..].iter().all(|&missed| missed <= most), "{rule:?}, {threads}: {missed:?}");
        }
    }
}

#[test]
fn grouped_samples_share_what_was_decoded() {
    let folder = folder(6);
    let grouped = LoaderOptions {
        threads: 1,
        epoch: EpochOptions { group_window: 72, ..shuffled().epoch },
        ..shuffled()
    };
    let (_, _, scattered) =
        epoch(open(folder.path(), VOLUME_BYTES), LoaderOptions { threads: 1, ..shuffled() });
    let (_, hits, misses) = epoch(open(folder.path(), VOLUME_BYTES), grouped);
    assert_eq!((hits, misses), (66, 6), "one decode for each subject");
    assert!(scattered > 36, "{scattered}");
}

/// Runs `with` while another thread decodes the volume of the first subject, which goes on when it is told to.
fn while_the_first_volume_is_being_decoded(folder: &Path, dataset: &Dataset, with: impl FnOnce(&dyn Fn())) {
    let first = Part { volume: 0, number: 0 };
    let other = open(folder, 1 << 20);
    other.preload(1, &mut go_on).unwrap();
    let known = other.context().decoded.kept(first).unwrap();
    let (entered, enter) = std::sync::mpsc::channel();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let decoded = &dataset.context().decoded;
        scope.spawn(move || {
            let slow = |bytes: &mut [u8]| {
                bytes.copy_from_slice(&known);
                entered.send(()).unwrap();
                // Where the test has failed nobody tells any more.
                let _ = left.recv();
                Ok(())
            };
            decoded.get(first, known.len(), Patience::Wait, slow).unwrap().unwrap();
        });
        enter.recv().unwrap();
        with(&|| leave.send(()).unwrap());
        drop(leave);
    });
}

/// A loader with one thread and a slot for each of the 24 samples of two subjects, in order.
fn one_thread(dataset: &Dataset) -> Loader {
    let sampler = Sampler::new(Arc::new(dataset.clone()), Arc::new(Uniform::new(&[4, 5, 6], 12))).unwrap();
    let options = LoaderOptions { threads: 1, prefetch: 24, ..LoaderOptions::default() };
    Loader::new(Arc::new(sampler), options).unwrap()
}

/// The batches that are left, one after the other.
fn rest(loader: &Loader) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Next::Batch(batch) = loader.next(None).unwrap() {
        bytes.extend_from_slice(&batch.bytes(None).unwrap());
    }
    bytes
}

/// Waits until the samples of the second subject have been read: its volume decoded once and found for the rest.
fn await_second_subject(dataset: &Dataset) {
    while dataset.context().decoded.hits_and_misses() != (11, 2) {
        std::thread::yield_now();
    }
}

/// Runs `with` with a loader whose rows of the first subject have been put off, while those of the second are
/// ready; with what lets the first volume go on, and with what the epoch holds.
fn with_rows_put_off(with: impl FnOnce(&Loader, &dyn Fn(), &[u8])) {
    let folder = folder(2);
    let expected = epoch(open(folder.path(), 0), LoaderOptions::default()).0;
    let dataset = open(folder.path(), 1 << 20);
    while_the_first_volume_is_being_decoded(folder.path(), &dataset, |go_on| {
        let loader = one_thread(&dataset);
        loader.start(0).unwrap();
        await_second_subject(&dataset);
        with(&loader, go_on, &expected);
    });
}

#[test]
fn a_thread_fills_other_rows_instead_of_waiting_for_what_another_decodes() {
    with_rows_put_off(|loader, go_on, expected| {
        assert!(matches!(loader.next(Some(Duration::ZERO)).unwrap(), Next::Timeout));
        go_on();
        assert_eq!(rest(loader), expected, "batches come in order all the same");
    });
}

#[test]
fn a_thread_without_a_row_to_fill_decodes_ahead_of_its_turn() {
    let folder = folder(2);
    let expected = epoch(open(folder.path(), 0), LoaderOptions::default()).0;
    let dataset = open(folder.path(), 1 << 20);
    while_the_first_volume_is_being_decoded(folder.path(), &dataset, |go_on| {
        let sampler =
            Sampler::new(Arc::new(dataset.clone()), Arc::new(Uniform::new(&[4, 5, 6], 12))).unwrap();
        // Both slots are for rows of the first subject.
        let options = LoaderOptions { threads: 1, prefetch: 1, ..LoaderOptions::default() };
        let loader = Loader::new(Arc::new(sampler), options).unwrap();
        loader.start(0).unwrap();
        while dataset.context().decoded.kept(Part { volume: 1, number: 0 }).is_none() {
            std::thread::yield_now();
        }
        go_on();
        assert_eq!(rest(&loader), expected);
    });
    assert_eq!(dataset.context().decoded.hits_and_misses().1, 2, "each volume was decoded once");
}

#[test]
fn a_row_of_which_a_part_was_put_off_is_whole_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    for (subject, first) in [("a", 0usize), ("b", 500)] {
        std::fs::create_dir(folder.path().join(subject)).unwrap();
        for (entry, step) in [("t1", 7), ("t2", 3), ("seg", 1)] {
            let voxels = (0..SHAPE.iter().product::<usize>()).map(|k| ((k * step + first) % 900) as i16);
            let bytes: Vec<u8> = voxels.flat_map(i16::to_ne_bytes).collect();
            let shape = Shape::new(&SHAPE).unwrap();
            let volume = DenseVolume { shape, channels: 1, dtype: DType::I16, affine: None, bytes: &bytes };
            save(&folder.path().join(subject).join(format!("{entry}.nii.gz")), &volume).unwrap();
        }
    }
    let zscore = r#"[{"name": "zscore", "category": "images", "statistics": "subject"}]"#;
    for text in ["[]", zscore] {
        let run = |cache_bytes, threads, held: bool| {
            let dataset = open(folder.path(), cache_bytes);
            let chain = Arc::new(Chain::parse(text).unwrap());
            let images = CategoryOptions { dtype: Some(DType::F32), ..CategoryOptions::named("images") };
            let categories = vec![images, CategoryOptions::named("labels")];
            let options = LoaderOptions { threads, categories, chain, ..shuffled() };
            let sampler =
                Sampler::new(Arc::new(dataset.clone()), Arc::new(Uniform::new(&[4, 5, 6], 12))).unwrap();
            let loader = Loader::new(Arc::new(sampler), options).unwrap();
            let all = || {
                let mut bytes = Vec::new();
                while let Next::Batch(batch) = loader.next(None).unwrap() {
                    bytes.extend_from_slice(&batch.bytes(Some("images")).unwrap());
                    bytes.extend_from_slice(&batch.bytes(Some("labels")).unwrap());
                }
                bytes
            };
            let mut seen = Vec::new();
            if held {
                while_the_first_volume_is_being_decoded(folder.path(), &dataset, |go_on| {
                    loader.start(0).unwrap();
                    // Every other volume is decoded, for rows that lack the first one or not.
                    while dataset.context().decoded.hits_and_misses().1 < 6 {
                        std::thread::yield_now();
                    }
                    go_on();
                    seen = all();
                });
            } else {
                loader.start(0).unwrap();
                seen = all();
            }
            seen
        };
        let expected = run(0, 1, false);
        for threads in [1, 2, 5] {
            assert_eq!(run(1 << 20, threads, true), expected, "{threads} threads, {text}");
        }
    }
}

#[test]
fn rows_that_were_put_off_are_given_up_with_their_epoch() {
    with_rows_put_off(|loader, go_on, expected| {
        loader.cancel().unwrap();
        assert!(matches!(loader.next(None).unwrap(), Next::Cancelled));
        loader.start(0).unwrap();
        go_on();
        assert_eq!(rest(loader), expected, "every slot came back");
        assert!(loader.close(None).unwrap());
    });
}
