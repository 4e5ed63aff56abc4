//! A dataset of a file as a volume.

use std::sync::Arc;

use hdf5::dataset::Layout;
use hdf5::filters::Filter;
use hdf5::{Dataset, Hyperslab, Selection, SliceOrIndex};

use crate::error::{Error, Result};
use crate::store::hdf5::element::{Element, StoredNumber, with_stored_type};
use crate::store::hdf5::file::{Hdf5File, Place, cannot_read};
use crate::store::hdf5::write::AxisLetters;
use crate::store::{
    ArrayLayout, Block, Bytes, ChannelPlace, Context, FileArray, Files, Header, Origin, Scratch, TakeBlock,
    Volume, Window,
};
use crate::voxel::{Affine, DType};

/// A dataset that only the library can read: chunked, filtered, compact, external, virtual, never written.
#[derive(Debug)]
struct LibraryArray {
    header: Header,
    channel: ChannelPlace,
    files: Arc<Files>,
}

impl Hdf5File {
    /// The volume of a dataset; no voxel is read.
    ///
    /// # Errors
    /// `NotFound` where there is no such dataset, `Unsupported` where it holds no numbers or is compressed
    /// by a filter that this build has not, `Format` where it is broken.
    pub(crate) fn volume(&self, place: Place<'_>, context: &Context) -> Result<Arc<dyn Volume>> {
        let dataset = self.dataset(place.inner)?;
        let in_place = |error: Error| error.at(format!("\"{}\"", place.inner)).in_file(self.path());
        let failed = |cause| self.failed(place.inner, &cause);
        let element = Element::of(&dataset.dtype().map_err(failed)?).map_err(in_place)?;
        let extents = dataset.space().map_err(failed)?.shape();
        if extents.is_empty() {
            return Err(in_place(Error::unsupported("a single value, not an array")));
        }
        let axes = axes(&dataset);
        let channel = match (place.channel, &axes) {
            (ChannelPlace::Unsaid, Some(axes)) if axes.len() == extents.len() => {
                if axes.starts_with('c') {
                    ChannelPlace::First
                } else if axes.ends_with('c') {
                    ChannelPlace::Last
                } else {
                    ChannelPlace::None
                }
            }
            (ChannelPlace::Unsaid, _) if extents.len() == 4 => ChannelPlace::Last,
            (ChannelPlace::Unsaid, _) => ChannelPlace::None,
            (said, _) => said,
        };
        let (shape, channels) = channel.split(&extents).map_err(in_place)?;
        let affine = place.affine.or_else(|| axes.and_then(|_| affine(&dataset)));
        let header = Header {
            shape,
            channels,
            dtype: element.dtype,
            scale: None,
            affine: affine.filter(Affine::is_finite),
            origin: Origin { path: self.path().to_owned(), inner: place.inner.to_owned(), format: "hdf5" },
        };
        let needed = header.byte_len().map_err(|error| Error::format(error.message())).map_err(in_place)?;
        if needed == 0 {
            return Err(in_place(Error::format(format!("its shape {shape} has no voxel"))));
        }
        let plan = dataset.create_plist().map_err(failed)?;
        let filters = plan.get_filters().map_err(failed)?;
        let plain = plan.layout() == Layout::Contiguous && filters.is_empty() && plan.external().is_empty();
        if let (true, Some(swapped), Some(start)) = (plain, element.swapped, dataset.offset()) {
            if dataset.storage_size() < needed as u64 {
                let held = dataset.storage_size();
                return Err(in_place(Error::format(format!("{held} bytes are stored, {needed} needed"))));
            }
            let layout = ArrayLayout::dense(&shape, channels, element.dtype.byte_len(), channel);
            let file = context.files.file(self.path())?;
            return Ok(Arc::new(FileArray { header, start, layout, swapped, file }.checked()?));
        }
        filters.iter().try_for_each(can_decode).map_err(in_place)?;
        Ok(Arc::new(LibraryArray { header, channel, files: Arc::clone(&context.files) }))
    }
}

/// Refuses a filter that the library cannot undo, by its name.
fn can_decode(filter: &Filter) -> Result<()> {
    if Filter::get_info(filter.id()).decode_enabled {
        return Ok(());
    }
    let name = match filter.id() {
        4 => "szip",
        307 => "bzip2",
        32000 => "lzf",
        32001 => "blosc",
        32004 => "lz4",
        32008 => "bitshuffle",
        32013 => "zfp",
        32015 => "zstd",
        32017 => "sz",
        32024 => "sz3",
        32026 => "blosc2",
        _ => "unregistered",
    };
    Err(Error::unsupported(format!(
        "compressed by filter {} ({name}), which this build has not: put its plugin's folder into \
         HDF5_PLUGIN_PATH, or write the file with gzip",
        filter.id()
    )))
}

/// The letters of a dataset's axes, which voxfeed writes: "c" is the channel, "zyx" are spatial.
fn axes(dataset: &Dataset) -> Option<String> {
    let text = dataset.attr("axes").ok()?.read_scalar::<AxisLetters>().ok()?;
    String::from_utf8(text.as_bytes().to_vec()).ok()
}

/// The geometry that voxfeed writes beside the axes: 4 x 4, columns fastest axis first, RAS+.
fn affine(dataset: &Dataset) -> Option<Affine> {
    let rows = dataset.attr("affine").ok()?.read_2d::<f64>().ok()?;
    if rows.shape() != [4, 4] {
        return None;
    }
    let at = |row: usize, column: usize| rows.get((row, column)).copied().unwrap_or_default();
    let fastest_first = std::array::from_fn(|row| std::array::from_fn(|column| at(row, column)));
    Some(Affine::from_fastest_first(fastest_first))
}

impl Volume for LibraryArray {
    fn header(&self) -> &Header {
        &self.header
    }

    fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        let Header { dtype, origin, .. } = &self.header;
        let dataset = self.files.hdf5.get(&origin.path, &origin.inner)?;
        let shape = window.region.shape();
        let (channels, last) = (window.channel..window.channel + window.channels, self.channel);
        let spatial = window.region.axes().map(|(start, extent)| {
            let start = start.unsigned_abs() as usize;
            SliceOrIndex::from(start..start + extent)
        });
        let channel_slice = SliceOrIndex::from(channels);
        let slab: Vec<SliceOrIndex> = match last {
            ChannelPlace::First => std::iter::once(channel_slice).chain(spatial).collect(),
            ChannelPlace::Last => spatial.chain(std::iter::once(channel_slice)).collect(),
            ChannelPlace::Unsaid | ChannelPlace::None => spatial.collect(),
        };
        let bytes = scratch.bytes(shape.byte_len(window.channels, dtype.byte_len())?)?;
        let selection = Selection::from(Hyperslab::from(slab));
        let read = with_stored_type!(*dtype, read(&dataset, selection, bytes));
        read.map_err(|cause| cannot_read(&origin.path, &origin.inner, &cause))?;
        let layout = ArrayLayout::dense(&shape, window.channels, dtype.byte_len(), last);
        let bytes = Bytes::Borrowed(bytes);
        take(window, &Block { bytes, first: 0, strides: layout.strides, swapped: false })
    }
}

fn read<T: StoredNumber>(dataset: &Dataset, selection: Selection, into: &mut [u8]) -> hdf5::Result<()> {
    let numbers = dataset.read_slice::<T, _, ndarray::IxDyn>(selection)?;
    let bytes: &[u8] = bytemuck::cast_slice(numbers.as_slice().unwrap_or_default());
    if bytes.len() != into.len() {
        return Err(hdf5::Error::from("the dataset has changed its shape"));
    }
    into.copy_from_slice(bytes);
    Ok(())
}
