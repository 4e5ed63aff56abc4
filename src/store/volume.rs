//! What every format gives: a header, and blocks of stored voxels.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::kept::{DecodedBytes, Patience};
use crate::store::moment::Moment;
use crate::store::zlib::Starter;
use crate::sys::{FileMap, Inflater, Scale};
use crate::voxel::{Affine, DType, MAX_AXES, Region, Shape};

/// What a volume's file says of it, before any voxel is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The spatial axes, slowest first.
    pub shape: Shape,
    /// The channels: components of each voxel, or volumes stacked on an axis of their own.
    pub channels: usize,
    /// The dtype of the stored numbers.
    pub dtype: DType,
    /// The map from stored numbers to values, where the file has one.
    pub scale: Option<Scale>,
    /// Where the voxels lie in the patient, where the file says so.
    pub affine: Option<Affine>,
    /// The file, the place in it, and its format.
    pub origin: Origin,
}

/// Where a volume comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file; empty for a volume in memory.
    pub path: PathBuf,
    /// The dataset or member in the file, where it has several.
    pub inner: String,
    /// The format's name.
    pub format: &'static str,
}

impl Header {
    /// The dtype that holds every value: the stored one, or a float where stored numbers are scaled.
    pub fn value_dtype(&self) -> DType {
        let wide = matches!(self.dtype, DType::I32 | DType::U32 | DType::I64 | DType::U64 | DType::F64);
        match (self.scale, wide) {
            (None, _) => self.dtype,
            (Some(_), true) => DType::F64,
            (Some(_), false) => DType::F32,
        }
    }

    /// The stored bytes of all voxels.
    ///
    /// # Errors
    /// `Range` where they overflow.
    pub fn byte_len(&self) -> Result<usize> {
        self.shape.byte_len(self.channels, self.dtype.byte_len())
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.path.as_os_str().is_empty(), self.inner.is_empty()) {
            (true, true) => write!(f, "volume in memory"),
            (true, false) => write!(f, "{}", self.inner),
            (false, true) => write!(f, "{}", self.path.display()),
            (false, false) => write!(f, "{}:{}", self.path.display(), self.inner),
        }
    }
}

/// What is wanted of a volume: some channels of a region that lies inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The first channel wanted.
    pub channel: usize,
    /// The number of channels wanted.
    pub channels: usize,
    /// The region wanted, inside the volume.
    pub region: Region,
}

/// The bytes of a block, wherever they are.
#[derive(Debug)]
pub enum Bytes<'a> {
    /// In the volume or in the reader's scratch.
    Borrowed(&'a [u8]),
    /// In a mapped file.
    Mapped(Arc<FileMap>),
    /// In memory that several readers share.
    Shared(DecodedBytes),
}

/// A window of stored voxels: a strided view of bytes in the stored dtype.
#[derive(Debug)]
pub struct Block<'a> {
    /// The bytes.
    pub bytes: Bytes<'a>,
    /// The byte of the window's first voxel in its first channel.
    pub first: usize,
    /// The bytes from one position to the next: channel first, then the spatial axes as in the shape.
    pub strides: [isize; MAX_AXES + 1],
    /// Whether the bytes of each voxel are in the order of the other kind of machine.
    pub swapped: bool,
}

impl Block<'_> {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Mapped(map) => map.bytes(),
            Bytes::Shared(bytes) => bytes,
        }
    }
}

/// Memory that a reader keeps between blocks.
#[derive(Debug, Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    work: Work,
    /// What is done about parts that another thread decodes.
    pub(super) patience: Patience,
    /// Whether parts were left to another thread, so that what was read is not whole.
    pub(super) left: bool,
    /// The numbers of pieces that are to be had later.
    pub(super) later: Vec<u64>,
}

/// What a decoder keeps between pieces: bytes as they come from the file, and between its steps.
#[derive(Debug, Default)]
pub struct Work {
    /// The stretch of work in which a look at a file's size is good.
    pub(super) moment: Moment,
    /// Stored bytes.
    pub(super) packed: Vec<u8>,
    /// Bytes between two steps.
    pub(super) between: Vec<u8>,
    /// Bytes between the next two steps.
    pub(super) after: Vec<u8>,
    /// The decoder of deflated data.
    pub(super) inflater: Inflater,
    /// The decoder of short deflated data.
    pub(super) starter: Starter,
    /// The decoders of codecs.
    #[cfg(any(feature = "b2nd", feature = "zarr"))]
    pub(super) codecs: crate::store::codec::Codecs,
}

impl Scratch {
    /// This many bytes, with whatever they held before.
    ///
    /// # Errors
    /// `Memory` where the system has not that many.
    pub fn bytes(&mut self, len: usize) -> Result<&mut [u8]> {
        grown(&mut self.bytes, len)
    }

    /// This many bytes, with whatever they held before, and a decoder's memory.
    ///
    /// # Errors
    /// `Memory` where the system has not that many.
    pub(super) fn bytes_and_work(&mut self, len: usize) -> Result<(&mut [u8], &mut Work)> {
        Ok((grown(&mut self.bytes, len)?, &mut self.work))
    }

    /// The stretch of work that is under way.
    pub(super) fn moment(&self) -> Moment {
        self.work.moment
    }

    /// Begins a stretch of work, in which a look at a file's size is good for all reads.
    pub fn begin(&mut self, moment: Moment) {
        self.work.moment = moment;
    }

    /// The bytes that it holds.
    pub fn byte_len(&self) -> usize {
        let Work { packed, between, after, .. } = &self.work;
        self.bytes.capacity() + packed.capacity() + between.capacity() + after.capacity()
    }

    /// The bytes that the last block left.
    pub fn filled(&self, len: usize) -> &[u8] {
        self.bytes.get(..len).unwrap_or_default()
    }
}

/// The first `len` bytes of a vector that grows where it has fewer.
///
/// # Errors
/// `Memory` where the system has not that many.
pub(super) fn grown(bytes: &mut Vec<u8>, len: usize) -> Result<&mut [u8]> {
    if let Some(more) = len.checked_sub(bytes.len()) {
        let refused = |_| Error::memory(format!("no memory for a block of {len} bytes"));
        bytes.try_reserve_exact(more).map_err(refused)?;
        bytes.resize(len, 0);
    }
    Ok(bytes.get_mut(..len).unwrap_or_default())
}

/// What is done with a block: the part of the window that it holds, and its voxels.
pub type TakeBlock<'t> = &'t mut dyn FnMut(&Window, &Block<'_>) -> Result<()>;

/// One stored n-d array with its header.
pub trait Volume: Send + Sync + std::fmt::Debug {
    /// What the file says of the volume.
    fn header(&self) -> &Header;

    /// Gives the stored voxels of a window that lies inside the volume, with as little copying as the format
    /// allows: in blocks whose parts of the window together are all of it. Where the scratch has no patience,
    /// what another thread decodes is left out, and the scratch says so.
    ///
    /// # Errors
    /// As the format and the machine have them, every message naming the file; those of `take`.
    fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()>;

    /// Tells the system that a window will be read soon; nothing depends on it but time.
    fn will_need(&self, _window: &Window) {}

    /// The bytes of the parts that a window needs decoded, those that are decoded already counted.
    ///
    /// # Errors
    /// As the format and the machine have them.
    fn needed_bytes(&self, _window: &Window) -> Result<u64> {
        Ok(0)
    }

    /// Decodes some of what a window needs and nobody has decoded yet, for the cache to keep; true where there was
    /// something.
    ///
    /// # Errors
    /// As the format and the machine have them.
    fn decode_ahead(&self, _window: &Window, _scratch: &mut Scratch) -> Result<bool> {
        Ok(false)
    }

    /// Notes that what is kept of a part, but for what the rest needs as well, is wanted again after all else that is kept;
    /// nothing depends on it but time.
    fn pass(&self, _part: &Window, _rest: Option<&Window>) {}

    /// The parts that are decoded as a whole and kept; none where voxels are read as they are stored.
    ///
    /// # Errors
    /// As the format and the machine have them.
    fn decoded_parts(&self) -> Result<DecodedParts> {
        Ok(DecodedParts::default())
    }

    /// Decodes one of the parts, for the cache to keep.
    ///
    /// # Errors
    /// As the format and the machine have them.
    fn decode_part(&self, _part: u64, _scratch: &mut Scratch) -> Result<()> {
        Ok(())
    }
}

/// What a cache keeps of a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecodedParts {
    /// The number of parts.
    pub count: u64,
    /// The decoded bytes of all of them.
    pub byte_len: u64,
}

/// How the axes of a stored array follow each other in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrayLayout {
    /// The bytes from one position to the next: channel first, then the spatial axes as in the shape.
    pub strides: [isize; MAX_AXES + 1],
}

impl ArrayLayout {
    /// The layout of a dense array whose channels come before (`true`) or after the spatial axes.
    pub fn dense(shape: &Shape, channels: usize, voxel_bytes: usize, channel: ChannelPlace) -> Self {
        let ndim = shape.ndim();
        let mut strides = [0isize; MAX_AXES + 1];
        let last = channel == ChannelPlace::Last;
        let mut stride = (voxel_bytes * if last { channels } else { 1 }) as isize;
        for axis in (0..ndim).rev() {
            if let Some(slot) = strides.get_mut(axis + 1) {
                *slot = stride;
            }
            stride *= shape.extent(axis) as isize;
        }
        strides[0] = if last { voxel_bytes as isize } else { stride };
        Self { strides }
    }

    /// The byte of a window's first voxel, where the array begins at byte `start`.
    ///
    /// # Errors
    /// `Range` where it overflows.
    pub fn first(&self, start: usize, window: &Window) -> Result<usize> {
        let mut first = i128::from(start as u64) + window.channel as i128 * self.strides[0] as i128;
        for (offset, &stride) in window.region.offset().iter().zip(self.strides.iter().skip(1)) {
            first += i128::from(*offset) * stride as i128;
        }
        usize::try_from(first).map_err(|_| Error::range("a voxel's place in the file overflows"))
    }
}

/// Where an array keeps its channel axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChannelPlace {
    /// As the format says, or none.
    #[default]
    Unsaid,
    /// There is none: all axes are spatial.
    None,
    /// The slowest axis.
    First,
    /// The fastest axis.
    Last,
}

impl ChannelPlace {
    /// Splits an array's axes, slowest first, into the spatial shape and the number of channels.
    ///
    /// # Errors
    /// `Unsupported` where no or too many spatial axes are left.
    pub fn split(self, extents: &[usize]) -> Result<(Shape, usize)> {
        match (self, extents) {
            (ChannelPlace::First, [channels, axes @ ..]) => Ok((Shape::new(axes)?, *channels)),
            (ChannelPlace::Last, [axes @ .., channels]) => Ok((Shape::new(axes)?, *channels)),
            _ => Ok((Shape::new(extents)?, 1)),
        }
    }
}
