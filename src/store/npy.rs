//! NumPy's `.npy`: one array, versions 1 to 3, read where it lies.
//!
//! Source: NEP 1 and `numpy.lib.format`. The header is a Python dictionary in text; only the three entries
//! that numpy writes are understood, so nothing is ever evaluated.

use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::numpy::{channel_place, numpy_dtype};
use crate::store::{ArrayLayout, ChannelPlace, Choice, Context, FileArray, Header, Origin, Volume};
use crate::sys::open_to_read;
use crate::voxel::{DType, MAX_AXES};

const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest header that is read; numpy itself stops at 10 000.
const MOST_HEADER_BYTES: usize = 1 << 16;

/// Whether a file's first bytes are this format's.
pub(super) fn knows(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Opens the file's array.
pub(super) fn open(path: &Path, choice: &Choice, context: &Context) -> Result<Arc<dyn Volume>> {
    let file = open_to_read(path).map_err(|cause| Error::io(path, cause))?;
    let read = |reader: &mut dyn Read| {
        let npy = NpyHeader::read(reader)?;
        let origin = Origin { path: path.to_owned(), inner: String::new(), format: "npy" };
        let (header, layout) = npy.describe(choice.channel, origin)?;
        let file = context.files.file(path)?;
        FileArray { header, start: npy.byte_len, layout, swapped: npy.swapped, file }.checked()
    };
    let array = read(&mut BufReader::new(file)).map_err(|error| error.in_file(path))?;
    Ok(Arc::new(array))
}

/// What an array's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NpyHeader {
    extents: Vec<usize>,
    dtype: DType,
    fortran: bool,
    /// Whether the voxels are in the other kind of machine's byte order.
    pub(super) swapped: bool,
    /// The header's own length: the byte at which the voxels begin.
    pub(super) byte_len: u64,
}

impl NpyHeader {
    /// Reads the header that an array begins with.
    pub(super) fn read(reader: &mut dyn Read) -> Result<Self> {
        let mut prelude = [0u8; 8];
        fill(reader, &mut prelude)?;
        let [.., major, _] = prelude;
        if !prelude.starts_with(MAGIC) {
            return Err(Error::format("no npy array: it does not begin with \\x93NUMPY"));
        }
        let (text_bytes, prelude_bytes) = match major {
            1 => {
                let mut len = [0u8; 2];
                fill(reader, &mut len)?;
                (usize::from(u16::from_le_bytes(len)), 10)
            }
            2 | 3 => {
                let mut len = [0u8; 4];
                fill(reader, &mut len)?;
                (u32::from_le_bytes(len) as usize, 12)
            }
            _ => return Err(Error::unsupported(format!("npy version {major}, expected 1 to 3"))),
        };
        if text_bytes > MOST_HEADER_BYTES {
            let text = format!("npy header of {text_bytes} bytes, expected at most {MOST_HEADER_BYTES}");
            return Err(Error::format(text));
        }
        let mut text = vec![0u8; text_bytes];
        fill(reader, &mut text)?;
        let byte_len = (prelude_bytes + text_bytes) as u64;
        Text { rest: &String::from_utf8_lossy(&text) }.header(byte_len)
    }

    /// The volume's header and strides, its channel axis where `channel` says.
    pub(super) fn describe(&self, channel: ChannelPlace, origin: Origin) -> Result<(Header, ArrayLayout)> {
        let extents = &self.extents;
        let place = channel_place(channel, extents)?;
        let (shape, channels) = place.split(extents)?;
        let header = Header { shape, channels, dtype: self.dtype, scale: None, affine: None, origin };
        let byte_len = header.byte_len().map_err(|error| Error::format(error.message()))?;
        Ok((header, self.layout(place, byte_len)))
    }

    /// The strides; `byte_len` is that of the whole array, which has been checked to fit.
    fn layout(&self, place: ChannelPlace, byte_len: usize) -> ArrayLayout {
        let mut own = vec![0isize; self.extents.len()];
        let mut stride = self.dtype.byte_len() as isize;
        let axes = own.iter_mut().zip(&self.extents);
        let mut step = |(slot, &extent): (&mut isize, &usize)| {
            *slot = stride;
            stride *= extent as isize;
        };
        if self.fortran {
            axes.for_each(&mut step)
        } else {
            axes.rev().for_each(&mut step)
        }
        let (channel, spatial) = match (place, own.as_slice()) {
            (ChannelPlace::First, [channel, spatial @ ..]) => (*channel, spatial),
            (ChannelPlace::Last, [spatial @ .., channel]) => (*channel, spatial),
            (_, spatial) => (byte_len as isize, spatial),
        };
        let mut strides = [0isize; MAX_AXES + 1];
        for (slot, stride) in strides.iter_mut().zip(std::iter::once(&channel).chain(spatial)) {
            *slot = *stride;
        }
        ArrayLayout { strides }
    }
}

/// Reads exactly this many bytes of a header.
fn fill(reader: &mut dyn Read, into: &mut [u8]) -> Result<()> {
    reader.read_exact(into).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::format("truncated within the npy header"),
        _ => Error::format(format!("the npy header cannot be read: {cause}")),
    })
}

/// What is left of a header's text.
struct Text<'a> {
    rest: &'a str,
}

impl<'a> Text<'a> {
    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, in any order of entries.
    fn header(mut self, byte_len: u64) -> Result<NpyHeader> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect('{')?;
        while !self.take('}') {
            let key = self.string()?;
            self.expect(':')?;
            match key {
                "descr" => descr = Some(self.dtype()?),
                "fortran_order" => fortran = Some(self.flag()?),
                "shape" => shape = Some(self.tuple()?),
                other => return Err(Error::format(format!("npy header has an entry {other:?}"))),
            }
            if !self.take(',') {
                self.expect('}')?;
                break;
            }
        }
        let missing = |name: &str| Error::format(format!("npy header without {name}"));
        let (dtype, swapped) = descr.ok_or_else(|| missing("descr"))?;
        let fortran = fortran.ok_or_else(|| missing("fortran_order"))?;
        let extents = shape.ok_or_else(|| missing("shape"))?;
        Ok(NpyHeader { extents, dtype, fortran, swapped, byte_len })
    }

    /// Passes this character if it comes next.
    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.trim_start();
        self.rest = rest.strip_prefix(wanted).unwrap_or(rest);
        self.rest.len() < rest.len()
    }

    fn expect(&mut self, wanted: char) -> Result<()> {
        if self.take(wanted) { Ok(()) } else { Err(self.unexpected(&format!("'{wanted}'"))) }
    }

    fn unexpected(&self, wanted: &str) -> Error {
        let found: String = self.rest.trim_start().chars().take(20).collect();
        Error::format(format!("npy header: expected {wanted}, found {found:?}"))
    }

    fn string(&mut self) -> Result<&'a str> {
        let quote = if self.take('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect(quote)?;
        }
        let (text, rest) = self.rest.split_once(quote).ok_or_else(|| self.unexpected("a closing quote"))?;
        self.rest = rest;
        Ok(text)
    }

    fn flag(&mut self) -> Result<bool> {
        let rest = self.rest.trim_start();
        let found = [("True", true), ("False", false)]
            .into_iter()
            .find_map(|(word, flag)| rest.strip_prefix(word).map(|rest| (rest, flag)));
        let (rest, flag) = found.ok_or_else(|| self.unexpected("True or False"))?;
        self.rest = rest;
        Ok(flag)
    }

    fn tuple(&mut self) -> Result<Vec<usize>> {
        let mut extents = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            let rest = self.rest.trim_start();
            let digits = rest.len() - rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
            let (number, rest) = rest.split_at_checked(digits).unwrap_or_default();
            let extent = number.parse().map_err(|_| self.unexpected("an extent"))?;
            extents.push(extent);
            // Python 2 wrote long integers as 12L.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(extents)
    }

    /// The dtype, and whether its bytes are in the other order than this machine's.
    fn dtype(&mut self) -> Result<(DType, bool)> {
        let rest = self.rest.trim_start();
        if rest.starts_with(['[', '(']) {
            return Err(Error::unsupported(
                "a structured dtype: save each of its fields as an array of its own",
            ));
        }
        let descr = self.string()?;
        let unknown = || {
            let known = "bool, integers of 1, 2, 4 or 8 bytes, and floats of 2, 4 or 8";
            Error::unsupported(format!("dtype \"{descr}\" is not read, expected {known}"))
        };
        numpy_dtype(descr).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn parse(text: &str) -> Result<NpyHeader> {
        Text { rest: text }.header(0)
    }

    #[test]
    fn headers_are_read_in_any_order_of_their_entries() {
        let header = parse("{'shape': (3L, 4,), \"descr\": '>i2', 'fortran_order': True}  \n").unwrap();
        assert_eq!((header.extents.as_slice(), header.dtype), ([3, 4].as_slice(), DType::I16));
        assert!(header.fortran && header.swapped);
        assert_eq!(parse("{'descr':'|b1','fortran_order':False,'shape':()}").unwrap().extents, [0usize; 0]);
    }

    #[test]
    fn nonsense_is_a_format_error() {
        let nonsense = [
            "",
            "{",
            "{}",
            "{'descr'",
            "{'descr': '<f4', 'fortran_order': 1, 'shape': (1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
            "{'descr': '<f4', 'fortran_order': False}",
        ];
        for text in nonsense {
            assert_eq!(parse(text).unwrap_err().kind(), ErrorKind::Format, "{text}");
        }
        let huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4)}";
        let error = parse(huge).unwrap().describe(ChannelPlace::Unsaid, Origin::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
    }

    #[test]
    fn other_dtypes_are_unsupported_and_named() {
        for descr in ["'|O'", "'<c8'", "'<U5'", "'|S3'", "'<M8[ns]'", "[('a', '<f4')]", "'<f16'"] {
            let error = parse(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}"));
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{descr}");
            let named = if descr.starts_with('[') { "structured dtype" } else { descr.trim_matches('\'') };
            assert!(error.message().contains(named), "{error}");
        }
    }
}
