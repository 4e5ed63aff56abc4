//! HDF5 and the layouts built on it, against files that h5py and pymia wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use voxfeed::error::{Error, ErrorKind};
use voxfeed::store::{
    ChannelPlace, Choice, Context, Dataset, Entry, Extraction, GeometryCheck, Io, OpenOptions, Reader,
    Volume, volume,
};
use voxfeed::voxel::{DType, Region, Shape};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hdf5").join(name)
}

/// Shape and values that h5py read, all axes slowest first.
fn expected(key: &str) -> (Vec<usize>, Vec<f64>) {
    let text = std::fs::read_to_string(data("expected.json")).unwrap();
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entry = all.get(key).unwrap_or_else(|| panic!("nothing is noted of {key}"));
    let shape = entry["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
    let values = entry["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    (shape, values)
}

fn context(io: Io) -> Context {
    Context::new(OpenOptions { io, ..OpenOptions::default() })
}

fn choice(inner: &str, channel: ChannelPlace) -> Choice {
    Choice { inner: Some(inner.to_owned()), channel }
}

fn open(file: &str, choice: &Choice) -> Result<Arc<dyn Volume>, Error> {
    volume(&data(file), choice, &context(Io::Auto))
}

fn region_of(entries: &[Entry], region: &Region) -> Vec<f64> {
    let channels: usize = entries.iter().map(Entry::channels).sum();
    let mut bytes = vec![0u8; region.shape().byte_len(channels, 8).unwrap()];
    Reader::default().read(entries, region, &Extraction::exact(DType::F64), &mut bytes).unwrap();
    bytes.chunks_exact(8).map(|raw| f64::from_ne_bytes(raw.try_into().unwrap())).collect()
}

fn values(entry: &Entry) -> Vec<f64> {
    region_of(std::slice::from_ref(entry), &Region::whole(entry.shape().unwrap()))
}

/// Every position of a channel, of an array that keeps its channels last.
fn channel(values: &[f64], channels: usize, number: usize) -> Vec<f64> {
    values.iter().skip(number).step_by(channels).copied().collect()
}

fn check_whole(file: &str, inner: &str, io: Io) -> DType {
    let volume = volume(&data(file), &choice(inner, ChannelPlace::None), &context(io)).unwrap();
    let (shape, wanted) = expected(&format!("{file}:{inner}"));
    assert_eq!(volume.header().shape.extents(), shape, "{file}:{inner}");
    let entry = Entry::new("x", Arc::clone(&volume));
    assert_eq!(values(&entry), wanted, "{file}:{inner}");
    volume.header().dtype
}

#[test]
fn every_number_type_in_both_orders_reads_as_h5py_reads_it() {
    for io in [Io::Map, Io::Positional] {
        for dtype in DType::ALL {
            if dtype == DType::Bool {
                continue;
            }
            let code = dtype.name().replace("bool", "?");
            let letter = code.chars().next().unwrap();
            let name = format!("{letter}{}", dtype.byte_len());
            assert_eq!(check_whole("dtypes.h5", &format!("/little/{name}"), io), dtype);
            let big = check_whole("dtypes.h5", &format!("/big/{name}"), io);
            // The library does not tell a big-endian half from a bfloat16: f32 holds both.
            assert_eq!(big, if dtype == DType::F16 { DType::F32 } else { dtype });
        }
        assert_eq!(check_whole("dtypes.h5", "/bool", io), DType::Bool);
        assert_eq!(check_whole("dtypes.h5", "/enum", io), DType::U8);
        assert_eq!(check_whole("dtypes.h5", "/twelve_bits", io), DType::U16);
    }
}

#[test]
fn every_layout_reads_as_h5py_reads_it() {
    for inner in [
        "contiguous",
        "chunked",
        "gzip",
        "gzip_shuffle",
        "fletcher32",
        "scaleoffset",
        "gzip_big_endian",
        "gzip_half",
        "gzip_bool",
        "never_written",
        "part_written",
        "grown",
        "compact",
        "virtual",
    ] {
        check_whole("layouts.h5", &format!("/{inner}"), Io::Auto);
    }
    for inner in ["/volume", "/chunked"] {
        check_whole("user_block.h5", inner, Io::Auto);
    }
    check_whole("lzf.h5", "/data", Io::Auto);
}

#[test]
fn a_region_of_a_chunked_dataset_is_that_part_of_it() {
    let (_, all) = expected("layouts.h5:/gzip_shuffle");
    let entry = Entry::new("x", open("layouts.h5", &choice("gzip_shuffle", ChannelPlace::Unsaid)).unwrap());
    let region = Region::new(&[1, 2, 3], Shape::new(&[3, 2, 4]).unwrap()).unwrap();
    let mut wanted = Vec::new();
    for z in 1..4 {
        for y in 2..4 {
            wanted.extend_from_slice(&all[(z * 6 + y) * 7 + 3..(z * 6 + y) * 7 + 7]);
        }
    }
    assert_eq!(region_of(&[entry], &region), wanted);
}

#[test]
fn four_axes_keep_their_channels_last_unless_told_otherwise() {
    for inner in ["four_axes", "four_axes_chunked"] {
        let (shape, all) = expected(&format!("layouts.h5:/{inner}"));
        let volume = open("layouts.h5", &choice(inner, ChannelPlace::Unsaid)).unwrap();
        assert_eq!((volume.header().channels, volume.header().shape.extents()), (2, &shape[..3]));
        for number in 0..2 {
            let entry = Entry::channel("x", Arc::clone(&volume), number).unwrap();
            assert_eq!(values(&entry), channel(&all, 2, number));
        }
        let first = open("layouts.h5", &choice(inner, ChannelPlace::First)).unwrap();
        assert_eq!((first.header().channels, first.header().shape.extents()), (3, &shape[1..]));
        let second = Entry::channel("x", first, 1).unwrap();
        assert_eq!(values(&second), all[40..80]);
    }
}

#[test]
fn the_dataset_is_found_or_asked_for_by_name() {
    let inner = |file| open(file, &Choice::default()).map(|volume| volume.header().origin.inner.clone());
    assert_eq!(inner("single.h5").unwrap(), "/somewhere/inside");
    assert_eq!(inner("named.h5").unwrap(), "/Image");
    assert_eq!(inner("user_block.h5").unwrap(), "/volume");
    let error = inner("several.h5").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert!(error.message().contains("several.h5: several datasets"), "{error}");
    assert!(error.message().contains("/left [3, 4, 5], /right [3, 4, 5]"), "{error}");
    let error = open("several.h5", &choice("middle", ChannelPlace::Unsaid)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("no dataset \"middle\": there are /left"), "{error}");
}

#[test]
fn what_holds_no_numbers_is_unsupported_by_its_name() {
    for (inner, word) in [
        ("compound", "compound (a, b)"),
        ("complex", "complex"),
        ("text", "string"),
        ("ragged", "variable-length array"),
        ("reference", "reference"),
        ("scalar", "single value"),
    ] {
        let error = open("no_numbers.h5", &choice(inner, ChannelPlace::Unsaid)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains(word), "{error}");
        assert!(error.details().path.ends_with("no_numbers.h5"));
    }
}

#[test]
fn a_filter_that_is_missing_is_named_with_the_way_out() {
    // The number of the one filter of this file, as its header has it, becomes that of another.
    let file = std::fs::read(data("lzf.h5")).unwrap();
    let number = 32000u16.to_le_bytes();
    let places: Vec<usize> = (0..file.len() - 1).filter(|&at| file[at..at + 2] == number).collect();
    let [at] = places[..] else { panic!("{places:?}") };
    for (id, name) in
        [(307u16, "bzip2"), (32001, "blosc"), (32004, "lz4"), (32008, "bitshuffle"), (32015, "zstd")]
    {
        let mut file = file.clone();
        file[at..at + 2].copy_from_slice(&id.to_le_bytes());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.h5");
        std::fs::write(&path, file).unwrap();
        let error = volume(&path, &Choice::default(), &context(Io::Auto)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains(&format!("filter {id} ({name})")), "{error}");
        assert!(error.message().contains("HDF5_PLUGIN_PATH"), "{error}");
        assert!(!error.message().contains("target"), "{error}");
    }
}

#[test]
fn broken_files_are_refused_with_their_kind_and_name() {
    let mut seen = 0;
    for file in std::fs::read_dir(data("")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let Some(rest) = name.strip_prefix("x_") else { continue };
        let kind = match rest.split('_').next().unwrap() {
            "format" => ErrorKind::Format,
            other => panic!("{name}: unknown kind {other}"),
        };
        let error = Dataset::open(&data(&name), OpenOptions::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(&name), "{error}");
        assert!(!error.message().contains('\n'), "{error}");
        seen += 1;
    }
    assert_eq!(seen, 8);
}

#[test]
fn one_file_is_read_by_many_threads() {
    let names = ["gzip", "chunked", "contiguous", "compact", "gzip_shuffle"];
    let context = context(Io::Auto);
    let entries: Vec<Entry> = names
        .iter()
        .map(|name| {
            let choice = choice(name, ChannelPlace::Unsaid);
            Entry::new(*name, volume(&data("layouts.h5"), &choice, &context).unwrap())
        })
        .collect();
    let (_, wanted) = expected("layouts.h5:/gzip");
    std::thread::scope(|scope| {
        for first in 0..8 {
            let (entries, wanted) = (&entries, &wanted);
            scope.spawn(move || {
                for round in 0..40 {
                    let entry = &entries[(first + round) % entries.len()];
                    assert_eq!(values(entry), *wanted, "{}", entry.name());
                }
            });
        }
    });
}

fn check_pymia(file: &str, count: usize, width: usize, names: [&str; 2]) {
    let dataset = Dataset::open(&data(file), OpenOptions::default()).unwrap();
    let ids: Vec<String> = dataset.subjects().iter().map(|subject| subject.id().to_owned()).collect();
    assert_eq!(ids, (0..count).map(|number| format!("S{number}")).collect::<Vec<_>>());
    for (number, subject) in dataset.subjects().iter().enumerate() {
        assert_eq!(subject.attributes()["age"].as_array().unwrap()[0], 20.5 + number as f64);
        assert_eq!(subject.attributes()["file_root"], "/study");
        assert_eq!(subject.attributes()["files"]["labels"][0], format!("S{number}/seg.nii.gz"));
        let images = subject.category("images").unwrap();
        assert_eq!(images.entries.iter().map(Entry::name).collect::<Vec<_>>(), names);
        let (shape, wanted) = expected(&format!("{file}:/data/images/{number:0width$}"));
        for (place, entry) in images.entries.iter().enumerate() {
            assert_eq!(entry.shape().unwrap().extents(), &shape[..3]);
            assert_eq!(values(entry), channel(&wanted, 2, place));
            let affine = entry.affine().unwrap();
            assert_eq!(affine.spacing_mm(), [3.0 + number as f64, 2.0, 1.0]);
            // ITK's (10, -20, 30) in LPS is (-10, 20, 30) in RAS.
            assert_eq!(affine.offset(), [-10.0, 20.0, 30.0 + number as f64]);
            // ITK's x axis runs to -y in LPS: to Anterior, 1 mm a voxel.
            assert_eq!(affine.columns()[2], [0.0, 1.0, 0.0]);
            assert_eq!(affine.columns()[1], [-2.0, 0.0, 0.0]);
        }
        assert!(Arc::ptr_eq(images.entries[0].volume(), images.entries[1].volume()));
        let region = Region::whole(images.entries[0].shape().unwrap());
        let planar: Vec<f64> = (0..2).flat_map(|place| channel(&wanted, 2, place)).collect();
        assert_eq!(region_of(&images.entries, &region), planar);
        let labels = &subject.category("labels").unwrap().entries[0];
        assert_eq!(labels.header().dtype, DType::U8);
        assert_eq!(values(labels), expected(&format!("{file}:/data/labels/{number:0width$}")).1);
    }
}

#[test]
fn pymia_files_read_as_pymia_wrote_them() {
    check_pymia("pymia_3.h5", 3, 1, ["T1", "T2"]);
    check_pymia("pymia_11.h5", 11, 2, ["T1", "T2"]);
}

#[test]
fn a_pymia_file_without_names_numbers_its_channels() {
    check_pymia("pymia_meta_only.h5", 2, 1, ["channel_0", "channel_1"]);
}

#[test]
fn a_pymia_file_without_data_looks_for_the_original_files() {
    let error = Dataset::open(&data("meta_without_data.h5"), OpenOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("/study/S0/t1.nii.gz"), "{error}");
}

#[test]
fn orientation_and_geometry_checks_reach_hdf5_volumes() {
    let orient = Some(voxfeed::voxel::Orientation::parse("RAS").unwrap());
    let options = OpenOptions { orient, geometry: GeometryCheck::Strict, ..OpenOptions::default() };
    let dataset = Dataset::open(&data("pymia_3.h5"), options).unwrap();
    let entry = &dataset.subjects()[0].category("images").unwrap().entries[0];
    assert_eq!(entry.shape().unwrap().extents(), [4, 6, 5]);
    let (_, wanted) = expected("pymia_3.h5:/data/images/0");
    // Stored (z, y, x) runs to Superior, Left and Anterior: seen (z, x, 4 - y).
    let seen = values(entry);
    for z in 0..4 {
        for y in 0..5 {
            for x in 0..6 {
                assert_eq!(seen[(z * 6 + x) * 5 + (4 - y)], wanted[((z * 5 + y) * 6 + x) * 2]);
            }
        }
    }
}

#[test]
fn medsegpy_slices_are_stacked_into_scans() {
    let dataset = Dataset::open(&data("medsegpy_2d"), OpenOptions::default()).unwrap();
    assert_eq!(dataset.subjects().len(), 2);
    for (subject, depth) in dataset.subjects().iter().zip([3, 4]) {
        let image = &subject.category("images").unwrap().entries[0];
        assert_eq!(image.shape().unwrap().extents(), [5, 6, depth]);
        assert_eq!(image.name(), "volume");
        assert_eq!(values(image), expected(&format!("medsegpy_2d:{}/volume", subject.id())).1);
        let classes = &subject.category("labels").unwrap().entries;
        assert_eq!(classes.iter().map(Entry::name).collect::<Vec<_>>(), ["class_0", "class_1"]);
        assert_eq!(values(&classes[1]), expected(&format!("medsegpy_2d:{}/class_1", subject.id())).1);
        assert_eq!(subject.attributes()["subject_id"], "0000001");
        assert_eq!(subject.attributes()["time_point"], depth - 3);
    }
    let image = &dataset.subjects()[1].category("images").unwrap().entries[0];
    let (_, all) = expected(&format!("medsegpy_2d:{}/volume", dataset.subjects()[1].id()));
    let region = Region::new(&[1, 2, 1], Shape::new(&[2, 3, 2]).unwrap()).unwrap();
    let mut wanted = Vec::new();
    for h in 1..3 {
        for w in 2..5 {
            wanted.extend_from_slice(&all[(h * 6 + w) * 4 + 1..(h * 6 + w) * 4 + 3]);
        }
    }
    assert_eq!(region_of(std::slice::from_ref(image), &region), wanted);
}

#[test]
fn medsegpy_scans_read_alike_from_files_and_from_groups() {
    for file in ["medsegpy_3d", "medsegpy_single.h5"] {
        let dataset = Dataset::open(&data(file), OpenOptions::default()).unwrap();
        let ids: Vec<_> = dataset.subjects().iter().map(|subject| subject.id().to_owned()).collect();
        assert_eq!(ids, ["0000007_V00", "0000008_V02"], "{file}");
        for subject in dataset.subjects() {
            let image = &subject.category("images").unwrap().entries[0];
            assert_eq!(image.shape().unwrap().extents(), [4, 5, 6]);
            assert_eq!(values(image), expected(&format!("medsegpy_3d:{}/volume", subject.id())).1);
            let classes = &subject.category("labels").unwrap().entries;
            assert_eq!(classes.len(), 3);
            assert_eq!(values(&classes[2]), expected(&format!("medsegpy_3d:{}/class_2", subject.id())).1);
        }
        assert_eq!(dataset.subjects()[1].attributes()["time_point"], 2);
    }
}

#[test]
fn a_missing_slice_is_a_format_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(data("medsegpy_2d")).unwrap() {
        let file = file.unwrap();
        if !file.file_name().to_str().unwrap().contains("V01-Aug00_002") {
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    let error = Dataset::open(folder.path(), OpenOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().contains("scan \"0000001_V01-Aug00\": slice 2 is missing"), "{error}");
}
