//! An array whose slabs are inflated one by one, from the places of an index on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::log::{LogLevel, tell};
use crate::store::chunks::{Found, Piece, Source};
use crate::store::deflated::build::build;
use crate::store::deflated::packed::broken;
use crate::store::deflated::{Mark, Packed, Place, SeekIndex, Slabs, sidecar};
use crate::store::volume::grown;
use crate::store::{IndexPlace, Moment, Work};
use crate::sys::{Bits, BlockStream, Framing, Inflated, Stop, WINDOW_BYTES, crc32};

/// The most bytes before or behind a slab that are inflated with it, so that the faster decoder can have whole blocks.
const MOST_BEHIND: u64 = 1 << 20;
/// The packed bytes that a stream is fed at a time.
const FEED_BYTES: usize = 1 << 17;
/// The bytes of the longest header of a block.
const HEADER_BYTES: u64 = 320;
/// What a stored block begins with; its length follows.
const STORED_BYTES: usize = 5;
/// An empty block that is the last: its bits and their number. It ends a stream that is cut out of another.
const LAST_BLOCK: (u32, u32) = (0b11, 10);
/// An empty block of fixed codes: two bits more than a byte.
const TWO_MORE: (u128, u32) = (0b10, 10);
/// An empty block with codes of its own, a byte and all zeros for them: one bit more than twelve bytes.
const ONE_MORE: (u128, u32) = (0x1_7d4f_ec20_0000_0000_0881_e004, 97);

/// Where the slabs of an array come from.
#[derive(Debug)]
pub(in crate::store) struct SeekSource {
    packed: Packed,
    slabs: Slabs,
    /// The file where the index is kept.
    kept_at: Option<PathBuf>,
    index: Mutex<Option<Known>>,
    /// Whether the array would be kept whole in a cache that holds it.
    whole_if_it_fits: bool,
}

/// An index, and whether it was read and not made.
#[derive(Debug, Clone)]
struct Known {
    index: Arc<SeekIndex>,
    read: bool,
}

/// Plain bytes that are wanted: from `at` on, to be had from a place before.
#[derive(Debug, Clone, Copy)]
struct Span<'a> {
    index: &'a SeekIndex,
    from: Mark,
    at: u64,
}

impl SeekSource {
    /// The slabs of an array in these packed bytes; its index is made or read at the first use.
    pub(super) fn new(packed: Packed, slabs: Slabs, place: &IndexPlace, whole_if_it_fits: bool) -> Self {
        let kept_at = sidecar::path(&packed, place);
        Self { packed, slabs, kept_at, index: Mutex::default(), whole_if_it_fits }
    }

    fn known(&self) -> Result<Known> {
        // Who wants the index while it is made waits for it: a second pass would end no sooner.
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = index.as_ref() {
            return Ok(known.clone());
        }
        let read = self.kept_at.as_ref().and_then(|path| sidecar::read(path, &self.packed, &self.slabs));
        let (known, kept) = match read {
            Some(found) => (Known { index: Arc::new(found), read: true }, Ok(())),
            None => self.made()?,
        };
        *index = Some(known.clone());
        drop(index);
        self.say_where_not(kept);
        Ok(known)
    }

    /// An index made now, and whether it is kept where it is to be kept.
    fn made(&self) -> Result<(Known, Result<()>)> {
        let index = build(&self.packed, &self.slabs)?;
        let write = |path| sidecar::write(path, &self.packed, &self.slabs, &index);
        let kept = self.kept_at.as_deref().map_or(Ok(()), write);
        Ok((Known { index: Arc::new(index), read: false }, kept))
    }

    /// Voxels do not depend on a file for the index: where it cannot be written, that is told and no error.
    fn say_where_not(&self, kept: Result<()>) {
        if let Err(error) = kept {
            let (packed, why) = (self.packed.path().display(), error.message());
            let line = || format!("{packed}: its index is not kept, each process makes it anew: {why}");
            tell(LogLevel::Warning, line);
        }
    }

    /// Makes an index that turned out wrong anew.
    fn remade(&self) -> Result<Known> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        match index.as_ref().filter(|known| !known.read) {
            Some(known) => Ok(known.clone()),
            None => {
                let (known, kept) = self.made()?;
                *index = Some(known.clone());
                drop(index);
                self.say_where_not(kept);
                Ok(known)
            }
        }
    }

    fn slab(&self, index: &SeekIndex, number: u64, work: &mut Work, into: &mut [u8]) -> Result<()> {
        let range = self.slabs.range(number);
        let into = into.get_mut(..(range.end - range.start) as usize).unwrap_or_default();
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = range.start + done as u64;
            let (from, behind) = index.before(at)?;
            let member = behind.iter().find(|mark| mark.place == Place::End);
            let end = member.map_or(range.end, |end| end.plain.min(range.end));
            let rest = rest.get_mut(..end.saturating_sub(at) as usize).unwrap_or_default();
            if rest.is_empty() {
                return Err(Error::format("an index of the compressed data with a gap"));
            }
            let stop =
                behind.iter().find(|mark| mark.plain >= end && !matches!(mark.place, Place::Inside(..)));
            let whole = stop.filter(|stop| {
                stop.plain - end <= MOST_BEHIND && at - from.plain <= MOST_BEHIND && is_plain(from, **stop)
            });
            let span = Span { index, from, at };
            match whole {
                Some(stop) => self.blocks(&span, *stop, work, rest)?,
                None => self.stream(&span, work, rest)?,
            }
            done += rest.len();
        }
        let expected = index.sums.get(number as usize);
        if expected != Some(&crc32(0, into)) {
            return Err(Error::format(format!(
                "damaged compressed data: it has changed before byte {}",
                range.end
            )));
        }
        Ok(())
    }

    /// Inflates whole blocks in one call, as a stream of their own: the window in a stored block, blocks of
    /// nothing up to the bit where they begin in their byte, and an empty last block behind them.
    fn blocks(&self, span: &Span<'_>, stop: Mark, work: &mut Work, into: &mut [u8]) -> Result<()> {
        let Span { index, from, at } = *span;
        let window = match from.place {
            Place::Window(number) => Some(index.window(number)?),
            _ => None,
        };
        let window_len = window.map_or(0, |window| window.len as usize);
        let stored_len = window.map_or(0, |_| STORED_BYTES + window_len);
        let (filler, filler_bits) = filler((from.bit % 8) as u32);
        let head = stored_len + (filler_bits / 8) as usize;
        let (first, last) = (from.bit / 8, stop.bit.div_ceil(8));
        let len = head + (last - first) as usize + 2;
        let packed = grown(&mut work.packed, len)?;
        let (front, data) = packed.split_at_mut_checked(head).unwrap_or_default();
        let (stored, filled) = front.split_at_mut_checked(stored_len).unwrap_or_default();
        if let (Some(window), Some((stored, plain))) = (window, stored.split_at_mut_checked(STORED_BYTES)) {
            let [low, high] = (window_len as u16).to_le_bytes();
            stored.copy_from_slice(&[0, low, high, !low, !high]);
            window.inflate(&mut work.inflater, plain)?;
        }
        let filler = filler.to_le_bytes();
        filled.iter_mut().zip(filler).for_each(|(to, byte)| *to = byte);
        let (packed, end) = data.split_at_mut_checked((last - first) as usize).unwrap_or_default();
        self.packed.read_at(first, packed)?;
        end.fill(0);
        if let (Some(byte), Some(tail)) = (data.first_mut(), filler.get(filled.len())) {
            *byte = *byte & (u8::MAX << (from.bit % 8)) | tail;
        }
        finish(data, stop.bit - 8 * first);

        let plain_len = window_len + (stop.plain - from.plain) as usize;
        let between = grown(&mut work.between, plain_len)?;
        match work.inflater.inflate(Framing::Raw, work.packed.get(..len).unwrap_or_default(), between)? {
            Inflated::Whole { written, .. } if written == plain_len => {}
            _ => return Err(broken(from.plain)),
        }
        let begin = window_len + (at - from.plain) as usize;
        let found = between.get(begin..begin + into.len()).ok_or_else(|| broken(from.plain))?;
        into.copy_from_slice(found);
        Ok(())
    }

    /// Inflates from a place on, as far as is wanted, where blocks are too long to have them whole.
    fn stream(&self, span: &Span<'_>, work: &mut Work, into: &mut [u8]) -> Result<()> {
        let Span { index, from, at } = *span;
        let (number, block) = match from.place {
            Place::Inside(number, block) => (Some(number), Some(block)),
            Place::Window(number) => (Some(number), None),
            _ => (None, None),
        };
        let mut place = from.bit / 8;
        let mut packed = Feed { packed: &self.packed, bytes: grown(&mut work.packed, FEED_BYTES)? };
        let spare = grown(&mut work.between, WINDOW_BYTES)?;
        let window = match number {
            Some(number) => index.window(number)?.inflate(&mut work.inflater, spare)?,
            None => &mut [],
        };
        let mut header = Vec::new();
        if let Some(block) = block {
            header.extend_from_slice(packed.at(block / 8, HEADER_BYTES)?);
        }
        let header = block.map(|block| Bits { bytes: &header, from: (block % 8) as u32 });
        let first = Bits { bytes: packed.at(place, 1)?, from: (from.bit % 8) as u32 };
        let mut stream = BlockStream::resume(window, header, first)?;
        place += 1;

        let mut skip = at.saturating_sub(from.plain) as usize;
        let mut done = 0;
        while done < into.len() {
            let feed = packed.at(place, FEED_BYTES as u64)?;
            let skipping = skip.min(spare.len());
            let room = if skip > 0 { spare.get_mut(..skipping) } else { into.get_mut(done..) };
            let step = stream.step(feed, room.unwrap_or_default());
            place += step.read as u64;
            if skip > 0 {
                skip -= step.written;
            } else {
                done += step.written;
            }
            let stuck = step.read == 0 && step.written == 0;
            if stuck || matches!(step.stop, Stop::Damaged) || (step.stop == Stop::End && done < into.len()) {
                return Err(broken(from.plain));
            }
        }
        Ok(())
    }
}

impl Source for SeekSource {
    fn find(&self, _: &Piece, _: Moment) -> Result<Found> {
        Ok(Found::Packed)
    }

    fn whole_bytes(&self) -> u64 {
        if self.whole_if_it_fits { self.slabs.end() } else { 0 }
    }

    fn will_need(&self, piece: &Piece) {
        // The pass that makes an index reads all bytes in order, which the system foresees by itself.
        let Ok(known) = self.index.try_lock() else { return };
        let Some(Known { index, .. }) = known.as_ref() else { return };
        let range = self.slabs.range(piece.number);
        let (Ok((from, _)), Ok((_, behind))) = (index.before(range.start), index.before(range.end)) else {
            return;
        };
        let end = behind.first().map_or(self.packed.len, |mark| mark.bit.div_ceil(8));
        let first = from.bit / 8;
        self.packed.will_need(first, end.saturating_sub(first));
    }

    fn decode(&self, piece: &Piece, work: &mut Work, into: &mut [u8]) -> Result<()> {
        let known = self.known()?;
        match self.slab(&known.index, piece.number, work, into) {
            Err(error) if known.read && error.kind() == ErrorKind::Format => {
                self.slab(&self.remade()?.index, piece.number, work, into)
            }
            other => other,
        }
    }
}

/// Packed bytes, read as they are wanted.
struct Feed<'a> {
    packed: &'a Packed,
    bytes: &'a mut [u8],
}

impl Feed<'_> {
    /// At most `most` packed bytes from this place on: fewer at the end.
    fn at(&mut self, place: u64, most: u64) -> Result<&[u8]> {
        let len = most.min(self.packed.len.saturating_sub(place)).min(self.bytes.len() as u64);
        let bytes = self.bytes.get_mut(..len as usize).unwrap_or_default();
        self.packed.read_at(place, bytes)?;
        Ok(bytes)
    }
}

/// Whether blocks from one place to another can be had in one call.
fn is_plain(from: Mark, stop: Mark) -> bool {
    let (packed, plain) = (stop.bit.saturating_sub(from.bit) / 8, stop.plain - from.plain);
    // Blocks of nothing cost memory here, which a stream does not ask for.
    !matches!(from.place, Place::Inside(..)) && packed <= 2 * plain + MOST_BEHIND
}

/// Blocks of nothing that have this many bits more than some bytes, and the number of their bits.
///
/// The bits of blocks cannot be moved within their bytes, as stored ones begin with a byte.
fn filler(more: u32) -> (u128, u32) {
    let odd = if more % 2 == 1 { ONE_MORE } else { (0, 0) };
    let add = |(bits, count): (u128, u32), _| (bits | TWO_MORE.0 << count, count + TWO_MORE.1);
    (0..more / 2).fold(odd, add)
}

/// Writes an empty last block at this bit, over what stood there.
fn finish(bytes: &mut [u8], bit: u64) {
    let (value, count) = LAST_BLOCK;
    let (shift, mut left) = ((bit % 8) as u32, count);
    let mut value = value << shift;
    left += shift;
    let mut kept = (1u32 << shift) - 1;
    for byte in bytes.get_mut((bit / 8) as usize..).unwrap_or_default() {
        if left == 0 {
            break;
        }
        *byte = *byte & kept as u8 | value as u8;
        (value, kept) = (value >> 8, 0);
        left = left.saturating_sub(8);
    }
}
