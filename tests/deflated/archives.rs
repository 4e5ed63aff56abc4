//! Deflated members of zip archives.

use flate2::{Compression, FlushCompress};
use voxfeed::error::ErrorKind;
use voxfeed::store::SeekUse;
use voxfeed::voxel::DType;

use crate::{START, WAYS, nifti, options, read_whole, scratch};

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
