//! A dataset of a file as a volume.

use std::sync::Arc;

use hdf5::Dataset;
use hdf5::dataset::Layout;
use hdf5::filters::Filter;

use crate::error::{Error, Result};
use crate::store::hdf5::chunked::Chunking;
use crate::store::hdf5::element::Element;
use crate::store::hdf5::file::{FILTER_HELP, Hdf5File, Place};
use crate::store::hdf5::filters::Filters;
use crate::store::hdf5::library::LibraryArray;
use crate::store::hdf5::write::AxisLetters;
use crate::store::{ArrayLayout, ChannelPlace, Context, FileArray, Header, Origin, Volume};
use crate::sys::{FilterStep, pipeline};
use crate::voxel::Affine;

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
        let steps = pipeline(&plan).map_err(failed)?;
        let layout = plan.layout();
        let plain = layout == Layout::Contiguous && steps.is_empty() && plan.external().is_empty();
        if let (true, Some(swapped), Some(start)) = (plain, element.swapped, dataset.offset()) {
            if dataset.storage_size() < needed as u64 {
                let held = dataset.storage_size();
                return Err(in_place(Error::format(format!("{held} bytes are stored, {needed} needed"))));
            }
            let layout = ArrayLayout::dense(&shape, channels, element.dtype.byte_len(), channel);
            let file = context.files.file(self.path())?;
            return Ok(Arc::new(FileArray { header, start, layout, swapped, file }.checked()?));
        }
        if let (Layout::Chunked, Some(swapped), Some(filters)) =
            (layout, element.swapped, Filters::of(&steps))
        {
            let element = &dataset.dtype().map_err(failed)?;
            let chunking = Chunking { plan: &plan, element, extents: &extents, channel, swapped, filters };
            return chunking.volume(header, context).map_err(in_place);
        }
        steps.iter().try_for_each(can_decode).map_err(in_place)?;
        Ok(Arc::new(LibraryArray { header, channel, files: Arc::clone(&context.files) }))
    }
}

/// Refuses a filter that the library cannot undo, by its name.
fn can_decode(step: &FilterStep) -> Result<()> {
    if Filter::get_info(step.id).decode_enabled {
        return Ok(());
    }
    let name = match step.id {
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
    let id = step.id;
    Err(Error::unsupported(format!(
        "compressed by filter {id} ({name}), which this build has not: {FILTER_HELP}"
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
