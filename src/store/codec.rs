//! The decoders that chunked formats share, each thread having its own.

use zstd_safe::DCtx;

use crate::error::{Error, Result};
use crate::store::zlib::{Starter, inflate};
use crate::sys::Inflater;
#[cfg(feature = "zarr")]
use crate::sys::{Framing, Inflated};

/// What decoders keep between chunks.
#[derive(Default)]
pub(super) struct Codecs {
    zstd: Option<DCtx<'static>>,
    inflater: Inflater,
    starter: Starter,
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
    /// `Format` where it is damaged or of another length; `Memory` where there is none for the decoder.
    pub(super) fn zlib(&mut self, packed: &[u8], into: &mut [u8]) -> Result<()> {
        inflate((&mut self.starter, &mut self.inflater), packed, into)
    }

    /// Decodes gzip of one or more members that fills `into`.
    ///
    /// # Errors
    /// `Format` where it is damaged or of another length; `Memory` where there is none for the decoder.
    #[cfg(feature = "zarr")]
    pub(super) fn gzip(&mut self, packed: &[u8], into: &mut [u8]) -> Result<()> {
        let (mut rest, mut room) = (packed, into);
        loop {
            match self.inflater.inflate(Framing::Gzip, rest, room)? {
                Inflated::Whole { read, written } => {
                    rest = rest.get(read..).unwrap_or_default();
                    room = room.get_mut(written..).unwrap_or_default();
                }
                Inflated::NoRoom => return Err(Error::format("gzip data of more bytes than expected")),
                Inflated::Damaged => return Err(Error::format("damaged gzip data")),
            }
            match (rest.is_empty(), room.len()) {
                (true, 0) => return Ok(()),
                (true, missing) => {
                    return Err(Error::format(format!("gzip data of {missing} bytes less than expected")));
                }
                (false, _) => {}
            }
        }
    }
}

fn whole(codec: &str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::format(format!("{codec} data of {found} bytes, expected {expected}")))
}
