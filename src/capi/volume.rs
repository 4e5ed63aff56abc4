//! One volume: what its file says, a region of it read directly, and volumes written to files.

#![allow(non_camel_case_types)]

use std::ffi::c_char;

use crate::capi::dataset::vxf_dataset;
use crate::capi::guard::guard_done;
use crate::capi::handle::{Sized32, array, borrow, text, text_or_null, write_sized};
use crate::capi::status::vxf_status;
use crate::capi::tensor::{Given, VXF_MAX_AXES, vxf_dtype, vxf_tensor};
use crate::error::{Error, Result};
use crate::store::{
    ArrayLayout, ChannelPlace, Dataset, Entry, Extraction, Header, MemoryArray, Origin, Reader,
    extents_of_three,
};
use crate::voxel::{Affine, Region, Shape};

/// What a volume's file says of it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_volume_info {
    /// Set by the caller: sizeof(vxf_volume_info).
    pub struct_size: u32,
    /// The dtype of the stored numbers.
    pub dtype: vxf_dtype,
    /// The dtype of the values, which differs where stored numbers are scaled.
    pub value_dtype: vxf_dtype,
    /// The number of spatial axes.
    pub ndim: u32,
    /// The extents as seen in the dataset's orientation, slowest axis first.
    pub shape: [i64; VXF_MAX_AXES],
    /// The number of channels.
    pub channels: i64,
    /// value = stored * scale_slope + scale_intercept; 1 and 0 where the file has no scale.
    pub scale_slope: f64,
    /// See scale_slope.
    pub scale_intercept: f64,
    /// The step of the last three axes in millimetres, slowest axis first; 1 where the file has no geometry. Of a
    /// volume with fewer axes the first numbers, and columns of the affine, are of those that it lacks.
    pub spacing_mm: [f64; 3],
    /// Four rows of four: maps a voxel index (depth, height, width, 1) to millimetres (right, anterior,
    /// superior, 1). Columns are slowest axis first; nibabel and ITK list them the other way round.
    pub affine: [f64; 16],
    /// Whether the file has a geometry, 1 or 0; the affine is a plain one where it has none.
    pub has_affine: u32,
    /// Room, 0.
    pub reserved: u32,
    /// The file, empty for a volume in memory. Borrowed, valid as long as the dataset.
    pub path: *const c_char,
    /// The format's name. Borrowed, valid as long as the dataset.
    pub format: *const c_char,
}

// SAFETY: repr(C), the size first, no padding; every field may have any bytes.
unsafe impl Sized32 for vxf_volume_info {
    const NAME: &'static str = "vxf_volume_info";
    const FIRST_BYTES: usize = size_of::<Self>();
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            dtype: vxf_dtype::STORED,
            value_dtype: vxf_dtype::STORED,
            ndim: 0,
            shape: [0; VXF_MAX_AXES],
            channels: 0,
            scale_slope: 1.0,
            scale_intercept: 0.0,
            spacing_mm: [1.0; 3],
            affine: [0.0; 16],
            has_affine: 0,
            reserved: 0,
            path: c"".as_ptr(),
            format: c"".as_ptr(),
        }
    }
}

/// The entries that a category and an entry's name mean; all of the category for no name.
fn entries(dataset: &Dataset, subject: u64, (category, entry): (&str, Option<&str>)) -> Result<Vec<Entry>> {
    let category = dataset.subject(subject as usize)?.category(category)?;
    match entry {
        Some(name) => Ok(category.select(&[name.to_owned()])?.entries),
        None => Ok(category.entries.clone()),
    }
}

/// Writes what the file of an entry says; a NULL entry is the category's first. Set struct_size first.
///
/// Errors: ERR_RANGE for the subject, ERR_NOT_FOUND for category and entry; the message lists what there is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_volume_info(
    dataset: *const vxf_dataset,
    subject: u64,
    category: *const c_char,
    entry: *const c_char,
    out: *mut vxf_volume_info,
) -> vxf_status {
    guard_done(|| {
        let object = borrow(dataset)?;
        let name = text_or_null(entry, "entry")?;
        let entries = entries(&object.now(), subject, (text(category, "category")?, name))?;
        let entry = entries.first().ok_or_else(|| Error::not_found("the category has no entry"))?;
        let header = entry.header();
        let mut info = vxf_volume_info {
            dtype: vxf_dtype(header.dtype.code()),
            value_dtype: vxf_dtype(header.value_dtype().code()),
            ndim: header.shape.ndim() as u32,
            channels: entry.channels() as i64,
            path: object.texts.pointer(&header.origin.path.to_string_lossy()),
            format: object.texts.pointer(header.origin.format),
            ..vxf_volume_info::initial()
        };
        for (slot, &extent) in info.shape.iter_mut().zip(entry.shape()?.extents()) {
            *slot = extent as i64;
        }
        if let Some(scale) = header.scale {
            (info.scale_slope, info.scale_intercept) = (scale.slope, scale.intercept);
        }
        let affine = entry.affine();
        info.has_affine = u32::from(affine.is_some());
        let affine = affine.unwrap_or_else(Affine::identity);
        info.spacing_mm = affine.spacing_mm();
        let [r, a, s] = *affine.rows();
        for (slot, value) in info.affine.iter_mut().zip([r, a, s, [0.0, 0.0, 0.0, 1.0]].concat()) {
            *slot = value;
        }
        write_sized(out, info)
    })
}

/// A box of voxels, which may reach outside its volume. Axes are slowest first, those unused are 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_region {
    /// The first voxel.
    pub offset: [i64; VXF_MAX_AXES],
    /// The extents; 0 is the rest of the axis.
    pub shape: [i64; VXF_MAX_AXES],
}

impl vxf_region {
    fn parse(pointer: *const Self, volume: &Shape) -> Result<Region> {
        let Some(given) = array(pointer, u64::from(!pointer.is_null()), "region")?.first() else {
            return Ok(Region::whole(*volume));
        };
        let ndim = volume.ndim();
        let beyond = given.offset.iter().chain(&given.shape).enumerate();
        if beyond.into_iter().any(|(place, &value)| place % VXF_MAX_AXES >= ndim && value != 0) {
            return Err(Error::argument(format!("region has more than the volume's {ndim} axes: {volume}")));
        }
        let mut extents = Vec::with_capacity(ndim);
        let axes = given.shape.iter().zip(&given.offset).zip(volume.extents());
        for ((&wanted, &start), &extent) in axes {
            let rest = (extent as i64).saturating_sub(start).max(0);
            let length = usize::try_from(if wanted == 0 { rest } else { wanted });
            extents.push(length.map_err(|_| Error::argument(format!("region extent {wanted} is negative")))?);
        }
        Region::new(given.offset.get(..ndim).unwrap_or_default(), Shape::new(&extents)?)
    }
}

/// Reads a region of one entry, or of all of a category for a NULL entry, into your tensor.
///
/// A NULL region is the whole volume; what lies outside is 0. out tells the wanted dtype and where to write:
/// its data, dense, (channel, spatial axes), where a single channel may be left out.
/// Errors: ERR_RANGE where a value does not fit the dtype; ERR_ARGUMENT where out has another shape.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_read(
    dataset: *const vxf_dataset,
    subject: u64,
    category: *const c_char,
    entry: *const c_char,
    region: *const vxf_region,
    out: *const vxf_tensor,
) -> vxf_status {
    guard_done(|| {
        let dataset = borrow(dataset)?.now();
        let name = text_or_null(entry, "entry")?;
        let entries = entries(&dataset, subject, (text(category, "category")?, name))?;
        let volume = entries.first().ok_or_else(|| Error::not_found("the category has no entry"))?.shape()?;
        let region = vxf_region::parse(region, &volume)?;
        let out = Given::read(out, "out")?;
        let (channels, shape) = out.channel_first(volume.ndim())?;
        let expected: usize = entries.iter().map(Entry::channels).sum();
        if (channels, shape) != (expected, region.shape()) {
            let wanted = region.shape();
            let text = format!("out is {channels} channels of {shape}, expected {expected} of {wanted}");
            return Err(Error::argument(text));
        }
        Reader::default().read(&entries, &region, &Extraction::exact(out.dtype), out.bytes_mut()?)
    })
}

/// Four rows of four of the caller's as the geometry of a volume of this shape; none for NULL.
pub(super) fn affine(pointer: *const f64, shape: &Shape) -> Result<Option<Affine>> {
    let numbers = array(pointer, if pointer.is_null() { 0 } else { 16 }, "affine")?;
    let rows: Vec<[f64; 4]> = numbers.chunks_exact(4).filter_map(|row| row.try_into().ok()).collect();
    match rows.as_slice() {
        [] => Ok(None),
        [r, a, s, [0.0, 0.0, 0.0, 1.0]] => {
            let affine = Affine::new([*r, *a, *s]);
            match affine.is_finite() {
                false => Err(Error::argument("the affine is not finite")),
                true if affine.is_flat(extents_of_three(shape)) => {
                    Err(Error::argument("the affine is singular: the volume's axes span no volume"))
                }
                true => Ok(Some(affine)),
            }
        }
        _ => Err(Error::argument("the last row of the affine is not 0, 0, 0, 1")),
    }
}

/// A copy of a tensor of the caller's as a volume in memory, its channel first where it has four axes.
pub(super) fn memory_volume(given: &Given, affine: *const f64) -> Result<MemoryArray> {
    let spatial = given.extents.len().min(3);
    let (channels, shape) = given.channel_first(spatial)?;
    let header = Header {
        shape,
        channels,
        dtype: given.dtype,
        scale: None,
        affine: self::affine(affine, &shape)?,
        origin: Origin { format: "memory", ..Origin::default() },
    };
    let layout = ArrayLayout::dense(&shape, channels, given.dtype.byte_len(), ChannelPlace::First);
    MemoryArray::new(header, layout, given.to_dense()?)
}
