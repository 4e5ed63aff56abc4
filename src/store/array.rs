//! A plain array in a file or in memory: the volume behind every format that stores voxels as they are.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::{ArrayLayout, Block, Bytes, Files, Header, Scratch, Volume, Window};

/// Uncompressed voxels from some byte of a file on, in any axis and byte order.
#[derive(Debug)]
pub struct FileArray {
    /// What the file says.
    pub header: Header,
    /// The byte at which the array begins: its position (0, 0, ...).
    pub start: u64,
    /// Its strides.
    pub layout: ArrayLayout,
    /// Whether its voxels are in the other kind of machine's byte order.
    pub swapped: bool,
    /// The dataset's open files.
    pub files: Arc<Files>,
}

/// Voxels in memory, dense.
#[derive(Debug)]
pub struct MemoryArray {
    header: Header,
    layout: ArrayLayout,
    bytes: Arc<Vec<u8>>,
}

impl FileArray {
    /// The same array after a check that the file is large enough for it.
    ///
    /// # Errors
    /// `Format` where it is not, or where the header's size overflows.
    pub fn checked(self, file_bytes: u64) -> Result<Self> {
        let overflow = |error: Error| Error::format(error.message()).in_file(&self.header.origin.path);
        let needed = self.header.byte_len().map_err(overflow)? as u64;
        let end = self.start.checked_add(needed);
        if end.is_none_or(|end| end > file_bytes) {
            let Header { shape, channels, dtype, origin, .. } = &self.header;
            let start = self.start;
            let text = format!(
                "truncated: {channels} channels of {shape} {dtype} need {needed} bytes from byte {start} on, \
                 the file has {file_bytes}"
            );
            return Err(Error::format(text).in_file(&origin.path));
        }
        Ok(self)
    }

    /// The smallest span of the file that holds a window: its first byte and its length.
    fn span(&self, window: &Window) -> Result<(usize, usize, usize)> {
        let first = self.layout.first(self.start as usize, window)?;
        let (mut low, mut high) = (0isize, 0isize);
        let shape = window.region.shape();
        let extents = std::iter::once(window.channels).chain(shape.extents().iter().copied());
        for (extent, &stride) in extents.zip(&self.layout.strides) {
            let reach = stride * (extent.max(1) as isize - 1);
            (low, high) = (low + reach.min(0), high + reach.max(0));
        }
        let begin = first.checked_add_signed(low).unwrap_or_default();
        let len = (high - low) as usize + self.header.dtype.byte_len();
        Ok((begin, len, first - begin))
    }
}

impl Volume for FileArray {
    fn header(&self) -> &Header {
        &self.header
    }

    fn block<'a>(&'a self, window: &Window, scratch: &'a mut Scratch) -> Result<Block<'a>> {
        let path = &self.header.origin.path;
        let (strides, swapped) = (self.layout.strides, self.swapped);
        if self.files.maps(path) {
            let first = self.layout.first(self.start as usize, window)?;
            return Ok(Block { bytes: Bytes::Mapped(self.files.map(path)?), first, strides, swapped });
        }
        let (begin, len, first) = self.span(window)?;
        let bytes = scratch.bytes(len)?;
        Files::read_at(path, begin as u64, bytes)?;
        Ok(Block { bytes: Bytes::Borrowed(bytes), first, strides, swapped })
    }
}

impl MemoryArray {
    /// The volume of these bytes, whose layout and size the header and the layout describe.
    ///
    /// # Errors
    /// `Argument` where there are fewer or more bytes than the header says.
    pub fn new(header: Header, layout: ArrayLayout, bytes: Vec<u8>) -> Result<Self> {
        let (needed, given) = (header.byte_len()?, bytes.len());
        if needed != given {
            let text =
                format!("{given} bytes do not hold {} of {}, expected {needed}", header.shape, header.dtype);
            return Err(Error::argument(text));
        }
        Ok(Self { header, layout, bytes: Arc::new(bytes) })
    }
}

impl Volume for MemoryArray {
    fn header(&self) -> &Header {
        &self.header
    }

    fn block<'a>(&'a self, window: &Window, _: &'a mut Scratch) -> Result<Block<'a>> {
        let first = self.layout.first(0, window)?;
        let bytes = Bytes::Borrowed(&self.bytes);
        Ok(Block { bytes, first, strides: self.layout.strides, swapped: false })
    }
}
