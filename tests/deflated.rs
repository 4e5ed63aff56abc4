//! Deflated volumes: the same voxels however they are packed, cut, kept and read, and damage always told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, missing_docs)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::write::GzEncoder;
use flate2::{Compression, FlushCompress};
use proptest::prelude::*;
use voxfeed::error::{ErrorKind, Result};
use voxfeed::store::{
    Choice, Context, Entry, Extraction, IndexPlace, Io, OpenOptions, Reader, SeekUse, Volume, volume,
};
use voxfeed::voxel::{DType, Region, Shape};

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

fn region(extents: [usize; 3], (low, high): ([f64; 3], [f64; 3])) -> Region {
    let begin: Vec<usize> = (0..3).map(|axis| (low[axis] * extents[axis] as f64) as usize).collect();
    let len = |axis: usize| 1 + (high[axis] * (extents[axis] - begin[axis]) as f64) as usize;
    let len: Vec<usize> = (0..3).map(|axis| len(axis).min(extents[axis] - begin[axis])).collect();
    let offset: Vec<i64> = begin.iter().map(|&at| at as i64).collect();
    Region::new(&offset, Shape::new(&len).unwrap()).unwrap()
}

fn scratch(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_region_of_any_packing_holds_the_plain_voxels(
        extents in prop_oneof![
            [1usize..90, 1usize..90, 1usize..300],
            [1usize..5, 200usize..900, 200usize..900],
            [1usize..2, 1usize..2, 1usize..2_000],
        ],
        dtype in prop_oneof![Just(DType::U8), Just(DType::I16), Just(DType::F32), Just(DType::F64)],
        big: bool,
        level in prop_oneof![Just(0u32), Just(1), Just(2), Just(6), Just(9)],
        splits in prop::collection::vec(0.0..1.0f64, 0..6),
        flush in prop_oneof![Just(usize::MAX), Just(1 << 20), Just(70_000), Just(9_000)],
        zeros in 0usize..700,
        places in prop::collection::vec((prop::array::uniform3(0.0..1.0f64), prop::array::uniform3(0.0..1.0f64)), 1..5),
        budget in prop_oneof![Just(0u64), Just(1 << 19), Just(3 << 20), Just(1 << 28)],
        io in prop_oneof![Just(Io::Map), Just(Io::Positional)],
        seed: u32,
    ) {
        let plain = nifti(extents, dtype, big, seed);
        let ends: Vec<usize> = splits.iter().map(|share| (share * plain.len() as f64) as usize).collect();
        let mut packed = members(&plain, &ends, level, flush);
        packed.resize(packed.len() + zeros, 0);
        let (_folder, path) = scratch("volume.nii.gz", &packed);
        for way in WAYS {
            let entry = open(&path, OpenOptions { io, ..options(way, budget) }).unwrap();
            for &place in &places {
                let region = region(extents, place);
                let wanted = expected(&plain, extents, &region, (dtype.byte_len(), big));
                prop_assert!(read(&entry, &region).unwrap() == wanted, "{:?} {:?}", way, region);
            }
        }
    }

    #[test]
    fn flipped_bytes_are_told_or_change_nothing(
        at in 0.0..1.0f64,
        bit in 0u32..8,
        level in prop_oneof![Just(1u32), Just(6)],
        split in 0usize..200_000,
    ) {
        let extents = [40, 60, 70];
        let plain = nifti(extents, DType::I16, false, 3);
        let mut packed = members(&plain, &[split], level, usize::MAX);
        let at = (at * packed.len() as f64) as usize;
        packed[at] ^= 1 << bit;
        let (_folder, path) = scratch("volume.nii.gz", &packed);
        for way in WAYS {
            match read_whole(&path, options(way, 1 << 28)) {
                Ok(voxels) => prop_assert!(voxels == plain[START..], "{:?}: byte {} of {}", way, at, packed.len()),
                Err(error) => {
                    let kind = error.kind();
                    prop_assert!(matches!(kind, ErrorKind::Format | ErrorKind::Unsupported), "{:?}: {}", way, error);
                }
            }
        }
    }
}

#[test]
fn a_cut_file_says_how_much_it_holds() {
    let extents = [30, 50, 60];
    let plain = nifti(extents, DType::I16, false, 5);
    let half = plain.len() / 2;
    for level in [1, 6] {
        let packed = members(&plain, &[half], level, usize::MAX);
        let first = member(&plain[..half], level, usize::MAX).len();
        let cuts = [11, 400, first / 2, first - 9, first - 8, first - 1, first, first + 5, first + 10]
            .into_iter()
            .chain((1..30).map(|k| packed.len() - k))
            .chain((first..packed.len()).step_by(3001));
        for cut in cuts {
            let (_folder, path) = scratch("volume.nii.gz", &packed[..cut]);
            for way in WAYS {
                let error = read_whole(&path, options(way, 1 << 28)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Format, "{cut}: {error}");
                let told = error.message();
                assert!(told.contains("truncated") && told.contains("volume.nii.gz"), "{cut}: {told}");
                if cut > first / 2 && cut < packed.len() - 20 {
                    assert!(told.contains(&format!("{} are needed", plain.len())), "{way:?} {cut}: {told}");
                }
                if cut == first {
                    assert!(told.contains(&format!("holds {half} bytes")), "{way:?}: {told}");
                }
            }
        }
    }
}

#[test]
fn what_follows_the_array_may_be_anything_but_damage_before_a_checksum() {
    let extents = [9, 150, 160];
    let plain = nifti(extents, DType::F32, false, 9);
    let voxels = &plain[START..];
    let sound = member(&plain, 6, usize::MAX);
    let longer = member(&[plain.clone(), vec![7; 300_000]].concat(), 6, usize::MAX);
    let more = [sound.clone(), member(&[5; 5000], 6, usize::MAX)].concat();
    let empty = member(&[], 6, usize::MAX);
    let tails: [(&str, Vec<u8>); 7] = [
        ("zeros", [sound.clone(), vec![0; 5000]].concat()),
        ("text", [sound.clone(), b"made by a scanner".to_vec()].concat()),
        ("half a magic number", [sound.clone(), vec![0x1f]].concat()),
        ("an empty member", [sound.clone(), empty.clone()].concat()),
        ("another member", more.clone()),
        ("half a member", more[..more.len() - 9].to_vec()),
        ("more voxels", longer.clone()),
    ];
    for (name, bytes) in tails {
        let (_folder, path) = scratch("volume.nii.gz", &bytes);
        for way in WAYS {
            let found = read_whole(&path, options(way, 1 << 28));
            assert!(found.unwrap_or_else(|error| panic!("{name}: {error}")) == voxels, "{name} {way:?}");
        }
    }
    let padded =
        [member(&plain[..9999], 6, 100), vec![0; 777], empty, member(&plain[9999..], 6, 5000)].concat();
    let (_folder, path) = scratch("volume.nii.gz", &padded);
    for way in WAYS {
        assert!(read_whole(&path, options(way, 1 << 28)).unwrap() == voxels);
    }
    let mut wrong = longer;
    let last = wrong.len() - 6;
    wrong[last] ^= 1;
    let (_folder, path) = scratch("volume.nii.gz", &wrong);
    for way in WAYS {
        assert_eq!(read_whole(&path, options(way, 1 << 28)).unwrap_err().kind(), ErrorKind::Format);
    }
}

#[test]
fn thousands_of_small_members_are_one_volume() {
    let extents = [40, 128, 256];
    let plain = nifti(extents, DType::I16, true, 1);
    for step in [300, 65_280] {
        let ends: Vec<usize> = (1..).map(|k| k * step).take_while(|&end| end < plain.len()).collect();
        let packed = members(&plain, &ends, 6, usize::MAX);
        let (_folder, path) = scratch("volume.nii.gz", &packed);
        for way in WAYS {
            let whole = Region::whole(Shape::new(&extents).unwrap());
            let wanted = expected(&plain, extents, &whole, (2, true));
            assert!(read_whole(&path, options(way, 1 << 28)).unwrap() == wanted, "{step} {way:?}");
        }
    }
}

#[test]
fn threads_read_the_same_bytes_whatever_their_number_and_the_budget() {
    let extents = [64, 256, 256];
    let plain = nifti(extents, DType::I16, false, 11);
    for (level, budget) in [(6, 0u64), (6, 3 << 20), (1, 2 << 20), (6, 1 << 28)] {
        let (_folder, path) = scratch("volume.nii.gz", &member(&plain, level, usize::MAX));
        for threads in [1usize, 2, 8] {
            let context = Context::new(options(SeekUse::Auto, budget));
            let entry = Entry::new("whole", volume(&path, &Choice::default(), &context).unwrap());
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let (entry, plain) = (&entry, &plain);
                    scope.spawn(move || {
                        for step in 0..40 / threads {
                            let k = (step * 7 + thread * 5) as i64;
                            let shape = Shape::new(&[16, 40, 50]).unwrap();
                            let region = Region::new(&[k % 48, k % 200, k * 3 % 200], shape).unwrap();
                            let wanted = expected(plain, extents, &region, (2, false));
                            assert!(read(entry, &region).unwrap() == wanted, "{threads} {budget} {region:?}");
                        }
                    });
                }
            });
            assert!(context.decoded.byte_len() <= budget);
        }
    }
}

fn indexes(folder: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
    names.filter(|path| path.extension().is_some_and(|ending| ending == "vxfindex")).collect()
}

/// Options that read through an index kept here.
fn kept(place: IndexPlace) -> OpenOptions {
    OpenOptions { index_place: place, ..options(SeekUse::Always, 1 << 28) }
}

#[test]
fn an_index_is_kept_where_it_is_wanted_and_used_by_the_next() {
    let extents = [48, 200, 210];
    for level in [1, 6] {
        let plain = nifti(extents, DType::I16, false, 21);
        let packed = member(&plain, level, usize::MAX);
        let (folder, path) = scratch("volume.nii.gz", &packed);
        let cache = tempfile::tempdir().unwrap();
        let places = [IndexPlace::Beside, IndexPlace::Folder(cache.path().to_owned())];
        for (place, holds) in places.into_iter().zip([folder.path(), cache.path()]) {
            assert!(read_whole(&path, options(SeekUse::Always, 1 << 28)).unwrap() == plain[START..]);
            assert_eq!(indexes(holds), [] as [PathBuf; 0]);
            assert!(read_whole(&path, kept(place.clone())).unwrap() == plain[START..]);
            let [index] = indexes(holds).try_into().unwrap();
            assert!(std::fs::metadata(&index).unwrap().len() < packed.len() as u64 / 8);

            // Damage that the index's maker would meet, and the reader of the first slices does not.
            let time = std::fs::metadata(&path).unwrap().modified().unwrap();
            let mut damaged = packed.clone();
            damaged[packed.len() * 7 / 8] ^= 0x55;
            std::fs::write(&path, &damaged).unwrap();
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
            let entry = open(&path, kept(place.clone())).unwrap();
            let first = Region::new(&[0, 0, 0], Shape::new(&[5, 200, 210]).unwrap()).unwrap();
            assert!(read(&entry, &first).unwrap() == expected(&plain, extents, &first, (2, false)));
            let fresh = open(&path, options(SeekUse::Always, 1 << 28)).unwrap();
            assert_eq!(read(&fresh, &first).unwrap_err().kind(), ErrorKind::Format);
            let whole = Region::whole(Shape::new(&extents).unwrap());
            assert_eq!(read(&entry, &whole).unwrap_err().kind(), ErrorKind::Format);
            std::fs::write(&path, &packed).unwrap();
        }
    }
}

#[test]
fn an_index_that_is_stale_or_damaged_is_made_anew() {
    let extents = [20, 200, 210];
    let plain = nifti(extents, DType::I16, false, 2);
    let (folder, path) = scratch("volume.nii.gz", &member(&plain, 6, usize::MAX));
    assert!(read_whole(&path, kept(IndexPlace::Beside)).unwrap() == plain[START..]);
    let [index] = indexes(folder.path()).try_into().unwrap();
    let sound = std::fs::read(&index).unwrap();
    let places = (0..sound.len()).step_by(sound.len() / 40 + 1);
    for (number, at) in places.enumerate() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (number % 8);
        if number % 3 == 0 {
            bytes.truncate(at);
        }
        std::fs::write(&index, &bytes).unwrap();
        assert!(read_whole(&path, kept(IndexPlace::Beside)).unwrap() == plain[START..], "byte {at}");
        assert!(std::fs::read(&index).unwrap() == sound, "byte {at}");
    }
    let other = nifti(extents, DType::I16, false, 4);
    std::fs::write(&path, member(&other, 6, usize::MAX)).unwrap();
    assert!(read_whole(&path, kept(IndexPlace::Beside)).unwrap() == other[START..]);
    assert!(std::fs::read(&index).unwrap() != sound);
    assert!(read_whole(&path, kept(IndexPlace::Beside)).unwrap() == other[START..]);
}

#[test]
fn an_index_that_cannot_be_written_does_not_hinder_reading() {
    let plain = nifti([8, 200, 210], DType::I16, false, 2);
    let (folder, path) = scratch("volume.nii.gz", &member(&plain, 6, usize::MAX));
    let place = IndexPlace::Folder(folder.path().join("no/such/folder"));
    assert!(read_whole(&path, kept(place)).unwrap() == plain[START..]);
}

#[test]
fn a_file_that_changes_behind_its_index_is_told() {
    let extents = [48, 200, 210];
    let plain = nifti(extents, DType::I16, false, 31);
    let packed = member(&plain, 6, usize::MAX);
    for change in 0..2 {
        let (_folder, path) = scratch("volume.nii.gz", &packed);
        let entry = open(&path, options(SeekUse::Always, 0)).unwrap();
        let whole = Region::whole(Shape::new(&extents).unwrap());
        assert!(read(&entry, &whole).unwrap() == plain[START..]);
        let mut other = member(&nifti(extents, DType::I16, false, 32), 6, usize::MAX);
        if change == 0 {
            other.resize(packed.len(), 0);
        } else {
            other.truncate(packed.len() / 2);
        }
        std::fs::write(&path, &other).unwrap();
        assert_eq!(read(&entry, &whole).unwrap_err().kind(), ErrorKind::Format);
    }
}

/// A zip archive of one deflated member.
fn archive(plain: &[u8], sum: u32, level: u32) -> Vec<u8> {
    let mut deflated = Vec::with_capacity(plain.len() + 1000);
    let mut encoder = flate2::Compress::new(Compression::new(level), false);
    encoder.compress_vec(plain, &mut deflated, FlushCompress::Finish).unwrap();
    assert_eq!(encoder.total_in(), plain.len() as u64);
    let common = |signature: &[u8], flags: &[u8]| {
        let mut bytes = signature.to_vec();
        bytes.extend(flags);
        bytes.extend([0, 0, 8, 0, 0, 0, 0, 0]);
        bytes.extend(sum.to_le_bytes());
        bytes.extend((deflated.len() as u32).to_le_bytes());
        bytes.extend((plain.len() as u32).to_le_bytes());
        bytes.extend([8, 0, 0, 0]);
        bytes
    };
    let mut bytes = common(b"PK\x03\x04", &[20, 0]);
    bytes.extend(b"data.npy");
    bytes.extend(&deflated);
    let place = bytes.len() as u32;
    let mut central = common(b"PK\x01\x02", &[20, 0, 20, 0]);
    central.extend([0; 14]);
    central.extend(b"data.npy");
    let size = central.len() as u32;
    bytes.extend(central);
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    bytes.extend(size.to_le_bytes());
    bytes.extend(place.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn a_deflated_member_is_the_array_that_its_checksum_says() {
    let extents = [12, 200, 300];
    for (order, fortran) in [("False", false), ("True", true)] {
        let text = format!("{{'descr': '<i2', 'fortran_order': {order}, 'shape': (12, 200, 300), }}");
        let mut npy = b"\x93NUMPY\x01\x00".to_vec();
        npy.extend((text.len() as u16).to_le_bytes());
        npy.extend(text.as_bytes());
        let voxels = nifti(extents, DType::I16, false, 77)[START..].to_vec();
        npy.extend(&voxels);
        let mut sum = flate2::Crc::new();
        sum.update(&npy);
        for level in [0, 1, 6] {
            let (_folder, path) = scratch("array.npz", &archive(&npy, sum.sum(), level));
            for (way, budget) in
                [(SeekUse::Never, 1u64 << 28), (SeekUse::Always, 1 << 28), (SeekUse::Auto, 0)]
            {
                let found = read_whole(&path, options(way, budget)).unwrap();
                if fortran {
                    let seen = |z: usize, y: usize, x: usize| &found[((z * 200 + y) * 300 + x) * 2..][..2];
                    let wanted = |z: usize, y: usize, x: usize| &voxels[((x * 200 + y) * 12 + z) * 2..][..2];
                    assert!((0..2000).all(|k| {
                        let (z, y, x) = (k % 12, k * 7 % 200, k * 11 % 300);
                        seen(z, y, x) == wanted(z, y, x)
                    }));
                } else {
                    assert!(found == voxels);
                }
            }
            let (_folder, path) = scratch("array.npz", &archive(&npy, sum.sum() ^ 1, level));
            for way in WAYS {
                let error = read_whole(&path, options(way, 1 << 28)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Format);
                assert!(error.message().contains("checksum is wrong"), "{error}");
            }
        }
    }
}

#[test]
fn channels_first_or_last_are_cut_into_slabs_too() {
    let plain = nifti([1, 1, 1], DType::U8, false, 1);
    for (dims, code, bits) in [([4u16, 200, 90, 80, 3], 2u16, 8u16), ([3, 500, 300, 20, 1], 128, 24)] {
        let mut header = plain[..START].to_vec();
        for (k, dim) in dims.iter().enumerate() {
            header[40 + 2 * k..42 + 2 * k].copy_from_slice(&dim.to_le_bytes());
        }
        header[70..72].copy_from_slice(&code.to_le_bytes());
        header[72..74].copy_from_slice(&bits.to_le_bytes());
        let count = dims[1..].iter().map(|&dim| usize::from(dim)).product::<usize>() * usize::from(bits) / 8;
        let noisy = nifti([1, 10, 30_000], DType::U8, false, 8);
        let mut bytes = header;
        bytes.extend(noisy[START..].iter().cycle().take(count));
        let (_folder, path) = scratch("volume.nii.gz", &member(&bytes, 6, usize::MAX));
        let all: Vec<Vec<u8>> =
            WAYS.iter().map(|&way| read_whole(&path, options(way, 1 << 28)).unwrap()).collect();
        assert_eq!(all[0].len(), count);
        assert!(all[0] == all[1] && all[0] == all[2], "{dims:?}");
    }
}

#[test]
fn the_parts_that_a_cache_keeps_are_told() {
    let plain = nifti([48, 200, 210], DType::I16, false, 31);
    let (_folder, path) = scratch("volume.nii.gz", &member(&plain, 6, usize::MAX));
    for way in [SeekUse::Never, SeekUse::Always] {
        let context = Context::new(options(way, 1 << 28));
        let volume: Arc<dyn Volume> = volume(&path, &Choice::default(), &context).unwrap();
        let parts = volume.decoded_parts().unwrap();
        for part in 0..parts.count {
            volume.decode_part(part, &mut voxfeed::store::Scratch::default()).unwrap();
        }
        assert_eq!(context.decoded.byte_len(), parts.byte_len);
        assert_eq!(parts.count > 1, way == SeekUse::Always);
        let entry = Entry::new("whole", volume);
        let before = context.decoded.hits_and_misses().1;
        assert!(read(&entry, &Region::whole(entry.shape().unwrap())).unwrap() == plain[START..]);
        assert_eq!(context.decoded.hits_and_misses().1, before, "nothing is decoded twice");
    }
}
