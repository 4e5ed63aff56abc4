//! Whole compressed blocks made plain in one call, by libdeflate: the fastest way where both sides are in
//! memory and the plain size is known.

use std::ffi::c_void;
use std::ptr::NonNull;

use libdeflate_sys as c;

use crate::error::{Error, Result};

/// What is written around deflated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Nothing, and no checksum.
    Raw,
    /// A header of two bytes, and Adler-32.
    Zlib,
    /// A gzip member: a header, CRC-32 and the size.
    Gzip,
}

/// How far one call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inflated {
    /// To the end of the stream or member, its checksum being right.
    Whole {
        /// The packed bytes that it had.
        read: usize,
        /// The plain bytes that it gave.
        written: usize,
    },
    /// The plain bytes are more than there is room for; what was written may be anything.
    NoRoom,
    /// The packed bytes are damaged, or end too early.
    Damaged,
}

/// A decoder's memory, used again from block to block.
#[derive(Debug, Default)]
pub struct Inflater {
    state: Option<NonNull<c::libdeflate_decompressor>>,
}

// SAFETY: the library's state has no tie to the thread that made it, and only its one owner uses it.
unsafe impl Send for Inflater {}

impl Inflater {
    /// Inflates the stream or member that `packed` begins with.
    ///
    /// # Errors
    /// `Memory` where there is none for the decoder.
    pub fn inflate(&mut self, framing: Framing, packed: &[u8], into: &mut [u8]) -> Result<Inflated> {
        let state = self.state()?.as_ptr();
        let call = match framing {
            Framing::Raw => c::libdeflate_deflate_decompress_ex,
            Framing::Zlib => c::libdeflate_zlib_decompress_ex,
            Framing::Gzip => c::libdeflate_gzip_decompress_ex,
        };
        let (mut read, mut written) = (0usize, 0usize);
        let (from, to) = (packed.as_ptr().cast::<c_void>(), into.as_mut_ptr().cast::<c_void>());
        // SAFETY: the state is the library's own and lent to this call alone; both slices have the lengths
        // that are told, and the two counts outlive the call.
        let result = unsafe { call(state, from, packed.len(), to, into.len(), &mut read, &mut written) };
        Ok(match result {
            c::libdeflate_result_LIBDEFLATE_SUCCESS => Inflated::Whole { read, written },
            c::libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE => Inflated::NoRoom,
            _ => Inflated::Damaged,
        })
    }

    fn state(&mut self) -> Result<NonNull<c::libdeflate_decompressor>> {
        if let Some(state) = self.state {
            return Ok(state);
        }
        // SAFETY: the call takes nothing and gives a new state or NULL.
        let state = NonNull::new(unsafe { c::libdeflate_alloc_decompressor() });
        self.state = state;
        state.ok_or_else(|| Error::memory("no memory for a decoder of deflated data"))
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        if let Some(state) = self.state {
            // SAFETY: made by the library, and given back once.
            unsafe { c::libdeflate_free_decompressor(state.as_ptr()) }
        }
    }
}

/// The CRC-32 of bytes that follow those whose CRC-32 is `before`, 0 for none.
pub fn crc32(before: u32, bytes: &[u8]) -> u32 {
    // SAFETY: the slice has the length that is told; one of no bytes has an address too.
    unsafe { c::libdeflate_crc32(before, bytes.as_ptr().cast(), bytes.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use std::io::Write;

    fn plain() -> Vec<u8> {
        (0..70_000u32).map(|k| (k.wrapping_mul(2_654_435_761) >> 27) as u8).collect()
    }

    fn packed(framing: Framing) -> Vec<u8> {
        let level = Compression::new(6);
        match framing {
            Framing::Raw => {
                let mut to = flate2::write::DeflateEncoder::new(Vec::new(), level);
                to.write_all(&plain()).unwrap();
                to.finish().unwrap()
            }
            Framing::Zlib => {
                let mut to = flate2::write::ZlibEncoder::new(Vec::new(), level);
                to.write_all(&plain()).unwrap();
                to.finish().unwrap()
            }
            Framing::Gzip => {
                let mut to = flate2::write::GzEncoder::new(Vec::new(), level);
                to.write_all(&plain()).unwrap();
                to.finish().unwrap()
            }
        }
    }

    #[test]
    fn every_framing_gives_its_bytes_and_says_how_many_it_read() {
        let mut inflater = Inflater::default();
        for framing in [Framing::Raw, Framing::Zlib, Framing::Gzip] {
            let mut stream = packed(framing);
            let len = stream.len();
            stream.extend([9u8; 5]);
            let mut into = vec![0u8; plain().len() + 3];
            let whole = Inflated::Whole { read: len, written: plain().len() };
            assert_eq!(inflater.inflate(framing, &stream, &mut into).unwrap(), whole);
            assert_eq!(into[..plain().len()], plain());
            let short = into.get_mut(..1000).unwrap();
            assert_eq!(inflater.inflate(framing, &stream, short).unwrap(), Inflated::NoRoom);
            let cut = stream.get(..len - 9).unwrap();
            assert_eq!(inflater.inflate(framing, cut, &mut into).unwrap(), Inflated::Damaged);
            assert_eq!(inflater.inflate(framing, &[], &mut into).unwrap(), Inflated::Damaged);
        }
    }

    #[test]
    fn a_wrong_checksum_is_damage() {
        let mut inflater = Inflater::default();
        let mut into = plain();
        for framing in [Framing::Zlib, Framing::Gzip] {
            let mut stream = packed(framing);
            let at = stream.len() - 5 * usize::from(framing == Framing::Gzip) - 1;
            stream[at] ^= 1;
            assert_eq!(inflater.inflate(framing, &stream, &mut into).unwrap(), Inflated::Damaged);
        }
    }

    #[test]
    fn checksums_go_on_where_the_last_ended() {
        let bytes = plain();
        let (first, second) = bytes.split_at(333);
        assert_eq!(crc32(crc32(0, first), second), crc32(0, &bytes));
        assert_eq!(crc32(0, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(7, &[]), 7);
    }
}
