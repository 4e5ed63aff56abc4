//! Streams of every make, read in every way.

use std::sync::Arc;

use proptest::prelude::*;
use voxfeed::store::{Choice, Context, Entry, Io, OpenOptions, SeekUse, Volume, volume};
use voxfeed::voxel::{DType, Region, Shape};

use crate::{START, WAYS, expected, member, members, nifti, open, options, read, read_whole, scratch};

fn region(extents: [usize; 3], (low, high): ([f64; 3], [f64; 3])) -> Region {
    let begin: Vec<usize> = (0..3).map(|axis| (low[axis] * extents[axis] as f64) as usize).collect();
    let len = |axis: usize| 1 + (high[axis] * (extents[axis] - begin[axis]) as f64) as usize;
    let len: Vec<usize> = (0..3).map(|axis| len(axis).min(extents[axis] - begin[axis])).collect();
    let offset: Vec<i64> = begin.iter().map(|&at| at as i64).collect();
    Region::new(&offset, Shape::new(&len).unwrap()).unwrap()
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
