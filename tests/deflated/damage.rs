//! Streams that are cut, damaged, or go on behind the array.

use proptest::prelude::*;
use voxfeed::error::ErrorKind;
use voxfeed::voxel::DType;

use crate::{START, WAYS, member, members, nifti, options, read_whole, scratch};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
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
