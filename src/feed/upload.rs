//! How sealed batches come to a GPU: one stream, one copy a category, one event a batch.
//!
//! A thread of its own sends them. Threads that fill may have to wait until a host slot has been copied, which
//! can be long where the GPU is behind; meanwhile a batch that is sealed must not wait for one of them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use crate::device::{Gpu, Here, Stream};
use crate::error::{Error, Result};
use crate::feed::layout::Layout;
use crate::feed::loader::Shared;
use crate::feed::slot::{GpuSlot, Slot};
use crate::feed::stats::add;

/// The GPU's side of a ring: its free slots, and the stream that copies to them.
#[derive(Debug)]
pub(super) struct Uploads {
    stream: Arc<Stream>,
    /// Those that came back first come first: their users are the likeliest to be done.
    pub(super) free: VecDeque<Arc<GpuSlot>>,
}

/// A sealed batch on its way to a GPU.
#[derive(Debug)]
pub(super) struct Upload {
    /// The number of the batch, counted over the loader's life.
    pub(super) batch: u64,
    pub(super) from: Arc<Slot>,
    pub(super) into: Arc<GpuSlot>,
    /// The rows to be copied, and the extents that they have.
    rows: usize,
    extents: Vec<usize>,
    stream: Arc<Stream>,
}

impl Uploads {
    /// A stream of its own that copies to these slots.
    pub(super) fn new(gpu: Gpu, slots: VecDeque<Arc<GpuSlot>>) -> Result<Self> {
        let stream = Arc::new(Stream::new(&gpu.enter()?)?);
        Ok(Self { stream, free: slots })
    }

    /// The upload of a batch into a slot that is free; none where no slot is.
    pub(super) fn begin(
        &mut self,
        batch: u64,
        from: &Arc<Slot>,
        (rows, extents): (usize, &[usize]),
    ) -> Option<Upload> {
        let into = self.free.pop_front()?;
        let (from, extents, stream) = (Arc::clone(from), extents.to_vec(), Arc::clone(&self.stream));
        Some(Upload { batch, from, into, rows, extents, stream })
    }
}

/// Sends sealed batches to the GPU until the loader is closed.
pub(super) fn run(shared: &Shared) {
    let mut here = None;
    while let Some(upload) = next_upload(shared) {
        let gpu = upload.into.uses.gpu();
        let sent = catch_unwind(AssertUnwindSafe(|| {
            let known = here.take().map_or_else(|| gpu.settle(), Ok)?;
            upload.run(here.insert(known), &shared.layout)
        }));
        let sent =
            sent.unwrap_or_else(|payload| Err(Error::panicked("while it sent a batch", payload.as_ref())));
        if let Ok(bytes) = &sent {
            add(&shared.counters.uploads, 1);
            add(&shared.counters.upload_bytes, *bytes);
        }
        shared.lock().finish_upload(upload, sent.map(|_| ()));
        // The batch can be lent, and its host slot filled again.
        shared.ready.notify_all();
        shared.work.notify_all();
    }
}

/// Waits for a batch to send; none when the loader is closed.
fn next_upload(shared: &Shared) -> Option<Upload> {
    let mut ring = shared.lock();
    loop {
        if ring.closed {
            return None;
        }
        if let Some(upload) = ring.take_upload() {
            return Some(upload);
        }
        ring = shared.sealed.wait(ring).unwrap_or_else(PoisonError::into_inner);
    }
}

impl Upload {
    /// Gives the copies to the stream and waits for none of them; how many bytes they have.
    ///
    /// The stream itself waits until nobody uses the slot any more.
    fn run(&self, here: &Here, layout: &Layout) -> Result<u64> {
        let sent = self.send(here, layout);
        if sent.is_err() {
            // Nothing says when the copies that were begun are past, and both slots are free now. Where this
            // fails too the context is lost, and nothing is copied any more.
            let _ = self.stream.synchronize(here);
        }
        sent
    }

    fn send(&self, here: &Here, layout: &Layout) -> Result<u64> {
        let stream = self.stream.handle();
        self.into.uses.hold(here, stream)?;
        let bytes = self.copy(here, layout)?;
        self.into.ready.record(here, stream)?;
        self.from.uses().map_or(Ok(()), |uses| uses.record(here, stream))?;
        Ok(bytes)
    }

    fn copy(&self, here: &Here, layout: &Layout) -> Result<u64> {
        let mut bytes = 0;
        let buffers = self.from.buffers.iter().zip(&self.into.buffers);
        for ((from, into), row_bytes) in buffers.zip(layout.bytes_of_rows(&self.extents)) {
            // Rows that are smaller than the memory for them come one a batch.
            let len = self.rows.saturating_mul(row_bytes);
            self.stream.upload(here, from, (into, len))?;
            bytes += len as u64;
        }
        Ok(bytes)
    }
}
