//! vxf_writer: makes a dataset file; and single volumes and pictures saved.

#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_void};
use std::sync::{Mutex, MutexGuard, TryLockError};

use crate::capi::dataset::{unknown, vxf_dataset};
use crate::capi::guard::{guard, guard_done, guard_silent};
use crate::capi::handle::{
    Noun, Sized32, array, borrow, check_room, free, give, init_sized, path, read_sized_or_default, text,
    text_or_null,
};
use crate::capi::library::{progress_of, vxf_progress};
use crate::capi::status::vxf_status;
use crate::capi::tensor::{Given, vxf_tensor};
use crate::capi::volume::affine;
use crate::error::{Error, Result};
use crate::prepare::{ConvertOptions, DatasetWriter, Existing, Outcome, WriterOptions, convert};
use crate::store::{DenseVolume, Look, MontageColumn, MontageOptions, montage, save};

/// Makes a dataset file in pymia's HDF5 layout, which pymia and vxf_dataset_open() read.
///
/// The file gets its name in vxf_writer_finish(); until then, and after a failure, an older file of that
/// name is untouched. Threads: any, one at a time.
pub struct vxf_writer {
    _private: [u8; 0],
}

impl Noun for vxf_writer {
    type Object = Mutex<Option<DatasetWriter>>;
    const NAME: &'static str = "vxf_writer";
    const MAGIC: u64 = 0x7678_665F_7772_6974;
}

/// What happens to a file that has the name already.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_existing(pub i32);

impl vxf_existing {
    /// It is an error.
    pub const ERROR: vxf_existing = vxf_existing(0);
    /// It is replaced when the new one is complete.
    pub const REPLACE: vxf_existing = vxf_existing(1);
}

/// How a dataset is written. Set it up with vxf_writer_options_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_writer_options {
    /// sizeof(vxf_writer_options), set by the init function.
    pub struct_size: u32,
    /// What happens to a file that has the name already.
    pub existing: vxf_existing,
}

// SAFETY: repr(C), the size first, no padding; every field may have any bytes.
unsafe impl Sized32 for vxf_writer_options {
    const NAME: &'static str = "vxf_writer_options";
    const FIRST_BYTES: usize = size_of::<Self>();
    fn initial() -> Self {
        Self { struct_size: size_of::<Self>() as u32, existing: vxf_existing::ERROR }
    }
}

/// Writes the defaults into options of struct_size bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_writer_options_init(
    options: *mut vxf_writer_options,
    struct_size: usize,
) -> vxf_status {
    guard_done(|| init_sized(options, struct_size))
}

/// Begins a dataset file, .h5 or .hdf5. options may be NULL. Free with vxf_writer_free().
///
/// Errors: ERR_ARGUMENT where the name has another ending or the file exists; ERR_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_writer_create(
    path: *const c_char,
    options: *const vxf_writer_options,
    out: *mut *mut vxf_writer,
) -> vxf_status {
    guard_done(|| {
        let existing = match read_sized_or_default(options)?.existing {
            vxf_existing::ERROR => Existing::Keep,
            vxf_existing::REPLACE => Existing::Replace,
            other => return Err(unknown("existing", other.0)),
        };
        let writer = DatasetWriter::create(self::path(path)?, WriterOptions { existing })?;
        give(Mutex::new(Some(writer)), out)
    })
}

/// Runs something with the writer, as long as it is not finished.
fn with_writer<T>(writer: *mut vxf_writer, run: impl FnOnce(&mut DatasetWriter) -> Result<T>) -> Result<T> {
    let mut writer = lock(borrow(writer)?)?;
    run(writer.as_mut().ok_or_else(|| Error::state("the writer is finished"))?)
}

/// The writer, unless a call is on its way: a progress callback that waited for it would wait for ever.
fn lock(writer: &Mutex<Option<DatasetWriter>>) -> Result<MutexGuard<'_, Option<DatasetWriter>>> {
    match writer.try_lock() {
        Ok(writer) => Ok(writer),
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => Err(Error::state("the writer is busy with another call")),
    }
}

/// Begins a subject; the entries that follow are its.
///
/// Errors: ERR_ARGUMENT where the id is empty or taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_writer_add_subject(writer: *mut vxf_writer, id: *const c_char) -> vxf_status {
    guard_done(|| {
        let id = text(id, "id")?;
        with_writer(writer, |writer| writer.add_subject(id))
    })
}

/// Writes a volume of the current subject: a dense tensor (spatial axes), and its geometry or NULL.
///
/// affine is as in vxf_volume_info. The entries of a category have one shape and dtype within a subject.
/// Errors: ERR_STATE before the first subject; ERR_ARGUMENT where the entry does not fit its category;
/// ERR_RANGE where an axis is too long for the layout. What was written before stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_writer_add_entry(
    writer: *mut vxf_writer,
    category: *const c_char,
    entry: *const c_char,
    tensor: *const vxf_tensor,
    affine: *const f64,
) -> vxf_status {
    guard_done(|| {
        let (category, entry) = (text(category, "category")?, text(entry, "entry")?);
        let given = Given::read(tensor, "tensor")?;
        let bytes = given.to_dense()?;
        let volume = dense(&given, &bytes, affine)?;
        with_writer(writer, |writer| writer.add_entry(category, entry, &volume))
    })
}

/// A tensor of the caller's as a volume to be saved, its channel first where it has four axes.
fn dense<'a>(given: &Given, bytes: &'a [u8], affine: *const f64) -> Result<DenseVolume<'a>> {
    let (channels, shape) = given.channel_first(given.extents.len().min(3))?;
    Ok(DenseVolume { shape, channels, dtype: given.dtype, bytes, affine: self::affine(affine, &shape)? })
}

/// Writes all subjects of a dataset, read in parallel; progress may be NULL, and is called on this thread.
///
/// Voxels, as values, and geometry are written; attributes and splits are not.
///
/// Gives CANCELLED where progress asked to stop; the subjects written so far stay.
/// Errors: as the reading of the volumes, and ERR_ARGUMENT where an id is taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_writer_add_dataset(
    writer: *mut vxf_writer,
    dataset: *const vxf_dataset,
    progress: vxf_progress,
    user_data: *mut c_void,
) -> vxf_status {
    guard(|| {
        let dataset = borrow(dataset)?.now();
        let mut report = progress_of(progress, user_data);
        let outcome =
            with_writer(writer, |writer| convert(&dataset, writer, &ConvertOptions::default(), &mut report))?;
        Ok(match outcome {
            Outcome::Complete => vxf_status::OK,
            Outcome::Cancelled(_) => vxf_status::CANCELLED,
        })
    })
}

/// Completes the file and gives it its name. The handle must still be freed.
///
/// Errors: ERR_STATE where there is no subject or the writer is finished; ERR_ARGUMENT where subjects have
/// different entries; ERR_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_writer_finish(writer: *mut vxf_writer) -> vxf_status {
    guard_done(|| {
        let mut writer = lock(borrow(writer)?)?;
        writer.as_mut().ok_or_else(|| Error::state("the writer is finished"))?.finish()?;
        *writer = None;
        Ok(())
    })
}

/// Frees the handle; a file that is not finished is removed. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_writer_free(writer: *mut vxf_writer) {
    guard_silent(|| free(writer));
}

/// Saves one volume: .nii, .nii.gz, .npy or .h5 by the name.
///
/// The tensor is (spatial axes) or, with four axes, (channel, spatial axes); affine as in vxf_volume_info,
/// or NULL. NIfTI stores f16 as f32 and bool as u8. The file gets its name when all is written.
/// Errors: ERR_ARGUMENT for another ending; ERR_NOT_FOUND for the folder; ERR_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_volume_save(
    path: *const c_char,
    tensor: *const vxf_tensor,
    affine: *const f64,
) -> vxf_status {
    guard_done(|| {
        let given = Given::read(tensor, "tensor")?;
        let bytes = given.to_dense()?;
        save(self::path(path)?, &dense(&given, &bytes, affine)?)
    })
}

/// How a column of a montage is drawn.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_look(pub i32);

impl vxf_look {
    /// Labels for an integer dtype with at most 64 different values of which none is below 0, else grey.
    pub const AUTO: vxf_look = vxf_look(0);
    /// Grey, from the 2nd to the 98th percentile of the voxels that are not zero.
    pub const GREY: vxf_look = vxf_look(1);
    /// A colour for each label, over the first grey column; label 0 is clear.
    pub const LABELS: vxf_look = vxf_look(2);
}

/// One column of a montage. The layout is final; zeros but for volume are all defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_montage_column {
    /// The volume: (spatial axes), or with four axes (channel, spatial axes). All columns have one shape.
    pub volume: *const vxf_tensor,
    /// What stands above it; NULL for nothing.
    pub title: *const c_char,
    /// How it is drawn.
    pub look: vxf_look,
    /// The channel that is drawn.
    pub channel: u32,
    /// Room, 0.
    pub reserved: [u64; 2],
}

/// How a montage is drawn. Set it up with vxf_montage_options_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_montage_options {
    /// sizeof(vxf_montage_options), set by the init function.
    pub struct_size: u32,
    /// The axis that is cut across, 0 being the slowest.
    pub axis: u32,
    /// The number of slices, one a row, evenly spread over what is not background; 6 by default.
    pub slices: u32,
    /// The pixels of a slice's longer side, 240 by default.
    pub tile_pixels: u32,
    /// The geometry of all columns, as in vxf_volume_info, or NULL. With it superior, else anterior is up.
    pub affine: *const f64,
}

// SAFETY: repr(C), the size first, no padding; every field may have any bytes.
unsafe impl Sized32 for vxf_montage_options {
    const NAME: &'static str = "vxf_montage_options";
    const FIRST_BYTES: usize = size_of::<Self>();
    fn initial() -> Self {
        let struct_size = size_of::<Self>() as u32;
        Self { struct_size, axis: 0, slices: 6, tile_pixels: 240, affine: std::ptr::null() }
    }
}

/// Writes the defaults into options of struct_size bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_montage_options_init(
    options: *mut vxf_montage_options,
    struct_size: usize,
) -> vxf_status {
    guard_done(|| init_sized(options, struct_size))
}

/// A column's tensor with its dense bytes, its look and its title.
fn column<'a>(column: &vxf_montage_column) -> Result<(Given, Vec<u8>, Look, &'a str)> {
    check_room("vxf_montage_column", &column.reserved)?;
    let given = Given::read(column.volume, "column")?;
    let look = match column.look {
        vxf_look::AUTO => Look::Auto,
        vxf_look::GREY => Look::Grey,
        vxf_look::LABELS => Look::Labels,
        other => return Err(unknown("look", other.0)),
    };
    let bytes = given.to_dense()?;
    Ok((given, bytes, look, text_or_null(column.title, "title")?.unwrap_or_default()))
}

/// Saves a PNG that shows volumes side by side, one a column, and several slices, one a row.
///
/// options may be NULL. The file gets its name when all is written.
/// Errors: ERR_ARGUMENT where columns have different shapes or an axis or channel does not exist; ERR_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_montage_save(
    path: *const c_char,
    columns: *const vxf_montage_column,
    count: u64,
    options: *const vxf_montage_options,
) -> vxf_status {
    guard_done(|| {
        let given = read_sized_or_default(options)?;
        let read: Vec<_> = array(columns, count, "columns")?.iter().map(column).collect::<Result<_>>()?;
        let channels = array(columns, count, "columns")?.iter().map(|column| column.channel as usize);
        let columns: Vec<MontageColumn<'_>> = read
            .iter()
            .zip(channels)
            .map(|((tensor, bytes, look, title), channel)| {
                let volume = dense(tensor, bytes, given.affine)?;
                Ok(MontageColumn { volume, channel, look: *look, title })
            })
            .collect::<Result<_>>()?;
        let mut options = MontageOptions { axis: given.axis as usize, ..MontageOptions::default() };
        if given.slices > 0 {
            options.slices = given.slices as usize;
        }
        if given.tile_pixels > 0 {
            options.tile_points = given.tile_pixels as usize;
        }
        montage(self::path(path)?, &columns, &options)
    })
}
