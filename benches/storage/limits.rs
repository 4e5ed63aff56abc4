//! What the machine can do with the same voxels and nothing around them.
//!
//! Each limit runs on as many threads as ours has, reads the mapped .npy files, and writes where a loader's
//! batches would lie: three of them in huge pages, shared among the threads.

use std::time::Instant;

use voxfeed::sys::AlignedBuffer;

use crate::arguments::Options;
use crate::cases::{Case, State, Task};
use crate::data::{Data, Place};
use crate::decode;
use crate::rows::{Cached, Store, Streaming, add_rows, gather_rows, widen};

/// What one thread reaches: its number, and for how many seconds.
type OnThread = fn(&Options, &Data, usize, f64) -> f64;

pub(crate) type Measure<'a> = Box<dyn Fn(f64) -> f64 + 'a>;

/// The limit of a case, by name; nothing where it is a codec that is not at hand here.
pub(crate) fn of<'a>(
    options: &'a Options,
    data: &'a Data,
    case: &'a Case,
) -> Option<(&'static str, Measure<'a>)> {
    match case.state {
        State::Cold => return decode::of(options, data, case),
        State::Half => return half(options, data, case),
        State::Plain | State::Device | State::Cached => {}
    }
    let (name, run): (_, OnThread) = match (case.task, case.state) {
        (Task::Patches, State::Device) => ("streaming gather", gather::<Streaming>),
        (Task::Patches, _) => ("gather", gather::<Cached>),
        (Task::Slices, _) => ("copy", copy),
        (Task::Assembly, _) => ("gather + add", add),
    };
    Some((name, Box::new(move |seconds| on_threads(options, |number| run(options, data, number, seconds)))))
}

/// Every other sample decoded, the rest copied.
fn half<'a>(options: &'a Options, data: &'a Data, case: &'a Case) -> Option<(&'static str, Measure<'a>)> {
    let (_, inflate) = decode::of(options, data, case)?;
    let copy = |seconds| on_threads(options, |number| copy(options, data, number, seconds));
    let both = move |seconds: f64| 2.0 / (1.0 / inflate(seconds / 2.0) + 1.0 / copy(seconds / 2.0));
    Some(("half inflate + copy", Box::new(both)))
}

/// The sum of what some threads reach at once.
pub(crate) fn on_threads(options: &Options, run: impl Fn(usize) -> f64 + Sync) -> f64 {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads)
            .map(|number| {
                scope.spawn({
                    let run = &run;
                    move || run(number)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

/// Numbers that look random, another row of them for each thread.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(thread: usize) -> Self {
        Self(0x9E37_79B9_7F4A_7C15u64.wrapping_mul(thread as u64 + 1))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    /// A patch that lies inside.
    pub(crate) fn place(&mut self, data: &Data, extents: [usize; 3]) -> Place {
        let subject = self.below(data.subjects);
        let corner = [0, 1, 2].map(|axis| self.below(data.volume[axis] - extents[axis] + 1));
        Place { subject, corner, extents }
    }
}

/// Runs steps, each of so many samples, until the time is up: samples per second.
pub(crate) fn timed(seconds: f64, warm: usize, mut step: impl FnMut() -> usize) -> f64 {
    (0..warm).for_each(|_| _ = step());
    let (mut samples, begun) = (0, Instant::now());
    while begun.elapsed().as_secs_f64() < seconds {
        samples += step();
    }
    samples as f64 / begun.elapsed().as_secs_f64()
}

/// One thread's share of the batches' memory, in rows of samples.
struct Rows {
    image: AlignedBuffer,
    label: AlignedBuffer,
    values: usize,
    voxels: usize,
    next: usize,
    count: usize,
}

impl Rows {
    fn new(options: &Options, data: &Data, extents: [usize; 3]) -> Self {
        let voxels: usize = extents.iter().product();
        let (values, count) = (voxels * data.channels, (3 * options.batch / options.threads).max(1));
        let buffer = |len| AlignedBuffer::zeroed(len).unwrap();
        Self {
            image: buffer(count * values * 4),
            label: buffer(count * voxels),
            values,
            voxels,
            next: 0,
            count,
        }
    }

    fn next(&mut self) -> (&mut [f32], &mut [u8]) {
        self.next = (self.next + 1) % self.count;
        let image = bytemuck::cast_slice_mut(&mut self.image);
        let (values, voxels) = (self.next * self.values, self.next * self.voxels);
        (&mut image[values..][..self.values], &mut self.label[voxels..][..self.voxels])
    }
}

/// Copies the rows of random patches.
fn gather<S: Store>(options: &Options, data: &Data, thread: usize, seconds: f64) -> f64 {
    let (mut rows, mut random) = (Rows::new(options, data, options.patch), Random::new(thread));
    timed(seconds, 2 * rows.count, || {
        let place = random.place(data, options.patch);
        let (image, label) = rows.next();
        gather_image::<S>(data, &place, image);
        gather_rows::<1, u8, S>(data.label(place.subject), data.volume, &place, label);
        1
    })
}

/// Copies all slices, every thread its own subjects in order.
fn copy(options: &Options, data: &Data, thread: usize, seconds: f64) -> f64 {
    let extents = options.extents(Task::Slices);
    let (mut rows, mut slice) = (Rows::new(options, data, extents), thread * data.volume[0]);
    timed(seconds, 2 * rows.count, || {
        let place = Place {
            subject: slice / data.volume[0] % data.subjects,
            corner: [slice % data.volume[0], 0, 0],
            extents,
        };
        let (image, label) = rows.next();
        let plane = extents[1] * extents[2];
        for (channel, into) in image.chunks_exact_mut(plane).enumerate() {
            let from = channel * data.voxels() + place.corner[0] * plane;
            let bytes = data.voxel_bytes();
            widen(bytes, &data.image(place.subject)[from * bytes..][..plane * bytes], into);
        }
        label.copy_from_slice(&data.label(place.subject)[place.corner[0] * plane..][..plane]);
        slice += 1;
        if slice % data.volume[0] == 0 {
            slice += (options.threads - 1) * data.volume[0];
        }
        1
    })
}

/// Gathers overlapping patches and adds their rows up, every thread its own subjects.
fn add(options: &Options, data: &Data, thread: usize, seconds: f64) -> f64 {
    let corners = grid(options, data);
    let values = options.patch.iter().product::<usize>() * data.channels;
    let mut patch = AlignedBuffer::zeroed(values * 4).unwrap();
    let mut sums = AlignedBuffer::zeroed(data.channels * data.voxels() * 4).unwrap();
    let mut number = thread;
    timed(seconds, 1, || {
        let (sums, patch): (&mut [f32], &mut [f32]) =
            (bytemuck::cast_slice_mut(&mut sums), bytemuck::cast_slice_mut(&mut patch));
        sums.fill(0.0);
        for &corner in &corners {
            let place = Place { subject: number % data.subjects, corner, extents: options.patch };
            gather_image::<Cached>(data, &place, patch);
            add_rows(data.volume, &place, patch, sums);
        }
        number += options.threads;
        corners.len()
    })
}

/// The corners of T3: half a patch apart, the last ones moved inside.
fn grid(options: &Options, data: &Data) -> Vec<[usize; 3]> {
    let axis = |axis: usize| {
        let (last, step) = (data.volume[axis] - options.patch[axis], (options.patch[axis] / 2).max(1));
        let mut starts: Vec<usize> = (0..=last).step_by(step).collect();
        if last % step != 0 {
            starts.push(last);
        }
        starts
    };
    let [depths, heights, widths] = [axis(0), axis(1), axis(2)];
    let mut corners = Vec::new();
    for &z in &depths {
        for &y in &heights {
            corners.extend(widths.iter().map(|&x| [z, y, x]));
        }
    }
    corners
}

fn gather_image<S: Store>(data: &Data, place: &Place, into: &mut [f32]) {
    let (bytes, image) = (data.voxel_bytes(), data.image(place.subject));
    let patch = into.len() / data.channels;
    for (channel, into) in into.chunks_exact_mut(patch).enumerate() {
        let volume = &image[channel * data.voxels() * bytes..];
        match bytes {
            1 => gather_rows::<1, f32, S>(volume, data.volume, place, into),
            2 => gather_rows::<2, f32, S>(volume, data.volume, place, into),
            _ => gather_rows::<4, f32, S>(volume, data.volume, place, into),
        }
    }
}
