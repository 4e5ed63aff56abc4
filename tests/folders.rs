//! Folders, nnU-Net's data sets and manifests, made here of small HDF5 files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use voxfeed::error::{Error, ErrorKind};
use voxfeed::store::{Dataset, DenseVolume, Entry, OpenOptions, save, save_manifest};
use voxfeed::voxel::{DType, Shape};

/// Writes a small volume at a path of the folder.
fn put(folder: &TempDir, name: &str) {
    put_channels(folder, name, 1);
}

fn put_channels(folder: &TempDir, name: &str, channels: usize) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let shape = Shape::new(&[2, 3, 4]).unwrap();
    let bytes: Vec<u8> = (0..24 * channels).map(|number| number as u8).collect();
    save(&path, &DenseVolume { shape, channels, dtype: DType::U8, bytes: &bytes, affine: None }).unwrap();
}

fn write(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn open(path: &Path) -> Result<Dataset, Error> {
    Dataset::open(path, OpenOptions::default())
}

/// A dataset in one line a subject: `id category(entries) ...`.
fn outline(dataset: &Dataset) -> Vec<String> {
    let subjects = dataset.subjects().iter();
    let line = subjects.map(|subject| {
        let categories = subject.categories().iter().map(|category| {
            let names: Vec<_> = category.entries.iter().map(Entry::name).collect();
            format!(" {}({})", category.name, names.join(","))
        });
        format!("{}{}", subject.id(), categories.collect::<String>())
    });
    line.collect()
}

#[test]
fn folders_of_categories_join_files_of_one_name() {
    let folder = TempDir::new().unwrap();
    for name in ["images/b.h5", "images/a.h5", "labels/a.h5", "labels/b.h5", "T2/a.h5", "T2/b.h5"] {
        put(&folder, name);
    }
    write(&folder, "images/README.txt", "not a volume");
    let wanted = ["a images(T2,images) labels(labels)", "b images(T2,images) labels(labels)"];
    assert_eq!(outline(&open(folder.path()).unwrap()), wanted);
    fs::remove_dir_all(folder.path().join("labels")).unwrap();
    put(&folder, "labels/c.h5");
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert!(error.message().contains("\"T2\" and \"labels\" share no file name"), "{error}");
}

#[test]
fn folders_of_subjects_tell_labels_by_their_names() {
    let folder = TempDir::new().unwrap();
    for name in [
        "Case_02/Case_02_t1.h5",
        "Case_02/Case_02_seg.h5",
        "Case_01/Case_01_t1.h5",
        "Case_01/Case_01_flair.h5",
        "Case_01/lesion-mask.h5",
        "Case_01/deeper/Case_01_t1.h5",
    ] {
        put(&folder, name);
    }
    write(&folder, "participants.tsv", "participant_id\nCase_01\n");
    fs::create_dir(folder.path().join("empty")).unwrap();
    let wanted = ["Case_01 images(flair,t1,deeper_t1) labels(lesion-mask)", "Case_02 images(t1) labels(seg)"];
    assert_eq!(outline(&open(folder.path()).unwrap()), wanted);
}

#[test]
fn a_bids_folder_has_its_subjects_and_no_derivatives() {
    let folder = TempDir::new().unwrap();
    put(&folder, "sub-01/anat/sub-01_T1w.h5");
    put(&folder, "sub-01/anat/sub-01_space-T1w_dseg.h5");
    put(&folder, "derivatives/sub-01/x.h5");
    write(&folder, "dataset_description.json", "{}");
    let wanted = ["sub-01 images(T1w) labels(space-T1w_dseg)"];
    assert_eq!(outline(&open(folder.path()).unwrap()), wanted);
}

#[test]
fn a_flat_folder_has_a_subject_for_each_file() {
    let folder = TempDir::new().unwrap();
    put(&folder, "b.h5");
    put(&folder, "a.h5");
    put(&folder, ".hidden.h5");
    write(&folder, "notes.md", "#");
    assert_eq!(outline(&open(folder.path()).unwrap()), ["a images(a)", "b images(b)"]);
    write(&folder, "c.h5", "not HDF5");
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().contains("c.h5"), "{error}");
}

#[test]
fn an_empty_folder_says_what_was_expected() {
    let folder = TempDir::new().unwrap();
    write(&folder, "README", "nothing");
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("<subject>/<entry>.<ext>"), "{error}");
    let error = open(&folder.path().join("missing")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

const DATASET_JSON: &str = r#"{"channel_names": {"0": "T1", "1": "T2"},
    "labels": {"background": 0, "tumour": 1}, "numTraining": 2, "file_ending": ".h5"}"#;

fn raw_nnunet() -> TempDir {
    let folder = TempDir::new().unwrap();
    write(&folder, "dataset.json", DATASET_JSON);
    for case in ["la_001", "la_002"] {
        put(&folder, &format!("imagesTr/{case}_0000.h5"));
        put(&folder, &format!("imagesTr/{case}_0001.h5"));
        put(&folder, &format!("labelsTr/{case}.h5"));
    }
    put(&folder, "imagesTs/la_009_0000.h5");
    put(&folder, "imagesTs/la_009_0001.h5");
    folder
}

#[test]
fn a_raw_nnunet_folder_has_channels_labels_and_splits() {
    let folder = raw_nnunet();
    write(&folder, "splits_final.json", r#"[{"train": ["la_002"], "val": ["la_001"]}]"#);
    let dataset = open(folder.path()).unwrap();
    let wanted =
        ["la_001 images(T1,T2) labels(seg)", "la_002 images(T1,T2) labels(seg)", "la_009 images(T1,T2)"];
    assert_eq!(outline(&dataset), wanted);
    assert_eq!(dataset.subjects()[0].attributes()["labels"]["tumour"], 1);
    let splits: Vec<_> = dataset.splits().iter().map(|(name, ids)| (name.as_str(), ids.clone())).collect();
    let wanted =
        [("train", vec![0, 1]), ("test", vec![2]), ("fold_0/train", vec![1]), ("fold_0/validation", vec![0])];
    assert_eq!(splits, wanted);
}

#[test]
fn an_incomplete_nnunet_case_is_an_error_that_names_it() {
    let folder = raw_nnunet();
    fs::remove_file(folder.path().join("imagesTr/la_002_0001.h5")).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().contains("case \"la_002\" has 1 channel files"), "{error}");
    let folder = raw_nnunet();
    fs::remove_file(folder.path().join("labelsTr/la_002.h5")).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("la_002.h5"), "{error}");
    let folder = raw_nnunet();
    write(&folder, "splits_final.json", r#"[{"train": ["la_007"], "val": []}]"#);
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().contains("\"la_007\" is no case"), "{error}");
}

/// Writes a preprocessed case as nnU-Net unpacks it: two channels, and the labels beside.
fn put_case(folder: &TempDir, id: &str) {
    put_channels(folder, &format!("{id}.npy"), 2);
    let path = folder.path().join(format!("{id}_seg.npy"));
    // One channel is written without its axis; nnU-Net keeps an axis of one.
    let shape = Shape::new(&[1, 2, 3, 4]).unwrap();
    let bytes = [3u8; 24];
    save(&path, &DenseVolume { shape, channels: 1, dtype: DType::U8, bytes: &bytes, affine: None }).unwrap();
    write(folder, &format!("{id}.pkl"), "code that nobody runs");
}

#[test]
fn preprocessed_nnunet_folders_have_channels_and_folds() {
    let folder = TempDir::new().unwrap();
    write(&folder, "dataset.json", DATASET_JSON);
    write(&folder, "splits_final.json", r#"[{"train": ["la_002"], "val": ["la_001"]}]"#);
    put_case(&folder, "nnUNetPlans_3d_fullres/la_001");
    put_case(&folder, "nnUNetPlans_3d_fullres/la_002");
    let inside = folder.path().join("nnUNetPlans_3d_fullres");
    for path in [folder.path(), &inside] {
        let dataset = open(path).unwrap();
        let wanted = ["la_001 images(T1,T2) labels(seg)", "la_002 images(T1,T2) labels(seg)"];
        assert_eq!(outline(&dataset), wanted);
        let shape = dataset.subjects()[0].category("labels").unwrap().entries[0].shape().unwrap();
        assert_eq!(shape.extents(), [2, 3, 4]);
        assert_eq!(dataset.split("fold_0/validation").unwrap().subjects()[0].id(), "la_001");
    }
    put_case(&folder, "nnUNetPlans_2d/la_001");
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert!(error.message().contains("nnUNetPlans_2d, nnUNetPlans_3d_fullres"), "{error}");
}

#[test]
fn a_folder_of_nifti_reads_gzip_and_pairs_once() {
    let folder = TempDir::new().unwrap();
    put(&folder, "sub1/T1.nii.gz");
    put(&folder, "sub1/seg.nii");
    for ending in ["hdr", "img"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/formats/pair.{ending}"));
        fs::create_dir_all(folder.path().join("sub2")).unwrap();
        fs::copy(source, folder.path().join(format!("sub2/pair.{ending}"))).unwrap();
    }
    assert_eq!(outline(&open(folder.path()).unwrap()), ["sub1 images(T1) labels(seg)", "sub2 images(pair)"]);
}

#[test]
#[cfg(feature = "b2nd")]
fn blosc_arrays_of_nnunet_are_cases_with_their_channels() {
    let folder = TempDir::new().unwrap();
    write(
        &folder,
        "dataset.json",
        r#"{"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0}}"#,
    );
    for name in ["case.b2nd", "case_seg.b2nd"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/formats/b2nd_channels.b2nd");
        fs::create_dir_all(folder.path().join("nnUNetPlans_3d_fullres")).unwrap();
        fs::copy(source, folder.path().join("nnUNetPlans_3d_fullres").join(name)).unwrap();
    }
    assert_eq!(outline(&open(folder.path()).unwrap()), ["case images(T1,T2) labels(seg)"]);
}

#[test]
fn a_broken_blosc_array_is_no_case() {
    let folder = TempDir::new().unwrap();
    write(&folder, "case.b2nd", "x");
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().contains("case.b2nd"), "{error}");
}

const MANIFEST: &str = r#"{
  "voxfeed_manifest": 1,
  "subjects": [
    {"id": "z", "categories": {
      "images": {"T2": "a.h5", "T1": {"file": "many.h5", "dataset": "/data", "channel": "first", "index": 1}},
      "labels": {"all": {"file": "many.h5"}}},
     "attributes": {"age": 61, "site": "B"}},
    {"id": "a", "categories": {"images": {"T1": "deep/b.h5"}}}
  ],
  "splits": {"train": ["a"], "test": ["z"]}
}"#;

fn manifest(text: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    put(&folder, "a.h5");
    put(&folder, "deep/b.h5");
    put_channels(&folder, "many.h5", 3);
    write(&folder, "manifest.json", text);
    folder
}

#[test]
fn a_manifest_keeps_its_order_and_comes_back() {
    let folder = manifest(MANIFEST);
    let dataset = open(folder.path()).unwrap();
    assert_eq!(outline(&dataset), ["z images(T2,T1) labels(all)", "a images(T1)"]);
    let entry = &dataset.subjects()[0].category("images").unwrap().entries[1];
    assert_eq!((entry.first_channel(), entry.channels()), (1, 1));
    assert_eq!(dataset.subjects()[0].category("labels").unwrap().channels(), 3);
    assert_eq!(dataset.subjects()[0].attributes()["site"], "B");
    assert_eq!(dataset.split("train").unwrap().subjects()[0].id(), "a");

    let copy = folder.path().join("copy.json");
    save_manifest(&copy, &dataset).unwrap();
    let text = fs::read_to_string(&copy).unwrap();
    assert!(!text.contains(folder.path().to_str().unwrap()), "{text}");
    let again = open(&copy).unwrap();
    assert_eq!(outline(&again), outline(&dataset));
    assert_eq!(again.splits(), dataset.splits());
    assert_eq!(again.subjects()[0].attributes(), dataset.subjects()[0].attributes());
    save_manifest(&folder.path().join("third.json"), &again).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("third.json")).unwrap(), text);
}

#[test]
fn faults_of_a_manifest_are_named() {
    for (old, new, kind, word) in [
        (
            "\"attributes\"",
            "\"atributes\"",
            ErrorKind::Format,
            "unknown key \"atributes\", expected one of id",
        ),
        ("\"index\": 1", "\"index\": 7", ErrorKind::Range, "channel 7 of 3"),
        ("\"index\": 1", "\"index\": -1", ErrorKind::Format, "\"index\" is -1"),
        ("\"first\"", "\"middle\"", ErrorKind::Format, "expected \"first\", \"last\" or \"none\""),
        ("\"a.h5\"", "\"b.h5\"", ErrorKind::NotFound, "b.h5"),
        ("\"/data\"", "\"/date\"", ErrorKind::NotFound, "no dataset \"/date\""),
        ("\"id\": \"a\"", "\"id\": \"z\"", ErrorKind::Format, "subject \"z\" exists already"),
        ("[\"a\"]", "[\"b\"]", ErrorKind::Format, "splits: \"train\": \"b\" is no subject's id"),
        (
            "\"voxfeed_manifest\": 1",
            "\"voxfeed_manifest\": 2",
            ErrorKind::Unsupported,
            "version 2, expected 1",
        ),
        ("\"age\": 61,", "\"age\": 61", ErrorKind::Format, "no sound JSON"),
    ] {
        assert!(MANIFEST.contains(old), "{old}");
        let folder = manifest(&MANIFEST.replace(old, new));
        let error = open(&folder.path().join("manifest.json")).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(word) && error.message().contains("manifest.json"), "{error}");
    }
}

#[test]
fn json_that_is_no_manifest_is_unsupported() {
    let folder = TempDir::new().unwrap();
    write(&folder, "x.json", "{\"a\": 1}");
    let error = open(&folder.path().join("x.json")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("no manifest"), "{error}");
}
