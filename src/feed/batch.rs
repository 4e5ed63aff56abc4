//! A batch that is lent to the caller.

use std::sync::Arc;

use crate::device::{Location, StreamHandle};
use crate::error::{Error, Result};
use crate::feed::loader::Shared;
use crate::feed::slot::Memory;
use crate::plan::Sample;
use crate::sys::{Process, RowsRead};
use crate::voxel::DType;

/// The samples that are handed over together; the last clone to go gives the memory back.
#[derive(Debug, Clone)]
pub struct Batch {
    lent: Arc<Lent>,
}

#[derive(Debug)]
struct Lent {
    shared: Arc<Shared>,
    memory: Memory,
    samples: Vec<Sample>,
    extents: Vec<usize>,
    process: Process,
}

/// One category's tensor in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorView {
    /// The first element; an address of the GPU's where it lies there.
    pub address: *mut u8,
    /// Where it lies.
    pub location: Location,
    /// The dtype.
    pub dtype: DType,
    /// Batch, channel (unless squeezed), spatial axes; dense.
    pub extents: Vec<usize>,
}

impl Batch {
    pub(super) fn new(
        shared: Arc<Shared>,
        memory: Memory,
        (samples, extents): (Vec<Sample>, Vec<usize>),
    ) -> Self {
        let process = Process::current();
        Self { lent: Arc::new(Lent { shared, memory, samples, extents, process }) }
    }

    /// The samples, one for each row.
    pub fn samples(&self) -> &[Sample] {
        &self.lent.samples
    }

    /// The spatial extents of its rows, slowest first, as its tensors show them.
    pub fn row_extents(&self) -> &[usize] {
        &self.lent.extents
    }

    /// The names of its categories, in order.
    pub fn categories(&self) -> impl Iterator<Item = &str> {
        self.lent.shared.layout.categories.iter().map(|category| category.name.as_str())
    }

    /// The view of one category's tensor; of the first without a name.
    ///
    /// # Errors
    /// `NotFound` where the batch has no such category; the message lists those that it has.
    pub fn tensor(&self, name: Option<&str>) -> Result<TensorView> {
        let place = self.place(name)?;
        let address = match &self.lent.memory {
            Memory::Host(slot) => slot.buffers.get(place).map(|buffer| buffer.address()),
            Memory::Gpu(slot) => slot.buffers.get(place).map(|buffer| buffer.pointer()),
        };
        let (Some(category), Some(address)) = (self.lent.shared.layout.categories.get(place), address) else {
            return Err(Error::internal("a category has no buffer"));
        };
        let mut extents = vec![self.lent.samples.len()];
        if !category.squeeze_channel {
            extents.push(category.channels);
        }
        extents.extend(&self.lent.extents);
        let (dtype, location) = (category.program.dtype(), self.location());
        Ok(TensorView { address, location, dtype, extents })
    }

    /// The bytes of one category's tensor, dense; of the first without a name.
    ///
    /// # Errors
    /// As [`Batch::tensor`]; `Unsupported` where the batch lies on a GPU.
    pub fn bytes(&self, name: Option<&str>) -> Result<RowsRead<'_>> {
        let place = self.place(name)?;
        let Memory::Host(slot) = &self.lent.memory else {
            return Err(Error::unsupported("the batch lies on a GPU, whose memory is not read in place"));
        };
        let buffer = slot.buffers.get(place);
        buffer.ok_or_else(|| Error::internal("a category has no buffer"))?.read(self.lent.samples.len())
    }

    /// Where it lies.
    pub fn location(&self) -> Location {
        self.lent.memory.location()
    }

    /// Lets a stream wait for the batch's voxels, and remembers it; this thread waits for nothing.
    ///
    /// Host memory is whole when it is lent: there the stream is only remembered, where the memory is pinned.
    ///
    /// # Errors
    /// Those of [`Batch::record_stream`].
    pub fn wait(&self, stream: StreamHandle) -> Result<()> {
        let Some(uses) = self.lent.memory.uses() else { return Ok(()) };
        let user = uses.user(stream)?;
        if let Memory::Gpu(slot) = &self.lent.memory {
            slot.ready.hold(&uses.gpu().enter()?, stream)?;
        }
        uses.remember(user)
    }

    /// Remembers a stream that works on the batch: its memory is not used again before that work is done.
    ///
    /// # Errors
    /// `Argument` where the stream is of a context that is not its device's primary one; `State` where it is
    /// being captured into a graph; `Device` where the driver refuses; `Forked`.
    pub fn record_stream(&self, stream: StreamHandle) -> Result<()> {
        let Some(uses) = self.lent.memory.uses() else { return Ok(()) };
        uses.remember(uses.user(stream)?)
    }

    /// Waits on this thread until the batch's voxels are where they belong.
    ///
    /// # Errors
    /// `Device` where copying failed; `Forked`.
    pub fn wait_here(&self) -> Result<()> {
        match &self.lent.memory {
            Memory::Gpu(slot) => slot.ready.synchronize(&slot.uses.gpu().enter()?),
            Memory::Host(_) => Ok(()),
        }
    }

    /// Whether the batch's voxels are where they belong.
    ///
    /// # Errors
    /// `Device` where copying failed; `Forked`.
    pub fn is_ready(&self) -> Result<bool> {
        match &self.lent.memory {
            Memory::Gpu(slot) => slot.ready.is_past(&slot.uses.gpu().enter()?),
            Memory::Host(_) => Ok(true),
        }
    }

    /// The driver's event that is past when the batch's voxels are where they belong.
    ///
    /// # Errors
    /// `Unsupported` where the batch lies in host memory.
    pub fn ready_event(&self) -> Result<*mut u8> {
        match &self.lent.memory {
            Memory::Gpu(slot) => Ok(slot.ready.pointer()),
            Memory::Host(_) => Err(Error::unsupported("a batch in host memory has no event: it is ready")),
        }
    }

    /// Copies one category's tensor to host memory of its size, waiting for it; the first without a name.
    ///
    /// # Errors
    /// As [`Batch::tensor`]; `Argument` where the size is another; `Device` where copying failed; `Forked`.
    pub fn copy_to(&self, name: Option<&str>, into: &mut [u8]) -> Result<()> {
        let view = self.tensor(name)?;
        let bytes = view.extents.iter().product::<usize>() * view.dtype.byte_len();
        if into.len() != bytes {
            let given = into.len();
            return Err(Error::argument(format!("{given} bytes for a tensor of {bytes}")));
        }
        match &self.lent.memory {
            Memory::Host(_) => {
                let from = self.bytes(name)?;
                let from = from.get(..bytes).ok_or_else(|| Error::internal("a buffer is too small"))?;
                into.copy_from_slice(from);
                Ok(())
            }
            Memory::Gpu(slot) => slot.copy_to(self.place(name)?, into),
        }
    }

    fn place(&self, name: Option<&str>) -> Result<usize> {
        let Some(name) = name else { return Ok(0) };
        self.categories().position(|known| known == name).ok_or_else(|| {
            let known: Vec<&str> = self.categories().collect();
            Error::not_found(format!("the batch has no category \"{name}\": it has {}", known.join(", ")))
        })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // In a forked child the lock may be held by a thread that does not exist there.
        if !self.process.is_another() {
            self.shared.release(std::mem::take(&mut self.memory));
        }
    }
}
