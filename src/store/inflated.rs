//! Compressed arrays: inflated whole, once, and kept as long as the budget of decoded volumes allows.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind as IoKind, Read};
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::GzDecoder;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::{Error, Result};
use crate::store::{
    ArrayLayout, Block, Bytes, Decoded, DecodedBytes, DecodedParts, Header, Part, Scratch, TakeBlock, Volume,
    Window,
};

/// No deflated stream grows by more than this factor.
const MOST_INFLATION: u64 = 1032;
/// The bytes that are read from a file at a time.
const READ_BYTES: usize = 1 << 17;

/// How an array is packed in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// The whole file is gzip, of one or more members.
    Gzip,
    /// It is the zip archive's member of this number.
    Member(usize),
}

/// A dense array inside a compressed stream.
#[derive(Debug)]
pub(super) struct InflatedArray {
    /// What the file says.
    pub(super) header: Header,
    /// The bytes of the stream before the array.
    pub(super) start: u64,
    /// Its strides.
    pub(super) layout: ArrayLayout,
    /// Whether its voxels are in the other kind of machine's byte order.
    pub(super) swapped: bool,
    /// How it is packed.
    pub(super) packing: Packing,
    /// Its number among the decoded volumes.
    pub(super) number: u64,
    /// The decoded volumes.
    pub(super) decoded: Arc<Decoded>,
}

impl InflatedArray {
    /// The same array after a check that so few compressed bytes can hold it.
    ///
    /// # Errors
    /// `Format` where they cannot, or where the header's size overflows.
    pub(super) fn checked(self, compressed_bytes: u64) -> Result<Self> {
        let len = self.header.byte_len().map_err(|error| Error::format(error.message()))? as u64;
        let most = compressed_bytes.saturating_mul(MOST_INFLATION);
        if self.start.checked_add(len).is_none_or(|end| end > most) {
            let Header { shape, channels, dtype, .. } = &self.header;
            return Err(Error::format(format!(
                "truncated: {channels} channels of {shape} {dtype} need {len} bytes, which \
                 {compressed_bytes} compressed bytes cannot hold"
            )));
        }
        Ok(self)
    }

    fn decode(&self) -> Result<DecodedBytes> {
        let part = Part { volume: self.number, number: 0 };
        self.decoded.get(part, self.header.byte_len()?, |into| self.inflate(into))
    }

    fn inflate(&self, into: &mut [u8]) -> Result<()> {
        let path = &self.header.origin.path;
        let done = match self.packing {
            Packing::Gzip => inflate(&mut Gunzip::open(path)?, self.start, into),
            Packing::Member(index) => {
                let mut archive = open_archive(path)?;
                let member = archive.by_index(index).map_err(zip_error);
                member.and_then(|mut member| {
                    inflate(&mut member, self.start, into)?;
                    ends(&mut member)
                })
            }
        };
        done.map_err(|error| error.in_file(path))
    }
}

impl Volume for InflatedArray {
    fn header(&self) -> &Header {
        &self.header
    }

    fn blocks(&self, window: &Window, _: &mut Scratch, take: TakeBlock<'_>) -> Result<()> {
        let bytes = self.decode()?;
        let first = self.layout.first(0, window)?;
        let (strides, swapped) = (self.layout.strides, self.swapped);
        take(window, &Block { bytes: Bytes::Shared(bytes), first, strides, swapped })
    }

    fn decoded_parts(&self) -> Result<DecodedParts> {
        Ok(DecodedParts { count: 1, byte_len: self.header.byte_len()? as u64 })
    }

    fn decode_part(&self, _: u64, _: &mut Scratch) -> Result<()> {
        self.decode().map(drop)
    }
}

/// Inflates the bytes after the first `start`, as many as `into` takes.
fn inflate(reader: &mut impl Read, start: u64, into: &mut [u8]) -> Result<()> {
    let skipped = std::io::copy(&mut reader.by_ref().take(start), &mut std::io::sink());
    let skipped = skipped.map_err(|cause| damaged(&cause))?;
    let mut found = 0;
    while skipped == start
        && let Some(rest) = into.get_mut(found..).filter(|rest| !rest.is_empty())
    {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => found += count,
            Err(cause) if cause.kind() == IoKind::Interrupted => {}
            Err(cause) => return Err(damaged(&cause)),
        }
    }
    if found < into.len() {
        let (found, needed) = (skipped + found as u64, start + into.len() as u64);
        let text = format!("truncated: the compressed data holds {found} bytes, {needed} are needed");
        return Err(Error::format(text));
    }
    // The checksum follows the last byte, and is compared only by whoever asks for more.
    let mut more = [0u8];
    reader.read(&mut more).map_err(|cause| damaged(&cause))?;
    Ok(())
}

/// Makes sure that a stream has nothing more to give.
fn ends(reader: &mut impl Read) -> Result<()> {
    let mut more = [0u8];
    match reader.read(&mut more) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Error::format("the compressed data holds more bytes than its header says")),
        Err(cause) => Err(damaged(&cause)),
    }
}

/// The error about compressed data that cannot be read on.
pub(super) fn damaged(cause: &std::io::Error) -> Error {
    match cause.kind() {
        IoKind::UnexpectedEof => Error::format("truncated: the compressed data ends too early"),
        IoKind::InvalidData | IoKind::InvalidInput | IoKind::Other => {
            Error::format(format!("damaged compressed data: {cause}"))
        }
        _ => Error::new(crate::error::ErrorKind::Io, cause.to_string()),
    }
}

/// The zip archive in a file.
pub(super) fn open_archive(path: &Path) -> Result<ZipArchive<BufReader<File>>> {
    let file = File::open(path).map_err(|cause| Error::io(path, cause))?;
    let reader = BufReader::with_capacity(READ_BYTES, file);
    ZipArchive::new(reader).map_err(|error| zip_error(error).in_file(path))
}

/// What the zip reader's error means here.
pub(super) fn zip_error(error: ZipError) -> Error {
    match error {
        ZipError::Io(cause) => damaged(&cause),
        ZipError::UnsupportedArchive(what) => Error::unsupported(format!("zip archive: {what}")),
        other => Error::format(format!("zip archive: {other}")),
    }
}

/// The inflated bytes of a gzip file, member after member; padding behind the last is left alone.
#[derive(Debug)]
pub(super) struct Gunzip {
    member: Option<GzDecoder<BufReader<File>>>,
}

impl Gunzip {
    /// The inflated bytes of this file.
    ///
    /// # Errors
    /// `NotFound` or `Io` where it cannot be opened.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|cause| Error::io(path, cause))?;
        Ok(Self { member: Some(GzDecoder::new(BufReader::with_capacity(READ_BYTES, file))) })
    }
}

impl Read for Gunzip {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let Some(member) = self.member.as_mut() else { return Ok(0) };
            let count = member.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let Some(member) = self.member.take() else { return Ok(0) };
            let mut rest = member.into_inner();
            if rest.fill_buf()?.first() == Some(&0x1f) {
                self.member = Some(GzDecoder::new(rest));
            }
        }
    }
}
