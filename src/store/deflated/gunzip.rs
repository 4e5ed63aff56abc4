//! A gzip file read from its beginning on, for its first bytes.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind as IoKind, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::open_to_read;

/// The bytes that are read from a file at a time.
const READ_BYTES: usize = 1 << 14;

/// The inflated bytes of a gzip file, member after member; padding behind the last is left alone.
#[derive(Debug)]
pub(in crate::store) struct Gunzip {
    member: Option<GzDecoder<BufReader<File>>>,
}

impl Gunzip {
    /// The inflated bytes of this file.
    ///
    /// # Errors
    /// `NotFound` or `Io` where it cannot be opened.
    pub(in crate::store) fn open(path: &Path) -> Result<Self> {
        let file = open_to_read(path).map_err(|cause| Error::io(path, cause))?;
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
            if skip_zeros(&mut rest)? == Some(0x1f) {
                self.member = Some(GzDecoder::new(rest));
            }
        }
    }
}

/// The first byte that is not zero.
fn skip_zeros(reader: &mut impl BufRead) -> std::io::Result<Option<u8>> {
    loop {
        let bytes = reader.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let found = bytes.get(zeros).copied();
        if found.is_some() || bytes.is_empty() {
            reader.consume(zeros);
            return Ok(found);
        }
        reader.consume(zeros);
    }
}

/// The error about compressed data that cannot be read on.
pub(in crate::store) fn damaged(cause: &std::io::Error) -> Error {
    match cause.kind() {
        IoKind::UnexpectedEof => Error::format("truncated: the compressed data ends too early"),
        IoKind::InvalidData | IoKind::InvalidInput | IoKind::Other => {
            Error::format(format!("damaged compressed data: {cause}"))
        }
        _ => Error::new(ErrorKind::Io, cause.to_string()),
    }
}
