//! Batches handed to other libraries as DLPack tensors.

#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_void};

use crate::capi::batch::vxf_batch;
use crate::capi::guard::{guard_done, guard_silent};
use crate::capi::handle::{borrow, check_place, reclaim, text_or_null, write};
use crate::capi::status::vxf_status;
use crate::capi::stream::{stream_of, vxf_stream};
use crate::capi::tensor::{VXF_MAX_NDIM, vxf_device, vxf_tensor};
use crate::error::{Error, Result};
use crate::feed::Batch;
use crate::sys::capsule_content;

/// In flags: pinned memory is named host memory, for readers that know no pinned device; the default of
/// vxf_batch_dlpack_legacy().
pub const VXF_DLPACK_PINNED_AS_CPU: u32 = 1;
/// In flags: pinned memory is named as such (kDLCUDAHost); the default of vxf_batch_dlpack().
pub const VXF_DLPACK_PINNED_AS_PINNED: u32 = 2;
/// In flags: the stream is left alone; you have waited for the batch already, or will before you read it.
pub const VXF_DLPACK_NO_WAIT: u32 = 4;

/// cbindgen:ignore
#[repr(C)]
#[derive(Clone, Copy)]
struct Version {
    major: u32,
    minor: u32,
}

/// cbindgen:ignore
#[repr(C)]
#[derive(Clone, Copy)]
struct Device {
    kind: i32,
    number: i32,
}

/// cbindgen:ignore
#[repr(C)]
#[derive(Clone, Copy)]
struct Type {
    code: u8,
    bits: u8,
    lanes: u16,
}

/// cbindgen:ignore
#[repr(C)]
struct Tensor {
    data: *mut c_void,
    device: Device,
    ndim: i32,
    dtype: Type,
    shape: *mut i64,
    strides: *mut i64,
    byte_offset: u64,
}

/// DLPack's tensor with an owner, as it was before version 1.0.
///
/// cbindgen:ignore
#[repr(C)]
pub struct DLManagedTensor {
    tensor: Tensor,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(tensor: *mut DLManagedTensor)>,
}

/// DLPack's tensor with an owner, from version 1.0 on.
///
/// cbindgen:ignore
#[repr(C)]
pub struct DLManagedTensorVersioned {
    version: Version,
    context: *mut c_void,
    deleter: Option<unsafe extern "C" fn(tensor: *mut DLManagedTensorVersioned)>,
    flags: u64,
    tensor: Tensor,
}

/// What is handed out: the tensor first, then what it points to and the batch that it keeps.
#[repr(C)]
struct Export<Managed> {
    managed: Managed,
    shape: [i64; VXF_MAX_NDIM],
    strides: [i64; VXF_MAX_NDIM],
    batch: Batch,
}

/// A struct of DLPack's that owns a tensor.
trait Owning: Sized {
    /// How pinned memory is named where the caller does not say.
    const PINNED: vxf_device;
    /// Around this tensor.
    fn around(tensor: Tensor) -> Self;
    /// The tensor inside.
    fn tensor(&mut self) -> &mut Tensor;
}

impl Owning for DLManagedTensor {
    const PINNED: vxf_device = vxf_device::CPU;
    fn around(tensor: Tensor) -> Self {
        Self { tensor, context: std::ptr::null_mut(), deleter: Some(delete_legacy) }
    }
    fn tensor(&mut self) -> &mut Tensor {
        &mut self.tensor
    }
}

impl Owning for DLManagedTensorVersioned {
    const PINNED: vxf_device = vxf_device::CUDA_HOST;
    fn around(tensor: Tensor) -> Self {
        // Nothing here is newer than 1.0, and readers refuse what is newer than they are.
        let version = Version { major: 1, minor: 0 };
        Self { version, context: std::ptr::null_mut(), deleter: Some(delete), flags: 0, tensor }
    }
    fn tensor(&mut self) -> &mut Tensor {
        &mut self.tensor
    }
}

unsafe extern "C" fn delete_legacy(tensor: *mut DLManagedTensor) {
    guard_silent(|| reclaim(tensor.cast::<Export<DLManagedTensor>>()));
}

unsafe extern "C" fn delete(tensor: *mut DLManagedTensorVersioned) {
    guard_silent(|| reclaim(tensor.cast::<Export<DLManagedTensorVersioned>>()));
}

/// The device that flags ask to be written.
fn named(device: vxf_device, flags: u32, pinned: vxf_device) -> Result<vxf_device> {
    const PINNED: u32 = VXF_DLPACK_PINNED_AS_CPU | VXF_DLPACK_PINNED_AS_PINNED;
    if flags & !(PINNED | VXF_DLPACK_NO_WAIT) != 0 {
        return Err(Error::unsupported(format!("flags are {flags}, of which this version knows 1, 2 and 4")));
    }
    let pinned = match flags & PINNED {
        PINNED => return Err(Error::argument("flags ask for pinned memory as CPU and as pinned")),
        VXF_DLPACK_PINNED_AS_CPU => vxf_device::CPU,
        VXF_DLPACK_PINNED_AS_PINNED => vxf_device::CUDA_HOST,
        _ => pinned,
    };
    Ok(if device == vxf_device::CUDA_HOST { pinned } else { device })
}

/// Hands a category out as the struct that the caller asks for.
fn export<Managed: Owning>(
    batch: *const vxf_batch,
    category: *const c_char,
    (flags, stream): (u32, vxf_stream),
    out: *mut *mut Managed,
) -> Result<()> {
    check_place(out)?;
    let batch = borrow(batch)?.share();
    let view = batch.tensor(text_or_null(category, "category")?)?;
    let view = vxf_tensor::dense(view.address.cast(), view.dtype, &view.extents).placed(view.location);
    let device = named(view.device, flags, Managed::PINNED)?;
    if flags & VXF_DLPACK_NO_WAIT == 0 {
        match stream_of(stream) {
            Some(stream) => batch.wait(stream)?,
            None => batch.wait_here()?,
        }
    }
    let [code, bits] = (view.dtype.0 as u16).to_be_bytes();
    let tensor = Tensor {
        data: view.data,
        device: Device { kind: device.0, number: view.device_id },
        ndim: view.ndim as i32,
        dtype: Type { code, bits, lanes: 1 },
        shape: std::ptr::null_mut(),
        strides: std::ptr::null_mut(),
        byte_offset: 0,
    };
    let managed = Managed::around(tensor);
    let export = Box::leak(Box::new(Export { managed, shape: view.shape, strides: view.strides, batch }));
    let (shape, strides) = (export.shape.as_mut_ptr(), export.strides.as_mut_ptr());
    let tensor = export.managed.tensor();
    (tensor.shape, tensor.strides) = (shape, strides);
    write(out, (&raw mut *export).cast())
}

/// Hands one category of a batch out as a DLPack 1.0 tensor, without a copy; a NULL category is the first.
///
/// The data begin at the first element (byte_offset is 0), strides are set, nothing is read-only. Owned by the
/// caller, whose deleter call, on any thread, lets go of the batch; until then it keeps its memory, though the
/// batch and the loader were freed.
/// The stream waits for the batch as in vxf_batch_wait(), and is remembered like there: a deleter names no stream.
/// Errors: ERR_NOT_FOUND for the category, ERR_UNSUPPORTED for unknown flags.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_dlpack(
    batch: *const vxf_batch,
    category: *const c_char,
    flags: u32,
    stream: vxf_stream,
    out: *mut *mut DLManagedTensorVersioned,
) -> vxf_status {
    guard_done(|| export(batch, category, (flags, stream), out))
}

/// As vxf_batch_dlpack(), in the struct of DLPack before 1.0, which PyTorch's at::fromDLPack reads.
///
/// Pinned memory is named host memory unless flags say otherwise: most readers of this struct know no other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_dlpack_legacy(
    batch: *const vxf_batch,
    category: *const c_char,
    flags: u32,
    stream: vxf_stream,
    out: *mut *mut DLManagedTensor,
) -> vxf_status {
    guard_done(|| export(batch, category, (flags, stream), out))
}

/// The destructor of a Python capsule that owns an export, named "dltensor" or "dltensor_versioned": frees the export
/// unless a reader has taken it out, which renames the capsule.
///
/// For faces of this library in Python, whose own code cannot run while an exception is on its way. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dlpack_capsule_free(capsule: *mut c_void) {
    guard_silent(|| {
        // SAFETY: by the contract the interpreter calls this for a capsule that it is freeing.
        let versioned = unsafe { capsule_content(capsule, c"dltensor_versioned") };
        // SAFETY: as above.
        let legacy = unsafe { capsule_content(capsule, c"dltensor") };
        reclaim(versioned.unwrap_or(std::ptr::null_mut()).cast::<Export<DLManagedTensorVersioned>>());
        reclaim(legacy.unwrap_or(std::ptr::null_mut()).cast::<Export<DLManagedTensor>>());
    });
}
