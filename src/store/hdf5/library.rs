//! A dataset that only the library can read.

use std::sync::Arc;

use hdf5::{Dataset, Datatype, Hyperslab, Selection, SliceOrIndex};

use crate::error::Result;
use crate::store::hdf5::element::{StoredNumber, with_stored_type};
use crate::store::hdf5::file::cannot_read;
use crate::store::{
    ArrayLayout, Block, Bytes, ChannelPlace, Files, Header, Scratch, TakeBlock, Volume, Window,
};
use crate::sys::read_selection;
use crate::voxel::DType;

/// A dataset that is compact, external, virtual or never written, of an odd type, or behind filters that
/// are not undone here.
#[derive(Debug)]
pub(super) struct LibraryArray {
    /// What the file says.
    pub(super) header: Header,
    /// Where the dataset keeps its channel axis.
    pub(super) channel: ChannelPlace,
    /// The files, which keep datasets open.
    pub(super) files: Arc<Files>,
}

impl LibraryArray {
    /// The window as the library selects it.
    fn selection(&self, window: &Window) -> Selection {
        let spatial = window.region.axes().map(|(start, extent)| {
            let start = start.unsigned_abs() as usize;
            SliceOrIndex::from(start..start + extent)
        });
        let channel = SliceOrIndex::from(window.channel..window.channel + window.channels);
        let slab: Vec<SliceOrIndex> = match self.channel {
            ChannelPlace::First => std::iter::once(channel).chain(spatial).collect(),
            ChannelPlace::Last => spatial.chain(std::iter::once(channel)).collect(),
            ChannelPlace::Unsaid | ChannelPlace::None => spatial.collect(),
        };
        Selection::from(Hyperslab::from(slab))
    }
}

impl Volume for LibraryArray {
    fn header(&self) -> &Header {
        &self.header
    }

    fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        let Header { dtype, origin, .. } = &self.header;
        let dataset = self.files.hdf5.get(&origin.path, &origin.inner)?;
        let shape = window.region.shape();
        let bytes = scratch.bytes(shape.byte_len(window.channels, dtype.byte_len())?)?;
        // The library leaves out what was never written, where it is told not to write fill values.
        bytes.fill(0);
        let selection = self.selection(window);
        let read = with_stored_type!(*dtype, read(&dataset, selection, bytes));
        read.map_err(|cause| cannot_read(&origin.path, &origin.inner, &cause))?;
        let layout = ArrayLayout::dense(&shape, window.channels, dtype.byte_len(), self.channel);
        let bytes = Bytes::Borrowed(bytes);
        take(window, &Block { bytes, first: 0, strides: layout.strides, swapped: false })
    }
}

fn read<T: StoredNumber>(dataset: &Dataset, selection: Selection, into: &mut [u8]) -> hdf5::Result<()> {
    let selected = dataset.space()?.select(selection)?;
    read_selection(dataset, &selected, &Datatype::from_type::<T>()?, into)
}
