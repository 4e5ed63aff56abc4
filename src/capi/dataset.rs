//! vxf_dataset: the ordered subjects with their volumes.

#![allow(non_camel_case_types)]

use std::ffi::c_char;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::capi::dataset_options::vxf_dataset_options;
use crate::capi::guard::{guard_done, guard_silent};
use crate::capi::handle::{
    Noun, Sized32, Texts, array, borrow, check_place, free, give, init_sized, path, read_sized_or_default,
    text, text_or_null, write,
};
use crate::capi::status::vxf_status;
use crate::capi::tensor::{Given, vxf_tensor};
use crate::error::{Error, Result};
use crate::store::{ChannelPlace, Choice, Dataset, Entry, Subject, volume};

/// The ordered subjects of a study: each with an id, categories ("images", "labels") of entries ("T1",
/// "T2"), which are volumes on one grid, and attributes. Only headers are read until voxels are asked for.
///
/// Threads: any thread may call any function; changes are seen by samplers that are made later.
pub struct vxf_dataset {
    _private: [u8; 0],
}

/// What a dataset handle holds: the dataset so far, and the texts that were handed out.
pub(super) struct DatasetObject {
    dataset: Mutex<Arc<Dataset>>,
    pub(super) texts: Texts,
}

impl Noun for vxf_dataset {
    type Object = DatasetObject;
    const NAME: &'static str = "vxf_dataset";
    const MAGIC: u64 = 0x7678_665F_6461_7461;
}

impl DatasetObject {
    pub(super) fn new(dataset: Dataset) -> Self {
        Self { dataset: Mutex::new(Arc::new(dataset)), texts: Texts::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Dataset>> {
        self.dataset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The dataset as it is now.
    pub(super) fn now(&self) -> Arc<Dataset> {
        Arc::clone(&self.lock())
    }

    /// Changes the dataset; who holds it as it was is not disturbed.
    fn change<T>(&self, change: impl FnOnce(&mut Dataset) -> Result<T>) -> Result<T> {
        change(Arc::make_mut(&mut self.lock()))
    }
}

/// The error about a number that is none of an option's constants.
pub(super) fn unknown(field: &str, value: i32) -> Error {
    Error::argument(format!("{field} is {value}, which is none of its constants"))
}

/// Opens a file or a folder, its format told by its content; no voxel is read.
///
/// Files: a JSON manifest, pymia's and MedSegPy's HDF5 files, any HDF5 file with one volume, .npy, .npz,
/// .b2nd, .nii, .nii.gz, .hdr with .img, and slides (tiled TIFF, .svs, .ndpi, .mrxs and others) where OpenSlide
/// is installed: libopenslide.so.1 or .0, looked up when the first slide is opened. Folders: a Zarr array
/// (version 2 or 3), a group of one or of OME-NGFF's levels, with a manifest.json, nnU-Net raw and
/// preprocessed, MedSegPy's slice files, CATEGORY/SUBJECT files, SUBJECT/ENTRY files, or plain files of one
/// subject each. Of SUBJECT/ENTRY files those are "labels" whose name has the word label, seg, dseg,
/// segmentation, mask, gt or annotations, all others "images", in the order of their names; a manifest in the
/// README's form says it exactly.
/// options may be NULL. Free with vxf_dataset_free().
/// Errors: ERR_NOT_FOUND, ERR_IO, ERR_FORMAT, ERR_UNSUPPORTED, and ERR_ARGUMENT where the volumes of a
/// subject do not lie on one grid; the message names the file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_open(
    path: *const c_char,
    options: *const vxf_dataset_options,
    out: *mut *mut vxf_dataset,
) -> vxf_status {
    guard_done(|| {
        let dataset = Dataset::open(self::path(path)?, vxf_dataset_options::parse(options)?)?;
        give(DatasetObject::new(dataset), out)
    })
}

/// Makes a dataset without subjects, to be filled by the functions below.
///
/// options may be NULL. Free with vxf_dataset_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_new(
    options: *const vxf_dataset_options,
    out: *mut *mut vxf_dataset,
) -> vxf_status {
    guard_done(|| give(DatasetObject::new(Dataset::new(vxf_dataset_options::parse(options)?)), out))
}

/// Adds a subject and writes its number; out_subject may be NULL.
///
/// Errors: ERR_ARGUMENT where the id is empty or taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_add_subject(
    dataset: *mut vxf_dataset,
    id: *const c_char,
    out_subject: *mut u64,
) -> vxf_status {
    guard_done(|| {
        let id = text(id, "id")?;
        if !out_subject.is_null() {
            check_place(out_subject)?;
        }
        let number = borrow(dataset)?.change(|dataset| dataset.add_subject(Subject::new(id)))?;
        if out_subject.is_null() { Ok(()) } else { write(out_subject, number as u64) }
    })
}

/// Where an array of a file keeps its channels, which become the channels of the entry.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_channel(pub i32);

impl vxf_channel {
    /// As the format says; for .npy and HDF5 a fourth axis is the channel, first in .npy, last in HDF5.
    pub const AUTO: vxf_channel = vxf_channel(0);
    /// There is none: all axes are spatial.
    pub const NONE: vxf_channel = vxf_channel(1);
    /// The slowest axis.
    pub const FIRST: vxf_channel = vxf_channel(2);
    /// The fastest axis.
    pub const LAST: vxf_channel = vxf_channel(3);
}

/// Which array of a file is meant; by default the only one. Set it up with vxf_file_options_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_file_options {
    /// sizeof(vxf_file_options), set by the init function.
    pub struct_size: u32,
    /// Where the array keeps its channels.
    pub channel: vxf_channel,
    /// The dataset of an HDF5 file ("/data/vol"), the array of a Zarr group ("images/T1"), the member of an
    /// .npz ("data") or the level of a slide ("2"); NULL for the only one, of several in an .npz the one that
    /// is called data, of a slide or a multiscale image the largest.
    pub inner: *const c_char,
}

// SAFETY: repr(C), the size first, no padding; every field may have any bytes.
unsafe impl Sized32 for vxf_file_options {
    const NAME: &'static str = "vxf_file_options";
    const FIRST_BYTES: usize = size_of::<Self>();
    fn initial() -> Self {
        Self { struct_size: size_of::<Self>() as u32, channel: vxf_channel::AUTO, inner: std::ptr::null() }
    }
}

/// Writes the defaults into options of struct_size bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_file_options_init(
    options: *mut vxf_file_options,
    struct_size: usize,
) -> vxf_status {
    guard_done(|| init_sized(options, struct_size))
}

/// Adds a file's volume to a subject as an entry of a category; no voxel is read. options may be NULL.
///
/// Errors: as vxf_dataset_open(); ERR_RANGE for the subject; ERR_ARGUMENT where the entry's name is taken
/// or the volume does not lie on the subject's grid. The dataset is then as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_add_file(
    dataset: *mut vxf_dataset,
    subject: u64,
    category: *const c_char,
    entry: *const c_char,
    path: *const c_char,
    options: *const vxf_file_options,
) -> vxf_status {
    guard_done(|| {
        let (category, entry) = (text(category, "category")?, text(entry, "entry")?);
        let given = read_sized_or_default(options)?;
        let channel = match given.channel {
            vxf_channel::AUTO => ChannelPlace::Unsaid,
            vxf_channel::NONE => ChannelPlace::None,
            vxf_channel::FIRST => ChannelPlace::First,
            vxf_channel::LAST => ChannelPlace::Last,
            other => return Err(unknown("channel", other.0)),
        };
        let inner = text_or_null(given.inner, "inner")?.map(str::to_owned);
        let object = borrow(dataset)?;
        let context = object.now().context().clone();
        let volume = volume(self::path(path)?, &Choice { inner, channel }, &context)?;
        object.change(|dataset| {
            let subject = dataset.subject_mut(subject as usize)?;
            context.add(subject, category, Entry::new(entry, volume))
        })
    })
}

/// Adds a volume in memory to a subject as an entry of a category; the voxels are copied.
///
/// The tensor is (width), (height, width), (depth, height, width) or (channel, depth, height, width): channels of
/// two-dimensional images are entries of their own. affine may be NULL; else it has 16 numbers, row by row,
/// that map a voxel index (depth, height, width, 1) to millimetres RAS+, as in vxf_volume_info.
/// Errors: as vxf_dataset_add_file().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_add_tensor(
    dataset: *mut vxf_dataset,
    subject: u64,
    category: *const c_char,
    entry: *const c_char,
    tensor: *const vxf_tensor,
    affine: *const f64,
) -> vxf_status {
    guard_done(|| {
        let (category, entry) = (text(category, "category")?, text(entry, "entry")?);
        let volume = super::volume::memory_volume(&Given::read(tensor, "tensor")?, affine)?;
        borrow(dataset)?.change(|dataset| {
            let context = dataset.context().clone();
            let subject = dataset.subject_mut(subject as usize)?;
            context.add(subject, category, Entry::new(entry, Arc::new(volume)))
        })
    })
}

/// Sets an attribute of a subject to a JSON value: 3, "left", [1, 2].
///
/// Errors: ERR_RANGE for the subject; ERR_ARGUMENT where the text is not JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_set_attribute(
    dataset: *mut vxf_dataset,
    subject: u64,
    name: *const c_char,
    json: *const c_char,
) -> vxf_status {
    guard_done(|| {
        let (name, json) = (text(name, "name")?, text(json, "json")?);
        let value = serde_json::from_str(json)
            .map_err(|cause| Error::argument(format!("attribute \"{name}\" is not JSON: {cause}")))?;
        borrow(dataset)?.change(|dataset| {
            dataset.subject_mut(subject as usize)?.set_attribute(name, value);
            Ok(())
        })
    })
}

/// The numbers of some of a dataset's subjects; more than it has cannot be meant, and are not looked at.
fn numbers(dataset: &Dataset, subjects: *const u64, count: u64) -> Result<Vec<usize>> {
    let all = dataset.subjects().len();
    if count > all as u64 {
        return Err(Error::argument(format!("{count} subjects are named, the dataset has {all}")));
    }
    Ok(array(subjects, count, "subjects")?.iter().map(|&one| one as usize).collect())
}

/// Names a subset of the subjects, "train", "validation", "test"; an old one of this name is replaced.
///
/// Errors: ERR_RANGE where a subject does not exist, ERR_ARGUMENT where one is named twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_set_split(
    dataset: *mut vxf_dataset,
    name: *const c_char,
    subjects: *const u64,
    count: u64,
) -> vxf_status {
    guard_done(|| {
        let name = text(name, "name")?;
        let object = borrow(dataset)?;
        let numbers = numbers(&object.now(), subjects, count)?;
        object.change(|dataset| dataset.set_split(name, &numbers))
    })
}

/// Writes the splits and the ids of their subjects as JSON, {"train": ["s0", "s1"], "test": ["s2"]}.
///
/// Borrowed, valid as long as the dataset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_splits(
    dataset: *const vxf_dataset,
    out: *mut *const c_char,
) -> vxf_status {
    guard_done(|| {
        let object = borrow(dataset)?;
        let dataset = object.now();
        let mut all = serde_json::Map::new();
        for (name, subjects) in dataset.splits() {
            let ids = subjects.iter().map(|&number| dataset.subject(number).map(Subject::id));
            all.insert(name.clone(), ids.collect::<Result<Vec<&str>>>()?.into());
        }
        write(out, object.texts.pointer(&serde_json::Value::from(all).to_string()))
    })
}

/// Makes a dataset of the subjects of one split. Free with vxf_dataset_free().
///
/// Errors: ERR_NOT_FOUND where there is no such split; the message lists those that there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_split(
    dataset: *const vxf_dataset,
    name: *const c_char,
    out: *mut *mut vxf_dataset,
) -> vxf_status {
    guard_done(|| give(DatasetObject::new(borrow(dataset)?.now().split(text(name, "name")?)?), out))
}

/// Makes a dataset of these subjects, in this order. Free with vxf_dataset_free().
///
/// Errors: ERR_RANGE where a subject does not exist, ERR_ARGUMENT where one is named twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_subset(
    dataset: *const vxf_dataset,
    subjects: *const u64,
    count: u64,
    out: *mut *mut vxf_dataset,
) -> vxf_status {
    guard_done(|| {
        let dataset = borrow(dataset)?.now();
        give(DatasetObject::new(dataset.subset(&numbers(&dataset, subjects, count)?)?), out)
    })
}

/// Writes the number of subjects.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_len(dataset: *const vxf_dataset, out: *mut u64) -> vxf_status {
    guard_done(|| write(out, borrow(dataset)?.now().subjects().len() as u64))
}

/// Writes a subject's id. Borrowed, valid as long as the dataset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_subject_id(
    dataset: *const vxf_dataset,
    subject: u64,
    out: *mut *const c_char,
) -> vxf_status {
    guard_done(|| {
        let object = borrow(dataset)?;
        write(out, object.texts.pointer(object.now().subject(subject as usize)?.id()))
    })
}

/// Writes the number of the subject of this id.
///
/// Errors: ERR_NOT_FOUND where there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_find(
    dataset: *const vxf_dataset,
    id: *const c_char,
    out: *mut u64,
) -> vxf_status {
    guard_done(|| write(out, borrow(dataset)?.now().find(text(id, "id")?)? as u64))
}

/// Writes a subject's categories and their entries as JSON, {"images": ["T1", "T2"], "labels": ["GT"]}.
///
/// Borrowed, valid as long as the dataset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_categories(
    dataset: *const vxf_dataset,
    subject: u64,
    out: *mut *const c_char,
) -> vxf_status {
    guard_done(|| {
        let object = borrow(dataset)?;
        let dataset = object.now();
        let mut all = serde_json::Map::new();
        for category in dataset.subject(subject as usize)?.categories() {
            let names: Vec<&str> = category.entries.iter().map(Entry::name).collect();
            all.insert(category.name.clone(), names.into());
        }
        write(out, object.texts.pointer(&serde_json::Value::from(all).to_string()))
    })
}

/// Writes an attribute of a subject as JSON, or all of them for a NULL name. Borrowed, as the dataset.
///
/// Errors: ERR_NOT_FOUND where the subject has no such attribute.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_attribute(
    dataset: *const vxf_dataset,
    subject: u64,
    name: *const c_char,
    out: *mut *const c_char,
) -> vxf_status {
    guard_done(|| {
        let object = borrow(dataset)?;
        let dataset = object.now();
        let subject = dataset.subject(subject as usize)?;
        let json = match text_or_null(name, "name")? {
            None => serde_json::Value::from(subject.attributes().clone()).to_string(),
            Some(name) => match subject.attributes().get(name) {
                Some(value) => value.to_string(),
                None => {
                    let text = format!("subject \"{}\" has no attribute \"{name}\"", subject.id());
                    return Err(Error::not_found(text));
                }
            },
        };
        write(out, object.texts.pointer(&json))
    })
}

/// Frees the handle; samplers, loaders and batches made of it live on. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_free(dataset: *mut vxf_dataset) {
    guard_silent(|| free(dataset));
}
