//! Each kernel that moves voxels beside the plain loop or the memcpy that it stands for, in the same run.
//!
//! A figure is the shortest of alternating rounds; bytes are those of the destination. "ratio" is the time of
//! the reference divided by ours, so more than 1 is faster than the reference. Results are checked first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use voxfeed::sys::{AlignedBuffer, Fit, Scale, Stored, Stores, Target, gather, unshuffle};
use voxfeed::voxel::{DType, Run};

const ROUNDS: usize = 61;
/// What one round of either side takes about: less than the time after which a busy machine changes over.
const ROUND_NS: f64 = 2e5;

/// One side of a comparison; the work gets the number of its run, which grows from round to round.
struct Side<'a> {
    work: &'a mut dyn FnMut(usize),
    done: usize,
    runs: usize,
    best: f64,
}

impl<'a> Side<'a> {
    fn new(work: &'a mut dyn FnMut(usize)) -> Self {
        let mut side = Self { work, done: 0, runs: 1, best: f64::MAX };
        side.round();
        for _ in 0..2 {
            side.best = f64::MAX;
            side.round();
            side.runs = ((ROUND_NS / side.best) as usize).max(1);
        }
        side
    }

    fn round(&mut self) {
        let clock = Instant::now();
        (self.done..self.done + self.runs).for_each(&mut *self.work);
        self.best = self.best.min(clock.elapsed().as_secs_f64() * 1e9 / self.runs as f64);
        self.done += self.runs;
    }
}

/// Runs both sides in turn and prints a line.
fn compare(name: &str, bytes: usize, reference: &mut dyn FnMut(usize), ours: &mut dyn FnMut(usize)) {
    let (mut reference, mut ours) = (Side::new(reference), Side::new(ours));
    for _ in 0..ROUNDS {
        reference.round();
        ours.round();
    }
    let (plain, own) = (reference.best, ours.best);
    let [before, after] = [plain, own].map(|ns| bytes as f64 / ns);
    println!(
        "{name:<46} {plain:>10.0} ns {before:>6.1} GB/s | {own:>10.0} ns {after:>6.1} GB/s | {:>5.2}",
        plain / own
    );
}

fn whole(len: usize) -> [Run; 1] {
    [Run { output: 0, len, source: 0, step: 1 }]
}

/// A box of a volume, and its place in a patch.
struct Crop<'a> {
    stored: Stored<'a>,
    start: [usize; 3],
    len: [usize; 3],
    patch: [usize; 3],
}

impl Crop<'_> {
    fn read(&self, dtype: DType, bytes: &mut [u8], stores: Stores) {
        let runs = [0, 1, 2].map(|k| {
            let (len, source) = (self.len[k], self.start[k]);
            [Run { output: 0, len, source, step: 1 }]
        });
        let [z, y, x] = runs.each_ref().map(<[Run; 1]>::as_slice);
        let mut target = Target { bytes, dtype, fit: Fit::Saturate, stores };
        let extents = [1, self.patch[0], self.patch[1], self.patch[2]];
        gather(&self.stored, &[&whole(1), z, y, x], &extents, &mut target).unwrap();
    }

    /// The same by a loop of memcpys; the dtype stays.
    fn copy(&self, bytes: &mut [u8]) {
        let (size, strides) = (self.stored.dtype.byte_len(), self.stored.strides);
        let row = self.len[2] * size;
        for z in 0..self.len[0] {
            for y in 0..self.len[1] {
                let place = [z + self.start[0], y + self.start[1], self.start[2]];
                let from: usize = (0..3).map(|k| place[k] * strides[k + 1] as usize).sum();
                let into = (z * self.patch[1] + y) * self.patch[2] * size;
                bytes[into..into + row].copy_from_slice(&self.stored.bytes[from..from + row]);
            }
        }
    }
}

fn view<'a>(bytes: &'a [u8], dtype: DType, strides: &'a [isize]) -> Stored<'a> {
    Stored { bytes, first: 0, strides, dtype, swapped: false, shuffled: None, scale: None }
}

fn filled(len: usize) -> AlignedBuffer {
    let mut buffer = AlignedBuffer::zeroed(len).unwrap();
    // Small floats and small integers alike, so that every conversion fits.
    buffer
        .iter_mut()
        .enumerate()
        .for_each(|(k, byte)| *byte = if k % 4 == 3 { 0x3f } else { k as u8 & 0x3f });
    buffer
}

fn dense(shape: [usize; 3], size: usize) -> [isize; 4] {
    let [z, y, x] = shape.map(|extent| extent as isize);
    let size = size as isize;
    [z * y * x * size, y * x * size, x * size, size]
}

/// Boxes of chunks that are in the cache, as a patch takes up to 27 of them.
fn boxes(slots: &mut AlignedBuffer) {
    let chunk = filled(32 * 32 * 32 * 4);
    for (dtype, into) in [
        (DType::U8, DType::U8),
        (DType::I16, DType::I16),
        (DType::F32, DType::F32),
        (DType::I16, DType::F32),
        (DType::U8, DType::F32),
    ] {
        for len in [[32, 32, 32], [32, 32, 17], [1, 1, 4]] {
            let size = dtype.byte_len();
            let strides = dense([32; 3], size);
            let stored = view(&chunk[..32 * 32 * 32 * size], dtype, &strides);
            let crop = Crop { stored, start: [0; 3], len, patch: [64; 3] };
            let patch = 64 * 64 * 64 * into.byte_len();
            let mut copied = vec![0u8; patch];
            let bytes = len.iter().product::<usize>() * into.byte_len();
            let name = format!("box {len:?} {dtype} to {into}, by {dtype} rows");
            compare(&name, bytes, &mut |_| crop.copy(black_box(&mut copied)), &mut |_| {
                crop.read(into, black_box(&mut slots[..patch]), Stores::Cached);
            });
            if dtype == into {
                crop.read(into, &mut slots[..patch], Stores::Cached);
                let mut fresh = vec![0u8; patch];
                let mut other = vec![0u8; patch];
                crop.copy(&mut fresh);
                crop.read(into, &mut other, Stores::Cached);
                assert!(fresh == other);
            }
        }
    }
}

/// Patches of volumes, into slots that are more than the caches hold.
fn patches(slots: &mut AlignedBuffer) {
    let scale = Some(Scale { slope: 0.5, intercept: -100.0 });
    let mut copied = AlignedBuffer::zeroed(slots.len()).unwrap();
    for (label, shape) in [("small", [128, 160, 160]), ("512^3", [512, 512, 512])] {
        let volume = filled(shape.iter().product::<usize>() * 4);
        for (dtype, into, scale) in [
            (DType::F32, DType::F32, None),
            (DType::U8, DType::U8, None),
            (DType::I16, DType::F32, None),
            (DType::I16, DType::F32, scale),
            (DType::U8, DType::F32, None),
        ] {
            for stores in [Stores::Cached, Stores::Streaming] {
                let strides = dense(shape, dtype.byte_len());
                let mut stored = view(&volume, dtype, &strides);
                let place = |run: usize| {
                    let free = shape.map(|extent| extent - 64 + 1);
                    let mixed = run.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    [(mixed >> 40) % free[0], (mixed >> 20) % free[1], (mixed >> 8) % free[2]]
                };
                let part = 64 * 64 * 64 * into.byte_len();
                let count = slots.len() / part;
                let copies = 64 * 64 * 64 * dtype.byte_len();
                let plain = stored;
                stored.scale = scale;
                let name = format!(
                    "64^3 of {label} {dtype} to {into}{}, {stores:?}",
                    if scale.is_some() { " scaled" } else { "" }
                );
                let crop = |stored, run| Crop { stored, start: place(run), len: [64; 3], patch: [64; 3] };
                compare(
                    &name,
                    part,
                    &mut |run| {
                        let slot = run % count * copies;
                        crop(plain, run).copy(&mut copied[slot..slot + copies]);
                    },
                    &mut |run| {
                        let slot = run % count * part;
                        crop(stored, run).read(into, &mut slots[slot..slot + part], stores);
                    },
                );
            }
        }
    }
}

/// Whole slices: one long row each.
fn long_rows(slots: &mut AlignedBuffer) {
    let volume = filled(64 << 20);
    let mut copied = AlignedBuffer::zeroed(slots.len()).unwrap();
    for len in [25_600, 102_400, 1 << 20] {
        for stores in [Stores::Cached, Stores::Streaming] {
            let strides = [1, 1];
            let count = (slots.len() / len).min(volume.len() / len);
            compare(
                &format!("row of {len}, {stores:?}"),
                len,
                &mut |run| {
                    let at = run % count * len;
                    copied[at..at + len].copy_from_slice(&volume[at..at + len]);
                },
                &mut |run| {
                    let at = run % count * len;
                    let stored = Stored { first: at, ..view(&volume, DType::U8, &strides) };
                    let bytes = &mut slots[at..at + len];
                    let mut target = Target { bytes, dtype: DType::U8, fit: Fit::Exact, stores };
                    gather(&stored, &[&whole(1), &whole(len)], &[1, len], &mut target).unwrap();
                },
            );
            // Every case begins with the first row, and nothing else is written there.
            assert!(slots[..len] == volume[..len]);
        }
    }
}

/// Conversions of rows that stay in the cache, beside memcpys of as many bytes as are written.
fn conversions() {
    const COUNT: usize = 16 << 10;
    let source = filled(COUNT * 8);
    let mut into = AlignedBuffer::zeroed(COUNT * 8).unwrap();
    let scale = Some(Scale { slope: 0.5, intercept: -100.0 });
    use DType::{Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16};
    let pairs = [
        (U8, F32),
        (I8, F32),
        (I16, F32),
        (U16, F32),
        (I32, F32),
        (F16, F32),
        (F64, F32),
        (Bool, F32),
        (U8, F16),
        (I16, F16),
        (F32, F16),
        (U8, I64),
        (U16, I64),
        (I16, I64),
        (U8, Bool),
        (F32, F32),
        (F32, U8),
        (F32, I16),
        (I16, U8),
        (I64, U8),
        (F32, F64),
        (U16, U8),
    ];
    for (from, to) in pairs {
        for (kind, swapped, scale) in [("", false, None), (" swapped", true, None), (" scaled", false, scale)]
        {
            if (swapped && from.byte_len() == 1) || (scale.is_some() && !to.is_float()) {
                continue;
            }
            let strides = [from.byte_len() as isize];
            let bytes = &source[..COUNT * from.byte_len()];
            let stored = Stored { swapped, scale, ..view(bytes, from, &strides) };
            let len = COUNT * to.byte_len();
            let mut copied = vec![0u8; len];
            compare(
                &format!("row {from} to {to}{kind}, by memcpy"),
                len,
                &mut |_| black_box(&mut copied).copy_from_slice(&black_box(&source)[..len]),
                &mut |_| {
                    let bytes = black_box(&mut into[..len]);
                    let (fit, stores) = (Fit::Saturate, Stores::Cached);
                    let mut target = Target { bytes, dtype: to, fit, stores };
                    gather(&stored, &[&whole(COUNT)], &[COUNT], &mut target).unwrap();
                },
            );
        }
    }
}

/// Chunks as the shuffle filter leaves them, taken as a whole, beside the loop that says what it is.
fn shuffled(slots: &mut AlignedBuffer) {
    const SIDE: usize = 32;
    let count = SIDE * SIDE * SIDE;
    let source = filled(count * 8);
    for size in [2, 4, 8, 3] {
        let bytes = &source[..count * size];
        let (mut plain, mut ours) = (vec![0u8; count * size], vec![0u8; count * size]);
        let mut by_loop = |_: usize| {
            for (k, voxel) in black_box(&mut plain).chunks_exact_mut(size).enumerate() {
                for (p, byte) in voxel.iter_mut().enumerate() {
                    *byte = bytes[p * count + k];
                }
            }
        };
        let mut by_kernel = |_: usize| unshuffle(bytes, size, black_box(&mut ours)).unwrap();
        compare(&format!("unshuffle {size}, by a loop"), bytes.len(), &mut by_loop, &mut by_kernel);
        let mut copied = vec![0u8; count * size];
        let mut by_memcpy = |_: usize| black_box(&mut copied).copy_from_slice(black_box(bytes));
        compare(&format!("unshuffle {size}, by memcpy"), bytes.len(), &mut by_memcpy, &mut by_kernel);
        assert!(plain == ours);
    }
    for (dtype, into) in [
        (DType::I16, DType::I16),
        (DType::F32, DType::F32),
        (DType::F64, DType::F64),
        (DType::I16, DType::F32),
    ] {
        let size = dtype.byte_len();
        let bytes = &source[..count * size];
        let strides = dense([SIDE; 3], 1);
        let stored = Stored { shuffled: Some(count), ..view(bytes, dtype, &strides) };
        let patch = 64 * 64 * 64 * into.byte_len();
        for len in [[32, 32, 32], [32, 32, 17]] {
            let crop = Crop { stored, start: [0; 3], len, patch: [64; 3] };
            let mut plain = vec![0u8; count * size];
            compare(
                &format!("shuffled box {len:?} {dtype} to {into}"),
                len.iter().product::<usize>() * into.byte_len(),
                &mut |_| {
                    for (k, voxel) in black_box(&mut plain).chunks_exact_mut(size).enumerate() {
                        for (p, byte) in voxel.iter_mut().enumerate() {
                            *byte = bytes[p * count + k];
                        }
                    }
                },
                &mut |_| crop.read(into, black_box(&mut slots[..patch]), Stores::Cached),
            );
        }
    }
}

fn main() {
    let mut slots = AlignedBuffer::zeroed(48 << 20).unwrap();
    println!("{:<46} {:>25}   {:>25}   ratio", "kernel", "reference", "voxfeed");
    let only = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if wanted("conversions") {
        conversions();
    }
    if wanted("boxes") {
        boxes(&mut slots);
    }
    if wanted("shuffled") {
        shuffled(&mut slots);
    }
    if wanted("rows") {
        long_rows(&mut slots);
    }
    if wanted("patches") {
        patches(&mut slots);
    }
}
