//! What a contiguous frame says of itself: sizes, the array's shape, and where its chunks are.

use crate::error::{Error, Result};
use crate::store::blosc::Chunk;
use crate::store::codec::Codecs;
use crate::sys::zeroed_bytes;

/// The fixed part of a frame's header, in bytes.
pub(super) const FIXED_BYTES: usize = 87;
/// The longest header that is read, the array's own attributes included.
const MOST_HEADER_BYTES: usize = 1 << 26;

/// What the fixed part of a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fixed {
    /// The bytes of the whole header; the chunks follow.
    pub(super) header: usize,
    /// The bytes of the frame.
    pub(super) frame: u64,
    /// The bytes of all chunks as stored; their index follows.
    pub(super) packed: u64,
    /// The bytes of an element.
    pub(super) element: usize,
}

impl Fixed {
    /// Reads a header's fixed part.
    ///
    /// # Errors
    /// `Format` where it is broken, `Unsupported` for frames that are not read.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < FIXED_BYTES {
            return Err(Error::format("truncated within the header of the Blosc2 frame"));
        }
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        let flags = byte(25);
        if flags & 15 > 3 {
            return Err(Error::unsupported(format!(
                "Blosc2 frame of version {}, expected at most 3",
                flags & 15
            )));
        }
        if flags >> 6 != 0 {
            return Err(Error::unsupported("a Blosc2 frame whose chunks or blocks vary in length"));
        }
        if byte(26) & 15 != 0 {
            return Err(Error::unsupported("a sparse Blosc2 frame: write it as one contiguous file"));
        }
        let broken = || Error::format("a size in the header of the Blosc2 frame makes no sense");
        let size = |place: &[u8]| usize::try_from(big_endian(place)).ok();
        let header = size(bytes.get(11..15).unwrap_or_default()).filter(|&header| header >= FIXED_BYTES);
        let header = header.filter(|&header| header <= MOST_HEADER_BYTES).ok_or_else(broken)?;
        let frame = u64::try_from(big_endian(bytes.get(16..24).unwrap_or_default())).map_err(|_| broken())?;
        let packed =
            u64::try_from(big_endian(bytes.get(39..47).unwrap_or_default())).map_err(|_| broken())?;
        let element =
            size(bytes.get(48..52).unwrap_or_default()).filter(|&len| len > 0).ok_or_else(broken)?;
        if (header as u64).checked_add(packed).is_none_or(|index| index >= frame) {
            return Err(broken());
        }
        Ok(Self { header, frame, packed, element })
    }
}

/// A big-endian number of up to eight bytes, negative where the highest bit of eight is set.
fn big_endian(bytes: &[u8]) -> i64 {
    bytes.iter().fold(0i64, |number, &byte| number << 8 | i64::from(byte))
}

/// What the metalayer of the array says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// For each axis: the extents of the array, of a chunk and of a block.
    pub(super) axes: Vec<[usize; 3]>,
    /// The dtype, as numpy writes it.
    pub(super) dtype: String,
}

impl Layer {
    /// Finds the array's metalayer in a header and reads it.
    ///
    /// # Errors
    /// `Format` where it is broken, `Unsupported` where there is none.
    pub(super) fn parse(header: &[u8]) -> Result<Self> {
        let mut text = Pack { rest: header.get(FIXED_BYTES..).unwrap_or_default() };
        text.array()?;
        text.number()?;
        let mut place = None;
        for _ in 0..text.map()? {
            let name = text.text()?;
            let at = text.number()?;
            if name == b"b2nd" {
                place = usize::try_from(at).ok();
            }
        }
        let Some(place) = place else {
            let text =
                "a Blosc2 frame without the shape of an array: write it with b2nd, as blosc2.asarray does";
            return Err(Error::unsupported(text));
        };
        let mut outer = Pack { rest: header.get(place..).unwrap_or_default() };
        let mut layer = Pack { rest: outer.text()? };
        let fields = layer.array()?;
        if fields < 7 {
            return Err(Error::unsupported("a Blosc2 array without a dtype"));
        }
        let version = layer.number()?;
        if version != 0 {
            return Err(Error::unsupported(format!("b2nd of version {version}, expected 0")));
        }
        let ndim = usize::try_from(layer.number()?).unwrap_or(usize::MAX);
        let mut axes = Vec::new();
        for part in 0..3 {
            if layer.array()? != ndim {
                return Err(Error::format("b2nd: its shapes differ in their axes"));
            }
            for axis in 0..ndim {
                let extent = usize::try_from(layer.number()?);
                let extent = extent.map_err(|_| Error::format("b2nd: a negative extent"))?;
                match part {
                    0 => axes.push([extent, 0, 0]),
                    _ => {
                        if let Some(slot) = axes.get_mut(axis).and_then(|axis| axis.get_mut(part)) {
                            *slot = extent;
                        }
                    }
                }
            }
        }
        let kind = layer.number()?;
        let dtype = String::from_utf8_lossy(layer.text()?).into_owned();
        if kind != 0 {
            return Err(Error::unsupported(format!("a dtype of kind {kind}, \"{dtype}\", expected numpy's")));
        }
        Ok(Self { axes, dtype })
    }
}

/// What is left of a text in msgpack.
struct Pack<'a> {
    rest: &'a [u8],
}

impl<'a> Pack<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let short = || Error::format("truncated within the metalayers of the Blosc2 frame");
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn size(&mut self, len: usize) -> Result<usize> {
        usize::try_from(big_endian(self.take(len)?)).map_err(|_| Error::format("b2nd: a negative length"))
    }

    fn unexpected(found: u8) -> Error {
        Error::format(format!("the metalayers of the Blosc2 frame: unexpected byte {found:#04x}"))
    }

    fn array(&mut self) -> Result<usize> {
        match self.byte()? {
            short @ 0x90..=0x9f => Ok(usize::from(short & 15)),
            0xdc => self.size(2),
            0xdd => self.size(4),
            other => Err(Self::unexpected(other)),
        }
    }

    fn map(&mut self) -> Result<usize> {
        match self.byte()? {
            short @ 0x80..=0x8f => Ok(usize::from(short & 15)),
            0xde => self.size(2),
            0xdf => self.size(4),
            other => Err(Self::unexpected(other)),
        }
    }

    fn number(&mut self) -> Result<i64> {
        match self.byte()? {
            small @ 0..=0x7f => Ok(i64::from(small)),
            0xcc => Ok(big_endian(self.take(1)?)),
            0xcd => Ok(big_endian(self.take(2)?)),
            0xce => Ok(big_endian(self.take(4)?)),
            0xd0 => Ok(i64::from(big_endian(self.take(1)?) as i8)),
            0xd1 => Ok(i64::from(big_endian(self.take(2)?) as i16)),
            0xd2 => Ok(i64::from(big_endian(self.take(4)?) as i32)),
            0xcf | 0xd3 => Ok(big_endian(self.take(8)?)),
            other => Err(Self::unexpected(other)),
        }
    }

    /// A text or bytes.
    fn text(&mut self) -> Result<&'a [u8]> {
        let len = match self.byte()? {
            short @ 0xa0..=0xbf => usize::from(short & 31),
            0xc4 | 0xd9 => self.size(1)?,
            0xc5 | 0xda => self.size(2)?,
            0xc6 | 0xdb => self.size(4)?,
            other => return Err(Self::unexpected(other)),
        };
        self.take(len)
    }
}

/// Where a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the file, from this byte on.
    At(u64),
    /// Nowhere: all its voxels are zeros.
    Zeros,
    /// Nowhere: all its voxels are NaN.
    Nan,
}

/// The places of all chunks, decoded from the index chunk of a frame.
///
/// # Errors
/// `Format` where the index is damaged or does not have this many chunks.
pub(super) fn places(index: &[u8], count: usize, fixed: &Fixed) -> Result<Vec<Place>> {
    let chunk = Chunk::parse(index)?;
    if Some(chunk.byte_len()) != count.checked_mul(8) {
        let found = chunk.byte_len() / 8;
        return Err(Error::format(format!("the frame has an index of {found} chunks, its array {count}")));
    }
    let mut offsets = zeroed_bytes(chunk.byte_len())?;
    chunk.decode(index, &mut Codecs::default(), &mut Vec::new(), &mut offsets)?;
    let (offsets, _) = offsets.as_chunks::<8>();
    let place = |offset: &[u8; 8]| {
        let offset = i64::from_le_bytes(*offset);
        match u64::try_from(offset) {
            Ok(offset) if offset < fixed.packed => Ok(Place::At(offset + fixed.header as u64)),
            Ok(_) => Err(Error::format("a chunk of the frame lies behind its chunks")),
            Err(_) => match offset >> 56 & 7 {
                1 | 4 => Ok(Place::Zeros),
                2 => Ok(Place::Nan),
                other => Err(Error::format(format!("a chunk of the frame has special value {other}"))),
            },
        }
    };
    offsets.iter().map(place).collect()
}
