//! Deflated volumes: the same voxels however they are packed, cut, kept and read, and damage always told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, missing_docs)]

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use voxfeed::error::Result;
use voxfeed::store::{Choice, Context, Entry, Extraction, OpenOptions, Reader, SeekUse, volume};
use voxfeed::voxel::{DType, Region};

mod archives;
mod damage;
mod indexes;
mod packings;

const START: usize = 352;

const WAYS: [SeekUse; 3] = [SeekUse::Never, SeekUse::Auto, SeekUse::Always];

/// A NIfTI-1 file of these extents, slowest first, whose voxels look like a scan: smooth, noisy, empty.
fn nifti(extents: [usize; 3], dtype: DType, big: bool, seed: u32) -> Vec<u8> {
    let (code, bits) = match dtype {
        DType::U8 => (2u16, 8u16),
        DType::I16 => (4, 16),
        DType::F32 => (16, 32),
        _ => (64, 64),
    };
    let mut bytes = vec![0u8; START];
    let mut put = |at: usize, little: &[u8]| {
        let mut value = little.to_vec();
        if big {
            value.reverse();
        }
        bytes[at..at + value.len()].copy_from_slice(&value);
    };
    put(0, &348u32.to_le_bytes());
    put(40, &3u16.to_le_bytes());
    for axis in 0..3 {
        put(42 + 2 * axis, &(extents[2 - axis] as u16).to_le_bytes());
        put(80 + 4 * axis, &1f32.to_le_bytes());
    }
    put(70, &code.to_le_bytes());
    put(72, &bits.to_le_bytes());
    put(108, &(START as f32).to_le_bytes());
    bytes[344..348].copy_from_slice(b"n+1\0");
    let mut state = seed | 1;
    let count: usize = extents.iter().product();
    for voxel in 0..count {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = if voxel / 7000 % 3 == 1 { 0 } else { (state >> 27) as u16 };
        let value = (voxel / 500) as u16 + noise;
        let little = match dtype {
            DType::U8 => vec![value as u8],
            DType::I16 => value.to_le_bytes().to_vec(),
            DType::F32 => f32::from(value).to_le_bytes().to_vec(),
            _ => f64::from(value).to_le_bytes().to_vec(),
        };
        if big { bytes.extend(little.iter().rev()) } else { bytes.extend(&little) }
    }
    bytes
}

/// One gzip member, flushed now and then where `flush` says so.
fn member(plain: &[u8], level: u32, flush: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    for piece in plain.chunks(flush.max(1)) {
        encoder.write_all(piece).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap()
}

/// Members that end at these places.
fn members(plain: &[u8], ends: &[usize], level: u32, flush: usize) -> Vec<u8> {
    let mut ends = ends.to_vec();
    ends.push(plain.len());
    ends.sort_unstable();
    let mut begin = 0;
    let mut packed = Vec::new();
    for end in ends {
        packed.extend(member(&plain[begin..end], level, flush));
        begin = end;
    }
    packed
}

fn options(way: SeekUse, budget: u64) -> OpenOptions {
    OpenOptions { seek_index: way, cache_bytes: budget, ..OpenOptions::default() }
}

fn open(path: &Path, options: OpenOptions) -> Result<Entry> {
    Ok(Entry::new("whole", volume(path, &Choice::default(), &Context::new(options))?))
}

fn read(entry: &Entry, region: &Region) -> Result<Vec<u8>> {
    let dtype = entry.header().dtype;
    let mut voxels = vec![0u8; region.shape().byte_len(entry.channels(), dtype.byte_len())?];
    let how = Extraction::exact(dtype);
    Reader::default().read(std::slice::from_ref(entry), region, &how, &mut voxels)?;
    Ok(voxels)
}

fn read_whole(path: &Path, options: OpenOptions) -> Result<Vec<u8>> {
    let entry = open(path, options)?;
    read(&entry, &Region::whole(entry.shape()?))
}

/// What a region of a plain file holds, in this machine's order.
fn expected(plain: &[u8], extents: [usize; 3], region: &Region, (bytes, big): (usize, bool)) -> Vec<u8> {
    let offset: Vec<usize> = region.offset().iter().map(|&at| at as usize).collect();
    let shape = region.shape();
    let shape = shape.extents();
    let mut found = Vec::new();
    for z in offset[0]..offset[0] + shape[0] {
        for y in offset[1]..offset[1] + shape[1] {
            let from = START + ((z * extents[1] + y) * extents[2] + offset[2]) * bytes;
            for voxel in plain[from..from + shape[2] * bytes].chunks(bytes) {
                if big != cfg!(target_endian = "big") {
                    found.extend(voxel.iter().rev());
                } else {
                    found.extend(voxel);
                }
            }
        }
    }
    found
}

fn scratch(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}
