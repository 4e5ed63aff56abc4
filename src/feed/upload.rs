//! How sealed batches come to a GPU: one stream, one copy a category, one event a batch.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::device::{Gpu, Here, Stream};
use crate::error::Result;
use crate::feed::slot::{GpuSlot, Slot};

/// The GPU's side of a ring: its free slots, and the stream that copies to them.
#[derive(Debug)]
pub(super) struct Uploads {
    stream: Arc<Stream>,
    /// Those that came back first come first: their users are the likeliest to be done.
    pub(super) free: VecDeque<Arc<GpuSlot>>,
    /// Whether a thread is giving the stream a batch: one after the other, so that they arrive in order.
    pub(super) busy: bool,
}

/// A sealed batch on its way to a GPU.
#[derive(Debug)]
pub(super) struct Upload {
    /// The number of the batch, counted over the loader's life.
    pub(super) batch: u64,
    pub(super) from: Arc<Slot>,
    pub(super) into: Arc<GpuSlot>,
    /// The rows to be copied.
    pub(super) rows: usize,
    stream: Arc<Stream>,
}

impl Uploads {
    /// A stream of its own that copies to these slots.
    pub(super) fn new(gpu: Gpu, slots: VecDeque<Arc<GpuSlot>>) -> Result<Self> {
        let stream = Arc::new(Stream::new(&gpu.enter()?)?);
        Ok(Self { stream, free: slots, busy: false })
    }

    /// The upload of a batch into a slot that is free; none where no slot is, or another upload is on its way.
    pub(super) fn begin(&mut self, batch: u64, from: &Arc<Slot>, rows: usize) -> Option<Upload> {
        if self.busy {
            return None;
        }
        let into = self.free.pop_front()?;
        self.busy = true;
        Some(Upload { batch, from: Arc::clone(from), into, rows, stream: Arc::clone(&self.stream) })
    }
}

impl Upload {
    /// Gives the copies to the stream and waits for none of them; how many bytes they have.
    ///
    /// The stream itself waits until nobody uses the slot any more.
    pub(super) fn run(&self, here: &Here) -> Result<u64> {
        let stream = self.stream.handle();
        self.into.uses.hold(here, stream)?;
        if let Some(uses) = self.from.uses() {
            uses.remember(here, stream)?;
        }
        let copied = self.copy(here);
        // Even where a copy could not be begun, those before it read the host slot.
        if let Some(uses) = self.from.uses() {
            uses.retire();
        }
        let bytes = copied?;
        self.into.ready.record(here, stream)?;
        Ok(bytes)
    }

    fn copy(&self, here: &Here) -> Result<u64> {
        let mut bytes = 0;
        for (from, into) in self.from.buffers.iter().zip(&self.into.buffers) {
            let len = self.rows.saturating_mul(from.row_byte_len());
            self.stream.upload(here, from, (into, len))?;
            bytes += len as u64;
        }
        Ok(bytes)
    }
}
