//! Where deflated bytes lie in a file, and how all of them become plain in one go.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::volume::grown;
use crate::store::{Moment, StoredFile, Work};
use crate::sys::{BlockStream, Blocks, Framing, Inflated, Inflater, Stop, crc32, zeroed_bytes};

/// What a gzip member begins with.
pub(super) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The bytes behind the array that are inflated at a time, for the checksum behind them.
const TAIL_BYTES: usize = 1 << 16;

/// Deflated bytes in a file.
#[derive(Debug)]
pub(in crate::store) struct Packed {
    file: Arc<StoredFile>,
    /// The bytes of the file before the packed ones.
    pub(super) start: u64,
    /// The number of packed bytes.
    pub(super) len: u64,
    /// What is written around them.
    pub(super) framing: Framing,
    /// The checksum of the plain bytes, where the framing has none.
    pub(super) sum: Option<u32>,
}

impl Packed {
    /// A file that is gzip, of one or more members.
    pub(in crate::store) fn gzip(file: Arc<StoredFile>) -> Self {
        let len = file.byte_len();
        Self { file, start: 0, len, framing: Framing::Gzip, sum: None }
    }

    /// Deflated bytes from `start` on, whose plain bytes have this CRC-32.
    pub(in crate::store) fn member(file: Arc<StoredFile>, (start, len): (u64, u64), sum: u32) -> Self {
        Self { file, start, len, framing: Framing::Raw, sum: Some(sum) }
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Reads packed bytes from this place among them on.
    ///
    /// # Errors
    /// `Format` where the file has become smaller; as the system says.
    pub(super) fn read_at(&self, place: u64, into: &mut [u8]) -> Result<()> {
        self.file.read_at(self.start.saturating_add(place), into)
    }

    /// Asks the system to read packed bytes ahead.
    pub(super) fn will_need(&self, place: u64, len: u64) {
        self.file.will_need(len, std::iter::once(self.start.saturating_add(place)));
    }

    /// Gives all packed bytes at once.
    fn with_bytes(&self, own: &mut Vec<u8>, take: impl FnOnce(&[u8]) -> Result<()>) -> Result<()> {
        if !self.file.is_mapped() {
            let bytes = grown(own, self.len as usize)?;
            self.read_at(0, bytes)?;
            return take(bytes);
        }
        let map = self.file.map(Moment::default())?;
        let end = self.start.saturating_add(self.len);
        let bytes = map.bytes().get(self.start as usize..end as usize);
        take(bytes.ok_or_else(|| Error::format("truncated: the compressed data ends behind the file"))?)
    }

    /// Inflates the first bytes of the stream: as many as `into` has.
    ///
    /// Gzip files may go on behind them, zip members may not.
    ///
    /// # Errors
    /// `Format` where the stream is damaged, or holds fewer; as the system says.
    pub(super) fn inflate(&self, work: &mut Work, into: &mut [u8]) -> Result<()> {
        let Work { packed, inflater, .. } = work;
        let done = self.with_bytes(packed, |bytes| match self.framing {
            Framing::Gzip => inflate_members(inflater, bytes, into),
            framing => self.inflate_member(framing, inflater, bytes, into),
        });
        done.map_err(|error| error.in_file(self.path()))
    }

    fn inflate_member(
        &self,
        framing: Framing,
        inflater: &mut Inflater,
        bytes: &[u8],
        into: &mut [u8],
    ) -> Result<()> {
        let written = match inflater.inflate(framing, bytes, into)? {
            Inflated::Whole { written, .. } => written,
            Inflated::NoRoom => return Err(too_long()),
            Inflated::Damaged => stream(framing, bytes, into, 0)?.1,
        };
        if written < into.len() {
            return Err(too_short(written as u64, into.len() as u64));
        }
        match self.sum {
            Some(sum) if sum != crc32(0, into) => Err(wrong_sum()),
            _ => Ok(()),
        }
    }
}

/// Inflates gzip members, one after the other, until `into` is full.
fn inflate_members(inflater: &mut Inflater, bytes: &[u8], into: &mut [u8]) -> Result<()> {
    let (mut rest, mut filled, needed) = (bytes, 0, into.len());
    loop {
        let room = into.get_mut(filled..).unwrap_or_default();
        let (read, written) = match inflater.inflate(Framing::Gzip, rest, room)? {
            Inflated::Whole { read, written } => (read, written),
            // The array may end inside of a member; and only a stream can say how far damaged data goes.
            Inflated::NoRoom | Inflated::Damaged => stream(Framing::Gzip, rest, room, filled)?,
        };
        filled += written;
        rest = rest.get(read..).unwrap_or_default();
        if filled == needed {
            return Ok(());
        }
        let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
        rest = rest.get(zeros..).unwrap_or_default();
        if !rest.starts_with(&GZIP_MAGIC) {
            return Err(too_short(filled as u64, needed as u64));
        }
    }
}

/// Inflates a member to its end and gives the bytes read and written; what has no room is let go.
fn stream(framing: Framing, bytes: &[u8], into: &mut [u8], before: usize) -> Result<(usize, usize)> {
    let mut stream = BlockStream::new(framing, Blocks::None)?;
    let (mut read, mut written) = (0, 0);
    let mut tail = Vec::new();
    loop {
        let rest = bytes.get(read..).unwrap_or_default();
        let room = into.get_mut(written..).filter(|room| !room.is_empty());
        let full = room.is_none();
        if full && tail.is_empty() {
            tail = zeroed_bytes(TAIL_BYTES)?;
        }
        let step = stream.step(rest, room.unwrap_or(&mut tail));
        read += step.read;
        written += if full { 0 } else { step.written };
        match step.stop {
            Stop::End => return Ok((read, written)),
            Stop::Damaged => return Err(broken((before + written) as u64)),
            Stop::More if step.read == 0 && step.written == 0 => {
                return Err(cut((before + written) as u64, (before + into.len()) as u64));
            }
            Stop::More | Stop::Block => {}
        }
    }
}

/// The error about a stream whose packed bytes end before it does.
pub(super) fn cut(found: u64, needed: u64) -> Error {
    if found >= needed {
        return Error::format("truncated: the compressed data ends before its checksum");
    }
    Error::format(format!("truncated: the compressed data ends after {found} bytes, {needed} are needed"))
}

/// The error about a sound stream of too few bytes.
pub(super) fn too_short(found: u64, needed: u64) -> Error {
    Error::format(format!("truncated: the compressed data holds {found} bytes, {needed} are needed"))
}

/// The error about a stream that goes on where it should not.
pub(super) fn too_long() -> Error {
    Error::format("the compressed data holds more bytes than its header says")
}

/// The error about bytes that are no deflated data, or not what their checksum says.
pub(super) fn broken(after: u64) -> Error {
    Error::format(format!("damaged compressed data, or a wrong checksum, after {after} bytes"))
}

/// The error about plain bytes that are not what was packed.
pub(super) fn wrong_sum() -> Error {
    Error::format("damaged compressed data: its checksum is wrong")
}
