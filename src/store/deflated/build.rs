//! The first pass through a stream: its index is made, and its checksums are compared.

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::error::{Error, Result};
use crate::store::deflated::packed::{GZIP_MAGIC, broken, cut, too_long, too_short, wrong_sum};
use crate::store::deflated::{Mark, Packed, Place, SeekIndex, SeekWindow, Slabs};
use crate::sys::{BlockStream, Blocks, Framing, Stop, WINDOW_BYTES, crc32, zeroed_bytes};

/// The packed bytes that are read at a time, and the plain ones that are held behind the window.
const READ_BYTES: usize = 1 << 18;
/// The plain bytes from one noted place to the next, at least.
const NEAREST: u64 = 1 << 16;
/// The plain bytes of a block behind which a place inside of it is noted.
const LONG_BLOCK: u64 = 1 << 18;
/// More plain bytes than one packed byte can give.
const MOST_OF_A_BYTE: usize = 8 * 258;

/// Makes the index of a stream that holds an array cut into slabs.
///
/// # Errors
/// `Format` where the stream is damaged, or holds fewer bytes; as the system says.
pub(super) fn build(packed: &Packed, slabs: &Slabs) -> Result<SeekIndex> {
    let mut builder = Builder {
        input: Input { packed, bytes: zeroed_bytes(READ_BYTES)?, at: 0, have: 0, place: 0 },
        output: Output { bytes: zeroed_bytes(WINDOW_BYTES + READ_BYTES)?, at: 0, plain: 0, member: 0 },
        slabs: *slabs,
        index: SeekIndex::default(),
        window: Vec::with_capacity(WINDOW_BYTES),
        deflater: Compress::new(Compression::fast(), false),
        next_slab: 0,
        summed: Summed { slab: slabs.range(0), number: 0, sum: 0, whole: 0 },
        block: (0, 0),
    };
    builder.run()?;
    Ok(builder.index)
}

/// The packed bytes of a stream.
struct Input<'a> {
    packed: &'a Packed,
    bytes: Vec<u8>,
    at: usize,
    have: usize,
    /// The place of the first of `bytes` among the packed ones.
    place: u64,
}

impl Input<'_> {
    /// The bytes that have not been used: two at least, where the stream has them.
    fn unread(&mut self) -> Result<&[u8]> {
        if self.have - self.at < 2 {
            self.bytes.copy_within(self.at..self.have, 0);
            self.place += self.at as u64;
            self.have -= self.at;
            self.at = 0;
            let place = self.place + self.have as u64;
            let into = self.bytes.get_mut(self.have..).unwrap_or_default();
            let more = (into.len() as u64).min(self.packed.len.saturating_sub(place)) as usize;
            self.packed.read_at(place, into.get_mut(..more).unwrap_or_default())?;
            self.have += more;
        }
        Ok(self.bytes.get(self.at..self.have).unwrap_or_default())
    }

    /// Whether another gzip member follows, behind zeros where there are some.
    fn has_member(&mut self) -> Result<bool> {
        loop {
            let unread = self.unread()?;
            let zeros = unread.iter().take_while(|&&byte| byte == 0).count();
            if zeros == 0 {
                return Ok(unread.starts_with(&GZIP_MAGIC));
            }
            self.at += zeros;
        }
    }

    fn bit(&self) -> u64 {
        (self.place + self.at as u64) * 8
    }
}

/// The plain bytes of a stream, of which the last ones are held.
struct Output {
    bytes: Vec<u8>,
    at: usize,
    /// The plain bytes so far, and those before this member.
    plain: u64,
    member: u64,
}

impl Output {
    /// Room for the next bytes.
    fn room(&mut self) -> &mut [u8] {
        if self.bytes.len() - self.at < MOST_OF_A_BYTE {
            self.bytes.copy_within(self.at - WINDOW_BYTES..self.at, 0);
            self.at = WINDOW_BYTES;
        }
        self.bytes.get_mut(self.at..).unwrap_or_default()
    }

    /// The bytes that the next ones may refer to.
    fn window(&self) -> &[u8] {
        let len = (self.plain - self.member).min(WINDOW_BYTES as u64) as usize;
        self.bytes.get(self.at.saturating_sub(len)..self.at).unwrap_or_default()
    }
}

/// The checksums of the slabs and of all bytes.
struct Summed {
    slab: std::ops::Range<u64>,
    number: u64,
    sum: u32,
    whole: u32,
}

struct Builder<'a> {
    input: Input<'a>,
    output: Output,
    slabs: Slabs,
    index: SeekIndex,
    /// What the last place may refer to.
    window: Vec<u8>,
    deflater: Compress,
    /// The first slab that begins at or behind the last place.
    next_slab: u64,
    summed: Summed,
    /// The bit where this block begins, and the plain bytes before it.
    block: (u64, u64),
}

impl Builder<'_> {
    fn run(&mut self) -> Result<()> {
        let (framing, end) = (self.input.packed.framing, self.slabs.end());
        let mut stream = BlockStream::new(framing, Blocks::Each)?;
        loop {
            let mut begun = framing == Framing::Raw;
            if begun {
                self.note(Place::Fresh, 0)?;
            }
            self.member(&mut stream, &mut begun)?;
            if self.output.plain >= end || framing != Framing::Gzip || !self.input.has_member()? {
                break;
            }
            self.output.member = self.output.plain;
            stream.restart()?;
        }
        let plain = self.output.plain;
        if plain < end {
            return Err(too_short(plain, end));
        }
        match self.input.packed.sum {
            Some(_) if plain > end => Err(too_long()),
            Some(sum) if sum != self.summed.whole => Err(wrong_sum()),
            _ => Ok(()),
        }
    }

    /// Goes through a stream or member to its end.
    fn member(&mut self, stream: &mut BlockStream, begun: &mut bool) -> Result<()> {
        loop {
            let step = self.step(stream)?;
            let bit = self.input.bit().saturating_sub(u64::from(stream.bits_left()));
            match step.stop {
                Stop::Damaged => return Err(broken(self.output.plain)),
                Stop::End => return self.end(),
                Stop::Block => {
                    self.block = (bit, self.output.plain);
                    let place = if *begun { Place::Block } else { Place::Fresh };
                    *begun = true;
                    self.note(place, bit)?;
                }
                Stop::More if step.read == 0 && step.written == 0 && self.input.unread()?.is_empty() => {
                    return Err(cut(self.output.plain, self.slabs.end()));
                }
                Stop::More => {
                    if self.until_long() == 0 && stream.is_between_codes() {
                        self.note(Place::Inside(0, self.block.0), bit)?;
                        self.block.1 = self.output.plain;
                    }
                }
            }
        }
    }

    /// The plain bytes that are left until the block is so long that a place inside of it is noted.
    fn until_long(&self) -> u64 {
        (self.block.1 + LONG_BLOCK).saturating_sub(self.output.plain)
    }

    /// One step of the stream: a packed byte where the end of a code is looked for, else as many as there are.
    fn step(&mut self, stream: &mut BlockStream) -> Result<crate::sys::Step> {
        let left = self.until_long();
        let unread = self.input.unread()?;
        let room = self.output.room();
        let step = if left == 0 {
            stream.step(unread.get(..1).unwrap_or_default(), room)
        } else {
            let most = room.len().min(left as usize);
            stream.step(unread, room.get_mut(..most).unwrap_or_default())
        };
        self.input.at += step.read;
        let from = self.output.at;
        self.output.at += step.written;
        let written = self.output.bytes.get(from..self.output.at).unwrap_or_default();
        self.summed.add(written, self.output.plain, (&self.slabs, &mut self.index.sums));
        if self.input.packed.sum.is_some() {
            self.summed.whole = crc32(self.summed.whole, written);
        }
        self.output.plain += step.written as u64;
        Ok(step)
    }

    /// Notes a place, unless it lies behind the array or just behind another.
    fn note(&mut self, place: Place, bit: u64) -> Result<()> {
        let plain = self.output.plain;
        let last = self.index.marks.last();
        let behind = last.is_some_and(|last| last.plain >= self.slabs.end());
        let near = last.is_some_and(|last| plain - last.plain < NEAREST) && place != Place::Fresh;
        if behind || near {
            return Ok(());
        }
        self.settle()?;
        self.index.marks.push(Mark { plain, bit, place });
        self.window.clear();
        self.window.extend_from_slice(self.output.window());
        Ok(())
    }

    /// Makes the last place one to go on from, where a slab begins between it and here.
    fn settle(&mut self) -> Result<()> {
        let from = self.next_slab;
        while self.next_slab < self.slabs.count()
            && self.slabs.range(self.next_slab).start < self.output.plain
        {
            self.next_slab += 1;
        }
        let number = u32::try_from(self.index.windows.len());
        let number = number.map_err(|_| Error::unsupported("an index of more than 2^32 windows"))?;
        let Some(last) = self.index.marks.last_mut() else { return Ok(()) };
        match (last.place, from < self.next_slab) {
            (Place::Inside(..), false) => {
                self.index.marks.pop();
            }
            (Place::Inside(_, block), true) => {
                last.place = Place::Inside(number, block);
                self.keep_window()?;
            }
            (Place::Block, true) => {
                last.place = Place::Window(number);
                self.keep_window()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Deflates the window of the last place and keeps it.
    fn keep_window(&mut self) -> Result<()> {
        self.deflater.reset();
        // The fastest way writes up to nine bits for a byte.
        let mut bytes = Vec::with_capacity(self.window.len() + self.window.len() / 4 + 1024);
        let done = self.deflater.compress_vec(&self.window, &mut bytes, FlushCompress::Finish);
        if done.ok() != Some(Status::StreamEnd) {
            return Err(Error::internal("a window that cannot be deflated"));
        }
        bytes.shrink_to_fit();
        self.index.windows.push(SeekWindow { len: self.window.len() as u32, bytes });
        Ok(())
    }

    /// Notes the end of a stream or member.
    fn end(&mut self) -> Result<()> {
        self.settle()?;
        let (plain, bit) = (self.output.plain, self.input.bit());
        let marks = &mut self.index.marks;
        if marks.last().is_some_and(|last| last.place == Place::Fresh && last.plain == plain) {
            // An empty member, as some programs write at the end.
            marks.pop();
        } else if marks.last().is_none_or(|last| last.plain < self.slabs.end()) {
            marks.push(Mark { plain, bit, place: Place::End });
        }
        Ok(())
    }
}

impl Summed {
    /// Adds bytes, of which `plain` are before.
    fn add(&mut self, bytes: &[u8], plain: u64, (slabs, sums): (&Slabs, &mut Vec<u32>)) {
        let skipped = self.slab.start.saturating_sub(plain).min(bytes.len() as u64);
        let mut plain = plain + skipped;
        let mut rest = bytes.get(skipped as usize..).unwrap_or_default();
        while !rest.is_empty() && self.number < slabs.count() {
            let len = (self.slab.end - plain).min(rest.len() as u64);
            let (own, others) = rest.split_at_checked(len as usize).unwrap_or_default();
            self.sum = crc32(self.sum, own);
            plain += len;
            rest = others;
            if plain == self.slab.end {
                sums.push(self.sum);
                self.number += 1;
                self.sum = 0;
                self.slab = slabs.range(self.number);
            }
        }
    }
}
