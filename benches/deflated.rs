//! How fast deflated volumes are read, beside bare libdeflate on the same bytes in the same run.
//!
//! A volume of 256 x 512 x 512 i16 (134 MB, smooth with noise and empty background, about 4:1), as zlib's
//! level 6 packs it. Whole: a fresh dataset reads one slice, so the volume is inflated into the cache. Slabs:
//! the index is made, then random axial slices and 64^3 patches are read with nothing cached. The limit
//! inflates the same file into memory that has been touched before, and into fresh memory as the cache has
//! it. Each round measures every line once, so that a line and its limit meet the same machine; all of it is
//! work of one thread, whose own time counts.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use voxfeed::store::{Choice, Context, Entry, Extraction, OpenOptions, Reader, SeekUse, volume};
use voxfeed::sys::{AlignedBuffer, Framing, Inflated, Inflater};
use voxfeed::voxel::{DType, Region, Shape};

const SHAPE: [usize; 3] = [256, 512, 512];
const ROUNDS: usize = 5;
const READS: usize = 24;

fn main() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("deflated");
    std::fs::create_dir_all(&folder).unwrap();
    let plain = plain();
    for (name, level) in [("level 6", 6), ("level 1, one block", 1)] {
        let path = folder.join(format!("level{level}.nii.gz"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(&plain).unwrap();
        let packed = encoder.finish().unwrap();
        std::fs::write(&path, &packed).unwrap();
        println!("{name}: {} MB packed, {} MB plain", packed.len() / 1_000_000, plain.len() / 1_000_000);
        measure(&path, &plain, &packed);
    }
}

fn measure(path: &Path, plain: &[u8], packed: &[u8]) {
    let names = [
        "limit: libdeflate into used memory",
        "limit: libdeflate into fresh memory",
        "whole volume into fresh cache memory",
        "whole volume into used cache memory",
        "first slice, the index being made",
        "random axial slice through the index",
        "random 64^3 patch through the index",
    ];
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
    let mut used = touched(plain.len());
    let mut inflater = Inflater::default();
    for round in 0..ROUNDS {
        times[0].push(seconds(|| bare(&mut inflater, packed, &mut used)));
        drop(touched(plain.len()));
        times[1].push(seconds(|| {
            let mut fresh = AlignedBuffer::zeroed(plain.len()).unwrap();
            bare(&mut inflater, packed, &mut fresh);
            assert!(fresh[plain.len() - 1] == plain[plain.len() - 1]);
        }));
        drop(touched(plain.len()));
        let whole = open(path, &context(SeekUse::Never, 1 << 30));
        times[2].push(seconds(|| read(&whole, &slice(0), plain)));
        drop(whole);
        // There is room for one volume, so each takes the memory of the other.
        let one = context(SeekUse::Never, plain.len() as u64);
        let (first, second) = (open(path, &one), open(path, &one));
        read(&first, &slice(0), plain);
        times[3].push(seconds(|| read(&second, &slice(0), plain)));
        drop((first, second, one));
        let slabs = open(path, &context(SeekUse::Always, 0));
        times[4].push(seconds(|| read(&slabs, &slice(round), plain)));
        let many =
            seconds(|| (0..READS).for_each(|k| read(&slabs, &slice((k * 97 + round * 31) % 256), plain)));
        times[5].push(many / READS as f64);
        let patch = |k: usize| {
            let at = |step: usize, most: usize| ((k * step + round * 41) % most) as i64;
            Region::new(&[at(53, 192), at(67, 448), at(89, 448)], Shape::new(&[64; 3]).unwrap()).unwrap()
        };
        let many = seconds(|| (0..READS / 4).for_each(|k| read(&slabs, &patch(k), plain)));
        times[6].push(many / (READS / 4) as f64);
    }
    let limit = median(&mut times[0]);
    for (name, times) in names.iter().zip(&mut times) {
        let time = median(times);
        println!("  {name:38} {:8.2} ms   {:6.3} of the limit's time", time * 1e3, time / limit);
    }
}

/// Voxels that look like a scan: integers with noise, a third of them empty.
fn plain() -> Vec<u8> {
    let mut bytes = vec![0u8; 352];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, &348u32.to_le_bytes());
    put(40, &3u16.to_le_bytes());
    for axis in 0..3 {
        put(42 + 2 * axis, &(SHAPE[2 - axis] as u16).to_le_bytes());
        put(80 + 4 * axis, &1f32.to_le_bytes());
    }
    put(70, &4u16.to_le_bytes());
    put(72, &16u16.to_le_bytes());
    put(108, &352f32.to_le_bytes());
    put(344, b"n+1\0");
    let mut state = 7u32;
    for z in 0..SHAPE[0] {
        for y in 0..SHAPE[1] {
            for x in 0..SHAPE[2] {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (dy, dx) = (y.abs_diff(256), x.abs_diff(256));
                let inside = dy * dy + dx * dx < 200 * 200;
                let smooth = 1000 + (x / 16 * 3 + y / 16 * 2 + z / 8) as i16;
                let noise = (state >> 27) as i16;
                let value = if inside { smooth + noise } else { -1024 };
                bytes.extend(value.to_le_bytes());
            }
        }
    }
    bytes
}

fn bare(inflater: &mut Inflater, packed: &[u8], into: &mut [u8]) {
    let found = inflater.inflate(Framing::Gzip, packed, into).unwrap();
    assert_eq!(found, Inflated::Whole { read: packed.len(), written: into.len() });
}

/// Memory that is given back right away, so that the system has it at hand.
fn touched(len: usize) -> AlignedBuffer {
    let mut bytes = AlignedBuffer::zeroed(len).unwrap();
    bytes.fill(1);
    bytes
}

fn context(seek_index: SeekUse, cache_bytes: u64) -> Context {
    Context::new(OpenOptions { seek_index, cache_bytes, ..OpenOptions::default() })
}

fn open(path: &Path, context: &Context) -> Entry {
    Entry::new("T1", volume(path, &Choice::default(), context).unwrap())
}

fn slice(z: usize) -> Region {
    Region::new(&[z as i64, 0, 0], Shape::new(&[1, SHAPE[1], SHAPE[2]]).unwrap()).unwrap()
}

/// Reads a region and holds its first and last row against the plain bytes.
fn read(entry: &Entry, region: &Region, plain: &[u8]) {
    let shape = region.shape();
    let mut voxels = vec![0u8; shape.byte_len(1, 2).unwrap()];
    let how = Extraction::exact(DType::I16);
    Reader::default().read(std::slice::from_ref(entry), region, &how, &mut voxels).unwrap();
    let row = shape.extent(2) * 2;
    let at: Vec<usize> = region.offset().iter().map(|&at| at as usize).collect();
    let place = |z: usize, y: usize| 352 + ((z * SHAPE[1] + y) * SHAPE[2] + at[2]) * 2;
    assert!(voxels[..row] == plain[place(at[0], at[1])..][..row]);
    let last = place(at[0] + shape.extent(0) - 1, at[1] + shape.extent(1) - 1);
    assert!(voxels[voxels.len() - row..] == plain[last..][..row]);
}

/// The seconds of a processor that this thread takes, where the system says; else those of the clock.
fn seconds(work: impl FnOnce()) -> f64 {
    let taken = || {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    let (begun, before) = (Instant::now(), taken());
    work();
    match (before, taken()) {
        (Some(before), Some(after)) => (after - before) as f64 * 1e-9,
        _ => begun.elapsed().as_secs_f64(),
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
