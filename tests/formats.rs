//! One suite over every format: files that the formats' own tools wrote must read as those tools read them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use voxfeed::error::{ErrorKind, Result};
use voxfeed::store::{ChannelPlace, Choice, Context, Entry, Extraction, Io, OpenOptions, Reader, volume};
use voxfeed::voxel::{DType, Region};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats")
}

fn context(io: Io) -> Context {
    Context::new(OpenOptions { io, ..OpenOptions::default() })
}

/// Opens a file and reads all of it.
fn read_whole(path: &Path, choice: &Choice, io: Io, dtype: Option<DType>) -> Result<(Entry, Vec<u8>)> {
    let entry = Entry::new("whole", volume(path, choice, &context(io))?);
    let dtype = dtype.unwrap_or(entry.header().dtype);
    let shape = entry.shape()?;
    let mut voxels = vec![0u8; shape.byte_len(entry.channels(), dtype.byte_len())?];
    let how = Extraction::exact(dtype);
    Reader::default().read(std::slice::from_ref(&entry), &Region::whole(shape), &how, &mut voxels)?;
    Ok((entry, voxels))
}

/// The FNV-1a hash, as hexadecimal digits.
fn fnv(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn choice(expected: &Value) -> Choice {
    let channel = match expected.get("channel").and_then(Value::as_str) {
        Some("first") => ChannelPlace::First,
        Some("last") => ChannelPlace::Last,
        Some("none") => ChannelPlace::None,
        _ => ChannelPlace::Unsaid,
    };
    let inner = expected.get("inner").and_then(Value::as_str).map(str::to_owned);
    Choice { inner, channel }
}

fn check(name: &str, expected: &Value, io: Io) {
    let dtype = DType::parse(expected["read_as"].as_str().unwrap()).unwrap();
    let (entry, voxels) = read_whole(&folder().join(name), &choice(expected), io, Some(dtype))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let header = entry.header();
    let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
    assert_eq!(header.shape.extents(), shape, "{name}");
    assert_eq!(header.channels as u64, expected["channels"].as_u64().unwrap(), "{name}");
    assert_eq!(header.scale.is_some(), expected["scaled"].as_bool().unwrap(), "{name}");
    if header.scale.is_none() {
        assert_eq!(header.dtype, dtype, "{name}");
    }
    let affine =
        expected.get("affine").map(|rows| -> [[f64; 4]; 3] { serde_json::from_value(rows.clone()).unwrap() });
    assert_eq!(header.affine.is_some(), affine.is_some(), "{name}");
    if let (Some(own), Some(rows)) = (header.affine, affine) {
        for (found, wanted) in own.fastest_first().iter().flatten().zip(rows.iter().flatten()) {
            let near = (found - wanted).abs() <= 1e-12 * wanted.abs().max(1.0);
            assert!(near, "{name}: {:?}, expected {rows:?}", own.fastest_first());
        }
    }
    assert_eq!(fnv(&voxels), expected["fnv"].as_str().unwrap(), "{name}: {:?}", expected["first"]);
}

fn expected() -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Whether the format of a file is part of this build.
fn built(name: &str) -> bool {
    cfg!(feature = "b2nd") || !name.ends_with(".b2nd")
}

#[test]
fn every_file_reads_as_its_own_tool_reads_it() {
    let expected = expected();
    assert!(expected.len() > 80);
    for (name, values) in &expected {
        if !built(name) {
            let error = read_whole(&folder().join(name), &choice(values), Io::Auto, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {error}");
            assert!(error.message().contains("feature b2nd"), "{error}");
            continue;
        }
        check(name, values, Io::Map);
        check(name, values, Io::Positional);
    }
}

#[test]
fn every_file_is_expected_or_refused() {
    let expected = expected();
    for file in std::fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let known = expected.contains_key(&name) || name.starts_with("x_") || name == "expected.json";
        assert!(known, "{name} is neither in expected.json nor called x_");
    }
}

#[test]
fn broken_and_strange_files_are_refused_with_their_kind_and_name() {
    let mut refused = 0;
    for file in std::fs::read_dir(folder()).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(rest) = name.strip_prefix("x_").filter(|_| built(name)) else { continue };
        let kind = match rest.split('_').next().unwrap() {
            "format" => ErrorKind::Format,
            "unsupported" => ErrorKind::Unsupported,
            "argument" => ErrorKind::Argument,
            "notfound" => ErrorKind::NotFound,
            other => panic!("{name}: no kind is called {other}"),
        };
        // The voxels of a pair are judged by its header.
        let name = &name.replace(".img", ".hdr");
        for io in [Io::Map, Io::Positional] {
            let error = read_whole(&path, &Choice::default(), io, None).err();
            let error = error.unwrap_or_else(|| panic!("{name} was read"));
            assert_eq!(error.kind(), kind, "{name}: {error}");
            assert!(error.message().contains(name), "{name} is not named: {error}");
            assert_eq!(error.message().matches(name).count(), 1, "{name} is named twice: {error}");
            assert!(!error.message().contains('\n'), "{name}: {error}");
        }
        refused += 1;
    }
    assert!(refused > 50);
}

#[test]
fn a_missing_file_is_not_found() {
    let error = read_whole(Path::new("no/such.nii.gz"), &Choice::default(), Io::Auto, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let named = Choice { inner: Some("labels".to_owned()), ..Choice::default() };
    let error = read_whole(&folder().join("npz_data.npz"), &named, Io::Auto, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("seg, data"), "{error}");
}

#[test]
fn opening_reads_no_voxel() {
    let context = context(Io::Auto);
    for name in ["gzip.nii.gz", "members.nii.gz", "npz_deflated.npz"] {
        let choice = Choice::default();
        let opened = volume(&folder().join(name), &choice, &context).unwrap();
        assert!(opened.header().shape.ndim() == 3);
    }
    assert_eq!(context.decoded.byte_len(), 0);
    assert_eq!(context.decoded.hits_and_misses(), (0, 0));
}

#[test]
fn a_compressed_volume_is_inflated_once_for_many_regions() {
    let context = context(Io::Auto);
    let gzip = volume(&folder().join("gzip.nii.gz"), &Choice::default(), &context).unwrap();
    let entry = Entry::new("gzip", gzip);
    let mut reader = Reader::default();
    let shape = voxfeed::voxel::Shape::new(&[2, 2, 2]).unwrap();
    for start in 0..3 {
        let region = Region::new(&[start - 1, 0, start], shape).unwrap();
        let mut into = [0u8; 16];
        let entries = std::slice::from_ref(&entry);
        reader.read(entries, &region, &Extraction::exact(DType::I16), &mut into).unwrap();
    }
    assert_eq!(context.decoded.hits_and_misses(), (2, 1));
}

/// Numbers that look random and are the same on every run.
fn scatter(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

#[test]
fn damaged_files_are_read_or_refused_and_never_crash() {
    let target = tempfile::tempdir().unwrap();
    let mut state = 1;
    let mut refused = 0;
    for (name, values) in &expected() {
        let content = std::fs::read(folder().join(name)).unwrap();
        let path = target.path().join(name);
        for round in 0..24 {
            let mut damaged = content.clone();
            if round % 4 == 0 {
                damaged.truncate(scatter(&mut state) % content.len());
            } else {
                for _ in 0..round % 4 {
                    // Most of what can go wrong is in the first bytes.
                    let range = if round % 2 == 0 { content.len() } else { content.len().min(360) };
                    damaged[scatter(&mut state) % range] = scatter(&mut state) as u8;
                }
            }
            std::fs::write(&path, damaged).unwrap();
            let io = if round % 2 == 0 { Io::Map } else { Io::Positional };
            if let Err(error) = read_whole(&path, &choice(values), io, Some(DType::F64)) {
                assert!(error.kind() != ErrorKind::Internal, "{name}: {error}");
                assert!(!error.message().contains('\n'), "{name}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 500, "{refused}");
}
