//! What is saved is what is opened again, bit for bit and in the same place; a failed save loses nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, missing_docs)]

use std::path::Path;

use voxfeed::error::ErrorKind;
use voxfeed::store::{
    Choice, Context, DenseVolume, Entry, Extraction, Header, Look, MontageColumn, MontageOptions,
    OpenOptions, Reader, montage, save, volume,
};
use voxfeed::voxel::{Affine, DType, Orientation, Region, Shape};

/// A file's header and its voxels in this dtype.
fn open(path: &Path, dtype: DType) -> (Header, Vec<u8>) {
    let context = Context::new(OpenOptions::default());
    let entry = Entry::new("saved", volume(path, &Choice::default(), &context).unwrap());
    let header = entry.header().clone();
    let mut voxels = vec![0; header.shape.byte_len(header.channels, dtype.byte_len()).unwrap()];
    let how = Extraction::exact(dtype);
    Reader::default().read(&[entry], &Region::whole(header.shape), &how, &mut voxels).unwrap();
    (header, voxels)
}

/// Bytes that are sound numbers of any dtype: none of them is NaN.
fn bytes(len: usize, dtype: DType) -> Vec<u8> {
    let byte = |k: usize| (k * 73 % 97) as u8;
    (0..len).map(|k| if dtype == DType::Bool { byte(k) & 1 } else { byte(k) }).collect()
}

fn dense<'a>(extents: &[usize], channels: usize, dtype: DType, bytes: &'a [u8]) -> DenseVolume<'a> {
    DenseVolume { shape: Shape::new(extents).unwrap(), channels, dtype, bytes, affine: None }
}

/// Affines whose numbers f32 holds: straight, mirrored, turned by quarters, oblique, sheared.
fn affines() -> [Affine; 5] {
    let offset = [-90.5, 126.0, -72.25];
    [
        Affine::from_columns([[0.0, 0.0, 2.5], [0.0, 1.25, 0.0], [1.0, 0.0, 0.0]], offset),
        Affine::from_columns([[0.0, 0.0, 2.5], [0.0, -1.25, 0.0], [-1.0, 0.0, 0.0]], offset),
        Affine::from_columns([[2.0, 0.0, 0.0], [0.0, 0.0, -3.0], [0.0, 1.0, 0.0]], offset),
        Affine::from_columns([[0.0, -1.5, 2.0], [0.0, 1.0, 0.75], [-3.0, 0.0, 0.0]], offset),
        Affine::from_columns([[0.0, 0.5, 2.0], [0.0, 1.0, 0.0], [1.0, 0.25, 0.0]], offset),
    ]
}

#[test]
fn every_dtype_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    for dtype in DType::ALL {
        for ending in ["nii", "nii.gz", "npy"] {
            let path = folder.path().join(format!("{dtype}.{ending}"));
            let voxels = bytes(2 * 3 * 4 * 5 * dtype.byte_len(), dtype);
            save(&path, &dense(&[3, 4, 5], 2, dtype, &voxels)).unwrap();
            let (header, back) = open(&path, dtype);
            assert_eq!(back, voxels, "{dtype}.{ending}");
            assert_eq!((header.shape.extents(), header.channels), ([3, 4, 5].as_slice(), 2));
            let stored = match dtype {
                DType::Bool if ending != "npy" => DType::U8,
                DType::F16 if ending != "npy" => DType::F32,
                other => other,
            };
            assert_eq!(header.dtype, stored, "{dtype}.{ending}");
        }
    }
}

#[test]
fn geometry_comes_back_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let voxels = bytes(60, DType::U8);
    for (number, affine) in affines().into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.nii"));
        save(&path, &DenseVolume { affine: Some(affine), ..dense(&[3, 4, 5], 1, DType::U8, &voxels) })
            .unwrap();
        assert_eq!(open(&path, DType::U8).0.affine, Some(affine), "{affine:?}");
        let mut file = std::fs::read(&path).unwrap();
        let square = number < 4;
        assert_eq!(file[252], u8::from(square), "{affine:?}");
        if square {
            // Without its sform, the file is read by its quaternion.
            file[254] = 0;
            std::fs::write(&path, file).unwrap();
            let turned = open(&path, DType::U8).0.affine.unwrap();
            assert!(turned.corner_distance_mm(&affine, [3, 4, 5]) < 1e-5, "{affine:?} {turned:?}");
        }
    }
}

#[test]
fn the_space_that_a_volume_lies_in_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (first, again) = (folder.path().join("first.nii"), folder.path().join("again.nii"));
    let voxels = bytes(3 * 4 * 5, DType::U8);
    let volume = dense(&[3, 4, 5], 1, DType::U8, &voxels);
    for affine in affines() {
        for space in [1, 2, 4] {
            save(&first, &DenseVolume { affine: Some(affine.in_space(space)), ..volume }).unwrap();
            let (header, _) = open(&first, DType::U8);
            let context = Context::new(OpenOptions::default());
            let seen =
                Entry::new("first", voxfeed::store::volume(&first, &Choice::default(), &context).unwrap());
            let seen = seen.oriented(&Orientation::parse("LIP").unwrap()).unwrap().affine();
            for kept in [header.affine, seen] {
                save(&again, &DenseVolume { affine: kept, ..volume }).unwrap();
                let file = std::fs::read(&again).unwrap();
                let code = |place: usize| i16::from_le_bytes([file[place], file[place + 1]]);
                assert_eq!(code(254), space);
                assert!([0, space].contains(&code(252)), "qform {}", code(252));
            }
        }
    }
}

#[test]
fn a_long_axis_is_saved_as_nifti_2_with_its_affine_in_f64() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.nii.gz");
    let voxels = bytes(40_000 * 2, DType::I16);
    let affine = Affine::from_columns([[0.0, 0.0, 0.1], [0.0, 0.7, 0.0], [0.3, 0.0, 0.0]], [0.1, 0.2, 0.3]);
    save(&path, &DenseVolume { affine: Some(affine), ..dense(&[40_000], 1, DType::I16, &voxels) }).unwrap();
    let (header, back) = open(&path, DType::I16);
    assert_eq!((header.shape.extents(), header.affine), ([40_000].as_slice(), Some(affine)));
    assert_eq!(back, voxels);
}

#[test]
fn a_failed_save_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volume.nii");
    std::fs::write(&path, b"old").unwrap();
    let error = save(&path, &dense(&[1; 4], 1, DType::U8, &[1])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    save(&path, &dense(&[1], 1, DType::U8, &[1])).unwrap();
    assert_eq!(open(&path, DType::U8).1, [1]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn impossible_saves_are_refused_with_their_kind() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, given: &DenseVolume<'_>| {
        let path = folder.path().join(name);
        let error = save(&path, given).unwrap_err();
        assert!(error.message().contains(name), "{error}");
        error
    };
    let sound = dense(&[2], 1, DType::U8, &[1, 2]);
    let error = refused("volume.mha", &sound);
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert!(error.message().contains(".nii.gz"), "{error}");
    assert_eq!(refused("short.npy", &dense(&[3], 1, DType::U8, &[1, 2])).kind(), ErrorKind::Argument);
    assert_eq!(refused("empty.npy", &dense(&[0], 1, DType::U8, &[])).kind(), ErrorKind::Argument);
    assert_eq!(refused("no/such/folder.nii", &sound).kind(), ErrorKind::NotFound);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A picture's width, height and points.
fn picture(path: &Path) -> (usize, usize, Vec<u8>) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut points = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut points).unwrap();
    (info.width as usize, info.height as usize, points)
}

#[test]
fn a_montage_shows_the_same_place_whatever_the_stored_orientation() {
    let folder = tempfile::tempdir().unwrap();
    let mut pictures = Vec::new();
    for name in ["RAS", "LPS", "SRP", "AIL"] {
        // One voxel a millimetre, bright towards right, anterior and superior.
        let (mut columns, mut offset) = ([[0.0; 3]; 3], [0.0; 3]);
        for (column, letter) in columns.iter_mut().zip(name.chars().rev()) {
            let place = "RLAPSI".find(letter).unwrap();
            let towards = place % 2 == 0;
            column[place / 2] = if towards { 1.0 } else { -1.0 };
            offset[place / 2] = if towards { 0.0 } else { 7.0 };
        }
        let affine = Affine::from_columns(columns, offset);
        assert_eq!(Orientation::nearest(&affine).name(), name);
        let size = 8usize;
        let voxels: Vec<u8> = (0..size.pow(3))
            .map(|k| {
                let index = [k / 64, k / 8 % 8, k % 8].map(|place| place as f64);
                let [right, anterior, superior] = affine.place(index).map(|at| at as u8);
                1 + right + 8 * anterior + 20 * superior
            })
            .collect();
        let grey = DenseVolume { affine: Some(affine), ..dense(&[size; 3], 1, DType::U8, &voxels) };
        let column = MontageColumn { volume: grey, channel: 0, look: Look::Grey, title: "" };
        let path = folder.path().join(format!("{name}.png"));
        let options = MontageOptions { slices: 2, axis: 1, tile_points: 64, ..MontageOptions::default() };
        montage(&path, &[column, column], &options).unwrap();
        let (width, height, points) = picture(&path);
        assert_eq!((width, height), (2 * 64 + 12, 2 * 64 + 12));
        let at = |x: usize, y: usize| points[(y * width + x) * 3];
        assert!(at(60, 30) > at(20, 30), "{name}: right is not on the right");
        assert!(at(30, 20) > at(30, 60), "{name}: superior is not up");
        pictures.push((4..68).map(|y| at(40, y)).collect::<Vec<_>>());
    }
    assert!(pictures.iter().all(|picture| *picture == pictures[0]));
}

#[test]
fn a_montage_of_labels_is_coloured_and_impossible_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.png");
    let grey: Vec<u8> = (0..24i16).flat_map(i16::to_ne_bytes).collect();
    let labels = [0u8, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0];
    let column = |volume, look| MontageColumn { volume, channel: 0, look, title: "Truth 1" };
    let columns = [
        column(dense(&[4, 2, 3], 1, DType::I16, &grey), Look::Grey),
        column(dense(&[4, 2, 3], 1, DType::U8, &labels), Look::Labels),
    ];
    montage(&path, &columns, &MontageOptions::default()).unwrap();
    let (_, _, points) = picture(&path);
    assert!(points.chunks(3).any(|point| point[0] > point[1].saturating_add(60)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let kind = |columns: &[MontageColumn<'_>], options| montage(&path, columns, &options).unwrap_err().kind();
    let usual = MontageOptions::default();
    assert_eq!(kind(&[], usual), ErrorKind::Argument);
    assert_eq!(kind(&columns, MontageOptions { axis: 3, ..usual }), ErrorKind::Argument);
    assert_eq!(kind(&columns, MontageOptions { slices: 0, ..usual }), ErrorKind::Argument);
    assert_eq!(kind(&[MontageColumn { channel: 1, ..columns[0] }], usual), ErrorKind::Argument);
    let other = column(dense(&[4, 3, 2], 1, DType::U8, &labels), Look::Grey);
    assert_eq!(kind(&[columns[0], other], usual), ErrorKind::Argument);
}

#[test]
fn a_montage_tells_label_maps_from_images_of_integers() {
    let folder = tempfile::tempdir().unwrap();
    let drawn = |dtype, voxels: &[u8], look| {
        let path = folder.path().join("look.png");
        let volume = dense(&[4, 6, 5], 1, dtype, voxels);
        montage(&path, &[MontageColumn { volume, channel: 0, look, title: "" }], &MontageOptions::default())
            .unwrap();
        picture(&path)
    };
    let image: Vec<u8> = (0..120i16).flat_map(i16::to_ne_bytes).collect();
    let labels: Vec<u8> = (0..120u8).map(|k| k / 40).collect();
    let below: Vec<u8> = (0..120i16).flat_map(|k| (k / 40 - 1).to_ne_bytes()).collect();
    let few: Vec<u8> = (0..120u8).flat_map(|k| f32::from(k / 40).to_ne_bytes()).collect();
    for (dtype, voxels, look) in [
        (DType::I16, &image, Look::Grey),
        (DType::U8, &labels, Look::Labels),
        (DType::I16, &below, Look::Grey),
        (DType::F32, &few, Look::Grey),
    ] {
        let found = drawn(dtype, voxels, Look::Auto);
        assert_eq!(found, drawn(dtype, voxels, look), "{dtype}");
        let other = if look == Look::Grey { Look::Labels } else { Look::Grey };
        assert_ne!(found, drawn(dtype, voxels, other), "{dtype}");
    }
    let column = MontageColumn {
        volume: dense(&[4, 6, 5], 1, DType::U8, &labels),
        channel: 0,
        look: Look::Auto,
        title: "",
    };
    let error = montage(&folder.path().join("look.jpg"), &[column], &MontageOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument);
    assert!(error.message().contains(".png"), "{error}");
}
