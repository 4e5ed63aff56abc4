//! Arrays that cross the boundary: their dtype, shape and place.

#![allow(non_camel_case_types)]

use std::ffi::c_void;

use crate::capi::handle::{Sized32, array, array_mut, read_sized};
use crate::device::{LentMemory, Location};
use crate::error::{Error, Result};
use crate::sys::{Fit, Stored, Stores, Target, gather, zeroed_bytes};
use crate::voxel::{DType, MAX_AXES, Run, Shape};

/// The type of one voxel: DLPack's type code times 256, plus the bits.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_dtype(pub i32);

impl vxf_dtype {
    /// In options: as stored, the smallest dtype that holds every value.
    pub const STORED: vxf_dtype = vxf_dtype(0);
    /// One byte, 0 or 1.
    pub const BOOL: vxf_dtype = vxf_dtype(0x608);
    /// Unsigned, 8 bits.
    pub const U8: vxf_dtype = vxf_dtype(0x108);
    /// Signed, 8 bits.
    pub const I8: vxf_dtype = vxf_dtype(0x008);
    /// Unsigned, 16 bits.
    pub const U16: vxf_dtype = vxf_dtype(0x110);
    /// Signed, 16 bits.
    pub const I16: vxf_dtype = vxf_dtype(0x010);
    /// Unsigned, 32 bits.
    pub const U32: vxf_dtype = vxf_dtype(0x120);
    /// Signed, 32 bits.
    pub const I32: vxf_dtype = vxf_dtype(0x020);
    /// Unsigned, 64 bits.
    pub const U64: vxf_dtype = vxf_dtype(0x140);
    /// Signed, 64 bits.
    pub const I64: vxf_dtype = vxf_dtype(0x040);
    /// IEEE 754 half precision.
    pub const F16: vxf_dtype = vxf_dtype(0x210);
    /// IEEE 754 single precision.
    pub const F32: vxf_dtype = vxf_dtype(0x220);
    /// IEEE 754 double precision.
    pub const F64: vxf_dtype = vxf_dtype(0x240);
}

/// Where memory lies, with DLPack's numbers.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_device(pub i32);

impl vxf_device {
    /// In options: host memory.
    pub const DEFAULT: vxf_device = vxf_device(0);
    /// Host memory.
    pub const CPU: vxf_device = vxf_device(1);
    /// The memory of a CUDA device.
    pub const CUDA: vxf_device = vxf_device(2);
    /// Host memory that a CUDA device copies from directly.
    pub const CUDA_HOST: vxf_device = vxf_device(3);
}

/// The most axes of a tensor: batch, channel and six spatial ones.
pub const VXF_MAX_NDIM: usize = 8;
/// The most spatial axes of a volume.
pub const VXF_MAX_AXES: usize = 6;

const _: () = assert!(VXF_MAX_AXES == MAX_AXES && VXF_MAX_NDIM == MAX_AXES + 2);

/// A view of an array: who made it owns the memory.
///
/// Axes are listed slowest first, so a batch is (batch, channel, depth, height, width).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_tensor {
    /// Set by the caller, also in tensors that are filled: sizeof(vxf_tensor).
    pub struct_size: u32,
    /// The dtype.
    pub dtype: vxf_dtype,
    /// Where the memory lies; for a tensor that you pass, 0 means host memory.
    pub device: vxf_device,
    /// The device's number, 0 for host memory; for a tensor that you pass, -1 is the one that the driver knows.
    pub device_id: i32,
    /// The first element.
    pub data: *mut c_void,
    /// The number of axes.
    pub ndim: i64,
    /// The extent of each axis, in elements.
    pub shape: [i64; VXF_MAX_NDIM],
    /// The elements from one position of an axis to the next, none below 0; all 0 in a tensor that you pass
    /// means dense.
    pub strides: [i64; VXF_MAX_NDIM],
}

// SAFETY: repr(C), the size first, no padding; every field may have any bytes.
unsafe impl Sized32 for vxf_tensor {
    const NAME: &'static str = "vxf_tensor";
    const FIRST_BYTES: usize = size_of::<Self>();
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            dtype: vxf_dtype::STORED,
            device: vxf_device::DEFAULT,
            device_id: 0,
            data: std::ptr::null_mut(),
            ndim: 0,
            shape: [0; VXF_MAX_NDIM],
            strides: [0; VXF_MAX_NDIM],
        }
    }
}

impl vxf_tensor {
    /// The same tensor in another place.
    pub(super) fn placed(self, location: Location) -> Self {
        let (device, device_id) = match location {
            Location::Host => (vxf_device::CPU, 0),
            Location::Pinned => (vxf_device::CUDA_HOST, 0),
            Location::Gpu(id) => (vxf_device::CUDA, id),
        };
        Self { device, device_id, ..self }
    }

    /// A dense host tensor of these extents.
    pub(super) fn dense(data: *mut c_void, dtype: DType, extents: &[usize]) -> Self {
        let mut tensor = Self {
            dtype: vxf_dtype(dtype.code()),
            device: vxf_device::CPU,
            data,
            ndim: extents.len() as i64,
            ..Self::initial()
        };
        let mut stride = 1i64;
        let slots = tensor.shape.iter_mut().zip(&mut tensor.strides).zip(extents);
        let slots: Vec<_> = slots.collect();
        for ((extent, step), &length) in slots.into_iter().rev() {
            (*extent, *step) = (length as i64, stride);
            stride = stride.saturating_mul(length.max(1) as i64);
        }
        tensor
    }
}

/// A tensor of the caller's, checked.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) dtype: DType,
    pub(super) extents: Vec<usize>,
    /// Elements from one position to the next; none where the tensor is dense.
    pub(super) strides: Option<Vec<isize>>,
    data: *mut c_void,
    /// The number of the CUDA device that it lies on; none for host memory.
    gpu: Option<i32>,
}

impl Given {
    /// Checks a tensor of the caller's: host memory, possible sizes, non-negative strides.
    pub(super) fn read(pointer: *const vxf_tensor, what: &str) -> Result<Self> {
        let given = Self::read_anywhere(pointer, what)?;
        if given.gpu.is_some() {
            let device = vxf_device::CUDA.0;
            let text = format!("{what}: device {device} is not host memory, which this call needs");
            return Err(Error::unsupported(text));
        }
        Ok(given)
    }

    /// Checks a tensor of the caller's, which may lie on a CUDA device.
    pub(super) fn read_anywhere(pointer: *const vxf_tensor, what: &str) -> Result<Self> {
        let tensor = read_sized(pointer).map_err(|error| error.at(what))?;
        let wrong = |text: String| Err(Error::argument(format!("{what}: {text}")));
        let gpu = match tensor.device {
            vxf_device::DEFAULT | vxf_device::CPU | vxf_device::CUDA_HOST => None,
            vxf_device::CUDA => Some(tensor.device_id),
            other => {
                let text = format!("{what}: device {} is not host memory, which this call needs", other.0);
                return Err(Error::unsupported(text));
            }
        };
        let dtype = DType::from_code(tensor.dtype.0).map_err(|error| error.at(what))?;
        let ndim = usize::try_from(tensor.ndim).ok().filter(|&ndim| (1..=VXF_MAX_NDIM).contains(&ndim));
        let Some(ndim) = ndim else {
            return wrong(format!("ndim is {}, expected 1 to {VXF_MAX_NDIM}", tensor.ndim));
        };
        let extents: Vec<usize> =
            tensor.shape.iter().take(ndim).filter_map(|&extent| usize::try_from(extent).ok()).collect();
        if extents.len() != ndim {
            return wrong("an extent is negative".to_owned());
        }
        let elements = extents.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        let bytes = elements.and_then(|count| count.checked_mul(dtype.byte_len()));
        if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
            return wrong("its size overflows".to_owned());
        }
        if tensor.data.is_null() && bytes != Some(0) {
            return wrong("data is NULL".to_owned());
        }
        let own = tensor.strides.iter().take(ndim);
        let dense = Self::dense_strides(&extents);
        let said: Vec<isize> = own.map(|&stride| stride as isize).collect();
        let same = said.iter().zip(&dense).zip(&extents).all(|((a, b), &extent)| a == b || extent <= 1);
        let strides = (said.iter().any(|&stride| stride != 0) && !same).then_some(said);
        if strides.iter().flatten().any(|&stride| stride < 0) {
            return wrong("a stride is negative".to_owned());
        }
        Ok(Self { dtype, extents, strides, data: tensor.data, gpu })
    }

    fn dense_strides(extents: &[usize]) -> Vec<isize> {
        let mut strides = vec![1isize; extents.len()];
        let mut stride = 1isize;
        for (slot, &extent) in strides.iter_mut().zip(extents).rev() {
            *slot = stride;
            stride = stride.saturating_mul(extent.max(1) as isize);
        }
        strides
    }

    /// The bytes from the first to the last element.
    fn span(&self) -> Result<u64> {
        let bytes = self.dtype.byte_len() as u64;
        if self.extents.contains(&0) {
            return Ok(0);
        }
        let Some(strides) = &self.strides else {
            return Ok(self.extents.iter().map(|&extent| extent as u64).product::<u64>() * bytes);
        };
        let reach = strides.iter().zip(&self.extents).try_fold(0u64, |sum, (&stride, &extent)| {
            (stride as u64).checked_mul(extent as u64 - 1).and_then(|part| sum.checked_add(part))
        });
        let span = reach.and_then(|reach| reach.checked_add(1)).and_then(|count| count.checked_mul(bytes));
        span.ok_or_else(|| Error::argument("the tensor's strides overflow"))
    }

    /// The elements' bytes; where strides are said, from the first to the last.
    pub(super) fn bytes<'a>(&self) -> Result<&'a [u8]> {
        array(self.data.cast_const().cast::<u8>(), self.span()?, "tensor data")
    }

    /// The memory that it lies in on a CUDA device; none for host memory.
    pub(super) fn on_gpu(&self) -> Result<Option<LentMemory>> {
        let (Some(gpu), span) = (self.gpu, self.span()?) else { return Ok(None) };
        // SAFETY: by the contract a tensor's memory is there, and stays until work of the call's is past.
        Ok(Some(unsafe { LentMemory::new(gpu, self.data, span as usize) }))
    }

    /// The bytes to be written of a dense tensor.
    pub(super) fn bytes_mut<'a>(&self) -> Result<&'a mut [u8]> {
        if self.strides.is_some() {
            return Err(Error::unsupported("the tensor to be written is not dense"));
        }
        array_mut(self.data.cast::<u8>(), self.span()?, "tensor data")
    }

    /// A dense copy of the elements.
    pub(super) fn to_dense(&self) -> Result<Vec<u8>> {
        let bytes = self.bytes()?;
        let Some(strides) = &self.strides else {
            let mut copy = zeroed_bytes(bytes.len())?;
            copy.copy_from_slice(bytes);
            return Ok(copy);
        };
        let voxel = self.dtype.byte_len();
        let count: usize = self.extents.iter().product();
        let mut into = zeroed_bytes(count * voxel)?;
        let steps: Vec<isize> = strides.iter().map(|&stride| stride * voxel as isize).collect();
        // A gather has one axis less than a tensor may have, so the slowest is walked here.
        let (Some((&outer, inner)), Some((&step, inner_steps))) =
            (self.extents.split_first(), steps.split_first())
        else {
            return Ok(into);
        };
        let every: Vec<[Run; 1]> =
            inner.iter().map(|&len| [Run { output: 0, len, source: 0, step: 1 }]).collect();
        let mut runs: Vec<&[Run]> = every.iter().map(<[Run; 1]>::as_slice).collect();
        let one = [Run { output: 0, len: 1, source: 0, step: 1 }];
        let (mut extents, mut strides) = (inner.to_vec(), inner_steps.to_vec());
        if inner.is_empty() {
            (runs, extents, strides) = (vec![one.as_slice()], vec![1], vec![0]);
        }
        let part = into.len() / outer.max(1);
        for (number, bytes_of) in into.chunks_mut(part.max(1)).enumerate() {
            let first = number * step as usize;
            let stored = Stored {
                bytes,
                first,
                strides: &strides,
                dtype: self.dtype,
                swapped: false,
                shuffled: None,
                scale: None,
            };
            let mut target =
                Target { bytes: bytes_of, dtype: self.dtype, fit: Fit::Exact, stores: Stores::Cached };
            gather(&stored, &runs, &extents, &mut target)?;
        }
        Ok(into)
    }

    /// The channels and the spatial shape, where the first axis may be the channel.
    pub(super) fn channel_first(&self, spatial: usize) -> Result<(usize, Shape)> {
        match self.extents.as_slice() {
            [channels, axes @ ..] if axes.len() == spatial => Ok((*channels, Shape::new(axes)?)),
            axes if axes.len() == spatial => Ok((1, Shape::new(axes)?)),
            other => Err(Error::argument(format!(
                "tensor has {} axes, expected {spatial} spatial ones with or without a channel in front",
                other.len()
            ))),
        }
    }
}

/// One region of one subject at one position of an epoch: what a row of a batch holds.
///
/// The layout is final; it travels in arrays. Axes are slowest first; those beyond ndim are 0.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_sample {
    /// Its number within the sampler.
    pub index: u64,
    /// The number of its subject in the sampler's dataset.
    pub subject: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Its position in the epoch's order over all ranks.
    pub position: u64,
    /// VXF_SAMPLE_REPEATED where it only fills up the last batch.
    pub flags: u32,
    /// The number of spatial axes of the region.
    pub ndim: u32,
    /// The axis that a slice is one voxel thick on, -1 where it is no slice.
    pub thin_axis: i64,
    /// The region's first voxel in the volume; negative where it begins outside.
    pub offset: [i64; VXF_MAX_AXES],
    /// The region's extents.
    pub shape: [i64; VXF_MAX_AXES],
    /// Where in the region the voxels begin that lie inside the volume.
    pub valid_offset: [i64; VXF_MAX_AXES],
    /// The extents of the voxels that lie inside the volume; the rest of the row is padding.
    pub valid_shape: [i64; VXF_MAX_AXES],
    /// Room, 0.
    pub reserved: [u64; 4],
}

/// In vxf_sample.flags: the sample stands elsewhere in the epoch already and only fills up a batch.
pub const VXF_SAMPLE_REPEATED: u32 = 1;
