//! The memory that batches lie in: host slots, which are filled, and GPU slots, which are copied to.

use std::sync::{Arc, Mutex, PoisonError};

use crate::device::{
    DeviceBuffer, Download, Event, Gpu, Location, PinnedAllocator, PinnedBuffer, Uses, is_all_over,
};
use crate::error::{Error, Result};
use crate::feed::layout::Layout;
use crate::log::{LogLevel, tell};
use crate::plan::Sample;
use crate::sys::{RowBuffer, RowMemory};

/// What a buffer takes however small it is.
const LEAST_BUFFER_BYTES: u128 = 4096;

/// Where host slots are had from: the GPU that they are pinned for, if any, and the caller's allocator.
pub(super) type Pinning = Option<(Gpu, Option<PinnedAllocator>)>;

/// The host memory of one batch: a buffer a category.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) buffers: Vec<RowBuffer>,
    /// What rows of categories are standardised with by the GPU, where it does that.
    pub(super) statistics: Vec<Option<RowBuffer>>,
    /// Who else works on it; nobody does on plain memory.
    uses: Option<Uses>,
}

impl Slot {
    /// A slot for this many rows.
    pub(super) fn new(rows: usize, layout: &Layout, pinning: Pinning) -> Result<Self> {
        let sizes = layout.host_row_bytes()?;
        let Some((gpu, allocator)) = pinning else {
            let buffers = sizes.into_iter().map(|bytes| RowBuffer::zeroed(rows, bytes));
            return Ok(Self { buffers: buffers.collect::<Result<_>>()?, statistics: Vec::new(), uses: None });
        };
        let here = gpu.enter()?;
        let pinned = |len| PinnedBuffer::zeroed(&here, len, allocator).map(RowMemory::Pinned);
        let buffer = |bytes: usize| RowBuffer::over(rows, bytes, pinned);
        let buffers = sizes.into_iter().map(buffer).collect::<Result<_>>()?;
        let statistics = layout.statistics_bytes().map(|bytes| bytes.map(buffer).transpose());
        let (statistics, uses) =
            (statistics.collect::<Result<_>>()?, Some(Uses::new(gpu, Location::Pinned)?));
        Ok(Self { buffers, statistics, uses })
    }

    /// The bytes that a slot of this many rows takes at least, what is kept of its samples counted.
    pub(super) fn needed_bytes(rows: usize, row_bytes: &[usize]) -> u128 {
        let own = (size_of::<Option<Sample>>() + row_bytes.len() * size_of::<i32>()) as u128;
        let buffers = row_bytes.iter().map(|&bytes| (rows as u128 * bytes as u128).max(LEAST_BUFFER_BYTES));
        rows as u128 * own + buffers.sum::<u128>()
    }

    pub(super) fn byte_len(&self) -> usize {
        self.buffers.iter().chain(self.statistics.iter().flatten()).map(RowBuffer::byte_len).sum()
    }

    /// Those who work on it beside us; none on plain memory.
    pub(super) fn uses(&self) -> Option<&Uses> {
        self.uses.as_ref()
    }
}

/// The memory of one batch on a GPU: a buffer a category.
#[derive(Debug)]
pub(super) struct GpuSlot {
    pub(super) buffers: Vec<DeviceBuffer>,
    /// Where categories that the GPU converts arrive as they are stored.
    pub(super) stored: Vec<Option<DeviceBuffer>>,
    pub(super) statistics: Vec<Option<DeviceBuffer>>,
    /// Past when all that is copied here has arrived.
    pub(super) arrived: Event,
    /// Past when the batch that was copied here last is whole.
    pub(super) ready: Event,
    pub(super) uses: Uses,
    /// What brings voxels back to the host, once somebody has asked for that.
    download: Mutex<Option<Download>>,
}

impl GpuSlot {
    /// A slot for this many rows.
    pub(super) fn new(rows: usize, layout: &Layout, gpu: Gpu) -> Result<Self> {
        let here = gpu.enter()?;
        let buffer = |bytes: usize| DeviceBuffer::new(&here, rows.saturating_mul(bytes));
        let buffers = layout.row_bytes()?.into_iter().map(buffer).collect::<Result<_>>()?;
        let stored = layout.host_row_bytes()?.into_iter().zip(&layout.categories);
        let stored = stored.map(|(bytes, one)| one.conversion.is_some().then(|| buffer(bytes)).transpose());
        let stored = stored.collect::<Result<_>>()?;
        let statistics = layout.statistics_bytes().map(|bytes| bytes.map(buffer).transpose());
        let statistics = statistics.collect::<Result<_>>()?;
        let (arrived, ready) = (Event::new(&here)?, Event::new(&here)?);
        let uses = Uses::new(gpu, Location::Gpu(gpu.id()))?;
        Ok(Self { buffers, stored, statistics, arrived, ready, uses, download: Mutex::default() })
    }

    pub(super) fn byte_len(&self) -> usize {
        let made_of = self.stored.iter().chain(&self.statistics).flatten();
        self.buffers.iter().chain(made_of).map(DeviceBuffer::byte_len).sum()
    }

    /// Copies the first bytes of a category's buffer to the host, once they are there, and waits for that.
    pub(super) fn copy_to(&self, category: usize, into: &mut [u8]) -> Result<()> {
        let buffer = self.buffers.get(category).ok_or_else(|| Error::internal("a category has no buffer"))?;
        let here = self.uses.gpu().enter()?;
        let mut download = self.download.lock().unwrap_or_else(PoisonError::into_inner);
        let download = match &mut *download {
            Some(known) => known,
            none => none.insert(Download::new(&here, self.buffers.iter().map(DeviceBuffer::byte_len).max())?),
        };
        download.run(&here, (&self.ready, buffer), into)
    }
}

/// Where the voxels of a batch are.
#[derive(Debug, Clone)]
pub(super) enum Memory {
    Host(Arc<Slot>),
    Gpu(Arc<GpuSlot>),
}

impl Default for Memory {
    /// None at all.
    fn default() -> Self {
        Self::Host(Arc::default())
    }
}

impl Memory {
    pub(super) fn location(&self) -> Location {
        match self {
            Self::Host(slot) if slot.uses.is_none() => Location::Host,
            Self::Host(_) => Location::Pinned,
            Self::Gpu(slot) => Location::Gpu(slot.uses.gpu().id()),
        }
    }

    /// Those who work on it beside us; none on plain memory.
    pub(super) fn uses(&self) -> Option<&Uses> {
        match self {
            Self::Host(slot) => slot.uses(),
            Self::Gpu(slot) => Some(&slot.uses),
        }
    }
}

/// Memory is kept where nobody says when it is no longer read.
fn tell_of_kept_memory() {
    tell(LogLevel::Error, || {
        "a batch's memory is kept for good: the driver does not say when its GPU is done with it".to_owned()
    });
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.uses.as_ref().is_some_and(|uses| !uses.end()) {
            std::mem::forget((std::mem::take(&mut self.buffers), std::mem::take(&mut self.statistics)));
            tell_of_kept_memory();
        }
    }
}

impl Drop for GpuSlot {
    fn drop(&mut self) {
        let whole = self.uses.gpu().enter().and_then(|here| {
            self.ready.synchronize(&here).or_else(|error| here.synchronize_all().map_err(|_| error))
        });
        let is_whole = whole.map_or_else(|error| is_all_over(&error), |()| true);
        if !self.uses.end() || !is_whole {
            let made_of = (std::mem::take(&mut self.stored), std::mem::take(&mut self.statistics));
            std::mem::forget((std::mem::take(&mut self.buffers), made_of));
            tell_of_kept_memory();
        }
    }
}
