//! A batch that is lent to the caller.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::feed::loader::Shared;
use crate::feed::ring::Slot;
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
    slot: Arc<Slot>,
    samples: Vec<Sample>,
    extents: Vec<usize>,
    process: Process,
}

/// One category's tensor in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorView {
    /// The first element.
    pub address: *mut u8,
    /// The dtype.
    pub dtype: DType,
    /// Batch, channel (unless squeezed), spatial axes; dense.
    pub extents: Vec<usize>,
}

impl Batch {
    pub(super) fn new(
        shared: Arc<Shared>,
        slot: Arc<Slot>,
        (samples, extents): (Vec<Sample>, Vec<usize>),
    ) -> Self {
        let process = Process::current();
        Self { lent: Arc::new(Lent { shared, slot, samples, extents, process }) }
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
        let (Some(category), Some(buffer)) =
            (self.lent.shared.layout.categories.get(place), self.lent.slot.buffers.get(place))
        else {
            return Err(Error::internal("a category has no buffer"));
        };
        let mut extents = vec![self.lent.samples.len()];
        if !category.squeeze_channel {
            extents.push(category.channels);
        }
        extents.extend(&self.lent.extents);
        Ok(TensorView { address: buffer.address(), dtype: category.program.dtype(), extents })
    }

    /// The bytes of one category's tensor, dense; of the first without a name.
    ///
    /// # Errors
    /// As [`Batch::tensor`].
    pub fn bytes(&self, name: Option<&str>) -> Result<RowsRead<'_>> {
        let place = self.place(name)?;
        let buffer = self.lent.slot.buffers.get(place);
        buffer.ok_or_else(|| Error::internal("a category has no buffer"))?.read(self.lent.samples.len())
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
            self.shared.release(Arc::clone(&self.slot));
        }
    }
}
