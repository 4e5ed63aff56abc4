//! The decoders that chunked formats share, each thread having its own.

use std::io::Read;

#[cfg(feature = "zarr")]
use flate2::bufread::MultiGzDecoder;
use flate2::bufread::ZlibDecoder;
use zstd_safe::DCtx;

use crate::error::{Error, Result};

/// What decoders keep between chunks.
#[derive(Default)]
pub(super) struct Codecs {
    zstd: Option<DCtx<'static>>,
}

impl std::fmt::Debug for Codecs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codecs").finish_non_exhaustive()
    }
}

impl Codecs {
    /// Decodes Zstandard frames that fill `into`, with the dictionary where it has bytes.
    ///
    /// # Errors
    /// `Format` where they are damaged or of another length.
    pub(super) fn zstd(&mut self, packed: &[u8], dictionary: &[u8], into: &mut [u8]) -> Result<()> {
        let len = into.len();
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => {
                let made = DCtx::try_create().ok_or_else(|| Error::memory("no memory for Zstandard"))?;
                none.insert(made)
            }
        };
        let done = match dictionary {
            [] => decoder.decompress(into, packed),
            _ => decoder.decompress_using_dict(into, packed, dictionary),
        };
        let found = done.map_err(|code| {
            Error::format(format!("damaged Zstandard data: {}", zstd_safe::get_error_name(code)))
        })?;
        whole("Zstandard", found, len)
    }

    /// Decodes a block of LZ4 that fills `into`.
    ///
    /// # Errors
    /// `Format` where it is damaged or of another length.
    pub(super) fn lz4(&mut self, packed: &[u8], into: &mut [u8]) -> Result<()> {
        let len = into.len();
        let most = i32::try_from(len).map_err(|_| Error::unsupported("LZ4 data of more than 2 GiB"))?;
        let found = lz4::block::decompress_to_buffer(packed, Some(most), into);
        whole("LZ4", found.map_err(|_| Error::format("damaged LZ4 data"))?, len)
    }

    /// Decodes a zlib stream that fills `into`.
    ///
    /// # Errors
    /// `Format` where it is damaged or of another length.
    pub(super) fn zlib(&mut self, packed: &[u8], into: &mut [u8]) -> Result<()> {
        fill("zlib", &mut ZlibDecoder::new(packed), into)
    }

    /// Decodes gzip of one or more members that fills `into`.
    ///
    /// # Errors
    /// `Format` where it is damaged or of another length.
    #[cfg(feature = "zarr")]
    pub(super) fn gzip(&mut self, packed: &[u8], into: &mut [u8]) -> Result<()> {
        fill("gzip", &mut MultiGzDecoder::new(packed), into)
    }
}

fn whole(codec: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::format(format!("{codec} data of {found} bytes, expected {expected}")))
}

fn fill(codec: &str, from: &mut dyn Read, into: &mut [u8]) -> Result<()> {
    let len = into.len();
    let damaged = |cause| Error::format(format!("damaged {codec} data: {cause}"));
    let mut found = 0;
    while let Some(rest) = into.get_mut(found..).filter(|rest| !rest.is_empty()) {
        match from.read(rest).map_err(damaged)? {
            0 => return whole(codec, found, len),
            more => found += more,
        }
    }
    // The end has to be read for the checksum to be checked.
    match from.read(&mut [0u8]).map_err(damaged)? {
        0 => Ok(()),
        _ => Err(Error::format(format!("{codec} data of more than the expected {len} bytes"))),
    }
}
