//! Chunked HDF5 datasets, read without the library, against what the library reads of the same region.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hdf5::dataset::{AllocTime, ChunkOpts, FillTime};
use hdf5::file::LibraryVersion;
use hdf5::filters::Filter;
use hdf5::{Extent, H5Type, Hyperslab, SimpleExtents, SliceOrIndex};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use voxfeed::feed::{Loader, LoaderOptions, Next};
use voxfeed::plan::{EpochOptions, Order, Sampler, Uniform};
use voxfeed::store::{
    ChannelPlace, Choice, Context, Dataset, Entry, Extraction, GeometryCheck, Io, OpenOptions, Reader,
    Subject, Volume, volume,
};
use voxfeed::voxel::{Region, Shape};

/// A range of an axis: where it begins among all positions, and how much of the rest it takes.
type Range = (Index, Index);

/// How a dataset is written.
#[derive(Debug, Clone)]
struct Layout {
    extents: Vec<usize>,
    chunk: Vec<usize>,
    /// The positions by which each axis is longer while it is written; a chunk may be larger than the array
    /// where it can grow.
    grown: Vec<usize>,
    resizable: bool,
    latest: bool,
    filters: Vec<Filter>,
    plain_edges: bool,
    fill: Option<u8>,
    fill_time: FillTime,
    alloc: AllocTime,
    /// The windows that are written, one over the other.
    parts: Vec<Vec<Range>>,
}

fn layout() -> impl Strategy<Value = Layout> {
    let axis = (1usize..15, 1usize..9, 0usize..6);
    let filters = (any::<[bool; 3]>(), 0usize..3).prop_map(|(chosen, turn)| {
        let mut all = vec![(0, Filter::Shuffle), (1, Filter::Deflate(4)), (2, Filter::Fletcher32)];
        // Shuffle stays before deflate; the checksum goes anywhere.
        let last = all.remove(2);
        all.insert(turn, last);
        all.into_iter().filter(|(number, _)| chosen[*number]).map(|(_, filter)| filter).collect()
    });
    let fill_times = select(vec![FillTime::IfSet, FillTime::IfSet, FillTime::Alloc, FillTime::Never]);
    let allocs = select(vec![AllocTime::Late, AllocTime::Incr, AllocTime::Early]);
    let part = prop::collection::vec(any::<Range>(), 4);
    (
        prop::collection::vec(axis, 1..5),
        filters,
        any::<[bool; 3]>(),
        prop::option::of(any::<u8>()),
        (fill_times, allocs),
        prop::collection::vec(part, 0..4),
    )
        .prop_map(
            |(axes, filters, [resizable, latest, plain_edges], fill, (fill_time, alloc), parts)| Layout {
                extents: axes.iter().map(|axis| axis.0).collect(),
                chunk: axes.iter().map(|axis| if resizable { axis.1 } else { axis.1.min(axis.0) }).collect(),
                grown: axes.iter().map(|axis| if resizable { axis.2 } else { 0 }).collect(),
                resizable,
                latest,
                filters,
                plain_edges: plain_edges && latest,
                fill,
                // What the library gives of memory that it never writes is anything.
                fill_time: if alloc == AllocTime::Early { FillTime::Alloc } else { fill_time },
                alloc,
                parts,
            },
        )
}

/// A number of some type that differs from place to place, small enough to be packed.
trait Number: H5Type + bytemuck::Pod {
    fn number(k: usize) -> Self;
}

macro_rules! numbers {
    ($($type:ty),*) => { $( impl Number for $type {
        fn number(k: usize) -> Self {
            (k * 7 % 120) as $type
        }
    } )* };
}
numbers!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

impl Number for half::f16 {
    fn number(k: usize) -> Self {
        half::f16::from_f32((k % 100) as f32)
    }
}

fn range((begin, len): &Range, extent: usize) -> std::ops::Range<usize> {
    let begin = begin.index(extent);
    begin..begin + 1 + len.index(extent - begin)
}

/// Writes the file and gives all that the library reads of it.
fn write<T: Number>(path: &Path, layout: &Layout) -> hdf5::Result<Vec<u8>> {
    let version = if layout.latest { LibraryVersion::latest() } else { LibraryVersion::Earliest };
    let file = hdf5::File::with_options()
        .with_fapl(|plan| plan.libver_bounds(version, LibraryVersion::latest()))
        .create(path)?;
    let full: Vec<usize> = layout.extents.iter().zip(&layout.grown).map(|(len, more)| len + more).collect();
    let extents: Vec<Extent> =
        full.iter().map(|&dim| Extent { dim, max: (!layout.resizable).then_some(dim) }).collect();
    let mut plan =
        file.new_dataset::<T>().shape(SimpleExtents::from_vec(extents)).chunk(layout.chunk.clone());
    plan = plan.set_filters(&layout.filters).fill_time(layout.fill_time).alloc_time(Some(layout.alloc));
    if let Some(fill) = layout.fill {
        plan = plan.fill_value(T::number(fill as usize));
    }
    if layout.plain_edges {
        plan = plan.chunk_opts(ChunkOpts::DONT_FILTER_PARTIAL_CHUNKS);
    }
    let dataset = plan.create("data")?;
    for part in &layout.parts {
        let ranges: Vec<_> = full.iter().zip(part).map(|(&extent, part)| range(part, extent)).collect();
        let shape: Vec<usize> = ranges.iter().map(ExactSizeIterator::len).collect();
        let count = shape.iter().product();
        let values: Vec<T> = (0..count).map(|k| T::number(k + ranges[0].start)).collect();
        let slab: Vec<SliceOrIndex> = ranges.into_iter().map(SliceOrIndex::from).collect();
        let values = ndarray::ArrayView::from_shape(shape, &values).unwrap();
        dataset.write_slice(values, Hyperslab::from(slab))?;
    }
    if layout.resizable {
        dataset.resize(layout.extents.clone())?;
    }
    drop(dataset);
    file.close()?;
    let dataset = hdf5::File::open(path)?.dataset("data")?;
    let mut all = vec![T::zeroed(); layout.extents.iter().product()];
    dataset.read_into_raw(&mut all)?;
    Ok(bytemuck::cast_slice(&all).to_vec())
}

/// The window of a dense array, slowest axis first.
fn part_of(whole: &[u8], extents: &[usize], ranges: &[std::ops::Range<usize>]) -> Vec<u8> {
    let [extent, rest @ ..] = extents else { return whole.to_vec() };
    let row = whole.len() / extent;
    let positions = ranges[0].clone();
    positions.flat_map(|at| part_of(&whole[at * row..(at + 1) * row], rest, &ranges[1..])).collect()
}

fn open(path: &Path, channel: ChannelPlace, io: Io, cache_bytes: u64) -> Arc<dyn Volume> {
    let context = Context::new(OpenOptions { io, cache_bytes, ..OpenOptions::default() });
    volume(path, &Choice { inner: None, channel }, &context).unwrap()
}

/// A window as it lies in the file, read as it is stored.
fn read(volume: &Arc<dyn Volume>, place: ChannelPlace, ranges: &[std::ops::Range<usize>]) -> Vec<u8> {
    let mut spatial = ranges.to_vec();
    let channels = match place {
        ChannelPlace::First => spatial.remove(0),
        ChannelPlace::Last => spatial.pop().unwrap(),
        _ => 0..1,
    };
    let shape: Vec<usize> = spatial.iter().map(ExactSizeIterator::len).collect();
    let offset: Vec<i64> = spatial.iter().map(|range| range.start as i64).collect();
    let region = Region::new(&offset, Shape::new(&shape).unwrap()).unwrap();
    let entries: Vec<Entry> = channels
        .map(|number| match place {
            ChannelPlace::None => Entry::new("x", Arc::clone(volume)),
            _ => Entry::channel("x", Arc::clone(volume), number).unwrap(),
        })
        .collect();
    let dtype = volume.header().dtype;
    let mut bytes = vec![0x55; shape.iter().product::<usize>() * entries.len() * dtype.byte_len()];
    let mut reader = Reader::default();
    reader.read(&entries, &region, &Extraction::exact(dtype), &mut bytes).unwrap();
    if place != ChannelPlace::Last {
        return bytes;
    }
    // As the file has them, the channels of a voxel lie beside each other.
    let (size, channels) = (dtype.byte_len(), entries.len());
    let voxels = bytes.len() / size / channels;
    let order = (0..voxels).flat_map(|voxel| (0..channels).map(move |channel| channel * voxels + voxel));
    order.flat_map(|at| bytes[at * size..(at + 1) * size].to_vec()).collect()
}

fn check<T: Number>(layout: &Layout, place: ChannelPlace, windows: &[Vec<Range>]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5");
    let whole = write::<T>(&path, layout).unwrap();
    for (io, budget) in [(Io::Map, 0), (Io::Map, 1 << 20), (Io::Positional, 300), (Io::Positional, 1 << 20)] {
        let volume = open(&path, place, io, budget);
        assert!(format!("{volume:?}").starts_with("ChunkedArray"), "the library would read it");
        let all: Vec<_> = layout.extents.iter().map(|&extent| 0..extent).collect();
        assert_eq!(read(&volume, place, &all), whole, "{io:?} {budget}");
        for window in windows {
            let ranges: Vec<_> =
                layout.extents.iter().zip(window).map(|(&extent, part)| range(part, extent)).collect();
            let wanted = part_of(&whole, &layout.extents, &ranges);
            assert_eq!(read(&volume, place, &ranges), wanted, "{io:?} {budget} {ranges:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_window_of_any_layout_is_what_the_library_reads(
        layout in layout(),
        dtype in 0usize..11,
        place in select(vec![ChannelPlace::None, ChannelPlace::First, ChannelPlace::Last]),
        windows in prop::collection::vec(prop::collection::vec(any::<Range>(), 4), 3),
    ) {
        let place = if layout.extents.len() == 1 { ChannelPlace::None } else { place };
        let checks = [
            check::<u8>, check::<i8>, check::<u16>, check::<i16>, check::<u32>, check::<i32>, check::<u64>,
            check::<i64>, check::<half::f16>, check::<f32>, check::<f64>,
        ];
        checks[dtype](&layout, place, &windows);
    }
}

/// A dataset of what medical images look like: a body in front of nothing, in chunks that do not fit.
fn body(path: &Path) -> [usize; 4] {
    let extents = [30, 37, 41, 2];
    let file = hdf5::File::create(path).unwrap();
    let voxel = |place: [usize; 4]| {
        let [z, y, x, c] = place;
        let inside = z.abs_diff(15) + y.abs_diff(18) + x.abs_diff(20) < 30;
        if inside { (place.iter().sum::<usize>() * 31 % 97 + c) as f32 } else { 0.0 }
    };
    let values = ndarray::Array4::from_shape_fn(extents, |(z, y, x, c)| voxel([z, y, x, c]));
    let data = file.new_dataset_builder().with_data(&values).chunk((8, 8, 8, 2));
    data.shuffle().deflate(4).create("data").unwrap();
    extents
}

fn epoch(path: &Path, cache_bytes: u64, threads: usize) -> Vec<Vec<u8>> {
    let options = OpenOptions { cache_bytes, ..OpenOptions::default() };
    let context = Context::new(options);
    let mut dataset = Dataset::in_context(context);
    for id in ["a", "b"] {
        let choice = Choice { inner: None, channel: ChannelPlace::Last };
        let volume = volume(path, &choice, dataset.context()).unwrap();
        let mut subject = Subject::new(id);
        for channel in 0..2 {
            let entry = Entry::channel(format!("c{channel}"), Arc::clone(&volume), channel).unwrap();
            subject.add("images", entry, GeometryCheck::Strict).unwrap();
        }
        dataset.add_subject(subject).unwrap();
    }
    let sampler = Sampler::new(Arc::new(dataset), Arc::new(Uniform::new(&[12, 13, 14], 20))).unwrap();
    let epoch = EpochOptions { seed: 5, order: Order::Shuffled, batch_size: 4, ..EpochOptions::default() };
    let options = LoaderOptions { epoch, threads, ..LoaderOptions::default() };
    let loader = Loader::new(Arc::new(sampler), options).unwrap();
    loader.start(0).unwrap();
    let mut batches = Vec::new();
    loop {
        match loader.next(Some(Duration::from_secs(60))).unwrap() {
            Next::Batch(batch) => batches.push(batch.bytes(None).unwrap().to_vec()),
            Next::End => return batches,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn threads_and_cache_change_no_byte_of_an_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5");
    body(&path);
    let one = epoch(&path, 0, 1);
    assert_eq!(one.len(), 10);
    assert!(one.iter().flatten().any(|&byte| byte != 0));
    for budget in [0, 10_000, 60_000, 1 << 24] {
        for threads in [1, 2, 8] {
            assert!(epoch(&path, budget, threads) == one, "budget {budget}, {threads} threads");
        }
    }
}

#[test]
fn only_packed_chunks_are_counted_to_be_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5");
    let file = hdf5::File::create(&path).unwrap();
    let new = || file.new_dataset::<i16>().shape((8, 8, 8)).chunk((4, 4, 8));
    let half = ndarray::Array3::<i16>::from_elem((4, 8, 8), 3);
    let lower: Vec<SliceOrIndex> = vec![(0..4).into(), (0..8).into(), (0..8).into()];
    for (name, builder) in [("plain", new()), ("packed", new().deflate(4))] {
        builder.create(name).unwrap().write_slice(&half, Hyperslab::from(lower.clone())).unwrap();
    }
    drop(file);
    for (name, io, count) in [
        ("plain", Io::Map, 0),
        ("plain", Io::Positional, 2),
        ("packed", Io::Map, 2),
        ("packed", Io::Positional, 2),
    ] {
        let context = Context::new(OpenOptions { io, ..OpenOptions::default() });
        let choice = Choice { inner: Some(name.to_owned()), channel: ChannelPlace::None };
        let volume = volume(&path, &choice, &context).unwrap();
        let parts = volume.decoded_parts().unwrap();
        assert_eq!((parts.count, parts.byte_len), (count, count * 4 * 4 * 8 * 2), "{name} {io:?}");
        for part in 0..count {
            volume.decode_part(part, &mut voxfeed::store::Scratch::default()).unwrap();
        }
        assert_eq!(context.decoded.byte_len(), parts.byte_len);
        assert!(volume.decode_part(count, &mut voxfeed::store::Scratch::default()).is_err());
    }
}

/// Files of both ages of the format, with the indexes and filters that there are, and some chunks missing.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (number, latest) in [false, true].into_iter().enumerate() {
        for (kind, filters) in [
            vec![],
            vec![Filter::Shuffle, Filter::Deflate(4)],
            vec![Filter::Deflate(4), Filter::Fletcher32],
            vec![Filter::ScaleOffset(hdf5::filters::ScaleOffset::Integer(0))],
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.join(format!("{number}_{kind}.h5"));
            let layout = Layout {
                extents: vec![7, 9, 10],
                chunk: vec![3, 4, 5],
                grown: vec![0; 3],
                resizable: number == 1 && kind % 2 == 0,
                latest,
                filters,
                plain_edges: false,
                fill: Some(3),
                fill_time: FillTime::IfSet,
                alloc: AllocTime::Incr,
                parts: Vec::new(),
            };
            write::<i16>(&path, &layout).unwrap();
            let file = hdf5::File::open_rw(&path).unwrap();
            let values =
                ndarray::Array3::from_shape_fn((6, 9, 10), |(z, y, x)| i16::number(z * 90 + y * 10 + x));
            let slab: Vec<SliceOrIndex> = vec![(0..6).into(), (0..9).into(), (0..10).into()];
            file.dataset("data").unwrap().write_slice(&values, Hyperslab::from(slab)).unwrap();
            paths.push(path);
        }
    }
    paths
}

#[test]
fn flipped_and_missing_bytes_are_an_error_or_other_voxels_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |most: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % most as u64) as usize
    };
    let (mut read, mut refused) = (0, 0);
    for path in files(folder.path()) {
        let good = std::fs::read(&path).unwrap();
        for round in 0..150 {
            let mut bytes = good.clone();
            for _ in 0..1 + random(4) {
                let at = random(bytes.len());
                bytes[at] = if random(2) == 0 { random(256) as u8 } else { bytes[at] ^ (1 << random(8)) };
            }
            if round % 10 == 0 {
                bytes.truncate(random(bytes.len()));
            }
            let damaged = folder.path().join(format!("damaged_{round}.h5"));
            std::fs::write(&damaged, &bytes).unwrap();
            let cache_bytes = if round % 2 == 0 { 0 } else { 1 << 20 };
            let context = Context::new(OpenOptions { cache_bytes, ..OpenOptions::default() });
            let choice = Choice { inner: Some("data".to_owned()), channel: ChannelPlace::None };
            let outcome = volume(&damaged, &choice, &context).and_then(|volume| {
                let header = volume.header().clone();
                let shape = header.shape;
                if shape.voxels().is_ok_and(|voxels| voxels > 1 << 20) {
                    return Ok(());
                }
                let mut bytes = vec![0; header.byte_len()?];
                let how = Extraction::exact(header.dtype);
                let entry = Entry::new("x", volume);
                Reader::default().read(&[entry], &Region::whole(shape), &how, &mut bytes)
            });
            match outcome {
                Ok(()) => read += 1,
                Err(error) => {
                    refused += 1;
                    assert!(error.message().contains("damaged_"), "{error}");
                    assert!(!error.message().contains('\n'), "{error}");
                }
            }
            std::fs::remove_file(&damaged).unwrap();
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}

#[test]
fn a_damaged_chunk_is_named_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5");
    let file = hdf5::File::create(&path).unwrap();
    let values = ndarray::Array3::from_shape_fn((8, 8, 8), |(z, y, x)| (z * 64 + y * 8 + x) as i32);
    let data =
        file.new_dataset_builder().with_data(&values).chunk((4, 4, 4)).deflate(4).create("data").unwrap();
    let chunk = (0..8).map(|number| data.chunk_info(number).unwrap()).find(|chunk| chunk.offset == [4, 0, 4]);
    let chunk = chunk.unwrap();
    drop((data, file));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[chunk.addr as usize + 9..(chunk.addr + chunk.size) as usize - 4].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    for budget in [0, 1 << 20] {
        let volume = open(&path, ChannelPlace::None, Io::Auto, budget);
        let how = Extraction::exact(volume.header().dtype);
        let entry = [Entry::new("x", volume)];
        let read = |offset: &[i64], len: usize| {
            let region = Region::new(offset, Shape::new(&[len; 3]).unwrap()).unwrap();
            Reader::default().read(&entry, &region, &how, &mut vec![0; 4 * len * len * len])
        };
        for _ in 0..2 {
            let error = read(&[0, 0, 0], 8).unwrap_err();
            assert_eq!(error.kind(), voxfeed::error::ErrorKind::Format);
            for part in ["a.h5", "\"/data\": chunk (1, 0, 1)", "deflated data"] {
                assert!(error.message().contains(part), "{error}");
            }
            read(&[0, 0, 0], 4).unwrap();
        }
    }
}
