//! Slices, one file each, as one volume: the file's two axes first, the number of the slice last.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::store::{
    Block, Bytes, Choice, Context, Header, Origin, Reader, Scratch, TakeBlock, Volume, Window, volume,
};
use crate::voxel::{MAX_AXES, Region, Shape};

/// A volume of slices: shape (height, width, depth), slice k being depth k.
///
/// The first slice is opened at once, for the header; each other one when it is first read.
#[derive(Debug)]
pub(super) struct Stack {
    header: Header,
    choice: Choice,
    context: Context,
    slices: Vec<Slice>,
}

#[derive(Debug)]
struct Slice {
    path: PathBuf,
    volume: OnceLock<Arc<dyn Volume>>,
}

impl Stack {
    /// The volume of these files, in order.
    ///
    /// # Errors
    /// Those of opening the first; `Argument` where there is none.
    pub(super) fn open(paths: Vec<PathBuf>, choice: Choice, context: &Context) -> Result<Self> {
        let first = paths.first().ok_or_else(|| Error::argument("a stack without slices"))?;
        let opened = volume(first, &choice, context)?;
        let slice = opened.header();
        let (height, width) = plane(slice)?;
        let header = Header {
            shape: Shape::new(&[height, width, paths.len()])?,
            origin: Origin { inner: slice.origin.inner.clone(), ..slice.origin.clone() },
            ..slice.clone()
        };
        let slices = paths.into_iter().map(|path| Slice { path, volume: OnceLock::new() }).collect();
        Ok(Self { header, choice, context: context.clone(), slices })
    }

    /// A slice, opened now or before.
    fn slice(&self, number: usize) -> Result<&Arc<dyn Volume>> {
        let missing = || Error::internal(format!("slice {number} of {}", self.slices.len()));
        let slice = self.slices.get(number).ok_or_else(missing)?;
        if let Some(volume) = slice.volume.get() {
            return Ok(volume);
        }
        let opened = volume(&slice.path, &self.choice, &self.context)?;
        let (own, first) = (opened.header(), &self.header);
        let [height, width] = [first.shape.extent(0), first.shape.extent(1)];
        let same = own.channels == first.channels && own.dtype == first.dtype;
        if !same || plane(own)? != (height, width) {
            return Err(Error::format(format!(
                "{} channels of {} {}, but the scan's first slice has {} of {height} x {width} {}",
                own.channels, own.shape, own.dtype, first.channels, first.dtype
            ))
            .in_file(&slice.path));
        }
        Ok(slice.volume.get_or_init(|| opened))
    }

    /// Copies a window of one slice, dense.
    fn copy(&self, number: usize, window: &Window, into: &mut [u8]) -> Result<()> {
        let slice = self.slice(number)?;
        let ndim = slice.header().shape.ndim();
        let region = &window.region;
        let mut offset = [0i64; MAX_AXES];
        let mut extents = [1usize; MAX_AXES];
        for ((slot, extent), (start, len)) in offset.iter_mut().zip(&mut extents).zip(region.axes().take(2)) {
            (*slot, *extent) = (start, len);
        }
        let inside = Shape::new(extents.get(..ndim).unwrap_or_default())?;
        let region = Region::new(offset.get(..ndim).unwrap_or_default(), inside)?;
        let part = Window { channel: window.channel, channels: window.channels, region };
        Reader::default()
            .read_stored(slice.as_ref(), &part, into)
            .map_err(|error| error.in_file(path_of(slice)))
    }
}

fn path_of(volume: &Arc<dyn Volume>) -> &Path {
    &volume.header().origin.path
}

/// Height and width of a slice, which may have a third axis of one.
fn plane(slice: &Header) -> Result<(usize, usize)> {
    match slice.shape.extents() {
        [height, width] | [height, width, 1] => Ok((*height, *width)),
        _ => {
            let text = format!("shape {} is no slice: expected (height, width, 1)", slice.shape);
            Err(Error::format(text).in_file(&slice.origin.path))
        }
    }
}

impl Volume for Stack {
    fn header(&self) -> &Header {
        &self.header
    }

    fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        let shape = window.region.shape();
        let voxel = self.header.dtype.byte_len();
        let slice_bytes = shape.byte_len(window.channels, voxel)?.checked_div(shape.extent(2)).unwrap_or(0);
        let bytes = scratch.bytes(shape.byte_len(window.channels, voxel)?)?;
        let first = window.region.offset().get(2).copied().unwrap_or_default().unsigned_abs() as usize;
        for (number, part) in bytes.chunks_exact_mut(slice_bytes.max(1)).enumerate() {
            self.copy(first + number, window, part)?;
        }
        let row = (shape.extent(1) * voxel) as isize;
        let mut strides = [0isize; MAX_AXES + 1];
        let wanted = [row * shape.extent(0) as isize, row, voxel as isize, slice_bytes as isize];
        for (slot, stride) in strides.iter_mut().zip(wanted) {
            *slot = stride;
        }
        take(window, &Block { bytes: Bytes::Borrowed(bytes), first: 0, strides, swapped: false })
    }
}
