//! How a loader works, as C writes it down.

#![allow(non_camel_case_types)]

use std::ffi::c_char;

use crate::capi::dataset::unknown;
use crate::capi::handle::{Sized32, array, check_room, text};
use crate::capi::pinned::vxf_pinned_allocator;
use crate::capi::tensor::{vxf_device, vxf_dtype};
use crate::capi::transform::{chain, vxf_transform};
use crate::device::Location;
use crate::error::{Error, Result};
use crate::feed::{Cast, CategoryOptions, Consumer, LoaderOptions, OnError, Ragged, ThinAxis};
use crate::plan::{EpochOptions, LastBatch, Order};
use crate::sys::Fit;
use crate::voxel::{DType, Padding};

/// The order of an epoch.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_order(pub i32);

impl vxf_order {
    /// As the sampler numbers them.
    pub const SEQUENTIAL: vxf_order = vxf_order(0);
    /// Shuffled anew in each epoch, by seed and epoch alone.
    pub const SHUFFLED: vxf_order = vxf_order(1);
}

/// What happens to samples that do not fill a batch.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_last_batch(pub i32);

impl vxf_last_batch {
    /// They are a smaller batch.
    pub const KEEP: vxf_last_batch = vxf_last_batch(0);
    /// They are left out, on all ranks alike.
    pub const DROP: vxf_last_batch = vxf_last_batch(1);
    /// Samples are repeated, and marked so, until all ranks have equally many full batches.
    pub const PAD: vxf_last_batch = vxf_last_batch(2);
}

/// What follows a batch that failed.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_on_error(pub i32);

impl vxf_on_error {
    /// The error is returned once, in order, and the epoch goes on with the next batch.
    pub const CONTINUE: vxf_on_error = vxf_on_error(0);
    /// The error is returned, in order, and the epoch is over.
    pub const STOP: vxf_on_error = vxf_on_error(1);
}

/// What happens where the samples of a batch would have different shapes.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_ragged(pub i32);

impl vxf_ragged {
    /// An error from vxf_loader_new(); with a batch size of 1 each batch has its own sample's shape.
    pub const ERROR: vxf_ragged = vxf_ragged(0);
    /// All rows are as large as the largest sample, the rest being padding.
    pub const PAD: vxf_ragged = vxf_ragged(1);
}

/// Whether slices keep their axis of one voxel.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_thin_axis(pub i32);

impl vxf_thin_axis {
    /// It is left out: (batch, channel, height, width).
    pub const DROP: vxf_thin_axis = vxf_thin_axis(0);
    /// It stays: (batch, channel, 1, height, width).
    pub const KEEP: vxf_thin_axis = vxf_thin_axis(1);
}

/// How voxels outside a volume are made up, as in numpy.pad.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_padding(pub i32);

impl vxf_padding {
    /// Zero.
    pub const ZERO: vxf_padding = vxf_padding(0);
    /// pad_value.
    pub const CONSTANT: vxf_padding = vxf_padding(1);
    /// The nearest voxel of the border.
    pub const EDGE: vxf_padding = vxf_padding(2);
    /// Mirrored, the border voxel not repeated.
    pub const REFLECT: vxf_padding = vxf_padding(3);
    /// Mirrored, the border voxel repeated.
    pub const SYMMETRIC: vxf_padding = vxf_padding(4);
    /// From the other side again.
    pub const WRAP: vxf_padding = vxf_padding(5);
}

/// What happens to a value that does not fit the dtype.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_fit(pub i32);

impl vxf_fit {
    /// It fails the batch with ERR_RANGE.
    pub const EXACT: vxf_fit = vxf_fit(0);
    /// It becomes the nearest value that fits; NaN becomes 0.
    pub const SATURATE: vxf_fit = vxf_fit(1);
}

/// Who reads the batches.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_consumer(pub i32);

impl vxf_consumer {
    /// The processor, soon after the library wrote them. Where all batches of the loader (prefetch, and one) have more
    /// bytes than half of its largest cache, none would still be there, and voxels are written as for a device.
    pub const CPU: vxf_consumer = vxf_consumer(0);
    /// A device that copies them away: voxels are written past the processor's caches, which is faster then,
    /// and much slower for a processor that reads them. Batches for VXF_DEVICE_CUDA are written so anyway.
    pub const DEVICE: vxf_consumer = vxf_consumer(1);
}

/// Where the voxels of batches on a device become what the batches hold: their dtype, and a transform's steps.
///
/// The values are the same everywhere. A device does casts that cannot fail (or that saturate), up to four
/// scale, window and zscore steps in F32, and a lookup with a default, in this order. What a file's header
/// scales comes to it as F32, so the category's dtype, or that of the first cast, must be F32.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_cast(pub i32);

impl vxf_cast {
    /// Category by category on the device where it can do that and fewer bytes are copied, else on the host:
    /// also where the driver has no compiler for the device.
    pub const AUTO: vxf_cast = vxf_cast(0);
    /// On the host, before they are copied.
    pub const HOST: vxf_cast = vxf_cast(1);
    /// On the device, to which they are copied as they are stored; ERR_UNSUPPORTED where it cannot do that.
    pub const DEVICE: vxf_cast = vxf_cast(2);
}

/// How one category is fed. The layout is final; a struct of zeros and a name is all defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_category {
    /// The category: "images".
    pub name: *const c_char,
    /// The entries in channel order; NULL for all.
    pub entries: *const *const c_char,
    /// The number of entries.
    pub entry_count: u64,
    /// The dtype before any transform; VXF_DTYPE_STORED for the smallest that holds all stored values.
    pub dtype: vxf_dtype,
    /// How voxels outside a volume are made up.
    pub padding: vxf_padding,
    /// VXF_PADDING_CONSTANT: the value, in stored units, before any transform.
    pub pad_value: f64,
    /// What happens to a value that does not fit the dtype.
    pub fit: vxf_fit,
    /// 1: a single channel has no axis, (batch, depth, height, width).
    pub squeeze_channel: u32,
    /// Room, 0.
    pub reserved: [u64; 4],
}

/// How a loader works. Set it up with vxf_loader_options_init(); 0 is the default of every field.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_loader_options {
    /// sizeof(vxf_loader_options), set by the init function.
    pub struct_size: u32,
    /// The samples of a batch, 1 by default; no more than an epoch has.
    pub batch_size: u32,
    /// How many batches are kept ready, 2 by default.
    pub prefetch: u32,
    /// The threads that fill batches, 1024 at most; 0 is one for each core, but no more than 8.
    pub threads: u32,
    /// The order of an epoch.
    pub order: vxf_order,
    /// What happens to samples that do not fill a batch.
    pub last_batch: vxf_last_batch,
    /// What follows a batch that failed.
    pub on_error: vxf_on_error,
    /// What happens where the samples of a batch would have different shapes.
    pub ragged: vxf_ragged,
    /// Whether slices keep their axis of one voxel.
    pub thin_axis: vxf_thin_axis,
    /// 1: epoch follows epoch without end, prefetched across the border; vxf_loader_next() never gives END.
    pub endless: u32,
    /// This process among those that share the epoch.
    pub rank: u32,
    /// The number of processes that share the epoch, 1 by default.
    pub world_size: u32,
    /// The seed of order and regions.
    pub seed: u64,
    /// What happens to the voxels; may be NULL.
    pub transform: *const vxf_transform,
    /// The categories of a batch, in order; NULL for all categories of the first subject.
    pub categories: *const vxf_category,
    /// The number of categories.
    pub category_count: u64,
    /// Where batches lie: in host memory, in pinned host memory, or on a CUDA device, to which they are
    /// copied ahead of time: see vxf_batch_wait().
    pub device: vxf_device,
    /// The number of the CUDA device; with VXF_DEVICE_CUDA_HOST, the one that pinned memory is had from, which
    /// streams of every device may then copy from; with VXF_DEVICE_CPU it is not looked at, and without a device
    /// it must be 0.
    pub device_id: i32,
    /// Within windows of so many samples of the epoch, those of one subject that lie near each other follow
    /// each other, so that a decoded chunk serves several; 0 leaves the order as it is, 1048576 is the most.
    pub group_window: u32,
    /// Who reads the batches.
    pub consumer: vxf_consumer,
    /// VXF_DEVICE_CUDA: where voxels become what the batch holds of them.
    pub cast: vxf_cast,
    /// Room, 0.
    pub reserved: u32,
    /// VXF_DEVICE_CUDA and VXF_DEVICE_CUDA_HOST: where pinned memory is had from; NULL for the driver.
    pub pinned: *const vxf_pinned_allocator,
}

// SAFETY: repr(C), the size first, no padding; every field may have any bytes.
unsafe impl Sized32 for vxf_loader_options {
    const NAME: &'static str = "vxf_loader_options";
    const FIRST_BYTES: usize = size_of::<Self>();
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            batch_size: 1,
            prefetch: 2,
            threads: 0,
            order: vxf_order::SEQUENTIAL,
            last_batch: vxf_last_batch::KEEP,
            on_error: vxf_on_error::CONTINUE,
            ragged: vxf_ragged::ERROR,
            thin_axis: vxf_thin_axis::DROP,
            endless: 0,
            rank: 0,
            world_size: 1,
            seed: 0,
            transform: std::ptr::null(),
            categories: std::ptr::null(),
            category_count: 0,
            device: vxf_device::DEFAULT,
            device_id: 0,
            group_window: 0,
            consumer: vxf_consumer::CPU,
            cast: vxf_cast::AUTO,
            reserved: 0,
            pinned: std::ptr::null(),
        }
    }
}

impl vxf_category {
    fn parse(&self) -> Result<CategoryOptions> {
        let name = text(self.name, "category name")?.to_owned();
        check_room("vxf_category", &self.reserved)?;
        let place = |error: Error| error.at(format!("category \"{name}\""));
        let entries = array(self.entries, self.entry_count, "entries").map_err(place)?;
        let entries = entries.iter().map(|&entry| text(entry, "entry").map(str::to_owned));
        let entries: Vec<String> = entries.collect::<Result<_>>().map_err(place)?;
        let dtype = if self.dtype == vxf_dtype::STORED { None } else { Some(DType::from_code(self.dtype.0)) };
        let padding = match self.padding {
            vxf_padding::ZERO => Padding::Zero,
            vxf_padding::CONSTANT => Padding::Constant,
            vxf_padding::EDGE => Padding::Edge,
            vxf_padding::REFLECT => Padding::Reflect,
            vxf_padding::SYMMETRIC => Padding::Symmetric,
            vxf_padding::WRAP => Padding::Wrap,
            other => return Err(place(unknown("padding", other.0))),
        };
        if self.pad_value != 0.0 && padding != Padding::Constant {
            let text = format!("pad_value is {}, but padding is not constant", self.pad_value);
            return Err(place(Error::argument(text)));
        }
        let fit = match self.fit {
            vxf_fit::EXACT => Fit::Exact,
            vxf_fit::SATURATE => Fit::Saturate,
            other => return Err(place(unknown("fit", other.0))),
        };
        Ok(CategoryOptions {
            dtype: dtype.transpose().map_err(place)?,
            entries: (!self.entries.is_null()).then_some(entries),
            padding,
            pad_value: self.pad_value,
            fit,
            squeeze_channel: flag("squeeze_channel", self.squeeze_channel).map_err(place)?,
            name,
        })
    }
}

/// A 0 or 1 of the caller's.
fn flag(field: &str, value: u32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::argument(format!("{field} is {other}, expected 0 or 1"))),
    }
}

/// Where batches lie.
fn location(device: vxf_device, id: i32) -> Result<Location> {
    match device {
        vxf_device::DEFAULT => no_device_id(id).map(|()| Location::Host),
        vxf_device::CPU => Ok(Location::Host),
        vxf_device::CUDA => Ok(Location::Gpu(id)),
        vxf_device::CUDA_HOST => Ok(Location::Pinned),
        other => Err(unknown("device", other.0)),
    }
}

/// Refuses the number of a device where none is named: who gives one has forgotten the other.
pub(super) fn no_device_id(id: i32) -> Result<()> {
    if id != 0 {
        let text =
            format!("device_id is {id}, but device is not set: say VXF_DEVICE_CUDA, or VXF_DEVICE_CPU");
        return Err(Error::argument(text));
    }
    Ok(())
}

impl vxf_loader_options {
    pub(super) fn parse(&self) -> Result<LoaderOptions> {
        let location = location(self.device, self.device_id)?;
        check_room("vxf_loader_options", &[u64::from(self.reserved)])?;
        let order = match self.order {
            vxf_order::SEQUENTIAL => Order::Sequential,
            vxf_order::SHUFFLED => Order::Shuffled,
            other => return Err(unknown("order", other.0)),
        };
        let last_batch = match self.last_batch {
            vxf_last_batch::KEEP => LastBatch::Keep,
            vxf_last_batch::DROP => LastBatch::Drop,
            vxf_last_batch::PAD => LastBatch::Pad,
            other => return Err(unknown("last_batch", other.0)),
        };
        let on_error = match self.on_error {
            vxf_on_error::CONTINUE => OnError::Continue,
            vxf_on_error::STOP => OnError::Stop,
            other => return Err(unknown("on_error", other.0)),
        };
        let ragged = match self.ragged {
            vxf_ragged::ERROR => Ragged::Error,
            vxf_ragged::PAD => Ragged::Pad,
            other => return Err(unknown("ragged", other.0)),
        };
        let thin_axis = match self.thin_axis {
            vxf_thin_axis::DROP => ThinAxis::Drop,
            vxf_thin_axis::KEEP => ThinAxis::Keep,
            other => return Err(unknown("thin_axis", other.0)),
        };
        let consumer = match self.consumer {
            vxf_consumer::CPU => Consumer::Cpu,
            vxf_consumer::DEVICE => Consumer::Device,
            other => return Err(unknown("consumer", other.0)),
        };
        let cast = match self.cast {
            vxf_cast::AUTO => Cast::Auto,
            vxf_cast::HOST => Cast::Host,
            vxf_cast::DEVICE => Cast::Device,
            other => return Err(unknown("cast", other.0)),
        };
        let pinned = match array(self.pinned, u64::from(!self.pinned.is_null()), "pinned")? {
            [allocator] => Some(allocator.parse()?),
            _ => None,
        };
        let categories = array(self.categories, self.category_count, "categories")?;
        Ok(LoaderOptions {
            epoch: EpochOptions {
                seed: self.seed,
                order,
                batch_size: self.batch_size.max(1) as usize,
                last_batch,
                rank: u64::from(self.rank),
                world_size: u64::from(self.world_size.max(1)),
                group_window: self.group_window,
            },
            prefetch: if self.prefetch == 0 { 2 } else { self.prefetch as usize },
            threads: self.threads as usize,
            endless: flag("endless", self.endless)?,
            on_error,
            ragged,
            thin_axis,
            consumer,
            location,
            gpu: self.device_id,
            pinned,
            cast,
            categories: categories.iter().map(vxf_category::parse).collect::<Result<_>>()?,
            chain: chain(self.transform)?,
            ..LoaderOptions::default()
        })
    }
}
