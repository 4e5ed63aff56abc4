//! A stream of more than 4 GiB is read in memory that has nothing to do with its size.
//!
//! Alone in its file, as the peak memory of a process is that of all its tests.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::Path;

use flate2::{Compress, Compression, Crc, FlushCompress};
use voxfeed::store::{Choice, Context, Entry, Extraction, OpenOptions, Reader, volume};
use voxfeed::voxel::{DType, Region, Shape};

const SHAPE: [usize; 3] = [1290, 2048, 2048];
const SLICE: usize = 2048 * 2048;
const BUDGET: u64 = 16 << 20;

/// Deflated bytes that end with a byte and refer to nothing before, so that they may stand anywhere.
fn part(plain: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(plain.len() / 2 + 1000);
    let mut packer = Compress::new(Compression::new(6), false);
    packer.compress_vec(plain, &mut packed, FlushCompress::Full).unwrap();
    assert_eq!(packer.total_in(), plain.len() as u64);
    packed
}

/// The voxels of a slice that has some.
fn marked(number: usize) -> Vec<u8> {
    let mut slice = vec![0u8; SLICE];
    for (k, voxel) in slice.iter_mut().enumerate().step_by(37) {
        *voxel = ((k ^ (number * 31)) % 251) as u8;
    }
    slice
}

fn is_marked(slice: usize) -> bool {
    slice % 129 == 3 || slice == SHAPE[0] - 1
}

/// Writes a gzip file of one member.
fn write(path: &Path) {
    let mut header = vec![0u8; 352];
    let mut put = |at: usize, value: &[u8]| header[at..at + value.len()].copy_from_slice(value);
    put(0, &348u32.to_le_bytes());
    put(40, &3u16.to_le_bytes());
    for axis in 0..3 {
        put(42 + 2 * axis, &(SHAPE[2 - axis] as u16).to_le_bytes());
        put(80 + 4 * axis, &1f32.to_le_bytes());
    }
    put(70, &2u16.to_le_bytes());
    put(72, &8u16.to_le_bytes());
    put(108, &352f32.to_le_bytes());
    put(344, b"n+1\0");
    let mut file = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let sum_of = |bytes: &[u8]| {
        let mut sum = Crc::new();
        sum.update(bytes);
        sum
    };
    let mut sum = sum_of(&header);
    file.extend(part(&header));
    let empty = vec![0u8; SLICE];
    let (empty_part, empty_sum) = (part(&empty), sum_of(&empty));
    for slice in 0..SHAPE[0] {
        if is_marked(slice) {
            let voxels = marked(slice);
            file.extend(part(&voxels));
            sum.combine(&sum_of(&voxels));
        } else {
            file.extend(&empty_part);
            sum.combine(&empty_sum);
        }
    }
    // An empty last block, the sum, and the size as far as 32 bits tell it.
    file.extend([3, 0]);
    file.extend(sum.sum().to_le_bytes());
    file.extend(((352 + SHAPE[0] * SLICE) as u32).to_le_bytes());
    std::fs::write(path, file).unwrap();
}

/// A line of what the system says of this process's memory, in bytes.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status.lines().find_map(|text| text.strip_prefix(line)).unwrap();
    found.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() << 10
}

#[test]
fn a_volume_of_more_than_4_gib_is_fed_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.nii.gz");
    write(&path);
    let before = memory("VmRSS:");
    // The peak begins anew; where the system does not allow it, the peak of the writer above counts too.
    let _ = std::fs::write("/proc/self/clear_refs", "5");

    let context = Context::new(OpenOptions { cache_bytes: BUDGET, ..OpenOptions::default() });
    let entry = Entry::new("large", volume(&path, &Choice::default(), &context).unwrap());
    let mut reader = Reader::default();
    let mut voxels = vec![0u8; 3 * 64 * 100];
    let how = Extraction::exact(DType::U8);
    let marks: Vec<usize> = (0..SHAPE[0]).filter(|&slice| is_marked(slice)).collect();
    for &slice in marks.iter().rev().chain(&marks) {
        let offset = [slice as i64 - 2, 1000, 1900];
        let region = Region::new(&offset, Shape::new(&[3, 64, 100]).unwrap()).unwrap();
        reader.read(std::slice::from_ref(&entry), &region, &how, &mut voxels).unwrap();
        assert!(voxels[..2 * 6400].iter().all(|&voxel| voxel == 0));
        let wanted = marked(slice);
        for (row, found) in voxels[2 * 6400..].chunks(100).enumerate() {
            assert!(found == &wanted[(1000 + row) * 2048 + 1900..][..100], "slice {slice}, row {row}");
        }
        assert!(context.decoded.byte_len() <= BUDGET);
    }
    let peak = memory("VmHWM:") - before.min(memory("VmHWM:"));
    assert!(peak < BUDGET + (48 << 20), "{} MiB more at the peak", peak >> 20);
}
