//! What stays the same for all rows of a gather, and what is done with each of them.

use crate::sys::kernels::part::Channels;
use crate::sys::kernels::plane::{Plane, Strand, ask_ahead, each_row, each_row_in_turn};
use crate::sys::kernels::shuffle::unshuffle_spaced;
use crate::sys::kernels::stream::{LEAST, Stores, fence};
use crate::sys::kernels::table::{Form, Kernels, Turn};
use crate::voxel::DType;

/// The elements that are turned at once where they must be packed or scaled first.
const CHUNK: usize = 512;

/// How packed elements of one type become those of another.
#[derive(Clone, Copy)]
enum Turning {
    /// They stay what they are.
    None,
    /// In one pass.
    Once(Turn),
    /// Scaled into f64, then rounded.
    Twice(Turn, Turn),
}

/// Where the bytes of stored elements are, but for the space between elements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::sys) struct Order {
    /// Whether an element's bytes are in the other order.
    pub(in crate::sys) swapped: bool,
    /// From one byte of an element to its next, where they are parted.
    pub(in crate::sys) shuffled: Option<usize>,
}

/// One gather's way from stored to wanted elements.
pub(in crate::sys) struct Job {
    kernels: &'static Kernels,
    /// The bytes of a stored and of a wanted element.
    size: usize,
    width: usize,
    order: Order,
    turning: Turning,
    /// The same in one pass that writes whole lines past the caches, where that is asked for and there is one.
    past: Option<Turn>,
    /// Slope and intercept.
    scale: [f64; 2],
    /// Whether whole lines of the target go past the caches.
    streams: bool,
}

/// Room for one piece of a row at each stage of its way.
#[repr(align(64))]
pub(in crate::sys) struct Scratch {
    /// Stored elements, side by side and in this machine's byte order.
    packed: [u8; CHUNK * 8],
    /// The same as f64.
    wide: [u8; CHUNK * 8],
    /// Wanted elements that are streamed from here.
    turned: [u8; CHUNK * 8],
}

impl Scratch {
    fn new() -> Self {
        Self { packed: [0; CHUNK * 8], wide: [0; CHUNK * 8], turned: [0; CHUNK * 8] }
    }
}

impl Job {
    /// The way of elements from one dtype to another, scaled or not.
    pub(in crate::sys) fn new(
        kernels: &'static Kernels,
        (from, order): (DType, Order),
        (into, scale): (DType, Option<[f64; 2]>),
        stores: Stores,
    ) -> Self {
        let streams = stores == Stores::Streaming;
        let form = if scale.is_some() { Form::Scaled } else { Form::Plain };
        let turning = match scale {
            None if from == into && from != DType::Bool => Turning::None,
            None => Turning::Once((kernels.turn)(from, into)),
            Some(_) if into == DType::F64 => Turning::Once((kernels.widened)(from)),
            Some(_) => match (kernels.scaled)(from, into) {
                Some(once) => Turning::Once(once),
                None => Turning::Twice((kernels.widened)(from), (kernels.turn)(DType::F64, into)),
            },
        };
        let turns = !matches!(turning, Turning::None);
        let past = if streams && turns { (kernels.streamed)(from, into, form) } else { None };
        let (size, width) = (from.byte_len(), into.byte_len());
        let order = if size > 1 { order } else { Order::default() };
        let scale = scale.unwrap_or_default();
        Self { kernels, size, width, order, turning, past, scale, streams }
    }

    /// The bytes from the first to behind the last of one stored element.
    pub(in crate::sys) fn reach(&self) -> usize {
        let parted = |distance: usize| distance.saturating_mul(self.size - 1).saturating_add(1);
        self.order.shuffled.map_or(self.size, parted)
    }

    /// The bytes from one stored element to the next, where they lie side by side.
    pub(in crate::sys) fn step(&self) -> usize {
        if self.order.shuffled.is_some() { 1 } else { self.size }
    }

    /// The bytes that a row of this span is to be asked for ahead: nothing where a chunk was just decoded.
    pub(in crate::sys) fn asked(&self, span: usize) -> usize {
        // What follows comes by itself.
        const MOST: usize = 512;
        if self.order.shuffled.is_some() { 0 } else { span.saturating_add(self.size).min(MOST) }
    }

    /// The bytes that a target row of this length is to be asked for ahead, where the next begins `step` on.
    pub(in crate::sys) fn claimed(&self, len: usize, step: usize) -> usize {
        // Longer rows are seen coming.
        const MOST: usize = 256;
        if self.streams_rows(len) || len == step || len >= MOST { 0 } else { len }
    }

    /// Whether target rows of so many bytes go past the caches.
    fn streams_rows(&self, len: usize) -> bool {
        self.streams && len >= LEAST
    }

    /// The bytes of an element of the target.
    pub(in crate::sys) fn width(&self) -> usize {
        self.width
    }

    /// Turns the rows of planes that lie side by side in the target, a row of each in turn; true where all fit, nothing
    /// where they have to be turned one after the other.
    pub(in crate::sys) fn weave(&self, strands: &mut [Strand<'_>], target: &mut [u8]) -> Option<bool> {
        let turn = match self.turning {
            Turning::None => None,
            Turning::Once(turn) if !self.streams => Some(turn),
            Turning::Once(_) | Turning::Twice(..) => Some(self.past?),
        };
        let lies_within = |strand: &Strand<'_>| {
            self.is_packed(strand.plane.step) && strand.plane.lies_within(strand.source.len(), target.len())
        };
        if strands.len() < 2 || !strands.iter().all(lies_within) {
            return None;
        }
        let mut fits = true;
        match turn {
            Some(turn) => {
                each_row_in_turn(strands, target, |from, into| fits &= self.turn(turn, from, into));
            }
            None => {
                let past = strands.iter().all(|strand| self.streams_rows(strand.plane.into_len));
                let copy = if past { self.kernels.stream_woven } else { self.kernels.weave };
                // SAFETY: the kernels are those of an instruction set that this machine has.
                unsafe { copy(strands, target) };
            }
        }
        Some(fits)
    }

    /// Turns the rows of a plane; true where all fit, none where a row lies outside its buffer.
    pub(in crate::sys) fn plane(
        &self,
        (source, plane): (&[u8], &Plane),
        target: &mut [u8],
        scratch: &mut Option<Scratch>,
    ) -> Option<bool> {
        if !plane.lies_within(source.len(), target.len()) {
            return None;
        }
        let mut fits = true;
        match self.turning {
            Turning::None if self.is_packed(plane.step) => {
                let past = self.streams_rows(plane.into_len);
                let copy = if past { self.kernels.stream } else { self.kernels.copy };
                // SAFETY: the kernels are those of an instruction set that this machine has.
                unsafe { copy(source, plane, target) };
            }
            // Streamed or not: what is collected has to be put side by side in between, which costs more.
            Turning::None if self.order == Order::default() => {
                // SAFETY: as above.
                unsafe { (self.kernels.collect_rows)(source, plane, self.size, target) };
            }
            Turning::Once(turn) if self.is_packed(plane.step) && !self.streams => {
                each_row(source, plane, target, |from, into| fits &= self.turn(turn, from, into));
            }
            _ if let Some(past) = self.past.filter(|_| self.is_packed(plane.step)) => {
                each_row(source, plane, target, |from, into| fits &= self.turn(past, from, into));
            }
            _ => {
                let scratch = scratch.get_or_insert_with(Scratch::new);
                each_row(source, plane, target, |from, into| {
                    let mut done = 0;
                    while done < plane.len {
                        let count = CHUNK.min(plane.len - done);
                        let piece = into.get_mut(done * self.width..(done + count) * self.width);
                        let piece = (piece.unwrap_or_default(), count);
                        fits &= self.piece((from, plane.step, done), piece, scratch);
                        done += count;
                    }
                });
            }
        }
        Some(fits)
    }

    /// The channels of voxels that can be parted in one pass, given how many and how far apart they begin in
    /// the target; nothing where there is no loop for them.
    pub(in crate::sys) fn parted(&self, (count, apart): (usize, usize)) -> Option<Channels> {
        let channels = Channels { count, size: self.width, apart };
        channels.are_usual().then_some(channels)
    }

    /// Parts the channels of a plane, whose target rows are those of the first channel; true where all fit, none where
    /// a row lies outside its buffer.
    pub(in crate::sys) fn part(
        &self,
        (source, plane): (&[u8], &Plane),
        channels: &Channels,
        target: &mut [u8],
        scratch: &mut Option<Scratch>,
    ) -> Option<bool> {
        let reach = Plane { into_len: channels.reach(plane.into_len)?, ..*plane };
        if !reach.lies_within(source.len(), target.len()) {
            return None;
        }
        let part = self.kernels.part;
        if matches!(self.turning, Turning::None) && self.order == Order::default() {
            // SAFETY: the kernels are those of an instruction set that this machine has.
            unsafe { part(source, plane, channels, target) };
            return Some(true);
        }
        let Scratch { packed, wide, turned } = scratch.get_or_insert_with(Scratch::new);
        let (mut fits, mut from, mut into) = (true, plane.from, plane.into);
        for row in 0..plane.count {
            ask_ahead(source, plane, row, from);
            let stored = source.get(from..from.wrapping_add(plane.from_len))?;
            let mut done = 0;
            while done < plane.len {
                let voxels = (CHUNK / channels.count).min(plane.len - done);
                let elements = voxels * channels.count;
                let place = (stored, self.step() as isize, done * channels.count);
                let turned = turned.get_mut(..elements * self.width)?;
                fits &= self.turned(place, (&mut *turned, elements), (&mut *packed, &mut *wide));
                let row = Plane::row(turned.len(), voxels * self.width);
                let row = Plane { into: into + done * self.width, len: voxels, ..row };
                // SAFETY: as above.
                unsafe { part(turned, &row, channels, target) };
                done += voxels;
            }
            from = from.wrapping_add_signed(plane.from_step);
            into = into.wrapping_add(plane.into_step);
        }
        Some(fits)
    }

    /// Orders what was streamed before whatever this thread writes later.
    pub(in crate::sys) fn finish(&self) {
        if self.streams {
            fence();
        }
    }

    /// Whether elements this far apart lie side by side, each with its bytes in order.
    fn is_packed(&self, step: isize) -> bool {
        step == self.size as isize && !self.order.swapped && self.order.shuffled.is_none()
    }

    /// One piece of a row: from element `skip` on, as many as there is room for.
    fn piece(
        &self,
        (from, step, skip): (&[u8], isize, usize),
        (into, count): (&mut [u8], usize),
        scratch: &mut Scratch,
    ) -> bool {
        let Scratch { packed, wide, turned } = scratch;
        let place = (from, step, skip);
        if let Some(past) = self.past {
            let Some(packed) = packed.get_mut(..count * self.size) else { return true };
            return self.turn(past, self.packed_or_there(place, packed), into);
        }
        if !self.streams_rows(into.len()) {
            return self.turned(place, (into, count), (packed, wide));
        }
        let Some(turned) = turned.get_mut(..count * self.width) else { return true };
        let fits = self.turned(place, (&mut *turned, count), (packed, wide));
        let row = Plane::row(turned.len(), into.len());
        // SAFETY: the kernels are those of an instruction set that this machine has.
        unsafe { (self.kernels.stream)(turned, &row, into) };
        fits
    }

    /// The wanted elements of a piece of a row, side by side.
    fn turned(
        &self,
        place: (&[u8], isize, usize),
        (into, count): (&mut [u8], usize),
        (packed, wide): (&mut [u8], &mut [u8]),
    ) -> bool {
        let (Some(packed), Some(wide)) = (packed.get_mut(..count * self.size), wide.get_mut(..count * 8))
        else {
            return true;
        };
        match self.turning {
            Turning::None => {
                self.pack(place, into);
                true
            }
            Turning::Once(turn) => self.turn(turn, self.packed_or_there(place, packed), into),
            Turning::Twice(widen, narrow) => {
                self.turn(widen, self.packed_or_there(place, packed), wide);
                self.turn(narrow, wide, into)
            }
        }
    }

    /// Turns packed elements.
    fn turn(&self, turn: Turn, from: &[u8], into: &mut [u8]) -> bool {
        // SAFETY: the conversions come from the kernels, which are those of an instruction set that is there.
        unsafe { turn(from, into, self.scale) }
    }

    /// The elements where they are, if they are packed there; else packed here.
    fn packed_or_there<'b>(
        &self,
        (from, step, skip): (&'b [u8], isize, usize),
        packed: &'b mut [u8],
    ) -> &'b [u8] {
        if self.is_packed(step) {
            let first = skip * self.size;
            return from.get(first..first + packed.len()).unwrap_or_default();
        }
        self.pack((from, step, skip), packed);
        packed
    }

    /// Puts elements side by side and in this machine's byte order.
    fn pack(&self, (from, step, skip): (&[u8], isize, usize), packed: &mut [u8]) {
        let Self { kernels, size, order: Order { swapped, shuffled }, .. } = *self;
        let skipped = skip * step.unsigned_abs();
        // Read backwards, a row begins at the end of the bytes that it touches.
        let end = from.len().saturating_sub(skipped);
        let from = if step < 0 { from.get(..end) } else { from.get(skipped..) }.unwrap_or_default();
        match shuffled {
            // SAFETY: the kernels are those of an instruction set that this machine has.
            Some(distance) if step == 1 => unsafe { (kernels.unshuffle)(from, (distance, size), packed) },
            Some(distance) => {
                let last = from.len().saturating_sub(self.reach());
                let first = if step < 0 { last } else { 0 };
                unshuffle_spaced(from, (distance, size), (first, step), packed);
            }
            None if step == size as isize && swapped => {
                let from = from.get(..packed.len()).unwrap_or_default();
                // SAFETY: as above.
                return unsafe { (kernels.swap_into)(from, size, packed) };
            }
            // SAFETY: as above.
            None => unsafe { (kernels.collect)(from, (step, size), packed) },
        }
        if swapped {
            // SAFETY: as above.
            unsafe { (kernels.swap)(packed, size) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_jobs_for_who_does_not_read_them_next_go_past_the_caches() {
        for stores in [Stores::Cached, Stores::Streaming] {
            let dtypes = (DType::F32, Order::default());
            let job = Job::new(Kernels::of_this_machine(), dtypes, (DType::F32, None), stores);
            assert_eq!(job.streams, stores == Stores::Streaming);
        }
    }
}
