//! Slices that lie side by side are read together: what they hold, and what is told of those that fail, is as if each
//! had been read alone.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use voxfeed::error::{Error, Result};
use voxfeed::feed::{CategoryOptions, Loader, LoaderOptions, Next, Ragged, ThinAxis};
use voxfeed::plan::{EpochOptions, LastBatch, Order, Sampler, Slices};
use voxfeed::store::{
    ArrayLayout, ChannelPlace, Context, Dataset, Entry, Header, MemoryArray, OpenOptions, Origin, Scratch,
    Subject, TakeBlock, Volume, Window,
};
use voxfeed::transform::Chain;
use voxfeed::voxel::{Affine, DType, Orientation, Padding, Region, Shape};

/// An array that gives its windows in pieces, counts how often it is asked, and fails where a slice is damaged.
#[derive(Debug)]
struct Pieces {
    array: MemoryArray,
    piece: [usize; 3],
    damaged: Option<i64>,
    asked: Arc<AtomicU64>,
}

impl Volume for Pieces {
    fn header(&self) -> &Header {
        self.array.header()
    }

    fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let axes: Vec<(usize, usize)> =
            window.region.axes().map(|(start, len)| (start as usize, start as usize + len)).collect();
        if self.damaged.is_some_and(|slice| (axes[0].0..axes[0].1).contains(&(slice as usize))) {
            return Err(Error::format("damaged"));
        }
        let cut = |axis: usize| {
            let ((begin, end), piece) = (axes[axis], self.piece[axis]);
            (begin / piece..end.div_ceil(piece))
                .map(move |k| (begin.max(k * piece), end.min((k + 1) * piece)))
        };
        for z in cut(0) {
            for y in cut(1) {
                for x in cut(2) {
                    let starts = [z.0 as i64, y.0 as i64, x.0 as i64];
                    let shape = Shape::new(&[z.1 - z.0, y.1 - y.0, x.1 - x.0]).unwrap();
                    let region = Region::new(&starts, shape).unwrap();
                    self.array.blocks(&Window { region, ..window.clone() }, scratch, take)?;
                }
            }
        }
        Ok(())
    }
}

fn volume(
    extents: [usize; 3],
    (channels, dtype, place): (usize, DType, ChannelPlace),
    (salt, damaged, asked): (usize, Option<i64>, &Arc<AtomicU64>),
) -> Arc<dyn Volume> {
    let shape = Shape::new(&extents).unwrap();
    let number = |k: usize| (k * 7 + salt * 13) % 100;
    let voxels = 0..channels * shape.voxels().unwrap();
    let bytes = match dtype {
        DType::U8 => voxels.map(|k| (number(k) % 5) as u8).collect(),
        DType::I16 => voxels.flat_map(|k| (number(k) as i16 - 50).to_ne_bytes()).collect(),
        _ => voxels.flat_map(|k| (number(k) as f32 * 0.5).to_ne_bytes()).collect(),
    };
    let affine = Affine::new([[0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]);
    let header =
        Header { shape, channels, dtype, scale: None, affine: Some(affine), origin: Origin::default() };
    let layout = ArrayLayout::dense(&shape, channels, dtype.byte_len(), place);
    let array = MemoryArray::new(header, layout, bytes).unwrap();
    Arc::new(Pieces { array, piece: [2, 3, 2], damaged, asked: Arc::clone(asked) })
}

/// Subjects of two image arrays, one of them with two channels, and a label.
fn dataset(
    shapes: &[[usize; 3]],
    orient: Option<&str>,
    damaged: Option<(usize, i64)>,
) -> (Arc<Dataset>, Arc<AtomicU64>) {
    let orient = orient.map(|name| Orientation::parse(name).unwrap());
    let context = Context::new(OpenOptions { orient, ..OpenOptions::default() });
    let asked = Arc::default();
    let mut dataset = Dataset::in_context(context.clone());
    for (number, &extents) in shapes.iter().enumerate() {
        let mut subject = Subject::new(format!("s{number}"));
        let (pair, one) = ((2, DType::F32, ChannelPlace::Last), (1, DType::I16, ChannelPlace::None));
        let damaged = damaged.and_then(|(subject, slice)| (subject == number).then_some(slice));
        let pair = volume(extents, pair, (number, None, &asked));
        context.add(&mut subject, "images", Entry::new("pair", pair)).unwrap();
        let one = volume(extents, one, (number + 5, damaged, &asked));
        context.add(&mut subject, "images", Entry::new("one", one)).unwrap();
        let label = volume(extents, (1, DType::U8, ChannelPlace::None), (number + 9, None, &asked));
        context.add(&mut subject, "labels", Entry::new("label", label)).unwrap();
        dataset.add_subject(subject).unwrap();
    }
    (Arc::new(dataset), asked)
}

fn loader(dataset: &Arc<Dataset>, axes: &[usize], options: LoaderOptions) -> Loader {
    let rule = Arc::new(Slices::new(axes).unwrap());
    let loader = Loader::new(Arc::new(Sampler::new(Arc::clone(dataset), rule).unwrap()), options).unwrap();
    loader.start(0).unwrap();
    loader
}

fn options(batch_size: usize, threads: usize) -> LoaderOptions {
    let epoch = EpochOptions { batch_size, ..EpochOptions::default() };
    LoaderOptions { epoch, threads, ragged: Ragged::Pad, ..LoaderOptions::default() }
}

/// The bytes of every category, and the places of all samples.
fn all(loader: &Loader) -> ([Vec<u8>; 2], Vec<String>) {
    let (mut bytes, mut places) = ([Vec::new(), Vec::new()], Vec::new());
    while let Next::Batch(batch) = loader.next(None).unwrap() {
        for (name, bytes) in ["images", "labels"].into_iter().zip(&mut bytes) {
            bytes.extend_from_slice(&batch.bytes(Some(name)).unwrap());
        }
        places.extend(batch.samples().iter().map(|sample| {
            format!("{} {} {} {}", sample.subject, sample.region, sample.inside, sample.position)
        }));
    }
    (bytes, places)
}

const CHAINS: [&str; 4] = [
    "[]",
    r#"[{"name": "cast", "category": "images", "dtype": "f16"}]"#,
    r#"[{"name": "cast", "category": "images", "dtype": "f32"},
        {"name": "zscore", "category": "images", "statistics": "subject"}]"#,
    r#"[{"name": "cast", "category": "images", "dtype": "f32"},
        {"name": "window", "category": "images", "low": -20, "high": 30, "to": [0, 255]},
        {"name": "cast", "category": "images", "dtype": "i16", "fit": "saturate"},
        {"name": "cast", "category": "images", "dtype": "u8", "fit": "saturate"},
        {"name": "lookup", "category": "labels", "map": {"0": 3, "1": 7}, "default": "keep"}]"#,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_read_together_is_what_is_read_alone(
        shapes in prop::collection::vec((1usize..12, 1usize..6, 1usize..6), 1..4),
        same in any::<bool>(),
        axes in prop::sample::select(vec![vec![0], vec![1], vec![2, 0], vec![0, 1, 2]]),
        orient in prop::sample::select(vec![None, Some("RAS"), Some("LPS"), Some("ASR"), Some("IPL")]),
        (batch_size, threads, prefetch) in (2usize..20, 1usize..4, 1usize..5),
        (chain, padding, drop) in (0..CHAINS.len(), 0usize..4, any::<bool>()),
    ) {
        let plane = (shapes[0].1, shapes[0].2);
        let shapes: Vec<[usize; 3]> = shapes
            .into_iter()
            .map(|(z, y, x)| if same { [z, plane.0, plane.1] } else { [z, y, x] })
            .collect();
        let padding = [Padding::Zero, Padding::Constant, Padding::Reflect, Padding::Edge][padding];
        let made = |options: LoaderOptions| {
            let images = CategoryOptions { padding, pad_value: 4.0, ..CategoryOptions::named("images") };
            let categories = vec![images, CategoryOptions { padding, ..CategoryOptions::named("labels") }];
            LoaderOptions { chain: Arc::new(Chain::parse(CHAINS[chain]).unwrap()), categories, ..options }
        };
        let (dataset, _) = dataset(&shapes, orient, None);
        let alone = all(&loader(&dataset, &axes, made(options(1, 1))));
        let mut together = made(options(batch_size, threads));
        together.prefetch = prefetch;
        if drop {
            together.epoch.last_batch = LastBatch::Pad;
        }
        let (bytes, places) = all(&loader(&dataset, &axes, together));
        let samples = alone.1.len();
        prop_assert_eq!(&places[..samples], &alone.1[..]);
        for (bytes, alone) in bytes.iter().zip(&alone.0) {
            let row = alone.len() / samples;
            for (number, (bytes, alone)) in bytes.chunks(row).zip(alone.chunks(row)).enumerate() {
                prop_assert!(bytes == alone, "sample {}", number);
            }
        }
    }
}

#[test]
fn neighbours_are_read_at_once_and_others_one_by_one() {
    let read = |order, world_size, batch_size| {
        let (dataset, asked) = dataset(&[[40, 4, 4], [24, 4, 4]], None, None);
        let mut options = options(batch_size, 1);
        (options.epoch.order, options.epoch.world_size) = (order, world_size);
        let samples = all(&loader(&dataset, &[0], options)).1.len() as u64;
        (samples, asked.load(Ordering::Relaxed))
    };
    // Three arrays a subject; three slots of 8 rows on one thread give 8 rows at once.
    assert_eq!(read(Order::Sequential, 1, 8), (64, 3 * 64 / 8));
    assert_eq!(read(Order::Sequential, 1, 1), (64, 3 * 64));
    assert_eq!(read(Order::Shuffled, 1, 8), (64, 3 * 64));
    assert_eq!(read(Order::Sequential, 2, 8), (32, 3 * 32));
}

#[test]
fn a_damaged_slice_fails_alone_in_its_batch() {
    for threads in [1, 3] {
        let shapes = [[9, 3, 4], [8, 3, 4]];
        let (whole, _) = dataset(&shapes, None, None);
        let (damaged, _) = dataset(&shapes, None, Some((1, 3)));
        // Slice 3 of the second subject is sample 12, in the batch of samples 8 to 15.
        let (whole, damaged) =
            (loader(&whole, &[0], options(8, threads)), loader(&damaged, &[0], options(8, threads)));
        for batch in 0..3 {
            let Next::Batch(expected) = whole.next(None).unwrap() else {
                panic!("an epoch of three batches")
            };
            match damaged.next(None) {
                Ok(Next::Batch(seen)) if batch != 1 => {
                    let bytes = |batch: &voxfeed::feed::Batch| batch.bytes(Some("images")).unwrap().to_vec();
                    assert_eq!(bytes(&seen), bytes(&expected));
                }
                Err(error) if batch == 1 => {
                    let text = error.to_string();
                    assert!(
                        text.contains("sample 12 of subject \"s1\"") && text.contains("[3:4, 0:3, 0:4]"),
                        "{text}"
                    );
                }
                other => panic!("batch {batch}: {other:?}"),
            }
        }
    }
}

#[test]
fn slices_of_several_axes_that_keep_theirs_are_not_padded() {
    let (dataset, _) = dataset(&[[4, 5, 6]], None, None);
    let made = |axes: &[usize]| {
        let sampler = Sampler::new(Arc::clone(&dataset), Arc::new(Slices::new(axes).unwrap())).unwrap();
        Loader::new(Arc::new(sampler), LoaderOptions { thin_axis: ThinAxis::Keep, ..options(4, 1) })
    };
    assert!(made(&[0]).is_ok() && made(&[2]).is_ok());
    let error = made(&[0, 1]).unwrap_err();
    assert!(error.message().contains("thin_axis = drop"), "{error}");
}
