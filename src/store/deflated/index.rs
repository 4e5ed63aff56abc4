//! The places in a deflated stream to go on from, or to stop at.

use crate::error::{Error, Result};
use crate::sys::{Framing, Inflated, Inflater, WINDOW_BYTES};

/// What can be done at a place of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Place {
    /// A member's deflated data begins.
    Fresh,
    /// A block begins; one may stop here, but not go on.
    Block,
    /// A block begins, behind the window of this number.
    Window(u32),
    /// Inside of the block whose header begins at a bit, behind the window of this number.
    Inside(u32, u64),
    /// A member has ended.
    End,
}

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Mark {
    /// The plain bytes before it.
    pub plain: u64,
    /// The packed bits before it.
    pub bit: u64,
    /// What can be done there.
    pub place: Place,
}

/// The plain bytes that a place may refer to, deflated themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct SeekWindow {
    /// The number of plain bytes.
    pub len: u32,
    /// The deflated bytes.
    pub bytes: Vec<u8>,
}

impl SeekWindow {
    /// Makes the plain bytes.
    ///
    /// # Errors
    /// `Format` where they cannot be made, of which an index that was made here gives no cause.
    pub(super) fn inflate<'a>(&self, inflater: &mut Inflater, into: &'a mut [u8]) -> Result<&'a mut [u8]> {
        let len = self.len as usize;
        let into = into.get_mut(..len).unwrap_or_default();
        match inflater.inflate(Framing::Raw, &self.bytes, into)? {
            Inflated::Whole { written, .. } if written == len => Ok(into),
            _ => Err(Error::format("a damaged index of the compressed data")),
        }
    }
}

/// The index of a stream that holds an array.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct SeekIndex {
    /// The places, as they follow each other.
    pub marks: Vec<Mark>,
    /// The windows of some of them.
    pub windows: Vec<SeekWindow>,
    /// The CRC-32 of each slab.
    pub sums: Vec<u32>,
}

impl SeekIndex {
    /// The last place to go on from that has at most this many plain bytes before it, and those behind it.
    pub(super) fn before(&self, plain: u64) -> Result<(Mark, &[Mark])> {
        let behind = self.marks.partition_point(|mark| mark.plain <= plain);
        let (front, _) = self.marks.split_at_checked(behind).unwrap_or_default();
        let found = front.iter().rposition(|mark| !matches!(mark.place, Place::Block | Place::End));
        let found = found.and_then(|at| Some((*self.marks.get(at)?, self.marks.get(at + 1..)?)));
        found.ok_or_else(|| Error::format("an index of the compressed data that does not begin"))
    }

    /// The window of this number.
    pub(super) fn window(&self, number: u32) -> Result<&SeekWindow> {
        let window = self.windows.get(number as usize).filter(|window| window.len as usize <= WINDOW_BYTES);
        window.ok_or_else(|| Error::format("an index of the compressed data without its windows"))
    }

    /// Whether the places of an index that was read can be those of a stream of `packed` bytes and slabs.
    pub(super) fn is_sound(&self, packed: u64, slabs: u64) -> bool {
        let bits = packed.saturating_mul(8);
        let ordered = self.marks.is_sorted_by(|a, b| a.plain <= b.plain && a.bit <= b.bit);
        let inside = self.marks.iter().all(|mark| {
            let (window, block) = match mark.place {
                Place::Window(window) => (window, 0),
                Place::Inside(window, block) => (window, block),
                Place::Fresh | Place::Block | Place::End => return mark.bit <= bits,
            };
            mark.bit <= bits && block <= mark.bit && (window as usize) < self.windows.len()
        });
        let starts = self.marks.first().is_some_and(|mark| mark.plain == 0 && mark.place == Place::Fresh);
        ordered && inside && starts && self.sums.len() as u64 == slabs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_of_another_stream_is_not_sound() {
        let mark = |plain, bit, place| Mark { plain, bit, place };
        let window = SeekWindow { len: 5, bytes: Vec::new() };
        let sound = || SeekIndex {
            marks: vec![
                mark(0, 80, Place::Fresh),
                mark(100, 90, Place::Block),
                mark(200, 300, Place::Inside(0, 90)),
                mark(300, 800, Place::End),
            ],
            windows: vec![window.clone()],
            sums: vec![1, 2],
        };
        assert!(sound().is_sound(100, 2));
        assert!(!sound().is_sound(99, 2), "it leads behind the packed bytes");
        assert!(!sound().is_sound(100, 3), "a slab has no sum");
        let spoilt: [fn(&mut SeekIndex); 6] = [
            |index| index.marks[0].plain = 1,
            |index| index.marks[0].place = Place::Block,
            |index| index.marks[2].bit = 85,
            |index| index.marks[2].plain = 50,
            |index| index.marks[2].place = Place::Window(1),
            |index| index.marks[2].place = Place::Inside(0, 301),
        ];
        for spoil in spoilt {
            let mut index = sound();
            spoil(&mut index);
            assert!(!index.is_sound(100, 2), "{index:?}");
        }
    }
}
