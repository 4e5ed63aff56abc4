//! Indexes in files: used, made anew, and never in the way.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use voxfeed::error::ErrorKind;
use voxfeed::store::{IndexPlace, OpenOptions, SeekUse};
use voxfeed::voxel::{DType, Region, Shape};

use crate::{START, expected, member, nifti, open, options, read, read_whole, scratch};

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn an_index_that_lies_never_gives_other_voxels(
        places in prop::collection::vec((0.0..1.0f64, 0u32..64, 0u64..u64::MAX), 1..4),
        level in prop_oneof![Just(1u32), Just(6)],
    ) {
        let extents = [24, 160, 170];
        let plain = nifti(extents, DType::I16, false, 13);
        let (folder, path) = scratch("volume.nii.gz", &member(&plain, level, usize::MAX));
        prop_assert!(read_whole(&path, kept(IndexPlace::Beside)).unwrap() == plain[START..]);
        let [index] = indexes(folder.path()).try_into().unwrap();
        let mut bytes = std::fs::read(&index).unwrap();
        // What tells the file stays, and the sum is made right: only the places are wrong.
        let end = bytes.len() - 4;
        for (share, shift, value) in places {
            let marks = 96 + (share * share * (end - 104) as f64) as usize;
            let number = (value >> shift).to_le_bytes();
            bytes[marks..marks + 8].copy_from_slice(&number);
        }
        let sum = voxfeed::sys::crc32(0, &bytes[..end]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
        std::fs::write(&index, &bytes).unwrap();
        prop_assert!(read_whole(&path, kept(IndexPlace::Beside)).unwrap() == plain[START..]);
    }
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
