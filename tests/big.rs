//! Large things: files beyond 4 GiB, volumes beyond 2^31 voxels, many axes, few axes, many subjects.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use voxfeed::feed::{Loader, LoaderOptions, Next};
use voxfeed::plan::{Border, EpochOptions, Grid, Order, Rule, Sampler, Uniform};
use voxfeed::store::{Choice, Context, Dataset, Entry, Extraction, Io, OpenOptions, Reader, volume};
use voxfeed::voxel::{DType, Region, Shape};

/// 2^31 voxels and some, of two bytes each: more than 4 GiB.
const HUGE: [usize; 3] = [2049, 1024, 1024];

fn npy_header(descr: &str, extents: &[usize]) -> Vec<u8> {
    let axes: Vec<String> = extents.iter().map(|extent| format!("{extent},")).collect();
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({})}}", axes.join(" "));
    let mut header = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    header.extend(format!("{text:117}\n").bytes());
    header
}

/// A NIfTI-1 header of i16 voxels.
fn nifti_header(extents: [usize; 3]) -> Vec<u8> {
    let mut header = vec![0u8; 352];
    header[..4].copy_from_slice(&348i32.to_le_bytes());
    let dim = [3, extents[2] as i16, extents[1] as i16, extents[0] as i16, 1, 1, 1, 1];
    for (axis, extent) in dim.iter().enumerate() {
        header[40 + axis * 2..][..2].copy_from_slice(&extent.to_le_bytes());
    }
    header[70..72].copy_from_slice(&4i16.to_le_bytes());
    header[72..74].copy_from_slice(&16i16.to_le_bytes());
    for axis in 0..8 {
        header[76 + axis * 4..][..4].copy_from_slice(&1f32.to_le_bytes());
    }
    header[108..112].copy_from_slice(&352f32.to_le_bytes());
    header[344..348].copy_from_slice(b"n+1\0");
    header
}

/// Writes a file of holes in which a few voxels are marked.
fn sparse(path: &Path, header: &[u8], marks: &[([usize; 3], i16)]) {
    let file = File::create(path).unwrap();
    file.write_all_at(header, 0).unwrap();
    file.set_len((header.len() + HUGE.iter().product::<usize>() * 2) as u64).unwrap();
    for ([z, y, x], value) in marks {
        let voxel = (z * HUGE[1] + y) * HUGE[2] + x;
        file.write_all_at(&value.to_le_bytes(), (header.len() + voxel * 2) as u64).unwrap();
    }
}

#[test]
fn voxels_beyond_four_gigabytes_are_read_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let marks = [
        ([0, 0, 1], 11),
        ([1023, 1023, 1023], 12),
        ([1024, 0, 0], 13),
        ([2047, 1000, 7], 14),
        ([2048, 1023, 1023], 15),
    ];
    sparse(&folder.path().join("huge.npy"), &npy_header("<i2", &HUGE), &marks);
    sparse(&folder.path().join("huge.nii"), &nifti_header(HUGE), &marks);
    for name in ["huge.npy", "huge.nii"] {
        for io in [Io::Map, Io::Positional] {
            let context = Context::new(OpenOptions { io, ..OpenOptions::default() });
            let entry =
                Entry::new("T1", volume(&folder.path().join(name), &Choice::default(), &context).unwrap());
            assert_eq!(entry.shape().unwrap().voxels().unwrap(), HUGE.iter().product::<usize>());
            let mut reader = Reader::default();
            for ([z, y, x], value) in marks {
                let offset = [z as i64 - 2, y as i64 - 2, x as i64 - 2];
                let region = Region::new(&offset, Shape::new(&[5, 5, 5]).unwrap()).unwrap();
                let mut voxels = vec![0u8; 5 * 5 * 5 * 4];
                let how = Extraction::exact(DType::I32);
                reader.read(std::slice::from_ref(&entry), &region, &how, &mut voxels).unwrap();
                let voxels: Vec<i32> = bytemuck::pod_collect_to_vec(&voxels);
                assert_eq!(voxels[62], i32::from(value), "{name} {io:?} at {z} {y} {x}");
                let sum = |far: usize| {
                    marks
                        .iter()
                        .filter(|(at, _)| [z, y, x].iter().zip(at).all(|(a, b)| a.abs_diff(*b) <= far))
                        .map(|(_, value)| i32::from(*value))
                        .sum::<i32>()
                };
                assert_eq!(voxels.iter().sum::<i32>(), sum(2), "{name} {io:?} around {z} {y} {x}");
            }
        }
    }
}

/// The value of the voxel of this number.
fn voxel(subject: usize, number: usize) -> i16 {
    ((number * 31 + subject * 17) % 30_011) as i16
}

fn save_npy(path: &Path, subject: usize, extents: &[usize]) {
    let mut bytes = npy_header("<i2", extents);
    bytes.extend((0..extents.iter().product()).flat_map(|k| voxel(subject, k).to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

/// Feeds an epoch and compares every row with the voxels that its sample names.
fn feed(dataset: Dataset, rule: Arc<dyn Rule>, extents: &[usize]) -> usize {
    let sampler = Arc::new(Sampler::new(Arc::new(dataset), rule).unwrap());
    let epoch = EpochOptions { order: Order::Shuffled, seed: 1, batch_size: 3, ..EpochOptions::default() };
    let loader = Loader::new(sampler, LoaderOptions { epoch, ..LoaderOptions::default() }).unwrap();
    loader.start(0).unwrap();
    let mut fed = 0;
    while let Next::Batch(batch) = loader.next(None).unwrap() {
        let bytes = batch.bytes(None).unwrap();
        let row_voxels = batch.row_extents().iter().product::<usize>();
        for (sample, row) in batch.samples().iter().zip(bytes.chunks_exact(row_voxels * 2)) {
            let shape = sample.region.shape();
            for (k, found) in row.chunks_exact(2).enumerate() {
                let (mut rest, mut number, mut stride) = (k, 0, 1);
                for axis in (0..extents.len()).rev() {
                    number += (sample.region.offset()[axis] as usize + rest % shape.extent(axis)) * stride;
                    rest /= shape.extent(axis);
                    stride *= extents[axis];
                }
                assert_eq!(i16::from_ne_bytes([found[0], found[1]]), voxel(sample.subject, number));
            }
            fed += 1;
        }
    }
    fed
}

#[test]
fn images_of_two_axes_and_volumes_of_five_are_fed() {
    for (extents, patch) in [
        (vec![40, 50], vec![16, 9]),
        (vec![6, 7, 8, 9], vec![3, 0, 4, 5]),
        (vec![3, 4, 5, 6, 7], vec![2, 3, 0, 4, 5]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut dataset = Dataset::new(OpenOptions::default());
        for subject in 0..2 {
            let path = folder.path().join(format!("s{subject}.npy"));
            save_npy(&path, subject, &extents);
            let choice = Choice { channel: voxfeed::store::ChannelPlace::None, ..Choice::default() };
            let entry = Entry::new("T1", volume(&path, &choice, dataset.context()).unwrap());
            let mut own = voxfeed::store::Subject::new(format!("s{subject}"));
            own.add("images", entry, voxfeed::store::GeometryCheck::Strict).unwrap();
            dataset.add_subject(own).unwrap();
        }
        assert_eq!(feed(dataset.clone(), Arc::new(Uniform::new(&patch, 5)), &extents), 10);
        let grid = Grid::new(&patch, &patch, Border::Shift).unwrap();
        assert!(feed(dataset, Arc::new(grid), &extents) >= 4);
    }
}

#[test]
fn thousands_of_subjects_need_few_file_descriptors() {
    const SUBJECTS: usize = 6000;
    let folder = tempfile::tempdir().unwrap();
    let extents = [4usize, 5, 6];
    for subject in 0..SUBJECTS {
        save_npy(&folder.path().join(format!("s{subject:04}.npy")), subject, &extents);
    }
    for io in [Io::Map, Io::Positional] {
        let options = OpenOptions { io, ..OpenOptions::default() };
        let dataset = Dataset::open(folder.path(), options).unwrap();
        assert_eq!(dataset.subjects().len(), SUBJECTS);
        let context = dataset.context().clone();
        assert_eq!(feed(dataset, Arc::new(Uniform::new(&[2, 3, 4], 1)), &extents), SUBJECTS);
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
        // A dataset takes a quarter of what the process may have; other tests of this program have a few open.
        let share = voxfeed::sys::descriptor_limit().unwrap() / 4;
        assert!(open < share.min(SUBJECTS - 100) + 100, "{open} descriptors are open while the dataset is");
        drop(context);
    }
}
