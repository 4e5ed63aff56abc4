//! The slots that a loader gets when it is made: all of its memory for batches, before the first is filled.

use std::sync::Arc;

use crate::device::{Gpu, Location};
use crate::error::{Error, ErrorKind, Result};
use crate::feed::layout::Layout;
use crate::feed::slot::{GpuSlot, Pinning, Slot};
use crate::feed::upload::Uploads;
use crate::feed::{Cast, LoaderOptions};
use crate::sys::check_memory;

/// A loader's slots, and what they take.
#[derive(Debug)]
pub(super) struct Pools {
    pub(super) host: Vec<Arc<Slot>>,
    /// The way to the GPU's slots, where batches lie there.
    pub(super) uploads: Option<Uploads>,
    pub(super) sizes: Sizes,
}

/// What a loader's slots take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// The batches that can be ready or lent at a time.
    pub(super) slots: usize,
    pub(super) host_bytes: usize,
    pub(super) pinned_bytes: usize,
    pub(super) device_bytes: usize,
}

impl Pools {
    /// The number of slots: those that are kept ready, and one that is lent.
    pub(super) fn slots(options: &LoaderOptions) -> usize {
        options.prefetch.max(1).saturating_add(1)
    }

    /// The slots for batches of this many rows of these sizes.
    ///
    /// # Errors
    /// `Argument` where options contradict each other; `NoDevice`; `Memory`; `Device`.
    pub(super) fn new(options: &LoaderOptions, rows: usize, layout: &Layout) -> Result<Self> {
        let row_bytes = &layout.host_row_bytes()?;
        let slots = Self::slots(options);
        check_memory(Slot::needed_bytes(rows, row_bytes).saturating_mul(slots as u128)).map_err(|error| {
            error.at(format!("{slots} batches of {rows} samples (prefetch, and one that is lent)"))
        })?;
        let pinning = pinning(options)?;
        let host = (0..slots).map(|_| Slot::new(rows, layout, pinning).map(Arc::new));
        let host: Vec<Arc<Slot>> = host.collect::<Result<_>>()?;
        let host_bytes = host.iter().map(|slot| slot.byte_len()).sum();
        let mut sizes = Sizes { slots, host_bytes, pinned_bytes: 0, device_bytes: 0 };
        if pinning.is_some() {
            sizes.pinned_bytes = host_bytes;
        }
        let mut uploads = None;
        if let (Location::Gpu(_), Some((gpu, _))) = (options.location, pinning) {
            let memory = (0..slots).map(|_| GpuSlot::new(rows, layout, gpu).map(Arc::new));
            let memory: Vec<Arc<GpuSlot>> = memory.collect::<Result<_>>()?;
            sizes.device_bytes = memory.iter().map(|slot| slot.byte_len()).sum();
            uploads = Some(Uploads::new(gpu, memory.into(), layout)?);
        }
        Ok(Self { host, uploads, sizes })
    }
}

/// Where host slots are had from.
fn pinning(options: &LoaderOptions) -> Result<Pinning> {
    if options.cast == Cast::Device && !matches!(options.location, Location::Gpu(_)) {
        return Err(Error::argument("cast is VXF_CAST_DEVICE, but batches do not lie on a device"));
    }
    let id = match options.location {
        Location::Host if options.pinned.is_some() => {
            let text = "an allocator of pinned memory, but batches lie in plain host memory";
            return Err(
                Error::argument(text).with_advice("ask for device = cuda_host or cuda, or leave it out")
            );
        }
        Location::Host => return Ok(None),
        Location::Pinned => options.gpu,
        Location::Gpu(id) => id,
    };
    let gpu = Gpu::open(id).map_err(|error| match error.kind() {
        ErrorKind::NoDevice => {
            error.with_advice("device = cuda and cuda_host need it, device = cpu does not")
        }
        _ => error,
    })?;
    Ok(Some((gpu, options.pinned)))
}
