//! One chunk: what its header says, and its blocks decoded.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::store::blosc::{blosclz, filters};
use crate::store::codec::Codecs;
use crate::store::volume::grown;
use crate::sys::{repeat, unshuffle};

/// The header of the second format, and the longest.
pub(in crate::store) const MOST_HEADER_BYTES: usize = 32;
/// The header of the first format, and the shortest.
const LEAST_HEADER_BYTES: usize = 16;
/// The filters of a chunk.
const FILTERS: usize = 6;
/// Splits of blocks in the first format, which writes no flag for them in old files.
const MOST_SPLITS: usize = 16;
/// The shortest stream that a block of the first format is split into.
const LEAST_SPLIT_BYTES: usize = 128;

const SHUFFLE: u8 = 1;
const BIT_SHUFFLE: u8 = 2;
const DELTA: u8 = 3;
const TRUNCATE: u8 = 4;
const BYTE_DELTA: u8 = 35;

/// What all voxels of a chunk without blocks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Zeros,
    Nan,
    Value,
}

/// A chunk's header, read and checked.
#[derive(Debug, Clone)]
pub(in crate::store) struct Chunk {
    header: usize,
    element: usize,
    codec: u8,
    codec_id: u8,
    split: bool,
    copied: bool,
    run: Option<Run>,
    dictionary: bool,
    bits_from: u8,
    filters: [(u8, u8); FILTERS],
    byte_len: usize,
    block: usize,
    packed: usize,
}

impl Chunk {
    /// Reads the header that a chunk begins with.
    ///
    /// # Errors
    /// `Format` where it is broken, `Unsupported` where it uses what is not read.
    pub(in crate::store) fn parse(bytes: &[u8]) -> Result<Self> {
        let broken = |what: &str| Error::format(format!("Blosc chunk: {what}"));
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        let size = |at: usize| number(bytes, at).and_then(|value| usize::try_from(value).ok());
        if bytes.len() < LEAST_HEADER_BYTES {
            return Err(broken("truncated within its header"));
        }
        let (version, flags, element) = (byte(0), byte(2), usize::from(byte(3)));
        let (byte_len, block, packed) = match (size(4), size(8), size(12)) {
            (Some(byte_len), Some(block), Some(packed)) => (byte_len, block, packed),
            _ => return Err(broken("a size of its header is negative")),
        };
        let extended = flags & 5 == 5;
        let header = if extended { MOST_HEADER_BYTES } else { LEAST_HEADER_BYTES };
        if bytes.len() < header || packed < header {
            return Err(broken("truncated within its header"));
        }
        if element == 0 || (block == 0 && byte_len > 0) {
            return Err(broken("its elements or its blocks have no bytes"));
        }
        let mut chunk = Self {
            header,
            element,
            codec: flags >> 5,
            codec_id: 0,
            split: flags & 16 == 0,
            copied: flags & 2 != 0,
            run: None,
            dictionary: false,
            bits_from: version,
            filters: [(0, 0); FILTERS],
            byte_len,
            block: block.min(byte_len).max(1),
            packed,
        };
        if extended {
            chunk.extend(bytes)?;
        } else {
            let [.., before, last] = &mut chunk.filters;
            if flags & 1 != 0 {
                *last = (SHUFFLE, 0);
            } else if flags & 4 != 0 {
                *last = (BIT_SHUFFLE, 0);
            }
            if flags & 8 != 0 {
                *before = (DELTA, 0);
            }
            let long = chunk.block / element >= LEAST_SPLIT_BYTES;
            chunk.split &= element <= MOST_SPLITS && long;
        }
        if chunk.copied && chunk.run.is_none() && Some(packed) != header.checked_add(byte_len) {
            return Err(broken("its bytes are stored as they are, but not as many as it has"));
        }
        Ok(chunk)
    }

    /// Reads what only the second format's header has.
    fn extend(&mut self, bytes: &[u8]) -> Result<()> {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        for (index, filter) in self.filters.iter_mut().enumerate() {
            *filter = (byte(16 + index), byte(24 + index));
        }
        if byte(0) == 3 {
            // The alpha releases left the last filter as it happened to be.
            self.filters[FILTERS - 1] = (0, 0);
        }
        self.codec_id = byte(22);
        let (flags, more) = (byte(31), byte(30));
        if more & 1 != 0 {
            return Err(Error::unsupported("Blosc2 chunk: blocks of varying length"));
        }
        self.dictionary = flags & 1 != 0;
        self.run = match flags >> 4 & 7 {
            0 => None,
            // Values that were never set are zeros here, so that they are the same every time.
            1 | 4 => Some(Run::Zeros),
            2 => Some(Run::Nan),
            3 => Some(Run::Value),
            other => return Err(Error::format(format!("Blosc2 chunk: special value {other}"))),
        };
        if self.run.is_none() && flags & 8 != 0 {
            return Err(Error::format("Blosc2 chunk: its blocks are elsewhere"));
        }
        if self.run == Some(Run::Value) {
            self.element = self.packed - self.header;
            if self.element == 0 || !self.byte_len.is_multiple_of(self.element) {
                return Err(Error::format("Blosc2 chunk: its value does not fit its bytes"));
            }
        }
        Ok(())
    }

    /// The bytes of the decoded chunk.
    #[cfg(feature = "b2nd")]
    pub(in crate::store) fn byte_len(&self) -> usize {
        self.byte_len
    }

    /// The bytes of a decoded block, the last being shorter where they do not fit.
    #[cfg(feature = "b2nd")]
    pub(in crate::store) fn block_bytes(&self) -> usize {
        self.block
    }

    /// The bytes of the whole chunk as stored.
    #[cfg(feature = "b2nd")]
    pub(in crate::store) fn packed_bytes(&self) -> usize {
        self.packed
    }

    fn blocks(&self) -> usize {
        self.byte_len.div_ceil(self.block)
    }

    /// Where the bytes of a block lie in the stored chunk, if they are stored as they are.
    pub(in crate::store) fn plain_block(&self, number: usize) -> Option<Range<usize>> {
        let begin = self.block.checked_mul(number)?;
        let end = begin.checked_add(self.block)?.min(self.byte_len);
        let plain = self.copied && self.run.is_none() && begin < end;
        plain.then(|| self.header + begin..self.header + end)
    }

    /// Decodes all blocks of a stored chunk: every byte of `into`, which has the decoded chunk's size.
    ///
    /// # Errors
    /// Those of [`Chunk::decode_block`].
    pub(in crate::store) fn decode(
        &self,
        stored: &[u8],
        codecs: &mut Codecs,
        between: &mut Vec<u8>,
        into: &mut [u8],
    ) -> Result<()> {
        if into.len() != self.byte_len {
            let (found, wanted) = (self.byte_len, into.len());
            return Err(Error::format(format!("Blosc chunk: {found} bytes, expected {wanted}")));
        }
        if !self.has_delta() {
            for (number, block) in into.chunks_mut(self.block).enumerate() {
                self.decode_block((stored, number), codecs, between, block)?;
            }
            return Ok(());
        }
        let (first, rest) = into.split_at_mut(self.block.min(self.byte_len));
        self.decode_against((stored, 0), None, (codecs, between), first)?;
        for (number, block) in rest.chunks_mut(self.block).enumerate() {
            self.decode_against((stored, number + 1), Some(first), (codecs, between), block)?;
        }
        Ok(())
    }

    /// Decodes the block of this number of a stored chunk: every byte of `into`, which has the block's size.
    ///
    /// # Errors
    /// `Format` where the stored bytes are damaged; `Unsupported` for a codec or a filter that is not read.
    pub(in crate::store) fn decode_block(
        &self,
        (stored, number): (&[u8], usize),
        codecs: &mut Codecs,
        between: &mut Vec<u8>,
        into: &mut [u8],
    ) -> Result<()> {
        if number == 0 || !self.has_delta() {
            return self.decode_against((stored, number), None, (codecs, between), into);
        }
        let mut first = crate::sys::zeroed_bytes(self.block)?;
        self.decode_against((stored, 0), None, (codecs, between), &mut first)?;
        self.decode_against((stored, number), Some(&first), (codecs, between), into)
    }

    fn has_delta(&self) -> bool {
        !self.copied && self.run.is_none() && self.filters.iter().any(|(filter, _)| *filter == DELTA)
    }

    fn decode_against(
        &self,
        (stored, number): (&[u8], usize),
        reference: Option<&[u8]>,
        (codecs, between): (&mut Codecs, &mut Vec<u8>),
        into: &mut [u8],
    ) -> Result<()> {
        let begin = self.block.checked_mul(number).filter(|&begin| begin < self.byte_len);
        let left = begin.map_or(0, |begin| self.byte_len - begin);
        if into.len() != self.block.min(left) {
            let wanted = into.len();
            return Err(Error::format(format!("Blosc chunk: block {number} has not {wanted} bytes")));
        }
        if let Some(run) = self.run {
            return self.repeat(run, stored, into);
        }
        if let Some(place) = self.plain_block(number) {
            into.copy_from_slice(stored.get(place).ok_or_else(truncated)?);
            return Ok(());
        }
        // The filters that move bytes swap two buffers, the last one writing to its destination.
        let moves = |filter: u8| matches!(filter, SHUFFLE | BIT_SHUFFLE);
        let mut left = self.filters.iter().filter(|(filter, _)| moves(*filter)).count();
        let spare = if left > 0 { grown(between, into.len())? } else { &mut [] };
        let unpacked = if left.is_multiple_of(2) { &mut *into } else { &mut *spare };
        self.unpack(stored, number, codecs, unpacked)?;
        for &(filter, about) in self.filters.iter().rev() {
            let grouped = if about == 0 { self.element } else { usize::from(about) };
            let (from, to) = match left.is_multiple_of(2) {
                true => (&mut *into, &mut *spare),
                false => (&mut *spare, &mut *into),
            };
            match filter {
                0 | TRUNCATE => {}
                SHUFFLE => unshuffle(from, grouped.max(1), to)?,
                BIT_SHUFFLE if self.bits_from == 2 && !(from.len() / self.element).is_multiple_of(8) => {
                    to.copy_from_slice(from);
                }
                BIT_SHUFFLE => filters::unshuffle_bits(self.element, from, to),
                DELTA if left == 0 => filters::undo_delta(self.element, reference, from),
                BYTE_DELTA => filters::undo_byte_delta(grouped, from),
                other => {
                    let text = format!(
                        "Blosc2 filter {other}: shuffle, bitshuffle, delta, truncated precision and bytedelta \
                         are read"
                    );
                    return Err(Error::unsupported(text));
                }
            }
            left -= usize::from(moves(filter));
        }
        Ok(())
    }

    fn repeat(&self, run: Run, stored: &[u8], into: &mut [u8]) -> Result<()> {
        let value = match run {
            Run::Zeros => {
                into.fill(0);
                return Ok(());
            }
            Run::Nan => not_a_number(self.element)?,
            Run::Value => stored.get(self.header..self.packed).ok_or_else(truncated)?,
        };
        repeat(value, into);
        Ok(())
    }

    /// Decodes the streams of a block, filters not yet undone.
    fn unpack(&self, stored: &[u8], number: usize, codecs: &mut Codecs, into: &mut [u8]) -> Result<()> {
        let stored = stored.get(..stored.len().min(self.packed)).unwrap_or_default();
        let table = self.blocks().checked_mul(4).and_then(|bytes| bytes.checked_add(self.header));
        let table = table.filter(|&end| end <= stored.len()).ok_or_else(truncated)?;
        let start = number_at(stored, self.header + 4 * number)?;
        let start = usize::try_from(start).ok().filter(|&start| start >= table);
        let mut rest = start.and_then(|start| stored.get(start..)).ok_or_else(truncated)?;
        let dictionary = if self.dictionary { dictionary(stored, table)? } else { &[] };
        let whole = into.len() == self.block;
        let streams = if self.split && whole { self.element } else { 1 };
        let len = into.len() / streams;
        if len == 0 || len * streams != into.len() {
            return Err(Error::format("Blosc chunk: its blocks do not divide into streams"));
        }
        for stream in into.chunks_exact_mut(len) {
            let packed = number_at(rest, 0)?;
            rest = rest.get(4..).unwrap_or_default();
            let Ok(packed) = usize::try_from(packed) else {
                let token = rest.first().copied().ok_or_else(truncated)?;
                if token & 1 == 0 || packed < -255 {
                    return Err(Error::format(format!("Blosc chunk: stream of token {token}")));
                }
                stream.fill(packed.unsigned_abs() as u8);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            };
            let (bytes, after) = rest.split_at_checked(packed).ok_or_else(truncated)?;
            rest = after;
            match packed {
                0 => stream.fill(0),
                packed if packed == len => stream.copy_from_slice(bytes),
                _ => self.decompress(bytes, dictionary, codecs, stream)?,
            }
        }
        Ok(())
    }

    fn decompress(
        &self,
        packed: &[u8],
        dictionary: &[u8],
        codecs: &mut Codecs,
        into: &mut [u8],
    ) -> Result<()> {
        let name = match self.codec {
            0 => {
                let damaged = || Error::format("damaged BloscLZ data");
                return blosclz::decode(packed, into).ok_or_else(damaged);
            }
            1 if dictionary.is_empty() => return codecs.lz4(packed, into),
            1 => "LZ4 with a dictionary".to_owned(),
            3 => return codecs.zlib(packed, into),
            4 => return codecs.zstd(packed, dictionary, into),
            2 => "Snappy".to_owned(),
            6 => format!("of the plug-in {}", self.codec_id),
            other => format!("{other}"),
        };
        Err(Error::unsupported(format!(
            "Blosc codec {name}: BloscLZ, LZ4, LZ4HC, zlib and Zstandard are read"
        )))
    }
}

/// The dictionary that lies behind the table of blocks.
fn dictionary(stored: &[u8], table: usize) -> Result<&[u8]> {
    let len = usize::try_from(number_at(stored, table)?).map_err(|_| truncated())?;
    let begin = table + 4;
    begin.checked_add(len).and_then(|end| stored.get(begin..end)).ok_or_else(truncated)
}

fn number(bytes: &[u8], at: usize) -> Option<i32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(i32::from_le_bytes(*bytes))
}

fn number_at(bytes: &[u8], at: usize) -> Result<i32> {
    number(bytes, at).ok_or_else(truncated)
}

fn truncated() -> Error {
    Error::format("Blosc chunk: it ends before its data do, or its table of blocks is damaged")
}

/// The bytes of an element that is not a number.
///
/// # Errors
/// `Format` where elements of this size are no floats.
pub(in crate::store) fn not_a_number(element: usize) -> Result<&'static [u8]> {
    const SINGLE: [u8; 4] = f32::NAN.to_ne_bytes();
    const DOUBLE: [u8; 8] = f64::NAN.to_ne_bytes();
    match element {
        4 => Ok(&SINGLE),
        8 => Ok(&DOUBLE),
        _ => Err(Error::format("Blosc2 chunk: NaN of neither 4 nor 8 bytes")),
    }
}
