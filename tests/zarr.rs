//! Zarr arrays that are written here by hand: what they hold, and how broken and strange ones are refused.
#![cfg(feature = "zarr")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, missing_docs)]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use voxfeed::error::{Error, ErrorKind};
use voxfeed::store::{
    Choice, Context, Dataset, Entry, Extraction, Io, OpenOptions, Reader, save_manifest, volume,
};
use voxfeed::voxel::{DType, Region};

fn context(io: Io) -> Context {
    Context::new(OpenOptions { io, ..OpenOptions::default() })
}

fn named(inner: &str) -> Choice {
    Choice { inner: Some(inner.to_owned()), ..Choice::default() }
}

/// All values of an array, read in both ways.
fn read(path: &Path, choice: &Choice) -> Result<Vec<f64>, Error> {
    let mut found = Vec::new();
    for io in [Io::Map, Io::Positional] {
        let entry = Entry::new("whole", volume(path, choice, &context(io))?);
        let shape = entry.shape()?;
        let mut bytes = vec![0u8; shape.byte_len(entry.channels(), 8)?];
        let how = Extraction::exact(DType::F64);
        Reader::default().read(std::slice::from_ref(&entry), &Region::whole(shape), &how, &mut bytes)?;
        let values: Vec<f64> =
            bytes.chunks_exact(8).map(|value| f64::from_ne_bytes(value.try_into().unwrap())).collect();
        assert!(found.is_empty() || found == values);
        found = values;
    }
    Ok(found)
}

fn refused(path: &Path, choice: &Choice) -> Error {
    let error = read(path, choice).unwrap_err();
    assert!(!error.message().contains('\n'), "{error}");
    error
}

fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Version 3, 3 x 4 of i16 in chunks of 2 x 3, with these codecs.
fn third(codecs: Value) -> Value {
    json!({
        "zarr_format": 3, "node_type": "array", "shape": [3, 4], "data_type": "int16", "fill_value": -9,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": codecs, "attributes": {},
    })
}

fn little() -> Value {
    json!({"name": "bytes", "configuration": {"endian": "little"}})
}

fn i16s(values: &[i16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The array of [`third`], the chunk at (0, 0) stored and no other.
fn plain() -> TempDir {
    let folder = TempDir::new().unwrap();
    put(folder.path(), "zarr.json", third(json!([little()])).to_string());
    put(folder.path(), "c/0/0", i16s(&[0, 1, 2, 4, 5, 6]));
    folder
}

const VALUES: [f64; 12] = [0.0, 1.0, 2.0, -9.0, 4.0, 5.0, 6.0, -9.0, -9.0, -9.0, -9.0, -9.0];

#[test]
fn chunks_that_are_not_there_have_the_fill_value() {
    let folder = plain();
    assert_eq!(read(folder.path(), &Choice::default()).unwrap(), VALUES);
    put(folder.path(), "c/1/1", i16s(&[11, 70, 71, 72, 73, 74]));
    let mut with_edge = VALUES;
    with_edge[11] = 11.0;
    assert_eq!(read(folder.path(), &Choice::default()).unwrap(), with_edge);
}

#[test]
fn an_array_of_version_two_in_fortran_order_reads_as_its_axes_say() {
    let folder = TempDir::new().unwrap();
    let about = json!({
        "zarr_format": 2, "shape": [2, 3], "chunks": [2, 3], "dtype": ">i2", "fill_value": null, "order": "F",
        "filters": null, "compressor": null, "dimension_separator": "/",
    });
    put(folder.path(), ".zarray", about.to_string());
    put(folder.path(), "0/0", [0, 0, 0, 3, 0, 1, 0, 4, 0, 2, 0, 5]);
    assert_eq!(read(folder.path(), &Choice::default()).unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

/// Two chunks of 1 x 3 in each shard, the second stored first, the index before them or after.
fn sharded(location: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let sharding = json!({"name": "sharding_indexed", "configuration": {
        "chunk_shape": [1, 3], "codecs": [little()], "index_codecs": [little()], "index_location": location}});
    put(folder.path(), "zarr.json", third(json!([sharding])).to_string());
    let before = if location == "start" { 32 } else { 0 };
    let index: Vec<u8> =
        [before + 6, 6, before, 6u64].iter().flat_map(|number| number.to_le_bytes()).collect();
    let chunks = i16s(&[4, 5, 6, 0, 1, 2]);
    let parts = if location == "start" { [index, chunks] } else { [chunks, index] };
    put(folder.path(), "c/0/0", parts.concat());
    let nothing = [u64::MAX; 4].map(u64::to_le_bytes).concat();
    put(folder.path(), "c/1/0", nothing);
    folder
}

#[test]
fn shards_are_read_by_their_index_at_either_end() {
    for location in ["start", "end"] {
        let folder = sharded(location);
        assert_eq!(read(folder.path(), &Choice::default()).unwrap(), VALUES, "{location}");
    }
}

#[test]
fn a_truncated_chunk_or_shard_is_a_format_error_that_names_its_file() {
    for folder in [plain(), sharded("start"), sharded("end")] {
        let file = folder.path().join("c/0/0");
        let whole = fs::read(&file).unwrap();
        for len in [0, 5, whole.len() - 1] {
            fs::write(&file, &whole[..len]).unwrap();
            let error = refused(folder.path(), &Choice::default());
            assert_eq!(error.kind(), ErrorKind::Format, "{error}");
            assert!(error.message().contains("c/0/0"), "{error}");
        }
    }
    let folder = plain();
    put(folder.path(), "c/0/0", [0; 13]);
    assert_eq!(refused(folder.path(), &Choice::default()).kind(), ErrorKind::Format);
}

#[test]
fn a_checksum_that_differs_is_a_format_error() {
    let folder = plain();
    put(folder.path(), "zarr.json", third(json!([little(), {"name": "crc32c"}])).to_string());
    put(folder.path(), "c/0/0", [0; 16]);
    let error = refused(folder.path(), &Choice::default());
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().contains("crc32c"), "{error}");
    // The checksum of twelve zeros.
    put(folder.path(), "c/0/0", [&[0u8; 12][..], &crc32c_of_zeros(12).to_le_bytes()].concat());
    read(folder.path(), &Choice::default()).unwrap();
}

fn crc32c_of_zeros(count: usize) -> u32 {
    let mut sum = !0u32;
    for _ in 0..count * 8 {
        sum = if sum & 1 == 1 { sum >> 1 ^ 0x82F6_3B78 } else { sum >> 1 };
    }
    !sum
}

#[test]
fn metadata_that_are_no_sound_json_are_a_format_error() {
    let folder = plain();
    for text in ["", "{", "[]", "{\"zarr_format\": 3, \"node_type\": \"thing\"}"] {
        put(folder.path(), "zarr.json", text);
        let error = refused(folder.path(), &Choice::default());
        assert_eq!(error.kind(), ErrorKind::Format, "{error}");
        assert!(error.message().contains("zarr.json"), "{error}");
    }
}

#[test]
fn what_cannot_be_read_is_unsupported_and_named() {
    for (codecs, name) in [
        (json!([little(), {"name": "bz2"}]), "bz2"),
        (json!([{"name": "numcodecs.delta"}, little()]), "delta"),
    ] {
        let folder = plain();
        put(folder.path(), "zarr.json", third(codecs).to_string());
        let error = refused(folder.path(), &Choice::default());
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains(name), "{error}");
    }
    let empty = TempDir::new().unwrap();
    assert_eq!(refused(empty.path(), &Choice::default()).kind(), ErrorKind::Unsupported);
}

/// A group with the arrays "images/T1", "images/T2" and "labels".
fn group() -> TempDir {
    let folder = TempDir::new().unwrap();
    let group = json!({"zarr_format": 3, "node_type": "group", "attributes": {}}).to_string();
    put(folder.path(), "zarr.json", &group);
    put(folder.path(), "images/zarr.json", &group);
    for array in ["images/T1", "images/T2", "labels"] {
        put(folder.path(), &format!("{array}/zarr.json"), third(json!([little()])).to_string());
        put(folder.path(), &format!("{array}/c/0/0"), i16s(&[0, 1, 2, 4, 5, 6]));
    }
    folder
}

#[test]
fn an_array_of_a_group_is_named_by_its_place() {
    let folder = group();
    for inner in ["images/T1", "/images/T2/", "labels"] {
        assert_eq!(read(folder.path(), &named(inner)).unwrap(), VALUES, "{inner}");
    }
    let error = refused(folder.path(), &Choice::default());
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert!(error.message().contains("images/T1, images/T2, labels"), "{error}");
    assert_eq!(refused(folder.path(), &named("images")).kind(), ErrorKind::Argument);
    for inner in ["images/T3", "../x", "images/../labels", "c"] {
        let error = refused(folder.path(), &named(inner));
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    fs::remove_dir_all(folder.path().join("images")).unwrap();
    assert_eq!(read(folder.path(), &Choice::default()).unwrap(), VALUES);
    fs::remove_dir_all(folder.path().join("labels")).unwrap();
    assert_eq!(refused(folder.path(), &Choice::default()).kind(), ErrorKind::NotFound);
}

#[test]
fn a_multiscale_image_opens_at_its_finest_level_with_its_spacing() {
    let folder = group();
    let level = |path: &str, scale: f64| json!({"path": path, "coordinateTransformations": [{"type": "scale", "scale": [scale, scale, scale]}]});
    let axis = |name: &str| json!({"name": name, "type": "space", "unit": "millimeter"});
    let about = json!({"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"multiscales": [{
        "axes": [axis("z"), axis("y"), axis("x")], "datasets": [level("images/T2", 0.5), level("labels", 1.0)]}]}}});
    put(folder.path(), "zarr.json", about.to_string());
    for array in ["images/T2", "labels"] {
        let mut json = third(json!([little()]));
        json["shape"] = json!([1, 3, 4]);
        json["chunk_grid"]["configuration"]["chunk_shape"] = json!([1, 2, 3]);
        put(folder.path(), &format!("{array}/zarr.json"), json.to_string());
    }
    let opened = volume(folder.path(), &Choice::default(), &context(Io::Auto)).unwrap();
    assert_eq!(opened.header().origin.inner, "images/T2");
    let coarse = volume(folder.path(), &named("labels"), &context(Io::Auto)).unwrap();
    assert_eq!(coarse.header().affine.unwrap().spacing_mm(), [1.0; 3]);
}

#[test]
fn arrays_in_a_folder_are_subjects_and_entries_like_files() {
    let folder = TempDir::new().unwrap();
    for place in ["a/T1.zarr", "a/seg.zarr", "b/T1.zarr", "b/seg.zarr"] {
        put(folder.path(), &format!("{place}/zarr.json"), third(json!([little()])).to_string());
    }
    let dataset = Dataset::open(folder.path(), OpenOptions::default()).unwrap();
    assert_eq!(dataset.subjects().len(), 2);
    for subject in dataset.subjects() {
        assert_eq!(subject.category("images").unwrap().entries[0].name(), "T1");
        assert_eq!(subject.category("labels").unwrap().entries[0].name(), "seg");
    }
    let manifest = folder.path().join("all.json");
    save_manifest(&manifest, &dataset).unwrap();
    assert_eq!(Dataset::open(&manifest, OpenOptions::default()).unwrap().subjects().len(), 2);
    let one = Dataset::open(&folder.path().join("a/T1.zarr"), OpenOptions::default()).unwrap();
    assert_eq!(one.subjects()[0].id(), "T1");
}

#[test]
fn sizes_that_no_machine_has_are_refused_before_memory_is_asked_for() {
    for (shape, chunk) in [
        (json!([1u64 << 62, 1u64 << 62]), json!([2, 3])),
        (json!([3, 4]), json!([1u64 << 31, 1u64 << 31])),
        (json!([1u64 << 40, 4]), json!([1u64 << 33, 4])),
    ] {
        let folder = plain();
        let mut json = third(json!([little()]));
        json["shape"] = shape;
        json["chunk_grid"]["configuration"]["chunk_shape"] = chunk;
        put(folder.path(), "zarr.json", json.to_string());
        let error = volume(folder.path(), &Choice::default(), &context(Io::Auto)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{error}");
    }
    let folder = plain();
    let mut json = third(json!([{"name": "sharding_indexed", "configuration": {
        "chunk_shape": [1, 1], "codecs": [little()], "index_codecs": [little()]}}]));
    json["chunk_grid"]["configuration"]["chunk_shape"] = json!([1u64 << 31, 1u64 << 31]);
    put(folder.path(), "zarr.json", json.to_string());
    assert_eq!(refused(folder.path(), &Choice::default()).kind(), ErrorKind::Format);
}
