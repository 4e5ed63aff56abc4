//! vxf_batch: the samples that are handed over together.

#![allow(non_camel_case_types)]

use std::ffi::c_char;

use crate::capi::guard::{guard_done, guard_silent};
use crate::capi::handle::{Noun, Texts, array_mut, borrow, check_room, free, give, text, write, write_sized};
use crate::capi::status::vxf_status;
use crate::capi::tensor::{Given, VXF_MAX_AXES, VXF_SAMPLE_REPEATED, vxf_sample, vxf_tensor};
use crate::error::{Error, Result};
use crate::feed::Batch;
use crate::plan::Sample;
use crate::voxel::{Region, Shape};

/// The samples that are handed over together, and the memory that they lie in.
///
/// Each category is a tensor (batch, channel, spatial axes). A batch outlives its loader. Threads: any.
pub struct vxf_batch {
    _private: [u8; 0],
}

/// What a batch handle holds: the batch, and the texts that were handed out.
pub(super) struct BatchObject {
    batch: Batch,
    texts: Texts,
}

impl BatchObject {
    pub(super) fn new(batch: Batch) -> Self {
        Self { batch, texts: Texts::default() }
    }

    /// The batch itself, held once more.
    pub(super) fn share(&self) -> Batch {
        self.batch.clone()
    }
}

impl std::ops::Deref for BatchObject {
    type Target = Batch;
    fn deref(&self) -> &Batch {
        &self.batch
    }
}

impl Noun for vxf_batch {
    type Object = BatchObject;
    const NAME: &'static str = "vxf_batch";
    const MAGIC: u64 = 0x7678_665F_6261_7463;
}

/// Writes the view of one category's tensor; a NULL category is the first. Set struct_size first.
///
/// Borrowed: the memory is valid until the batch's last reference is released. You may write to it. On a
/// CUDA device the voxels are there when a stream has waited for them: see vxf_batch_wait().
/// Errors: ERR_NOT_FOUND for the category; the message lists those that the batch has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_tensor(
    batch: *const vxf_batch,
    category: *const c_char,
    out: *mut vxf_tensor,
) -> vxf_status {
    guard_done(|| {
        let name = if category.is_null() { None } else { Some(text(category, "category")?) };
        let view = borrow(batch)?.tensor(name)?;
        write_sized(
            out,
            vxf_tensor::dense(view.address.cast(), view.dtype, &view.extents).placed(view.location),
        )
    })
}

/// Writes the names of the batch's categories, in order, as JSON: ["images", "labels"].
///
/// Borrowed, valid as long as this handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_categories(
    batch: *const vxf_batch,
    out: *mut *const c_char,
) -> vxf_status {
    guard_done(|| {
        let object = borrow(batch)?;
        let names: Vec<&str> = object.categories().collect();
        write(out, object.texts.pointer(&serde_json::Value::from(names).to_string()))
    })
}

/// Writes the number of samples: the batch size, or less for a last batch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_len(batch: *const vxf_batch, out: *mut u64) -> vxf_status {
    guard_done(|| write(out, borrow(batch)?.samples().len() as u64))
}

/// Writes the batch's samples, one for each row, into an array of capacity elements.
///
/// Errors: ERR_BUFFER where the capacity is smaller than vxf_batch_len().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_samples(
    batch: *const vxf_batch,
    out: *mut vxf_sample,
    capacity: u64,
) -> vxf_status {
    guard_done(|| {
        let samples = borrow(batch)?.samples();
        if capacity < samples.len() as u64 {
            let needed = samples.len();
            return Err(Error::buffer(format!("{needed} samples do not fit an array of {capacity}")));
        }
        let into = array_mut(out, samples.len() as u64, "samples")?;
        for (slot, sample) in into.iter_mut().zip(samples) {
            *slot = vxf_sample::of(sample);
        }
        Ok(())
    })
}

/// Copies one category's voxels to host memory and waits for that; a NULL category is the first.
///
/// to is dense and has the dtype and the shape of vxf_batch_tensor(). The copy is of what the loader wrote:
/// synchronise streams of yours that change the batch before.
/// Errors: ERR_NOT_FOUND for the category; ERR_ARGUMENT where dtype or shape are others; ERR_UNSUPPORTED for
/// memory that is not dense or not the host's; ERR_DEVICE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_copy_to(
    batch: *const vxf_batch,
    category: *const c_char,
    to: *const vxf_tensor,
) -> vxf_status {
    guard_done(|| {
        let name = if category.is_null() { None } else { Some(text(category, "category")?) };
        let batch = borrow(batch)?;
        let (view, given) = (batch.tensor(name)?, Given::read(to, "to")?);
        if given.dtype != view.dtype || given.extents != view.extents {
            let (dtype, extents) = (view.dtype, &view.extents);
            return Err(Error::argument(format!(
                "to: {} {:?}, expected {dtype} {extents:?}",
                given.dtype, given.extents
            )));
        }
        batch.copy_to(name, given.bytes_mut()?)
    })
}

/// Makes another handle of the same batch; each handle is released on its own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_retain(batch: *const vxf_batch, out: *mut *mut vxf_batch) -> vxf_status {
    guard_done(|| give(BatchObject::new(borrow(batch)?.share()), out))
}

/// Releases a handle; the last one gives the memory back to the loader. NULL is allowed.
///
/// It waits for nothing. Work on streams that vxf_batch_wait() or vxf_batch_record_stream() was told of may
/// still be under way: the memory is used again when it is done. Other streams must be done before. Where the driver
/// does not tell of a stream any more, whoever fills the memory next waits for all that its device does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_release(batch: *mut vxf_batch) {
    guard_silent(|| free(batch));
}

impl vxf_sample {
    /// The sample as C sees it.
    pub(super) fn of(sample: &Sample) -> Self {
        let ndim = sample.region.shape().ndim();
        let mut out = Self {
            index: sample.index,
            subject: sample.subject as u64,
            epoch: sample.epoch,
            position: sample.position,
            flags: if sample.repeated { VXF_SAMPLE_REPEATED } else { 0 },
            ndim: ndim as u32,
            thin_axis: sample.thin.map_or(-1, |axis| axis as i64),
            offset: [0; VXF_MAX_AXES],
            shape: [0; VXF_MAX_AXES],
            valid_offset: [0; VXF_MAX_AXES],
            valid_shape: [0; VXF_MAX_AXES],
            reserved: [0; 4],
        };
        let fill = |slots: &mut [i64; VXF_MAX_AXES], values: &mut dyn Iterator<Item = i64>| {
            slots.iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
        };
        fill(&mut out.offset, &mut sample.region.offset().iter().copied());
        fill(&mut out.shape, &mut sample.region.shape().extents().iter().map(|&extent| extent as i64));
        fill(&mut out.valid_offset, &mut sample.valid_offset().map(|offset| offset as i64));
        fill(&mut out.valid_shape, &mut sample.valid_shape().extents().iter().map(|&extent| extent as i64));
        out
    }

    /// The sample that C gives back, as far as an assembler needs it.
    pub(super) fn parse(&self) -> Result<Sample> {
        check_room("vxf_sample", &self.reserved)?;
        let ndim = self.ndim as usize;
        let wrong = |what: &str| Error::argument(format!("sample {}: {what}", self.index));
        let axes = |values: &[i64; VXF_MAX_AXES]| -> Result<Vec<usize>> {
            let used = values.get(..ndim).ok_or_else(|| wrong("ndim is too large"))?;
            used.iter().map(|&value| usize::try_from(value).map_err(|_| wrong("a negative extent"))).collect()
        };
        let offset = self.offset.get(..ndim).ok_or_else(|| wrong("ndim is too large"))?;
        let region = Region::new(offset, Shape::new(&axes(&self.shape)?)?)?;
        let valid = axes(&self.valid_offset)?;
        let inside: Vec<i64> =
            offset.iter().zip(&valid).map(|(start, &begin)| start.saturating_add(begin as i64)).collect();
        let inside = Region::new(&inside, Shape::new(&axes(&self.valid_shape)?)?)?;
        Ok(Sample {
            index: self.index,
            subject: self.subject as usize,
            epoch: self.epoch,
            position: self.position,
            repeated: self.flags & VXF_SAMPLE_REPEATED != 0,
            region,
            inside,
            thin: usize::try_from(self.thin_axis).ok(),
        })
    }
}
