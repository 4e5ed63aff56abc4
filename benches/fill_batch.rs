//! How fast batches are filled, beside what a bare gather of the same patches reaches in the same run.
//!
//! T1 of the table in the README: 16 subjects of 2 x f32 channels and a u8 label, 128 x 160 x 160 voxels;
//! batches of 8 random 64^3 patches with image and label, f32 and u8, 2 threads. The limit copies the rows
//! of as many patches from the same mapped .npy files into batch buffers in huge pages, asking for rows a few
//! ahead (the faster of the two ways that were tried), with nothing around it. Each round
//! measures every line once, so that a line and its limit meet the same machine.
#![allow(unsafe_code, missing_docs, reason = "the bench goes through the C functions, as users do")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::multiple_unsafe_ops_per_block
)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every call is one of the C interface with live handles"
)]

use std::ffi::CString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};
use std::time::{Duration, Instant};

use memmap2::Mmap;
use voxfeed::capi::batch::{vxf_batch, vxf_batch_release, vxf_batch_tensor};
use voxfeed::capi::dataset::{vxf_dataset, vxf_dataset_free, vxf_dataset_open};
use voxfeed::capi::library::vxf_last_error_message;
use voxfeed::capi::loader::{
    vxf_loader, vxf_loader_free, vxf_loader_new, vxf_loader_next, vxf_loader_options_init, vxf_loader_start,
};
use voxfeed::capi::loader_options::{vxf_loader_options, vxf_order};
use voxfeed::capi::sampler::{
    vxf_sampler, vxf_sampler_free, vxf_sampler_kind, vxf_sampler_new, vxf_sampler_options,
    vxf_sampler_options_init,
};
use voxfeed::capi::status::vxf_status;
use voxfeed::capi::tensor::vxf_tensor;
use voxfeed::capi::writer::{
    vxf_writer, vxf_writer_add_dataset, vxf_writer_create, vxf_writer_finish, vxf_writer_free,
};
use voxfeed::sys::AlignedBuffer;

const SUBJECTS: usize = 16;
const SHAPE: [usize; 3] = [128, 160, 160];
const PATCH: usize = 64;
const BATCH: usize = 8;
const THREADS: usize = 2;
const ROUNDS: usize = 5;
/// How many rows ahead the limit asks for the next one.
const AHEAD: usize = 8;
const WINDOW: Duration = Duration::from_millis(1200);

fn main() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fill_batch");
    make_data(&folder);
    let mut lines: Vec<(&str, Vec<f64>)> = ["gather limit, 2 threads", "T1 npy", "T1 HDF5, pymia's layout"]
        .map(|name| (name, Vec::new()))
        .into();
    for _ in 0..ROUNDS {
        lines[0].1.push(gather_limit(&folder));
        lines[1].1.push(fill(&folder.join("manifest.json")));
        lines[2].1.push(fill(&folder.join("data.h5")));
    }
    println!("random 64^3 patches, image (2 x f32) and label (u8), batch 8, page cache warm");
    println!("{:28} {:>12} {:>10} {:>22}", "", "samples/s", "GB/s", "of the limit (median)");
    let limit = lines[0].1.clone();
    for (name, rates) in &lines {
        let ratios: Vec<f64> = rates.iter().zip(&limit).map(|(rate, limit)| rate / limit).collect();
        let rate = median(rates);
        let bytes = (PATCH * PATCH * PATCH * 9) as f64;
        println!("{name:28} {rate:12.0} {:10.2} {:22.2}", rate * bytes / 1e9, median(&ratios));
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The value of a voxel, so that what arrives can be checked.
fn value(subject: usize, channel: usize, [z, y, x]: [usize; 3]) -> f32 {
    (subject * 2 + channel) as f32 + (z * 25600 + y * 160 + x) as f32 / 3_276_800.0
}

/// Writes the subjects as .npy files with a manifest, and as one file in pymia's layout.
fn make_data(folder: &Path) {
    if folder.join("data.h5").exists() {
        return;
    }
    std::fs::create_dir_all(folder).unwrap();
    let mut subjects = Vec::new();
    for subject in 0..SUBJECTS {
        let mut image = npy_header("<f4", "(2, 128, 160, 160)");
        let mut label = npy_header("|u1", "(128, 160, 160)");
        for channel in 0..2 {
            for z in 0..SHAPE[0] {
                for y in 0..SHAPE[1] {
                    let row = (0..SHAPE[2]).map(|x| value(subject, channel, [z, y, x]));
                    image.extend(row.flat_map(f32::to_le_bytes));
                }
            }
        }
        for z in 0..SHAPE[0] {
            label.extend((0..SHAPE[1] * SHAPE[2]).map(|k| ((z + k / 160 + k % 160) % 4) as u8));
        }
        let names = (format!("s{subject:02}.npy"), format!("s{subject:02}_label.npy"));
        std::fs::write(folder.join(&names.0), image).unwrap();
        std::fs::write(folder.join(&names.1), label).unwrap();
        subjects.push(serde_json::json!({
            "id": format!("s{subject:02}"),
            "categories": {"images": {"image": names.0}, "labels": {"label": names.1}},
        }));
    }
    let manifest = serde_json::json!({"voxfeed_manifest": 1, "subjects": subjects});
    std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    let dataset = open(&folder.join("manifest.json"));
    let mut writer: *mut vxf_writer = null_mut();
    let path = text(&folder.join("data.h5"));
    unsafe {
        done(vxf_writer_create(path.as_ptr(), null(), &mut writer));
        done(vxf_writer_add_dataset(writer, dataset, None, null_mut()));
        done(vxf_writer_finish(writer));
        vxf_writer_free(writer);
        vxf_dataset_free(dataset);
    }
}

fn npy_header(dtype: &str, shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}");
    let mut header = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    header.extend(format!("{text:117}\n").bytes());
    header
}

fn text(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

fn done(status: vxf_status) {
    let message = unsafe { std::ffi::CStr::from_ptr(vxf_last_error_message()) };
    assert!(status.0 >= 0, "{}", message.to_string_lossy());
}

fn open(path: &Path) -> *mut vxf_dataset {
    let mut dataset = null_mut();
    done(unsafe { vxf_dataset_open(text(path).as_ptr(), null(), &mut dataset) });
    dataset
}

/// Samples per second of batches that go through the C functions.
fn fill(path: &Path) -> f64 {
    let dataset = open(path);
    let mut sampler: *mut vxf_sampler = null_mut();
    let mut loader: *mut vxf_loader = null_mut();
    unsafe {
        let mut options: vxf_sampler_options = std::mem::zeroed();
        done(vxf_sampler_options_init(&mut options, size_of_val(&options)));
        options.kind = vxf_sampler_kind::UNIFORM;
        options.patch_shape = [PATCH as i64, PATCH as i64, PATCH as i64, 0, 0, 0];
        options.samples_per_subject = 64;
        done(vxf_sampler_new(dataset, &options, &mut sampler));
        let mut options: vxf_loader_options = std::mem::zeroed();
        done(vxf_loader_options_init(&mut options, size_of_val(&options)));
        options.batch_size = BATCH as u32;
        options.threads = THREADS as u32;
        options.order = vxf_order::SHUFFLED;
        options.endless = 1;
        done(vxf_loader_new(sampler, &options, &mut loader));
        done(vxf_loader_start(loader, 0));
    }
    for _ in 0..12 {
        check(next(loader));
    }
    let (mut samples, begun) = (0, Instant::now());
    while begun.elapsed() < WINDOW {
        unsafe { vxf_batch_release(next(loader)) };
        samples += BATCH;
    }
    let rate = samples as f64 / begun.elapsed().as_secs_f64();
    unsafe {
        vxf_loader_free(loader);
        vxf_sampler_free(sampler);
        vxf_dataset_free(dataset);
    }
    rate
}

fn next(loader: *mut vxf_loader) -> *mut vxf_batch {
    let mut batch = null_mut();
    let status = unsafe { vxf_loader_next(loader, -1, &mut batch) };
    done(status);
    assert_eq!(status, vxf_status::OK);
    batch
}

/// The batch has the right shape, and neighbouring voxels differ as the data's do.
fn check(batch: *mut vxf_batch) {
    let mut tensor: vxf_tensor = unsafe { std::mem::zeroed() };
    tensor.struct_size = size_of_val(&tensor) as u32;
    done(unsafe { vxf_batch_tensor(batch, c"images".as_ptr(), &mut tensor) });
    assert_eq!(tensor.shape[..5], [BATCH as i64, 2, 64, 64, 64]);
    let voxels = PATCH * PATCH * PATCH;
    let all = unsafe { std::slice::from_raw_parts(tensor.data.cast::<f32>(), BATCH * 2 * voxels) };
    for row in 0..BATCH {
        let first = &all[row * 2 * voxels..];
        let offset = first[0].fract() as f64 * 3_276_800.0;
        for (channel, z, y, x) in [(0, 0, 0, 63), (1, 63, 63, 63), (1, 17, 0, 5)] {
            let seen = f64::from(first[channel * voxels + (z * PATCH + y) * PATCH + x]);
            let expected = f64::from(first[0]).floor()
                + channel as f64
                + (offset + (z * 25600 + y * 160 + x) as f64) / 3_276_800.0;
            assert!((seen - expected).abs() < 1e-4, "row {row}: {seen} is not {expected}");
        }
    }
    unsafe { vxf_batch_release(batch) };
}

/// Samples per second of a bare gather on as many threads, from the same .npy files.
fn gather_limit(folder: &Path) -> f64 {
    let map = |name: String| unsafe { Mmap::map(&File::open(folder.join(name)).unwrap()).unwrap() };
    let maps: Vec<(Mmap, Mmap)> =
        (0..SUBJECTS).map(|s| (map(format!("s{s:02}.npy")), map(format!("s{s:02}_label.npy")))).collect();
    let rates: Vec<f64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                scope.spawn({
                    let maps = &maps;
                    move || gather_for(maps, number)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    rates.iter().sum()
}

fn gather_for(maps: &[(Mmap, Mmap)], number: usize) -> f64 {
    let voxels = PATCH * PATCH * PATCH;
    // As many buffers as a loader that keeps two batches ready shares among its threads.
    let mut image = AlignedBuffer::zeroed(3 * BATCH / THREADS * voxels * 8).unwrap();
    let mut label = AlignedBuffer::zeroed(3 * BATCH / THREADS * voxels).unwrap();
    let mut state = 0x9E37_79B9_7F4A_7C15u64.wrapping_mul(number as u64 + 1);
    let mut random = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % bound
    };
    let (mut samples, mut begun) = (0usize, Instant::now());
    let mut warm = false;
    loop {
        let slot = samples % (3 * BATCH / THREADS);
        let (from, mask) = &maps[random(SUBJECTS)];
        let corner =
            [random(SHAPE[0] - PATCH + 1), random(SHAPE[1] - PATCH + 1), random(SHAPE[2] - PATCH + 1)];
        let into = &mut image[slot * voxels * 8..][..voxels * 8];
        for (channel, part) in into.chunks_exact_mut(voxels * 4).enumerate() {
            rows(&from[128 + channel * SHAPE.iter().product::<usize>() * 4..], corner, 4, part);
        }
        rows(&mask[128..], corner, 1, &mut label[slot * voxels..][..voxels]);
        samples += 1;
        if !warm && samples == 24 {
            (samples, begun, warm) = (0, Instant::now(), true);
        }
        if warm && begun.elapsed() >= WINDOW {
            std::hint::black_box((&image, &label));
            return samples as f64 / begun.elapsed().as_secs_f64();
        }
    }
}

/// Copies the rows of one patch of one channel.
fn rows(volume: &[u8], [z0, y0, x0]: [usize; 3], voxel: usize, into: &mut [u8]) {
    let bytes = PATCH * voxel;
    for (row, part) in into.chunks_exact_mut(bytes).enumerate() {
        let (z, y) = (z0 + row / PATCH, y0 + row % PATCH);
        let begin = ((z * SHAPE[1] + y) * SHAPE[2] + x0) * voxel;
        #[cfg(target_arch = "x86_64")]
        for line in (0..bytes).step_by(64) {
            let ahead = volume.as_ptr().wrapping_add(begin + AHEAD * SHAPE[2] * voxel + line);
            unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(ahead.cast()) };
        }
        part.copy_from_slice(&volume[begin..begin + bytes]);
    }
}
