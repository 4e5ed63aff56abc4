//! A plain array in a file or in memory: the volume behind every format that stores voxels as they are.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::{ArrayLayout, Block, Bytes, Header, Scratch, StoredFile, TakeBlock, Volume, Window};

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
    /// The file, one of the dataset's.
    pub file: Arc<StoredFile>,
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
    pub fn checked(self) -> Result<Self> {
        let file_bytes = self.file.byte_len();
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

    /// Reads a window in few pieces that together are not much larger than it.
    fn pieces<'a>(&self, window: &Window, scratch: &'a mut Scratch) -> Result<Block<'a>> {
        let pieces = Pieces::new(self, window)?;
        let Pieces { len, count, first, ref outer } = pieces;
        let total = count.checked_mul(len).ok_or_else(|| Error::memory("a block's size overflows"))?;
        let bytes = scratch.bytes(total)?;
        self.file.read_pieces(len, |number| pieces.place(number), bytes)?;

        let mut strides = self.layout.strides;
        let mut stride = len as isize;
        for axis in outer.iter().rev() {
            if let Some(slot) = strides.get_mut(axis.number) {
                *slot = stride;
            }
            stride *= axis.extent as isize;
        }
        let first = self.layout.first(self.start as usize, window)?.saturating_sub(first);
        Ok(Block { bytes: Bytes::Borrowed(bytes), first, strides, swapped: self.swapped })
    }
}

/// The pieces of a file that a window lies in: runs of bytes, equally long, one for each position on the
/// outer axes.
struct Pieces {
    /// The bytes of a piece.
    len: usize,
    /// The number of pieces.
    count: usize,
    /// The first byte of the piece at the first position.
    first: usize,
    /// The axes from piece to piece, slowest first.
    outer: Vec<Axis>,
}

impl Pieces {
    /// Weighs the bytes between the wanted ones against the number of pieces.
    fn new(array: &FileArray, window: &Window) -> Result<Self> {
        let shape = window.region.shape();
        let extents = std::iter::once(window.channels).chain(shape.extents().iter().copied());
        let mut axes: Vec<Axis> = extents
            .zip(&array.layout.strides)
            .enumerate()
            .map(|(number, (extent, &stride))| Axis { number, extent, stride })
            .collect();
        axes.sort_by_key(|axis| std::cmp::Reverse(axis.stride.unsigned_abs()));
        let span =
            |inner: &[Axis]| inner.iter().map(Axis::reach).sum::<usize>() + array.header.dtype.byte_len();
        let count = |outer: &[Axis]| outer.iter().map(|axis| axis.extent).product::<usize>();
        let cost = |(outer, inner): (&[Axis], &[Axis])| {
            count(outer) as u128 * (span(inner) as u128 + u128::from(BYTES_OF_A_READ))
        };
        let splits = (0..=axes.len()).filter_map(|at| axes.split_at_checked(at));
        let (outer, inner) = splits.min_by_key(|&split| cost(split)).unwrap_or((&[], axes.as_slice()));
        let below: usize = inner.iter().filter(|axis| axis.stride < 0).map(Axis::reach).sum();
        let first = array.layout.first(array.start as usize, window)?.saturating_sub(below);
        Ok(Self { len: span(inner), count: count(outer), first, outer: outer.to_vec() })
    }

    /// The first byte of a piece.
    fn place(&self, number: usize) -> u64 {
        let mut rest = number;
        let moved = self.outer.iter().rev().map(|axis| {
            let k = rest % axis.extent;
            rest /= axis.extent;
            axis.stride * k as isize
        });
        self.first.saturating_add_signed(moved.sum()) as u64
    }
}

/// One axis of a window: its place among the strides, its extent there and its stride in the file.
#[derive(Debug, Clone, Copy)]
struct Axis {
    number: usize,
    extent: usize,
    stride: isize,
}

impl Axis {
    /// The bytes from the first position to the last.
    fn reach(&self) -> usize {
        self.stride.unsigned_abs() * self.extent.saturating_sub(1)
    }
}

/// The bytes not wanted that cost as much as one more read.
const BYTES_OF_A_READ: u32 = 1 << 16;

impl Volume for FileArray {
    fn header(&self) -> &Header {
        &self.header
    }

    fn blocks(&self, window: &Window, scratch: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        let (strides, swapped) = (self.layout.strides, self.swapped);
        if self.file.is_mapped() {
            let first = self.layout.first(self.start as usize, window)?;
            let bytes = Bytes::Mapped(self.file.map(scratch.moment())?);
            return take(window, &Block { bytes, first, strides, swapped });
        }
        take(window, &self.pieces(window, scratch)?)
    }

    fn will_need(&self, window: &Window) {
        // Whatever fails here will fail again, and be told, when the window is read.
        if let Ok(pieces) = Pieces::new(self, window) {
            let places = (0..pieces.count).map(|number| pieces.place(number));
            self.file.will_need(pieces.len as u64, places);
        }
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

    fn blocks(&self, window: &Window, _: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        let first = self.layout.first(0, window)?;
        let bytes = Bytes::Borrowed(&self.bytes);
        take(window, &Block { bytes, first, strides: self.layout.strides, swapped: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ChannelPlace, Files, Io, Origin};
    use crate::voxel::{DType, Region, Shape};

    #[test]
    fn a_column_of_a_huge_file_is_read_without_what_lies_between() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let shape = Shape::new(&[4096, 1024, 1024]).unwrap();
        file.as_file().set_len(2 << 32).unwrap();
        let place = |z: u64, y: u64, x: u64| ((z << 20) + (y << 10) + x) * 2;
        for z in [7u64, 4000] {
            use std::os::unix::fs::FileExt;
            file.as_file().write_all_at(&(z as u16).to_ne_bytes(), place(z, 501, 801)).unwrap();
        }
        let array = FileArray {
            header: Header {
                shape,
                channels: 1,
                dtype: DType::U16,
                scale: None,
                affine: None,
                origin: Origin { path: file.path().to_owned(), ..Origin::default() },
            },
            start: 0,
            layout: ArrayLayout::dense(&shape, 1, 2, ChannelPlace::First),
            swapped: false,
            file: Files::new(Io::Positional).file(file.path()).unwrap(),
        };
        let array = array.checked().unwrap();
        let region = Region::new(&[0, 500, 800], Shape::new(&[4096, 2, 3]).unwrap()).unwrap();
        let window = Window { channel: 0, channels: 1, region };
        array.will_need(&window);
        let mut scratch = Scratch::default();
        let block = array.pieces(&window, &mut scratch).unwrap();
        let bytes = block.as_bytes();
        assert!(bytes.len() < 16 << 20, "{}", bytes.len());
        for z in [6isize, 7, 4000] {
            let at = block.first as isize + z * block.strides[1] + block.strides[2] + block.strides[3];
            let voxel = [bytes[at as usize], bytes[at as usize + 1]];
            assert_eq!(u16::from_ne_bytes(voxel) as isize, if z == 6 { 0 } else { z });
        }
    }
}
