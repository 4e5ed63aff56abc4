//! How sealed batches come to a GPU: one stream, one copy a category, one event a batch.
//!
//! A thread of its own sends them. Threads that fill may have to wait until a host slot has been copied, which
//! can be long where the GPU is behind; meanwhile a batch that is sealed must not wait for one of them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::device::{Converter, GivenStatistics, Gpu, Here, Mirrored, Stream, StreamHandle, Voxels};
use crate::error::{Error, Result};
use crate::feed::layout::{CategoryLayout, Layout};
use crate::feed::loader::Shared;
use crate::feed::slot::{GpuSlot, Slot};
use crate::feed::stats::add;

/// The GPU's side of a ring: its free slots, and the way to them.
#[derive(Debug)]
pub(super) struct Uploads {
    way: Arc<Way>,
    /// Those that came back first come first: their users are the likeliest to be done.
    pub(super) free: VecDeque<Arc<GpuSlot>>,
}

/// What brings batches to the GPU.
#[derive(Debug)]
struct Way {
    gpu: Gpu,
    copies: Stream,
    /// What converts while the next batch is being copied; none where no category is converted.
    conversions: Option<Stream>,
    converters: Vec<Option<Converter>>,
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
    way: Arc<Way>,
}

impl Uploads {
    /// A way of its own to these slots.
    pub(super) fn new(gpu: Gpu, slots: VecDeque<Arc<GpuSlot>>, layout: &Layout) -> Result<Self> {
        let here = gpu.enter()?;
        let converter = |one: &CategoryLayout| {
            one.conversion.as_ref().map(|made| Converter::new(&here, made)).transpose()
        };
        let converters: Vec<_> = layout.categories.iter().map(converter).collect::<Result<_>>()?;
        let any = converters.iter().any(Option::is_some);
        let conversions = any.then(|| Stream::urgent(&here)).transpose()?;
        let way = Arc::new(Way { gpu, copies: Stream::new(&here)?, conversions, converters });
        Ok(Self { way, free: slots })
    }

    /// The upload of a batch into a slot that is free; none where no slot is.
    pub(super) fn begin(
        &mut self,
        batch: u64,
        from: &Arc<Slot>,
        (rows, extents): (usize, &[usize]),
    ) -> Option<Upload> {
        let into = self.free.pop_front()?;
        let (from, extents, way) = (Arc::clone(from), extents.to_vec(), Arc::clone(&self.way));
        Some(Upload { batch, from, into, rows, extents, way })
    }
}

impl Way {
    /// Waits until nothing is copied or converted. Where this fails, the context is lost or the driver gone:
    /// nothing is then.
    fn wait(&self, here: &Here) {
        for stream in [Some(&self.copies), self.conversions.as_ref()].into_iter().flatten() {
            let _ = stream.synchronize(here);
        }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        if let Ok(here) = self.gpu.enter() {
            self.wait(&here);
        }
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
        ring = shared.sealed.wait(ring);
    }
}

impl Upload {
    /// Gives copies and conversions to their streams and waits for none; how many bytes are copied.
    ///
    /// The streams themselves wait until nobody uses the slot any more.
    fn run(&self, here: &Here, layout: &Layout) -> Result<u64> {
        let sent = self.send(here, layout);
        if sent.is_err() {
            // Nothing says when the copies that were begun are past, and both slots are free now.
            self.way.wait(here);
        }
        sent
    }

    fn send(&self, here: &Here, layout: &Layout) -> Result<u64> {
        let copies = self.way.copies.handle();
        self.into.uses.hold(here, copies)?;
        if self.way.conversions.is_some() {
            // The last batch may have been released before it was converted.
            self.into.ready.hold(here, copies)?;
        }
        let bytes = self.copy(here, layout)?;
        self.from.uses().map_or(Ok(()), |uses| uses.record(here, copies))?;
        let Some(conversions) = &self.way.conversions else {
            self.into.ready.record(here, copies)?;
            return Ok(bytes);
        };
        self.into.arrived.record(here, copies)?;
        self.into.arrived.hold(here, conversions.handle())?;
        self.convert(conversions.handle(), layout)?;
        self.into.ready.record(here, conversions.handle())?;
        Ok(bytes)
    }

    fn copy(&self, here: &Here, layout: &Layout) -> Result<u64> {
        let mut bytes = 0;
        let (targets, voxels) = (self.into.buffers.iter().zip(&self.into.stored), self.voxels());
        let buffers = self.from.buffers.iter().zip(targets);
        for ((from, (last, stored)), category) in buffers.zip(&layout.categories) {
            // Rows that are smaller than the memory for them come one a batch.
            let row_bytes = voxels * category.channels * category.host_dtype().byte_len();
            let len = self.rows.saturating_mul(row_bytes);
            self.way.copies.upload(here, from, (stored.as_ref().unwrap_or(last), len))?;
            bytes += len as u64;
        }
        for (from, into) in self.from.statistics.iter().zip(&self.into.statistics) {
            let (Some(from), Some(into)) = (from, into) else { continue };
            let len = self.rows.saturating_mul(from.row_byte_len());
            self.way.copies.upload(here, from, (into, len))?;
            bytes += len as u64;
        }
        Ok(bytes)
    }

    fn convert(&self, stream: StreamHandle, layout: &Layout) -> Result<()> {
        let slots = self.into.stored.iter().zip(&self.into.buffers).zip(&self.into.statistics);
        let ways = self.way.converters.iter().zip(&layout.categories);
        for ((converter, category), ((source, target), statistics)) in ways.zip(slots) {
            let (Some(converter), Some(source)) = (converter, source) else { continue };
            let (height, width) = match self.extents.as_slice() {
                [.., height, width] => (*height, *width),
                [width] => (1, *width),
                [] => (1, 1),
            };
            let depth = self.voxels() / (height * width).max(1);
            let voxels = Voxels {
                source,
                target,
                counts: [self.rows, category.channels],
                extents: [depth, height, width],
                mirrored: Mirrored::All(0),
                statistics: statistics.as_ref().map_or(GivenStatistics::None, GivenStatistics::OfRows),
            };
            converter.run(stream, &voxels)?;
        }
        Ok(())
    }

    /// The voxels of a row in one channel.
    fn voxels(&self) -> usize {
        self.extents.iter().product()
    }
}
