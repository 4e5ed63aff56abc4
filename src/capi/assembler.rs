//! vxf_assembler: puts predictions back into volumes.

#![allow(non_camel_case_types)]

use std::ffi::c_char;
use std::sync::Arc;

use crate::assemble::{Accumulate, Assembler, AssemblerOptions, Blend, Prediction, Readiness, Reduce};
use crate::capi::batch::vxf_batch;
use crate::capi::dataset::unknown;
use crate::capi::guard::{guard, guard_done, guard_silent};
use crate::capi::handle::{
    Noun, Sized32, array, borrow, check_place, check_room, free, give, init_sized, path,
    read_sized_or_default, write, write_sized,
};
use crate::capi::loader::vxf_loader;
use crate::capi::loader_options::no_device_id;
use crate::capi::status::vxf_status;
use crate::capi::stream::{stream_of, vxf_stream};
use crate::capi::tensor::{Given, vxf_device, vxf_dtype, vxf_sample, vxf_tensor};
use crate::device::Location;
use crate::error::{Error, Result};
use crate::plan::Sample;
use crate::voxel::DType;

/// Puts predictions back into volumes, subject by subject, in any order and several subjects at once.
///
/// It counts: a subject is complete when every sample that this rank's epoch has of it was added. A sample
/// that only fills up a batch is passed over. Samples of a batch that failed never come, so their subject
/// stays incomplete.
///
/// Complete says that every sample came, not that every voxel was reached: vxf_assembler_coverage() tells.
/// Voxels stay 0 beyond a grid with VXF_BORDER_DROP, at the borders under a network without padding, and
/// where other ranks have samples: for prediction give each rank whole subjects. Threads: any; the order of adds decides with VXF_BLEND_LAST.
///
/// The memory of a subject that was taken is kept for the next ones, never more than was held at once.
pub struct vxf_assembler {
    _private: [u8; 0],
}

impl Noun for vxf_assembler {
    type Object = Assembler;
    const NAME: &'static str = "vxf_assembler";
    const MAGIC: u64 = 0x7678_665F_6173_7365;
}

/// How overlapping predictions are joined.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_blend(pub i32);

impl vxf_blend {
    /// The one added last stands, bit for bit.
    pub const LAST: vxf_blend = vxf_blend(0);
    /// Their mean.
    pub const MEAN: vxf_blend = vxf_blend(1);
    /// Their mean, weighted by a Gaussian around each patch's centre.
    pub const GAUSSIAN: vxf_blend = vxf_blend(2);
}

/// What is made of the channels.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_reduce(pub i32);

impl vxf_reduce {
    /// They stay.
    pub const NONE: vxf_reduce = vxf_reduce(0);
    /// The number of the largest, as U8: a label map.
    pub const ARGMAX: vxf_reduce = vxf_reduce(1);
}

/// How predictions are joined. Set it up with vxf_assembler_options_init().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_assembler_options {
    /// sizeof(vxf_assembler_options), set by the init function.
    pub struct_size: u32,
    /// How overlapping predictions are joined.
    pub blend: vxf_blend,
    /// What is made of the channels.
    pub reduce: vxf_reduce,
    /// The result's dtype: F32 by default, or U8, rounded half to even and clipped to 0..255, NaN being 0;
    /// argmax is always U8.
    pub dtype: vxf_dtype,
    /// The dtype of sums: F32 by default; with F64, equal overlapping values come back exactly.
    pub accumulate: vxf_dtype,
    /// Room, 0.
    pub reserved: u32,
    /// Gaussian: the standard deviation as a share of the patch's extent, 0.125 by default.
    pub sigma: f64,
    /// Where sums lie: in host memory, or with VXF_DEVICE_CUDA on a device, as far as they fit device_bytes.
    ///
    /// Predictions there are then added there by vxf_assembler_add_async(); results are the same bit for bit.
    /// It is decided when a subject's first prediction comes: sums lie in host memory as ever where they do not
    /// fit, are not F32, have more than three spatial axes, or the first prediction is not on this device, or
    /// is F64 or U64. Such a prediction later on brings the subject's sums to the host for good. What is taken
    /// leaves its memory there to later subjects, until the assembler is freed.
    pub device: vxf_device,
    /// The number of the CUDA device; not looked at with VXF_DEVICE_CPU, and 0 without a device.
    pub device_id: i32,
    /// The most bytes of sums on the device; 0: half of what it has free when the assembler is made.
    pub device_bytes: u64,
    /// The most threads that add the rows of one call to sums in host memory, or write what is taken; 0: as many as
    /// there are cores, at most 8.
    ///
    /// Results are the same bit for bit. The calling thread is one of them; the others end when there has been
    /// no call for a second, or with the assembler. A little is added by fewer; of calls at the same time
    /// the first has them.
    pub threads: u32,
    /// Room, 0.
    pub reserved_end: u32,
}

// SAFETY: repr(C), the size first, no padding; every field may have any bytes.
unsafe impl Sized32 for vxf_assembler_options {
    const NAME: &'static str = "vxf_assembler_options";
    const FIRST_BYTES: usize = size_of::<Self>();
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            blend: vxf_blend::LAST,
            reduce: vxf_reduce::NONE,
            dtype: vxf_dtype::F32,
            accumulate: vxf_dtype::F32,
            reserved: 0,
            sigma: 0.125,
            device: vxf_device::DEFAULT,
            device_id: 0,
            device_bytes: 0,
            threads: 0,
            reserved_end: 0,
        }
    }
}

/// A dtype's name, or its number where it has none.
fn name_of(dtype: vxf_dtype) -> String {
    DType::from_code(dtype.0).map_or_else(|_| format!("{:#x}", dtype.0), |known| known.name().to_owned())
}

impl vxf_assembler_options {
    fn parse(&self) -> Result<AssemblerOptions> {
        check_room("vxf_assembler_options", &[u64::from(self.reserved), u64::from(self.reserved_end)])?;
        let blend = match self.blend {
            vxf_blend::LAST => Blend::Last,
            vxf_blend::MEAN => Blend::Mean,
            vxf_blend::GAUSSIAN => Blend::Gaussian,
            other => return Err(unknown("blend", other.0)),
        };
        let reduce = match self.reduce {
            vxf_reduce::NONE => Reduce::None,
            vxf_reduce::ARGMAX => Reduce::Argmax,
            other => return Err(unknown("reduce", other.0)),
        };
        let dtype = match self.dtype {
            vxf_dtype::STORED | vxf_dtype::F32 => DType::F32,
            vxf_dtype::U8 => DType::U8,
            other => return Err(Error::argument(format!("dtype is {}, expected f32 or u8", name_of(other)))),
        };
        let accumulate = match self.accumulate {
            vxf_dtype::STORED | vxf_dtype::F32 => Accumulate::F32,
            vxf_dtype::F64 => Accumulate::F64,
            other => {
                return Err(Error::argument(format!(
                    "accumulate is {}, expected f32 or f64",
                    name_of(other)
                )));
            }
        };
        let sigma = if self.sigma == 0.0 { 0.125 } else { self.sigma };
        let location = match self.device {
            vxf_device::DEFAULT => no_device_id(self.device_id).map(|()| Location::Host)?,
            vxf_device::CPU => Location::Host,
            vxf_device::CUDA => Location::Gpu(self.device_id),
            other => return Err(unknown("device", other.0)),
        };
        let (device_bytes, threads) = (self.device_bytes, self.threads as usize);
        Ok(AssemblerOptions { blend, accumulate, dtype, reduce, sigma, location, device_bytes, threads })
    }
}

/// Writes the defaults into options of struct_size bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_assembler_options_init(
    options: *mut vxf_assembler_options,
    struct_size: usize,
) -> vxf_status {
    guard_done(|| init_sized(options, struct_size))
}

/// Makes an assembler for the batches of a loader. options may be NULL. Free with vxf_assembler_free().
///
/// Errors: with sums on a device ERR_NO_DEVICE, ERR_DEVICE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_assembler_new(
    loader: *const vxf_loader,
    options: *const vxf_assembler_options,
    out: *mut *mut vxf_assembler,
) -> vxf_status {
    guard_done(|| {
        let options = read_sized_or_default(options)?.parse()?;
        give(Assembler::new(Arc::clone(borrow(loader)?.plan()?), options)?, out)
    })
}

/// Adds the prediction for a batch: (batch, channel, spatial axes), any dtype and strides, host memory.
///
/// The spatial extents are those of the batch's rows, or smaller by the same even number on every axis where
/// the network has no padding: they are then centred in the row. The batch may be released afterwards.
/// Errors: ERR_ARGUMENT where the shape is another; ERR_STATE where a sample was added before, or belongs to
/// another epoch than subjects that are still incomplete. A call that fails changes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_assembler_add(
    assembler: *mut vxf_assembler,
    batch: *const vxf_batch,
    prediction: *const vxf_tensor,
) -> vxf_status {
    guard_done(|| {
        let batch = borrow(batch)?;
        add(assembler, (batch.samples(), Some(batch.row_extents())), prediction)
    })
}

/// As vxf_assembler_add(), for a prediction on a CUDA device that work on this stream makes.
///
/// It is checked now, and the GPU is not waited for: the prediction comes to pinned memory of the assembler's
/// when the stream has made it, and a thread adds it, in the order of the calls. Its memory may be changed by
/// later work on the same stream, which waits for the copy, and freed in that stream's order. The batch may be
/// released. With four predictions on their way, the call waits for the first. With (void *)-1 for a stream
/// the prediction is there already, and the call waits for the copy; host memory is added as by
/// vxf_assembler_add().
///
/// vxf_assembler_next_complete() tells of a subject when its predictions have come; it waits for them once
/// every sample of the epoch was added. Taking and saving wait for them too.
///
/// Where a subject's sums lie on the prediction's device (vxf_assembler_options.device), a kernel adds it there
/// on a stream of the assembler's: nothing comes to the host and nobody is waited for, but for (void *)-1 and
/// where memory of another size has to make room within device_bytes. The memory may be changed by later work
/// on the same stream, as above. A subject is then told as complete when all is enqueued. Taking and saving
/// wait for the device and bring the sums down through pinned memory, and a prediction in host memory does as
/// well; vxf_assembler_free() waits for what is still added. After ERR_DEVICE samples of the batch may be lost,
/// and their subjects stay incomplete.
///
/// The driver is asked where the memory lies before anything reads it: prediction->device_id must be that device, or
/// -1, and the stream one of the same device.
///
/// Errors: those of vxf_assembler_add(), ERR_NO_DEVICE, ERR_MEMORY; ERR_ARGUMENT also for memory of another device
/// or that the driver does not know, and for a stream of another device; ERR_STATE also for a stream that is being
/// captured into a graph; ERR_DEVICE also where a prediction that was added before could not be brought, which
/// taking, saving and next_complete tell as well, once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_assembler_add_async(
    assembler: *mut vxf_assembler,
    batch: *const vxf_batch,
    prediction: *const vxf_tensor,
    stream: vxf_stream,
) -> vxf_status {
    guard_done(|| {
        let batch = borrow(batch)?;
        let given = Given::read_anywhere(prediction, "prediction")?;
        let Some(memory) = given.on_gpu()? else {
            return add(assembler, (batch.samples(), Some(batch.row_extents())), prediction);
        };
        let prediction = Prediction {
            bytes: &[],
            dtype: given.dtype,
            shape: &given.extents,
            strides: given.strides.as_deref(),
            row: Some(batch.row_extents()),
        };
        borrow(assembler)?.add_from_gpu(batch.samples(), &prediction, memory, stream_of(stream))
    })
}

/// As vxf_assembler_add(), for samples that were kept from vxf_batch_samples().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_assembler_add_samples(
    assembler: *mut vxf_assembler,
    samples: *const vxf_sample,
    count: u64,
    prediction: *const vxf_tensor,
) -> vxf_status {
    guard_done(|| {
        borrow(assembler)?;
        let rows = Given::read(prediction, "prediction")?.extents.first().copied().unwrap_or_default();
        if count != rows as u64 {
            return Err(Error::argument(format!("{count} samples for a prediction of {rows} rows")));
        }
        let samples: Vec<Sample> =
            array(samples, count, "samples")?.iter().map(vxf_sample::parse).collect::<Result<_>>()?;
        add(assembler, (&samples, None), prediction)
    })
}

fn add(
    assembler: *mut vxf_assembler,
    (samples, row): (&[Sample], Option<&[usize]>),
    prediction: *const vxf_tensor,
) -> Result<()> {
    let given = Given::read_anywhere(prediction, "prediction")?;
    if given.on_gpu()?.is_some() {
        let text = "prediction: it lies on a CUDA device: add it with vxf_assembler_add_async()";
        return Err(Error::unsupported(text));
    }
    let prediction = Prediction {
        bytes: given.bytes()?,
        dtype: given.dtype,
        shape: &given.extents,
        strides: given.strides.as_deref(),
        row,
    };
    borrow(assembler)?.add(samples, &prediction)
}

/// Writes the number of a subject that has become complete, each one once, in the order of completion.
///
/// Gives NOT_READY where none has, END where every subject of the epoch has been taken or saved, whether
/// it was asked for here or not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_assembler_next_complete(
    assembler: *mut vxf_assembler,
    out_subject: *mut u64,
) -> vxf_status {
    guard(|| {
        let assembler = borrow(assembler)?;
        check_place(out_subject)?;
        assembler.settle_last()?;
        match assembler.next_complete() {
            Some(subject) => write(out_subject, subject as u64).map(|()| vxf_status::OK),
            None if assembler.is_finished() => Ok(vxf_status::END),
            None => Ok(vxf_status::NOT_READY),
        }
    })
}

/// The dtype and the extents, channel first, of a subject's result.
fn output(assembler: &Assembler, subject: u64) -> Result<(DType, Vec<usize>)> {
    let output = assembler.output(subject as usize)?;
    let mut extents = vec![output.channels];
    extents.extend(output.shape.extents());
    Ok((output.dtype, extents))
}

/// Writes the shape and dtype of a subject's result, (channel, spatial axes), with data NULL.
///
/// Errors: ERR_NOT_FOUND where no sample of the subject was added.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_assembler_shape(
    assembler: *const vxf_assembler,
    subject: u64,
    out: *mut vxf_tensor,
) -> vxf_status {
    guard_done(|| {
        let (dtype, extents) = output(borrow(assembler)?, subject)?;
        write_sized(out, vxf_tensor::dense(std::ptr::null_mut(), dtype, &extents))
    })
}

/// Writes the share of a subject's voxels, 0 to 1, that a prediction has reached.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_assembler_coverage(
    assembler: *const vxf_assembler,
    subject: u64,
    out: *mut f64,
) -> vxf_status {
    guard_done(|| write(out, borrow(assembler)?.coverage(subject as usize)?))
}

/// Whether a subject may be taken before it is complete.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_completeness(pub i32);

impl vxf_completeness {
    /// Only a complete subject.
    pub const COMPLETE: vxf_completeness = vxf_completeness(0);
    /// What there is; voxels that no prediction has reached are 0.
    pub const PARTIAL: vxf_completeness = vxf_completeness(1);
}

fn completeness(given: vxf_completeness) -> Result<Readiness> {
    match given {
        vxf_completeness::COMPLETE => Ok(Readiness::Complete),
        vxf_completeness::PARTIAL => Ok(Readiness::Partial),
        other => Err(unknown("completeness", other.0)),
    }
}

/// Writes a subject's result into your dense tensor of the shape and dtype told by vxf_assembler_shape().
///
/// The subject is then gone from the assembler.
/// Errors: ERR_STATE where it is incomplete, the message says by how many samples; ERR_ARGUMENT where the
/// tensor is another; the subject then stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_assembler_take(
    assembler: *mut vxf_assembler,
    subject: u64,
    completeness: vxf_completeness,
    into: *const vxf_tensor,
) -> vxf_status {
    guard_done(|| {
        let assembler = borrow(assembler)?;
        let into = Given::read(into, "into")?;
        let (dtype, extents) = output(assembler, subject)?;
        if (into.dtype, &into.extents) != (dtype, &extents) {
            let (own, shape) = (into.dtype, &into.extents);
            return Err(Error::argument(format!("into is {own} {shape:?}, expected {dtype} {extents:?}")));
        }
        assembler.take(subject as usize, self::completeness(completeness)?, into.bytes_mut()?)
    })
}

/// Saves a subject's result with the geometry of its first volume: .nii, .nii.gz, .npy or .h5 by the name.
///
/// The file is complete or not there: it gets its name when all is written, and replaces an older one of that name. The
/// subject is then gone.
/// Errors: as vxf_assembler_take(), ERR_ARGUMENT for another ending, and ERR_IO; the subject then stays, so
/// it can be saved elsewhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_assembler_save(
    assembler: *mut vxf_assembler,
    subject: u64,
    completeness: vxf_completeness,
    path: *const c_char,
) -> vxf_status {
    guard_done(|| {
        let completeness = self::completeness(completeness)?;
        borrow(assembler)?.save(subject as usize, completeness, self::path(path)?)
    })
}

/// Frees the handle and what it holds. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_assembler_free(assembler: *mut vxf_assembler) {
    guard_silent(|| free(assembler));
}
