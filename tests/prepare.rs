//! Datasets written and converted, and what is refused on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use voxfeed::error::ErrorKind;
use voxfeed::prepare::{ConvertOptions, DatasetWriter, Existing, Outcome, WriterOptions, convert};
use voxfeed::store::{Dataset, DenseVolume, Entry, Extraction, OpenOptions, Reader, save};
use voxfeed::voxel::{Affine, DType, Orientation, Region, Shape};

/// A volume without its bytes.
#[derive(Clone, Copy)]
struct Image {
    shape: Shape,
    channels: usize,
    dtype: DType,
    affine: Option<Affine>,
}

impl Image {
    fn of<'a>(&self, bytes: &'a [u8]) -> DenseVolume<'a> {
        let Image { shape, channels, dtype, affine } = *self;
        DenseVolume { shape, channels, dtype, bytes, affine }
    }
}

fn of_shape(extents: &[usize], channels: usize, dtype: DType) -> Image {
    let shape = Shape::new(extents).unwrap();
    let affine = Affine::from_columns([[0.0, 0.5, 3.0], [0.0, 2.0, -0.5], [-1.0, 0.0, 0.0]], [9.0, 8.0, 7.0]);
    Image { shape, channels, dtype, affine: Some(affine) }
}

fn bytes(image: &Image, first: usize) -> Vec<u8> {
    let len = image.shape.byte_len(image.channels, image.dtype.byte_len()).unwrap();
    (0..len).map(|number| ((number * 5 + first) % 120) as u8).collect()
}

fn stored(entries: &[Entry]) -> Vec<u8> {
    let dtype = entries[0].header().dtype;
    let shape = entries[0].shape().unwrap();
    let channels: usize = entries.iter().map(Entry::channels).sum();
    let mut into = vec![0; shape.byte_len(channels, dtype.byte_len()).unwrap()];
    Reader::default().read(entries, &Region::whole(shape), &Extraction::exact(dtype), &mut into).unwrap();
    into
}

fn names(folder: &Path) -> Vec<String> {
    let items = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = items.map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn write_subjects(path: &Path, count: usize) {
    let mut writer = DatasetWriter::create(path, WriterOptions::default()).unwrap();
    for number in 0..count {
        writer.add_subject(&format!("subject {number}")).unwrap();
        let image = of_shape(&[4, 5, 6 + number % 2], 1, DType::I16);
        writer.add_entry("images", "T1", &image.of(&bytes(&image, number))).unwrap();
        writer.add_entry("images", "T2", &image.of(&bytes(&image, number + 50))).unwrap();
        let label = Image { dtype: DType::U8, ..image };
        writer.add_entry("labels", "seg", &label.of(&bytes(&label, 3))).unwrap();
    }
    assert_eq!(writer.subject_count(), count);
    writer.finish().unwrap();
}

#[test]
fn a_written_dataset_reads_back_whole() {
    for count in [1, 3, 10, 23, 101] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("set.h5");
        write_subjects(&path, count);
        assert_eq!(names(folder.path()), ["set.h5"]);
        let dataset = Dataset::open(&path, OpenOptions::default()).unwrap();
        assert_eq!(dataset.subjects().len(), count);
        for (number, subject) in dataset.subjects().iter().enumerate() {
            assert_eq!(subject.id(), format!("subject {number}"));
            let image = of_shape(&[4, 5, 6 + number % 2], 1, DType::I16);
            let entries = &subject.category("images").unwrap().entries;
            assert_eq!(entries.iter().map(Entry::name).collect::<Vec<_>>(), ["T1", "T2"]);
            let wanted = [bytes(&image, number), bytes(&image, number + 50)].concat();
            assert_eq!(stored(entries), wanted);
            let affine = entries[0].affine().unwrap();
            assert!(affine.corner_distance_mm(&image.affine.unwrap(), [4, 5, 7]) < 1e-9);
            let labels = &subject.category("labels").unwrap().entries;
            assert_eq!(stored(labels), bytes(&Image { dtype: DType::U8, ..image }, 3));
        }
    }
}

#[test]
fn every_dtype_and_several_channels_come_back() {
    let folder = TempDir::new().unwrap();
    for dtype in DType::ALL {
        let path = folder.path().join(format!("{dtype}.h5"));
        let mut writer = DatasetWriter::create(&path, WriterOptions::default()).unwrap();
        writer.add_subject("a").unwrap();
        let vector = of_shape(&[3, 4, 5], 3, dtype);
        let raw = match dtype {
            DType::Bool => bytes(&vector, 0).iter().map(|byte| byte % 2).collect(),
            _ => bytes(&vector, 0),
        };
        writer.add_entry("images", "flow", &vector.of(&raw)).unwrap();
        writer.finish().unwrap();
        let dataset = Dataset::open(&path, OpenOptions::default()).unwrap();
        let entries = &dataset.subjects()[0].category("images").unwrap().entries;
        assert_eq!(entries.iter().map(Entry::name).collect::<Vec<_>>(), ["flow_0", "flow_1", "flow_2"]);
        assert_eq!(entries[0].header().dtype, dtype);
        assert_eq!(stored(entries), raw, "{dtype}");
    }
}

#[test]
fn two_dimensional_volumes_without_geometry_are_written_without_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("flat.h5");
    let mut writer = DatasetWriter::create(&path, WriterOptions::default()).unwrap();
    let image = Image { affine: None, ..of_shape(&[7, 8], 1, DType::F32) };
    for id in ["a", "b"] {
        writer.add_subject(id).unwrap();
        writer.add_entry("images", "x", &image.of(&bytes(&image, 1))).unwrap();
    }
    writer.finish().unwrap();
    let dataset = Dataset::open(&path, OpenOptions::default()).unwrap();
    let entry = &dataset.subjects()[1].category("images").unwrap().entries[0];
    assert_eq!(entry.affine(), None);
    assert_eq!(stored(std::slice::from_ref(entry)), bytes(&image, 1));
}

#[test]
fn files_that_entries_came_from_are_written_where_all_are_known() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("set.h5");
    let mut writer = DatasetWriter::create(&path, WriterOptions::default()).unwrap();
    for id in ["a", "b"] {
        writer.add_subject(id).unwrap();
        for name in ["T1", "T2"] {
            let file = PathBuf::from(format!("/study/{id}/{name}.nii.gz"));
            let image = of_shape(&[4, 5, 6], 1, DType::U8);
            writer.add_entry_of_file(("images", name), &image.of(&bytes(&image, 0)), &file).unwrap();
        }
    }
    writer.finish().unwrap();
    let dataset = Dataset::open(&path, OpenOptions::default()).unwrap();
    let attributes = dataset.subjects()[1].attributes();
    assert_eq!(attributes["file_root"], "/study");
    assert_eq!(attributes["files"]["images"], serde_json::json!(["b/T1.nii.gz", "b/T2.nii.gz"]));
}

#[test]
fn what_is_refused_leaves_the_rest_intact() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("set.h5");
    let mut writer = DatasetWriter::create(&path, WriterOptions::default()).unwrap();
    let image = of_shape(&[4, 5, 6], 1, DType::I16);
    let raw = bytes(&image, 0);
    let refused = |writer: &mut DatasetWriter, name: &str, image: &Image, raw: &[u8]| {
        let error = writer.add_entry("images", name, &image.of(raw)).unwrap_err();
        (error.kind(), error.message().to_owned())
    };
    assert_eq!(refused(&mut writer, "T1", &image, &raw).0, ErrorKind::State);
    writer.add_subject("a").unwrap();
    writer.add_entry("images", "T1", &image.of(&raw)).unwrap();

    let other = of_shape(&[4, 5, 7], 1, DType::I16);
    let (kind, text) = refused(&mut writer, "T2", &other, &bytes(&other, 0));
    assert_eq!(kind, ErrorKind::Argument);
    assert!(text.contains("images/T2 has shape (4, 5, 7), but images/T1 has (4, 5, 6)"), "{text}");
    let other = of_shape(&[4, 5, 6], 1, DType::U8);
    let (kind, text) = refused(&mut writer, "T2", &other, &bytes(&other, 0));
    assert_eq!(kind, ErrorKind::Argument);
    assert!(text.contains("images/T2 is u8, but images/T1 is i16"), "{text}");
    let moved = Image { affine: Some(Affine::identity()), ..image };
    assert!(refused(&mut writer, "T2", &moved, &raw).1.contains("mm apart"));
    assert_eq!(refused(&mut writer, "T1", &image, &raw).0, ErrorKind::Argument);
    assert_eq!(refused(&mut writer, "T2", &image, &raw[1..]).0, ErrorKind::Argument);
    assert_eq!(refused(&mut writer, "a/b", &image, &raw).0, ErrorKind::Argument);
    let long = of_shape(&[1, 1, 70_000], 1, DType::U8);
    let (kind, text) = refused(&mut writer, "T2", &long, &bytes(&long, 0));
    assert_eq!(kind, ErrorKind::Range);
    assert!(text.contains("an axis of 70000") && text.contains("65535"), "{text}");
    for id in ["", "a"] {
        assert_eq!(writer.add_subject(id).unwrap_err().kind(), ErrorKind::Argument);
    }

    writer.add_subject("b").unwrap();
    writer.add_entry("images", "other", &image.of(&raw)).unwrap();
    let error = writer.add_subject("c").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    let text = "subject \"b\" has entries (channels) images of 3 axes: other (1), but subject \"a\" has";
    assert!(error.message().contains(text), "{error}");
    assert_eq!(writer.add_subject("a").unwrap_err().kind(), ErrorKind::Argument);
    writer.discard_subject();
    writer.add_subject("b").unwrap();
    writer.add_entry("images", "T1", &image.of(&bytes(&image, 9))).unwrap();
    writer.finish().unwrap();
    assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::State);
    assert_eq!(writer.add_subject("z").unwrap_err().kind(), ErrorKind::State);
    let dataset = Dataset::open(&path, OpenOptions::default()).unwrap();
    assert_eq!(dataset.subjects().len(), 2);
    let entries = &dataset.subjects()[1].category("images").unwrap().entries;
    assert_eq!(stored(entries), bytes(&image, 9));
}

#[test]
fn an_unfinished_dataset_leaves_the_old_one_untouched() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("set.h5");
    write_subjects(&path, 2);
    let before = std::fs::read(&path).unwrap();
    let error = DatasetWriter::create(&path, WriterOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert!(error.message().contains("exists already"), "{error}");

    let replace = WriterOptions { existing: Existing::Replace };
    let image = of_shape(&[4, 5, 6], 1, DType::I16);
    let mut writer = DatasetWriter::create(&path, replace).unwrap();
    writer.add_subject("new").unwrap();
    writer.add_entry("images", "T1", &image.of(&bytes(&image, 0))).unwrap();
    drop(writer);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(names(folder.path()), ["set.h5"]);

    let mut writer = DatasetWriter::create(&path, replace).unwrap();
    assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::State);
    writer.add_subject("new").unwrap();
    writer.add_entry("images", "T1", &image.of(&bytes(&image, 0))).unwrap();
    let old = Dataset::open(&path, OpenOptions::default()).unwrap();
    writer.finish().unwrap();
    assert_eq!(old.subjects().len(), 2);
    let new = Dataset::open(&path, OpenOptions::default()).unwrap();
    assert_eq!(new.subjects()[0].id(), "new");

    let nowhere = folder.path().join("no/such/folder.h5");
    let error = DatasetWriter::create(&nowhere, WriterOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hdf5").join(name)
}

#[test]
fn a_converted_dataset_has_the_same_voxels_in_the_same_places() {
    let folder = TempDir::new().unwrap();
    for (orient, threads) in [(None, 1), (Some(Orientation::parse("RAS").unwrap()), 4)] {
        let options = OpenOptions { orient, ..OpenOptions::default() };
        let source = Dataset::open(&fixture("pymia_11.h5"), options).unwrap();
        let path = folder.path().join(format!("copy_{threads}.h5"));
        let mut writer = DatasetWriter::create(&path, WriterOptions::default()).unwrap();
        let mut seen = Vec::new();
        let mut progress = |done, all| {
            seen.push((done, all));
            ControlFlow::Continue(())
        };
        let outcome = convert(&source, &mut writer, &ConvertOptions { threads }, &mut progress).unwrap();
        assert_eq!(outcome, Outcome::Complete);
        assert_eq!(seen, (1..=11).map(|done| (done, 11)).collect::<Vec<_>>());
        writer.finish().unwrap();
        let copy = Dataset::open(&path, OpenOptions::default()).unwrap();
        for (old, new) in source.subjects().iter().zip(copy.subjects()) {
            assert_eq!(old.id(), new.id());
            for category in ["images", "labels"] {
                let (old, new) = (old.category(category).unwrap(), new.category(category).unwrap());
                assert_eq!(stored(&old.entries), stored(&new.entries));
                let (here, there) = (old.entries[0].affine().unwrap(), new.entries[0].affine().unwrap());
                assert!(here.corner_distance_mm(&there, [7, 7, 7]) < 1e-9);
            }
        }
    }
}

#[test]
fn a_conversion_can_be_cancelled_and_names_what_fails() {
    let folder = TempDir::new().unwrap();
    let source = Dataset::open(&fixture("pymia_11.h5"), OpenOptions::default()).unwrap();
    let path = folder.path().join("part.h5");
    let mut writer = DatasetWriter::create(&path, WriterOptions::default()).unwrap();
    let mut stop = |done, _| if done == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let outcome = convert(&source, &mut writer, &ConvertOptions::default(), &mut stop).unwrap();
    assert_eq!(outcome, Outcome::Cancelled(4));
    writer.finish().unwrap();
    assert_eq!(Dataset::open(&path, OpenOptions::default()).unwrap().subjects().len(), 4);

    // Two files of one folder that disagree in their entries' names cannot be one dataset.
    for (name, dtype) in [("s1/t1.h5", DType::U8), ("s2/t1.h5", DType::I16), ("s3/t2.h5", DType::U8)] {
        let image = of_shape(&[2, 3, 4], 1, dtype);
        let path = folder.path().join("raw").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        save(&path, &image.of(&bytes(&image, 0))).unwrap();
    }
    let source = Dataset::open(&folder.path().join("raw"), OpenOptions::default()).unwrap();
    let path = folder.path().join("raw.h5");
    let mut writer = DatasetWriter::create(&path, WriterOptions::default()).unwrap();
    let mut go_on = |_, _| ControlFlow::Continue(());
    let error = convert(&source, &mut writer, &ConvertOptions { threads: 2 }, &mut go_on).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert!(error.message().contains("subject \"s3\""), "{error}");
    writer.finish().unwrap();
    let dataset = Dataset::open(&path, OpenOptions::default()).unwrap();
    assert_eq!(dataset.subjects().len(), 2);
    let entry = &dataset.subjects()[0].category("images").unwrap().entries[0];
    assert_eq!(entry.header().dtype, DType::I16);
}

#[test]
fn a_single_volume_comes_back_with_its_geometry() {
    let folder = TempDir::new().unwrap();
    for (extents, channels) in [(vec![4, 5, 6], 1), (vec![4, 5, 6], 3), (vec![3, 4, 5, 6], 1), (vec![9], 1)] {
        let path = folder.path().join("one.h5");
        let image = of_shape(&extents, channels, DType::F32);
        save(&path, &image.of(&bytes(&image, 1))).unwrap();
        let dataset = Dataset::open(&path, OpenOptions::default()).unwrap();
        let entry = &dataset.subjects()[0].category("images").unwrap().entries[0];
        assert_eq!((entry.header().shape, entry.header().channels), (image.shape, channels));
        assert_eq!(entry.header().affine, image.affine);
        assert_eq!(stored(std::slice::from_ref(entry)), bytes(&image, 1));
    }
    let image = of_shape(&[2, 2, 2], 1, DType::U8);
    let error = save(&folder.path().join("x.h5"), &image.of(&[0; 3])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert_eq!(names(folder.path()), ["one.h5"]);
}
