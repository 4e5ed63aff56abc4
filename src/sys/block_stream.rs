//! Deflated data piece by piece, with the place of every block in it: what an index of a stream is made of,
//! and what reads on from such a place.

use std::ffi::c_int;

use libz_rs_sys as z;

use crate::error::{Error, Result};
use crate::sys::Framing;

/// The bytes before a place that deflated data may refer to.
pub const WINDOW_BYTES: usize = 1 << 15;

/// Why a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The packed bytes are used up, or the room is.
    More,
    /// A block begins here, with the bits that are left of the last byte read.
    Block,
    /// The stream or member has ended, its checksum being right.
    End,
    /// The packed bytes are no deflated data from here on, or the checksum is wrong.
    Damaged,
}

/// How far a step came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The packed bytes that it read.
    pub read: usize,
    /// The plain bytes that it wrote.
    pub written: usize,
    /// Why it ended.
    pub stop: Stop,
}

/// Where steps end but for the ends of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocks {
    /// At the end of every block.
    Each,
    /// Nowhere.
    None,
}

/// Packed bytes from some bit on.
#[derive(Debug, Clone, Copy)]
pub struct Bits<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// The bit of the first byte, the lowest being 0.
    pub from: u32,
}

/// What the library says of the place where it stopped, beside the number of bits left.
const LAST_BLOCK: c_int = 1 << 6;
const BLOCK_ENDS: c_int = 1 << 7;
const HEADER_ENDS: c_int = 1 << 8;

/// A stream that is being inflated.
pub struct BlockStream {
    stream: Box<z::z_stream>,
    flush: c_int,
}

impl std::fmt::Debug for BlockStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockStream").field("read", &self.stream.total_in).finish_non_exhaustive()
    }
}

// SAFETY: the stream owns its state, which has no tie to the thread that made it.
unsafe impl Send for BlockStream {}

impl BlockStream {
    /// A stream in this framing, at its beginning.
    ///
    /// # Errors
    /// `Memory` where there is none for the decoder.
    pub fn new(framing: Framing, blocks: Blocks) -> Result<Self> {
        let bits = match framing {
            Framing::Raw => -15,
            Framing::Zlib => 15,
            Framing::Gzip => 31,
        };
        let mut stream = Box::new(z::z_stream::default());
        let size = size_of::<z::z_stream>() as c_int;
        // SAFETY: the stream is new, with the library's own allocator, and at a place that it keeps; the
        // version and the size are the library's own.
        let result = unsafe { z::inflateInit2_(&mut *stream, bits, z::zlibVersion(), size) };
        if result != z::Z_OK {
            return Err(Error::memory("no memory for a decoder of deflated data"));
        }
        let flush = if blocks == Blocks::Each { z::Z_BLOCK } else { z::Z_NO_FLUSH };
        Ok(Self { stream, flush })
    }

    /// A stream without framing that goes on behind `window`, at the bit `place` of `packed`'s first byte.
    ///
    /// A place inside of a block needs the `header` of that block: its first byte, and the bit of that where
    /// it begins. What follows the first byte of `packed` is the first step's.
    ///
    /// # Errors
    /// `Memory` where there is none for the decoder; `Format` where the header is none.
    pub fn resume(window: &[u8], header: Option<Bits<'_>>, packed: Bits<'_>) -> Result<Self> {
        let mut own = Self::new(Framing::Raw, Blocks::None)?;
        let window = window.get(window.len().saturating_sub(WINDOW_BYTES)..).unwrap_or_default();
        if !window.is_empty() {
            let len = window.len() as z::uInt;
            // SAFETY: the stream is initialised and raw; the window has the length that is told.
            let set = unsafe { z::inflateSetDictionary(&mut *own.stream, window.as_ptr(), len) };
            check(set)?;
        }
        if let Some(header) = header {
            own.prime(header)?;
            own.flush = z::Z_TREES;
            own.step(header.bytes.get(1..).unwrap_or_default(), &mut []);
            if own.stream.data_type & HEADER_ENDS == 0 {
                return Err(Error::format("damaged compressed data: no block begins where one did"));
            }
            own.flush = z::Z_NO_FLUSH;
            // SAFETY: the stream is initialised; a negative count lets the bits go that it holds.
            check(unsafe { z::inflatePrime(&mut *own.stream, -1, 0) })?;
        }
        own.prime(packed)?;
        Ok(own)
    }

    /// Gives the stream the bits of a first byte.
    fn prime(&mut self, bits: Bits<'_>) -> Result<()> {
        let from = bits.from.min(7);
        let value = c_int::from(bits.bytes.first().copied().unwrap_or(0)) >> from;
        // SAFETY: the stream is initialised and raw, and holds no bits yet.
        check(unsafe { z::inflatePrime(&mut *self.stream, 8 - from as c_int, value) })
    }

    /// The bits of the last byte read that have not been used.
    pub fn bits_left(&self) -> u32 {
        (self.stream.data_type & 0x3f) as u32
    }

    /// Whether the next bit is the first of a code, and all codes before it have been written.
    ///
    /// This holds only where something of the block has been written already, and there was room left.
    pub fn is_between_codes(&self) -> bool {
        // SAFETY: the stream is initialised, and its sides are not NULL.
        unsafe { z::inflateMark(&*self.stream) == 0 }
    }

    /// The same stream at the beginning of another of its kind.
    ///
    /// # Errors
    /// `Internal` where the library refuses.
    pub fn restart(&mut self) -> Result<()> {
        // SAFETY: the stream is initialised.
        check(unsafe { z::inflateReset(&mut *self.stream) })
    }

    /// Inflates until one of the two sides or a block ends.
    pub fn step(&mut self, packed: &[u8], into: &mut [u8]) -> Step {
        let (given, room) = (clamp(packed.len()), clamp(into.len()));
        self.stream.next_in = packed.as_ptr();
        self.stream.avail_in = given;
        self.stream.next_out = into.as_mut_ptr();
        self.stream.avail_out = room;
        // SAFETY: the stream is initialised, and both sides have at least the lengths that are told.
        let result = unsafe { z::inflate(&mut *self.stream, self.flush) };
        let read = given.saturating_sub(self.stream.avail_in) as usize;
        let written = room.saturating_sub(self.stream.avail_out) as usize;
        // Nothing of the caller's is kept.
        self.stream.next_in = std::ptr::dangling();
        self.stream.avail_in = 0;
        self.stream.next_out = std::ptr::dangling_mut();
        self.stream.avail_out = 0;
        let state = self.stream.data_type;
        let stop = match result {
            z::Z_STREAM_END => Stop::End,
            z::Z_OK if state & (BLOCK_ENDS | LAST_BLOCK) == BLOCK_ENDS => Stop::Block,
            z::Z_OK | z::Z_BUF_ERROR => Stop::More,
            _ => Stop::Damaged,
        };
        Step { read, written, stop }
    }
}

impl Drop for BlockStream {
    fn drop(&mut self) {
        // SAFETY: the stream is initialised, and ended once.
        unsafe { z::inflateEnd(&mut *self.stream) };
    }
}

/// The error of a call that is made as the library wants it.
fn check(result: c_int) -> Result<()> {
    match result {
        z::Z_OK => Ok(()),
        z::Z_MEM_ERROR => Err(Error::memory("no memory for a decoder of deflated data")),
        other => Err(Error::internal(format!("the decoder of deflated data gave {other}"))),
    }
}

fn clamp(len: usize) -> z::uInt {
    z::uInt::try_from(len).unwrap_or(z::uInt::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Bytes that compress somewhat, and their gzip member.
    fn pair(len: u32, level: u32) -> (Vec<u8>, Vec<u8>) {
        let mut state = 1u32;
        let mut noise = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 & 0x1f
        };
        let plain: Vec<u8> = (0..len).map(&mut noise).collect();
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        to.write_all(&plain).unwrap();
        (plain, to.finish().unwrap())
    }

    /// What a stream holds from a bit on.
    fn rest(plain: &[u8], packed: &[u8], (bit, place): (usize, usize), block: Option<usize>) -> Vec<u8> {
        let window = &plain[place.saturating_sub(WINDOW_BYTES)..place];
        let at = |bit: usize| Bits { bytes: &packed[bit / 8..], from: (bit % 8) as u32 };
        let mut stream = BlockStream::resume(window, block.map(at), at(bit)).unwrap();
        let mut rest = vec![0u8; plain.len() - place];
        let step = stream.step(&packed[bit / 8 + 1..], &mut rest);
        assert_eq!(step.written, rest.len(), "{bit} {place}");
        rest
    }

    #[test]
    fn every_block_is_a_place_to_go_on_from() {
        for level in [0, 1, 2, 6, 9] {
            let (plain, packed) = pair(900_000, level);
            let mut stream = BlockStream::new(Framing::Gzip, Blocks::Each).unwrap();
            let (mut into, mut read, mut written) = (vec![0u8; plain.len()], 0, 0);
            let mut places = Vec::new();
            loop {
                let step = stream.step(&packed[read..(read + 1000).min(packed.len())], &mut into[written..]);
                read += step.read;
                written += step.written;
                match step.stop {
                    Stop::Block => places.push((read * 8 - stream.bits_left() as usize, written)),
                    Stop::More => {}
                    Stop::End => break,
                    Stop::Damaged => panic!("sound data"),
                }
            }
            assert_eq!((read, written), (packed.len(), plain.len()));
            assert_eq!(into, plain);
            assert_eq!(places[0], (80, 0), "the first block follows a header of ten bytes");
            assert!(level == 1 || places.len() > 5, "level {level}: {}", places.len());
            for &(bit, place) in &places {
                assert!(rest(&plain, &packed, (bit, place), None) == plain[place..], "{level} {bit} {place}");
            }
        }
    }

    #[test]
    fn the_inside_of_a_block_is_a_place_to_go_on_from() {
        for level in [1, 2, 6] {
            let (plain, packed) = pair(300_000, level);
            let mut stream = BlockStream::new(Framing::Gzip, Blocks::Each).unwrap();
            let (mut into, mut read, mut written) = (vec![0u8; plain.len() + 300], 0, 0);
            let (mut block, mut block_written, mut seen) = (0, 0, 0);
            loop {
                let step = stream.step(&packed[read..read + 1], &mut into[written..]);
                read += step.read;
                written += step.written;
                let bit = read * 8 - stream.bits_left() as usize;
                match step.stop {
                    Stop::Block => (block, block_written) = (bit, written),
                    Stop::More if written > block_written && stream.is_between_codes() => {
                        seen += 1;
                        if seen % 999 == 0 {
                            let rest = rest(&plain, &packed, (bit, written), Some(block));
                            assert!(rest == plain[written..], "{level} {bit} {written}");
                        }
                    }
                    Stop::More => {}
                    Stop::End => break,
                    Stop::Damaged => panic!("sound data"),
                }
            }
            assert!(seen > 9_990, "{seen}");
        }
    }

    #[test]
    fn a_block_that_is_none_is_refused() {
        let bits = |bytes| Bits { bytes, from: 0 };
        for header in [&[][..], &[0x07], &[0xfd, 0xff, 0xff, 0xff], &[0x05]] {
            assert!(BlockStream::resume(&[], Some(bits(header)), bits(&[0])).is_err(), "{header:?}");
        }
    }

    #[test]
    fn what_is_cut_or_damaged_is_told() {
        let (plain, mut packed) = pair(100_000, 6);
        let mut into = vec![0u8; plain.len() + 1];
        let mut stream = BlockStream::new(Framing::Gzip, Blocks::None).unwrap();
        let cut = stream.step(&packed[..packed.len() - 4], &mut into);
        assert_eq!((cut.stop, cut.written), (Stop::More, plain.len()));
        assert_eq!(stream.step(&[], &mut []).stop, Stop::More);
        stream.restart().unwrap();
        let last = packed.len() - 6;
        packed[last] ^= 1;
        assert_eq!(stream.step(&packed, &mut into).stop, Stop::Damaged, "a wrong checksum");
        assert_eq!(stream.step(&packed, &mut into).stop, Stop::Damaged);
    }
}
